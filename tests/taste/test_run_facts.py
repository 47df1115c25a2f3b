"""What a run says of itself is what its proof says."""

import json

import pytest

from bakery.errors import DataError
from bakery.taste.run_facts import RunFacts, run_facts


def test_the_verdict_and_the_figures_are_those_of_the_proof(bake):
    _, folder = bake
    results = json.loads((folder / "results.json").read_text())
    facts = run_facts(folder)
    assert facts.level == results["verdict"]["level"]
    assert list(facts.reasons) == results["verdict"]["reasons"]
    assert facts.headline.lower().startswith(facts.level)
    assert facts.report
    labels = {figure.label: figure for figure in facts.figures}
    share = results["divergence"]["share_closed"]["mean"]
    assert labels["of the gap to the prompted model closed"].value == f"{100 * share:.1f} %"
    assert labels["right answers"].value.endswith("%")
    assert labels["prompt tokens saved per request"].value == str(round(results["prefix_tokens_saved"]))


def test_without_a_proof_nothing_is_said(tmp_path):
    assert run_facts(tmp_path) == RunFacts()
    (tmp_path / "results.json").write_text("{}")
    assert run_facts(tmp_path).level == "unknown"
    assert run_facts(tmp_path).figures == ()


@pytest.mark.parametrize("text", ["", "[]", '{"verdict": {"level": "odd", "reasons": []}}', '{"drift": {"mean": 1}}'])
def test_damaged_results_are_told(text, tmp_path):
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(DataError, match="is damaged"):
        run_facts(tmp_path)
