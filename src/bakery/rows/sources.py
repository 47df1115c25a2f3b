"""Files, folders and hub ids -> raw rows, each with the location it came from. JSON, JSONL and CSV need no library.

.json     a list of texts or objects, or one object that holds the list
.jsonl    one text or object per line
.csv      a header line, then rows; every cell is text
.parquet  rows
folder    a folder written by `datasets`, or one of data files in the hub's layout
hub id    owner/name, read by `datasets`
"""

import csv
import io
import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from bakery.errors import DataError
from bakery.settings.documents import parse_json
from bakery.settings.files import as_path, existing_file, read_text
from bakery.settings.hub import refusal, unreachable
from bakery.text import describe, listed

MAX_LINE = 32_000_000
MAX_OTHER_FILES = 2_000

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_SLICE = re.compile(r"(?P<name>[^\[\]]+)(?:\[(?P<from>-?\d+%?)?:(?P<to>-?\d+%?)?\])?")
_VALIDATION = ("validation", "valid", "val", "dev", "test", "eval")


@dataclass(frozen=True, slots=True)
class Row:
    """One raw row: a text or a mapping, and its location for messages ("data/train.json row 12")."""

    value: Any
    location: str


def is_local(spec: str) -> bool:
    """Tell whether a data set named in the settings means a file or folder (and not a hub id)."""
    path = as_path(spec, DataError)
    return path.exists() or path.suffix.lower() in _READERS or not _HUB_ID.fullmatch(spec)


def read_rows(spec: str, split: str | None = "train") -> list[Row]:
    """Read all rows of a file, folder or hub id.

    Args:
        spec: the path or id.
        split: a split with an optional slice, such as `train_sft[:1000]`; None: the validation or test split of a
            folder or hub id, and the whole of a file.

    Raises:
        DataError: there is no such file, folder or id, or it cannot be read, is malformed or holds no rows.
    """
    path = as_path(spec, DataError)
    if not is_local(spec):
        rows = _read_with_datasets(spec, None, split)
    elif path.is_dir():
        _refuse_large_folder(spec, path)
        _refuse_other_than_text(spec, path)
        rows = _read_with_datasets(spec, path, split)
    else:
        reader = _READERS.get(existing_file(spec, DataError).suffix.lower())
        if reader is None:
            raise DataError(f"{spec}: unknown kind of file; allowed are {', '.join(_READERS)}, a folder or a hub id")
        rows = _slice(list(reader(spec, path)), split, spec, only="train")
    if not rows:
        raise DataError(f"{spec}: holds no rows")
    return rows


def _refuse_large_folder(spec: str, folder: Path) -> None:
    """Refuse a home folder or the like: `datasets` would look through every file below it, many times over."""
    suffixes = {*_READERS, ".arrow", ".gz", ".zst"}
    others = (name for _, _, names in os.walk(folder) for name in names if Path(name).suffix.lower() not in suffixes)
    if next(islice(others, MAX_OTHER_FILES, None), None) is not None:
        raise DataError(f"{spec}: holds over {MAX_OTHER_FILES:,} files that are no data; give the folder of the rows")


def _refuse_other_than_text(spec: str, folder: Path) -> None:
    """Refuse a pipe, a device or zeros under the name of a text: `datasets` would read them without end."""
    for base, _, names in os.walk(folder):
        for name in names:
            if Path(name).suffix.lower() in (".json", ".jsonl", ".csv"):
                file = existing_file(Path(base, name), DataError)
                with file.open("rb") as opened:
                    if b"\0" in opened.read(2**12):
                        raise DataError(f"{file}: is no text; take it out of {spec}, or save it as UTF-8")


def _slice(rows: list[Row], split: str | None, spec: str, only: str | None = None) -> list[Row]:
    if split is None or not rows:
        return rows
    match = _SLICE.fullmatch(split)
    if match is None:
        raise DataError(f"{spec}: cannot read the split {split!r}; write it as train, train[:1000] or train[10%:20%]")
    if only is not None and match["name"] != only:
        raise DataError(f"{spec}: a file has only the split 'train', got {split!r}; write train or train[:1000]")
    bounds = [_bound(match[side], len(rows)) for side in ("from", "to")]
    chosen = rows[slice(*bounds)]
    if not chosen:
        raise DataError(f"{spec}: the split {split!r} takes none of the {len(rows)} rows")
    return chosen


def _bound(text: str | None, total: int) -> int | None:
    if text is None:
        return None
    return round(int(text[:-1]) * total / 100) if text.endswith("%") else int(text)


def _read_json(spec: str, _: Path) -> list[Row]:
    value = parse_json(read_text(spec, DataError), spec, DataError).value
    if isinstance(value, Mapping):
        value = _unwrap(value, spec)
    if not isinstance(value, list):
        raise DataError(f"{spec}: must hold a list of rows, got {describe(value)}")
    return _numbered(value, spec)


def _unwrap(value: Mapping[str, Any], spec: str) -> Any:
    """The rows of an object that holds one list of them; an object that is itself a row as the only one."""
    lists = [key for key, item in value.items() if isinstance(item, list)]
    if len(lists) == 1:
        rows = value[lists[0]]
        is_chat = rows and all(isinstance(row, Mapping) and {"role", "from"} & set(row) for row in rows)
        return [value] if is_chat else rows
    if not lists and any(isinstance(item, str) for item in value.values()):
        return [value]
    raise DataError(f"{spec}: one object must hold one list of rows, got lists under: {listed(lists)}; keep one list")


