"""The notebook runs from its first cell to its last, bakes what it says, and is stored without outputs."""

import contextlib
import io
import json
import warnings
from pathlib import Path

import pytest

NOTEBOOK = json.loads((Path(__file__).parents[2] / "examples" / "first_bake.ipynb").read_text("utf-8"))
CELLS = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """What each cell printed, and the names that they have left."""
    folder, names, printed = tmp_path_factory.mktemp("notebook"), {"__name__": "__main__"}, []
    with contextlib.chdir(folder), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a notebook shows them and goes on
        for source in CELLS:
            with contextlib.redirect_stdout(io.StringIO()) as said:
                exec(compile(source, "first_bake.ipynb", "exec"), names)
            printed.append(said.getvalue())
    return printed, names, folder


def test_it_is_stored_without_outputs_in_the_form_of_its_format():
    assert (NOTEBOOK["nbformat"], NOTEBOOK["nbformat_minor"]) == (4, 4)
    code = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


def test_base_and_prompted_model_answer_differently(ran):
    printed, _, _ = ran
    base, prompted = (
        [line for line in printed[1].splitlines() if line.startswith(name)] for name in ("base", "prompted")
    )
    assert len(base) == len(prompted) == 2
    assert all("ADA" not in line for line in base)
    assert [line.partition("-> ")[2] for line in prompted] == [line.partition("-> ")[2].upper() for line in prompted]


def test_the_bake_is_proved_and_the_adapter_answers_without_the_prompt(ran):
    printed, names, folder = ran
    assert names["result"].proof.divergence.share_closed.mean > 0.5
    assert "gap closed: " in printed[3]
    assert (folder / "outputs" / "first_bake" / "report.html").is_file()
    answers = [line.partition("-> ")[2] for line in printed[4].splitlines()]
    assert answers == [answer.upper() for answer in answers]
    assert "PARIS" in answers[1]
