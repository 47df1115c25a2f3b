"""The verb that prints the schema."""

import json

from bakery.cli import main
from bakery.settings.catalog import all_fields


def test_schema_prints_json(capsys):
    assert main(["schema"]) == 0
    assert set(all_fields()) < set(json.loads(capsys.readouterr().out)["properties"])
