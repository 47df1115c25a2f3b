"""What an export says of itself, in figures and in words."""

import json
import re
from dataclasses import replace
from pathlib import Path

from bakery.exporting.asking import AnswerCheck, TextCheck
from bakery.exporting.mlx import WeightCheck
from bakery.exporting.result import ExportResult, ServerCheck, export_figures, told

RESULT = ExportResult(
    to="mlx",
    output_dir=Path("out"),
    adapter=Path("run"),
    adapter_sha256="ab",
    base_model="a/base",
    strength=0.5,
    dtype="float32",
    measured_on="heldout",
    text=TextCheck(48, 48),
    answers=AnswerCheck(48, 47, 46, 1e-5),
    asked="in transformers",
)


def test_figures_are_plain_and_hold_everything_but_the_folder_itself():
    figures = json.loads(json.dumps(export_figures(RESULT)))
    assert set(figures) == {"schema", "bakery", *(set(vars(RESULT)) - {"output_dir"})}
    assert figures["answers"] == {
        "questions": 48, "equal_by_ids": 47, "equal_as_text": 46, "largest_difference": 1e-5
    }  # fmt: skip


def test_words_tell_what_is_equal_and_what_was_not_tried():
    assert told(RESULT) == [
        "out: mlx, float32, strength 0.5",
        "  equal answers: 47 of 48 by token ids, 46 as text; log-probabilities differ by at most 1.0e-05 "
        "(in transformers)",
    ]
    more = replace(
        RESULT,
        weights=WeightCheck(28, 27, 1e-7),
        text=TextCheck(48, 40),
        not_run="MLX itself",
        template_variables={"enable_thinking": False},
    )
    text = "\n".join(told(more))
    server = ServerCheck("llama.cpp", TextCheck(48, 7), AnswerCheck(48, 40, 9, 0.5), 1.0)
    served = "\n".join(told(replace(RESULT, server=server, dtype="bfloat16")))
    assert "40 of 48 by token ids, 9 as text; log-probabilities differ by at most 5.0e-01 (in llama.cpp" in served
    assert "in bfloat16, 8 of 48 answers are other than those in float32" in served
    assert "41 of 48 questions become other tokens in the server" in served
    for part in ("27 of 28 layers", "8 of 48 questions become other tokens", "not run: MLX itself", "enable_thinking"):
        assert part in text


def test_the_document_names_every_key():
    text = (Path(__file__).parents[2] / "docs" / "results.md").read_text(encoding="utf-8")
    section = text.partition("## export.json")[2].partition("\n## ")[0]
    assert set(re.findall(r"`(\w+)`", section)) >= set(export_figures(RESULT)) - {"bakery"}
