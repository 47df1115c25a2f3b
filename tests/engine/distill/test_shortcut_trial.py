"""Shortcuts are tried on real rows: refused by name where they do not hold, and tried no further than they matter."""

import pytest
import torch

from bakery.engine.distill import shortcut_trial
from bakery.engine.distill.forward import plain_logits
from bakery.engine.distill.shortcut_trial import try_shortcuts
from tests.engine.architectures import random_rows, tiny


@pytest.mark.parametrize(("name", "longest"), [("llama", 256 + 7), ("mistral-window", 300 + 7), ("gemma3", 300 + 7)])
def test_a_prefix_is_tried_as_far_as_its_length_can_matter(monkeypatch, name, longest):
    read = []
    monkeypatch.setattr(
        shortcut_trial, "plain_logits", lambda m, ids, **k: read.append(len(ids)) or plain_logits(m, ids, **k)
    )
    rows = random_rows([7, 7], shared=300)
    assert try_shortcuts(tiny(name, torch.float64), rows, 300).prefix
    assert max(read) == longest


def test_an_adapted_head_is_served_by_the_models_own_logits():
    model = tiny("llama").requires_grad_(True)
    shortcuts = try_shortcuts(model, random_rows([5, 9]), 0)
    assert shortcuts.states_are_logits
    assert "output head" in shortcuts.notes[0]


@pytest.mark.parametrize("kind", ["longrope", "dynamic"])
def test_scaling_that_depends_on_the_rows_length_is_not_packed(kind):
    model = tiny("llama")
    model.config.rope_parameters = {**model.config.rope_parameters, "rope_type": kind}
    shortcuts = try_shortcuts(model, random_rows([5, 9], shared=12), 12)
    assert not shortcuts.packed
    assert not shortcuts.prefix
    assert kind in shortcuts.notes[0]
