"""Shapes in annotations are checked in the tests' runs, and cost nothing in production."""

import subprocess
import sys

import pytest
import torch
from jaxtyping import TypeCheckError

from bakery.engine.attention.softmax import Rule, attend_rows
from bakery.engine.distill.objective import token_divergence
from bakery.engine.model.lm_head import LMHead


@pytest.mark.parametrize(
    "call",
    [
        lambda: attend_rows(torch.zeros(1, 4, 5, 8), *torch.zeros(2, 1, 2, 6, 8), Rule(1.0), 0.0),
        lambda: token_divergence(torch.zeros(3, 7), torch.zeros(1, 7)),
        lambda: LMHead(torch.zeros(7, 4), bias=torch.zeros(1)),
        lambda: LMHead(torch.zeros(7, 4)).logits(torch.zeros(3, 4, dtype=torch.long)),
    ],
    ids=["keys of another length", "one row for three", "a bias for one token", "integers for hidden states"],
)
def test_a_wrong_shape_is_an_error_in_the_tests_even_where_torch_would_broadcast(call):
    with pytest.raises(TypeCheckError):
        call()


def test_production_imports_neither_jaxtyping_nor_beartype():
    code = (
        "import sys, bakery.training.trainer, bakery.engine.tensor_types as types\n"
        "from typing import Annotated\n"
        "assert types.Float is Annotated\n"
        "sys.exit(len({'jaxtyping', 'beartype'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
