"""The views of our own and the commonest templates, written out: ids and masks as readable text in `golden/`.

After a change that is meant, write them anew with `python -m tests.templates.test_golden` and read the difference.
"""

import datetime
from itertools import product
from pathlib import Path

import pytest

from bakery.chat.views import build_views
from bakery.errors import BakeryError
from tests.templates.support import COMMON, ENDS, OWN, SHAPES, TAG, word_level, wrapped

CASES = ["single turn", "several turns", "system in the row", "thinking in history", "reasoning_content", "tool call"]
OFF = {"enable_thinking": False}
QUIET = {"thinks": OFF, "qwen-3": OFF, "opens_thinking": {"thinking": False}}
TODAY = datetime.datetime(2026, 11, 22)
TEMPLATES = [*sorted((OWN / "own").glob("*.jinja")), *COMMON]


def strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [text for item in items for text in strings(item)]


def golden(template: Path) -> str:
    """All cases of a template; white space is spelled, targets stand between « and »."""
    source = template.read_text(encoding="utf-8")
    backend = word_level(source.replace("\\n", "\n"), strings(SHAPES))
    tags = sorted(set(TAG.findall(source)) | {"<s>", "</s>"})
    backend.add_special_tokens(tags)
    tokenizer = wrapped(backend, source, next((end for end in ENDS if end in tags), "</s>"))
    lines = []
    settings = [{}, QUIET[template.stem]] if template.stem in QUIET else [{}]
    for case, kwargs in product(CASES, settings):
        prefix, row = SHAPES[case]
        lines += [f"== {case}{', without thinking' if kwargs else ''}"]
        try:
            pairs = build_views(tokenizer, row, prefix_messages=prefix, chat_template_kwargs=kwargs, today=TODAY)
        except BakeryError as error:
            lines += [f"refused, {type(error).__name__}: {error}", ""]
            continue
        for pair in pairs:
            for name, ids, targets in (
                ("teacher", pair.teacher_ids, pair.teacher_targets),
                ("student", pair.student_ids, pair.student_targets),
            ):
                tokens = tokenizer.convert_ids_to_tokens(ids)
                shown = "".join(_marked(tokens, targets)).replace("\n", "⏎")
                lines += [f"{name}  {shown}", f"         {' '.join(_marked([str(i) for i in ids], targets))}"]
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _marked(words: list[str], targets: list[int]) -> list[str]:
    begins = {i for i in targets if i - 1 not in targets}
    ends = {i for i in targets if i + 1 not in targets}
    return ["«" * (i in begins) + word + "»" * (i in ends) for i, word in enumerate(words)]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_views_are_as_written_down(template):
    written = OWN / "golden" / f"{template.stem}.txt"
    assert golden(template) == written.read_text(encoding="utf-8")


def test_every_golden_file_has_its_template():
    assert {path.stem for path in (OWN / "golden").glob("*.txt")} == {path.stem for path in TEMPLATES}


if __name__ == "__main__":
    for path in TEMPLATES:
        (OWN / "golden" / f"{path.stem}.txt").write_text(golden(path), encoding="utf-8")