def _read_jsonl(spec: str, path: Path) -> Iterator[Row]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(MAX_LINE + 1), b""), 1):
                if line.strip(b"\xef\xbb\xbf \t\r\n"):
                    yield _parse_line(line, f"{spec} line {number}")
    except OSError as problem:
        raise DataError(f"{spec}: cannot be read: {problem.strerror}") from problem


def _parse_line(line: bytes, location: str) -> Row:
    if len(line) > MAX_LINE:
        raise DataError(f"{location}: is {len(line):,} bytes long or longer; at most {MAX_LINE:,} are read")
    try:
        return Row(parse_json(line.decode("utf-8-sig"), location, DataError).value, location)
    except UnicodeDecodeError as problem:
        raise DataError(f"{location}: not UTF-8 text; save the file as UTF-8") from problem
    except DataError as problem:
        text = re.sub(r"^(.* line \d+) line \d+:", r"\1:", str(problem))
        raise DataError(f"{text}; each line must be one JSON object or text") from problem


def _read_csv(spec: str, _: Path) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(read_text(spec, DataError), newline=""), strict=True)
    try:
        header = next(reader)
        if len(set(header)) < len(header):
            duplicate = next(name for name in header if header.count(name) > 1)
            raise DataError(f"{spec} line 1: the column {duplicate!r} is there twice; rename one")
        for cells in reader:
            location = f"{spec} line {reader.line_num}"
            if cells and len(cells) != len(header):
                got = f"has {len(cells)} cells, the header has {len(header)}"
                raise DataError(f"{location}: {got}; put a text with commas in quotes")
            if cells:
                yield Row(dict(zip(header, cells, strict=True)), location)
    except csv.Error as problem:
        raise DataError(f"{spec} line {reader.line_num}: not valid CSV: {problem}") from problem


def _read_parquet(spec: str, path: Path) -> list[Row]:
    import pyarrow.parquet
    from pyarrow.lib import ArrowException

    try:
        return _table(pyarrow.parquet.read_table(path).to_pylist(), spec)
    except (ArrowException, OSError) as problem:
        raise DataError(f"{spec}: cannot be read as parquet: {_first_line(problem)}") from problem


def _first_line(problem: BaseException) -> str:
    lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(problem).__name__


def _read_with_datasets(spec: str, folder: Path | None, split: str | None) -> list[Row]:
    import datasets
    from pyarrow.lib import ArrowException

    from bakery.sharing.hub import HUB_ERRORS

    refused = refusal(spec, "dataset") if folder is None else None
    try:
        if folder is not None and any((folder / name).exists() for name in ("dataset_dict.json", "state.json")):
            loaded = datasets.load_from_disk(str(folder))
        elif split is not None:
            return _table(_load_dataset(str(folder or spec), split, refused), spec)
        else:
            loaded = _load_dataset(str(folder or spec), None, refused)
        if not isinstance(loaded, datasets.DatasetDict):
            return _slice(_table(loaded, spec), split, spec, only="train")
        name = _choose_split(list(loaded), split, spec)
        return _slice(_table(loaded[name], spec), split, spec)
    except (ArrowException, datasets.exceptions.DatasetsError, *HUB_ERRORS, AssertionError) as problem:
        if isinstance(problem, DataError):
            raise
        if folder is not None:
            raise DataError(f"{spec}: cannot be read as a folder: {_first_line(problem)}") from problem
        hint = f"there is no file of this name in {Path.cwd()} either"
        if gone := refused or unreachable(problem):
            hint = f"{hint}; give a local file or folder"
        raise DataError(f"{spec}: cannot be read as a hub id: {gone or _first_line(problem)}; {hint}") from problem


def _load_dataset(name: str, split: str | None, refused: str | None) -> Any:
    """A folder or hub id; only what `datasets` keeps of it where the hub refuses it, for the reason that is given."""
    import datasets
    from datasets.packaged_modules.cache.cache import Cache

    if refused is None:
        return datasets.load_dataset(name, split=split)
    cached = Cache(repo_id=name, dataset_name=name.rpartition("/")[2], version="auto", hash="auto")
    logging.getLogger(__name__).warning("%s: %s; the copy in the cache is used", name, refused)
    return cached.as_dataset(split)


def _choose_split(names: list[str], split: str | None, spec: str) -> str:
    wanted = _VALIDATION if split is None else (split.partition("[")[0],)
    for name in wanted:
        if name in names:
            return name
    if split is None and len(names) == 1:
        return names[0]
    raise DataError(f"{spec}: has no split {split or 'validation or test'!r}; its splits are {', '.join(names)}")


def _numbered(rows: Iterable[Any], spec: str) -> list[Row]:
    return [Row(value, f"{spec} row {number}") for number, value in enumerate(rows, 1)]


def _table(rows: Iterable[Any], spec: str) -> list[Row]:
    return _numbered(map(without_filled_nulls, rows), spec)


def without_filled_nulls(value: Any) -> Any:
    """A row of a table without the nulls in its tools and calls, which a table fills in for the keys of other rows."""
    if isinstance(value, list | tuple):
        return [without_filled_nulls(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {
        key: _without_nulls(item) if key in ("tools", "tool_calls") else without_filled_nulls(item)
        for key, item in value.items()
    }


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list | tuple) else value


_READERS: Mapping[str, Callable[[str, Path], Iterable[Row]]] = {
    ".json": _read_json, ".jsonl": _read_jsonl, ".csv": _read_csv, ".parquet": _read_parquet
}  # fmt: skip


def parse_cell(text: str, location: str, what: str = "messages") -> Any:
    """Read a cell of text that holds a list of `what` as JSON, as a CSV file must."""
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as problem:
        raise DataError(f"{location}: must be a list of {what} as JSON: {_first_line(problem)}") from problem
