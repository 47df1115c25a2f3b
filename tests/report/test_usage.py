"""The code to copy runs as it stands and fits its line."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from bakery.report.model_card import model_card
from bakery.report.usage import usage
from bakery.rows.questions import ScoredQuestion
from tests.proof_support import made_proof


def asking(result, text: str):
    """The result with one question of this text."""
    proof = result.proof
    question = ScoredQuestion(({"role": "user", "content": text},), (), "row")
    score = replace(proof.main_set, questions=(replace(proof.main_set.questions[0], question=question),))
    return replace(result, proof=replace(proof, sets={proof.measured_on: score}))


def test_the_code_to_copy_runs_as_it_stands(bake_folder, result):
    card = model_card(replace(result, output_dir=bake_folder, proof=made_proof()))
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL).group(1)
    assert len(code.strip().splitlines()) == 5
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_line_of_the_code_to_copy_is_long(result):
    for text in ("Why?", 'Say "no"\\n!', "x" * 500):
        code = usage(asking(result, text))
        assert max(map(len, code.splitlines())) <= 100
        compile(code, "usage", "exec")


def test_a_folder_and_a_question_are_quoted(result):
    code = usage(replace(asking(result, 'Say "no".'), output_dir=Path('out/it"s')))
    assert r'"out/it\"s"' in code
    assert r'"Say \"no\"."' in code


def test_a_question_that_is_too_long_is_replaced(result):
    assert '"Who are you?"' in usage(asking(result, "x" * 60))
