"""Proof that a merged model is the adapter's: the same answers, the same log-probabilities."""

import torch
from torch import Tensor

from bakery.engine.distill.conditions import BAKED
from bakery.engine.distill.objective import rows_at_once
from bakery.engine.distill.teacher import PerTarget, student_states
from bakery.engine.model.loading import evaluating, merged_weights
from bakery.evaluation.evaluator import Case, Columns, Evaluator
from bakery.evaluation.proof import Merged


def measure_merged(evaluator: Evaluator, case: Case) -> Merged:
    """Merge the adapter, compare along the case's answers, and take it apart again.

    Raises:
        ModelError: the adapter cannot be merged.
    """
    apart = _states(evaluator, case)
    with merged_weights(evaluator.engine.model) as lost:
        merged = _states(evaluator, case)
        found = evaluator.engine.compare(BAKED, case.pairs, apart.each(evaluator.engine.measure.signal))
    columns = Columns(case, *found)
    difference = _log_probabilities(evaluator, case, merged) - _log_probabilities(evaluator, case, apart)
    return Merged(columns.nats(), float(difference.abs().max()), columns.top_1(), lost)


def _states(evaluator: Evaluator, case: Case) -> PerTarget:
    engine = evaluator.engine
    with evaluating(engine.model), engine.autocast():
        return student_states(engine.model, case.pairs, engine.paths, engine.token_budget)


def _log_probabilities(evaluator: Evaluator, case: Case, states: PerTarget) -> Tensor:
    """Of every target token: [N]."""
    head = evaluator.engine.paths.head
    found = states.of(range(len(case.pairs)))
    said = torch.tensor([pair.student_ids[at] for pair in case.pairs for at in pair.student_targets])
    rows = rows_at_once(head, found.device)
    parts = [
        torch.log_softmax(head.logits(part), dim=-1).gather(1, ids.to(part.device)[:, None])[:, 0]
        for part, ids in zip(torch.split(found, rows), torch.split(said, rows), strict=True)
    ]
    return torch.cat(parts)
