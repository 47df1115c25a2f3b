"""The model card says what the results say, and not what the prompt was."""

import yaml

from bakery.report.model_card import model_card
from bakery.report.results import results
from bakery.report.summary import COLUMNS, sections


def test_the_card_says_what_the_results_say(result):
    card = model_card(result)
    closed = 100 * results(result)["divergence"]["share_closed"]["mean"]
    assert f"{closed:.1f} %" in card
    for title in sections(result.proof, result.pay_off):
        assert f"| {title} | {' | '.join(COLUMNS.values())} |" in card
    assert "**Warning:** " in card
    assert "You are a pirate" not in card, "the prompt itself is not published with the adapter"


def test_the_card_has_the_header_that_the_hub_reads(result):
    _, header, _ = model_card(result).split("---\n", 2)
    assert yaml.safe_load(header) == {
        "base_model": "starter",
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["lora", "context-distillation", "bakery"],
    }


def test_every_row_of_a_table_has_as_many_cells_as_its_header(result):
    card = model_card(result)
    assert "short \\| brief" in card
    rows = [line.replace("\\|", "") for line in card.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {len(COLUMNS) + 2}
