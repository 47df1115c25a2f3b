"""Proof that a merged model is the adapter's: the same answers, the same log-probabilities."""

import torch
from torch import Tensor

from bakery.engine.distill.conditions import BAKED
from bakery.engine.distill.engine import Engine
from bakery.engine.distill.objective import rows_at_once
from bakery.engine.model.adapters import acting, merged_weights
from bakery.evaluation.evaluator import AnsweredRows, Comparison, Evaluator
from bakery.evaluation.proof import MergeCheck


def measure_merged(evaluator: Evaluator, answered: AnsweredRows) -> MergeCheck:
    """Merge the adapter, compare along the answers, and take it apart again.

    Raises:
        ModelError: the adapter cannot be merged.
    """
    engine, baked = evaluator.engine, evaluator.actual(BAKED)
    apart = engine.states(baked, answered.pairs)
    with acting(engine.model, baked.adapters), merged_weights(engine.model) as lost:
        merged = engine.states(baked, answered.pairs)
        with torch.no_grad():
            divergence = engine.objective.divergence(merged, engine.objective.signal(apart))
    comparison = Comparison(answered, *divergence)
    difference = _log_probabilities(engine, answered, merged) - _log_probabilities(engine, answered, apart)
    return MergeCheck(comparison.nats(), comparison.top_1(), float(difference.abs().max()), lost)


def _log_probabilities(engine: Engine, answered: AnsweredRows, states: Tensor) -> Tensor:
    """Of every target token, from the states [N, H] that predict them: [N]."""
    head = engine.shortcuts.head
    targets = torch.tensor([pair.student_ids[at] for pair in answered.pairs for at in pair.student_targets])
    rows = rows_at_once(head, states.device)
    parts = [
        torch.log_softmax(head.logits(part), dim=-1).gather(1, ids.to(part.device)[:, None])[:, 0]
        for part, ids in zip(torch.split(states, rows), torch.split(targets, rows), strict=True)
    ]
    return torch.cat(parts)
