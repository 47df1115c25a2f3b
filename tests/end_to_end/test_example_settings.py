"""Every shipped example is a valid settings file whose local rows can be read."""

from pathlib import Path

import pytest

from bakery.rows.bake_data import load_bake_data
from bakery.rows.sources import is_local
from bakery.settings.build import check_settings
from bakery.settings.reading import read_settings_file

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
PROMISED = {
    "quickstart",
    "basic",
    "sft_dataset",
    "multi_turn_prefix",
    "continual_memory",
    "per_row_prefix",
    "pattern_targets",
}


def test_the_promised_examples_are_there():
    assert {path.stem for path in EXAMPLES} >= PROMISED


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_an_example_is_valid_and_its_rows_can_be_read(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    checked = check_settings(read_settings_file(path))
    values = checked.values
    assert values["output_dir"] != "outputs", "two examples must not write into the same folder"
    if values["dataset"] is None or is_local(values["dataset"]):
        data = load_bake_data(checked.context, checked.data)
        assert data.train or data.prefix  # without rows, the model writes them
