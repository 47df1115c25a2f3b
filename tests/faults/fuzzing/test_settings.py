"""Settings of any text and value: understood, or refused in one line."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakery.command_line import read_command
from bakery.errors import BakeryError
from bakery.settings.build import check_settings
from bakery.settings.catalog import all_fields
from bakery.settings.documents import dump_yaml, parse_json, parse_yaml
from bakery.settings.reading import Settings, read_command_line, read_settings_file
from tests.faults.fuzzing.support import NUMBERS, TEXTS, VALUES, fuzzed, refusal_or_done, scratch

NAMES = sorted(all_fields())
GOOD = {"system_prompt": "Speak like a pirate.", "training_prompts": ["What is AI?"], "model_name_or_path": "starter"}
EXTREMES = [
    "9" * 400,
    "-" + "9" * 400,
    "1e999",
    "-1e999",
    "nan",
    "inf",
    ".nan",
    ".inf",
    "-.inf",
    "0",
    "-1",
    "1e-400",
    "0.5",
    "9223372036854775808",
    "x" * 5000,
    "[" * 5000,
    "{a: " * 5000,
    "2026-11-28",
    "null",
    "true",
    "''",
    "[1e999]",
    "{a: .nan}",
    "\x00",
    "(a+)+$",
]


def check(entries):
    """What a bake checks before anything is loaded."""
    check_settings(Settings({**read_command_line(["--system_prompt", "x"]).entries, **entries}))


@pytest.mark.parametrize("name", NAMES)
def test_extreme_values_of_every_setting(name, capfd):
    for value in EXTREMES:
        refusal_or_done(lambda value=value: check(read_command_line([f"--{name}", value]).entries))
    assert "Traceback" not in capfd.readouterr().err


@fuzzed
@given(changes=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5), yaml=st.booleans())
def test_files_with_any_values(changes, yaml):
    folder = scratch()
    try:
        text = dump_yaml({**GOOD, **changes}) if yaml else json.dumps({**GOOD, **changes})
        (folder / "fuzzed.yaml").write_text(text, "utf-8")
    except (UnicodeEncodeError, ValueError):
        return  # such a file cannot be written
    refusal_or_done(lambda: check_settings(read_settings_file(folder / "fuzzed.yaml")))


@fuzzed
@given(
    data=st.one_of(st.binary(), st.text().map(lambda text: text.encode("utf-8", "replace"))),
    ending=st.sampled_from(["yaml", "json"]),
)
def test_files_of_any_bytes(data, ending):
    file = scratch() / f"bytes.{ending}"
    file.write_bytes(data)
    refusal_or_done(lambda: check_settings(read_settings_file(file)))


@fuzzed
@given(
    text=st.lists(
        st.sampled_from(
            [*"[]{}:,-&*!|>%@`\"'#?\n\t ", "a", "1", "- ", ": ", "{a: ", "&a ", "*a", "!!int ", "---\n", "<<: ", "? "]
        )
    ).map("".join)
)
def test_documents_of_any_marks(text):
    refusal_or_done(lambda: parse_yaml(text, "fuzzed"))
    refusal_or_done(lambda: parse_json(text, "fuzzed"))


@fuzzed
@given(
    words=st.lists(
        st.one_of(
            TEXTS,
            NUMBERS.map(str),
            st.sampled_from(NAMES).map("--{}".format),
            st.sampled_from(["bake", "eval", "--adapter", "--strength", "--rows", "-q", "--", "="]),
        ),
        max_size=8,
    )
)
def test_command_lines_of_any_words(words):
    def read():
        command = read_command(words)
        check(read_command_line(command.overrides).entries)

    refusal_or_done(read)


HOSTILE = {
    "alias bomb": "a: &a [x, x]\n"
    + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20)),
    "merge": "<<: {a: 1}\n",
    "code": "system_prompt: !!python/object/apply:os.system ['touch canary']\n",
    "deep lists": "a: " + "[" * 5000 + "]" * 5000,
    "deep mappings": "".join(f"{' ' * i}a:\n" for i in range(5000)),
    "deep JSON": '{"a":' * 5000 + "1" + "}" * 5000,
    "doubled key": "r: 1\nr: 2\n",
    "a number of 400 digits": f"r: {'9' * 400}\n",
    "a number of 5,000 digits": f"seed: {'9' * 5000}\n",
    "an exponent": "learning_rate: 1e99999999999\n",
    "a date": "seed: 2026-11-28\n",
    "a long key": f"{'k' * 100_000}: 1\n",
    "50 MB": "a: " + "x" * 50_000_000,
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("ending", ["yaml", "json"])
def test_hostile_documents_are_one_line(name, ending, tmp_path):
    (tmp_path / f"hostile.{ending}").write_text(HOSTILE[name])
    assert refusal_or_done(lambda: read_settings_file(tmp_path / f"hostile.{ending}"))
    assert [file.name for file in tmp_path.iterdir()] == [f"hostile.{ending}"]


def test_a_refusal_is_an_error_of_ours():
    with pytest.raises(BakeryError):
        read_settings_file("/dev/null")
