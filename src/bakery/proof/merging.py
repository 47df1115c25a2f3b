"""Proof that a merged model is the adapter's: the same answers, the same log-probabilities."""

import torch
from torch import Tensor

from bakery.engine.divergence import rows_at_once
from bakery.engine.engine import Voice
from bakery.engine.models import evaluating, merged_weights
from bakery.engine.teacher import PerTarget, student_states
from bakery.proof.certificate import Merged
from bakery.proof.evaluation import Case, Columns, Examination


def measure_merged(examination: Examination, case: Case) -> Merged:
    """Merge the adapter, compare along the case's answers, and take it apart again.

    Raises:
        ModelError: the adapter cannot be merged.
    """
    apart = _states(examination, case)
    with merged_weights(examination.engine.model) as lost:
        merged = _states(examination, case)
        found = examination.engine.compare(Voice.BAKED, case.pairs, apart.each(examination.engine.measure.signal))
    columns = Columns(case, *found)
    difference = _log_probabilities(examination, case, merged) - _log_probabilities(examination, case, apart)
    return Merged(columns.nats(), float(difference.abs().max()), columns.top_1(), lost)


def _states(examination: Examination, case: Case) -> PerTarget:
    engine = examination.engine
    with evaluating(engine.model), engine.autocast():
        return student_states(engine.model, case.pairs, engine.paths, engine.token_budget)


def _log_probabilities(examination: Examination, case: Case, states: PerTarget) -> Tensor:
    """Of every target token: [N]."""
    head = examination.engine.paths.head
    found = states.of(range(len(case.pairs)))
    said = torch.tensor([pair.student_ids[at] for pair in case.pairs for at in pair.student_targets])
    rows = rows_at_once(head, found.device)
    parts = [
        torch.log_softmax(head.logits(part), dim=-1).gather(1, ids.to(part.device)[:, None])[:, 0]
        for part, ids in zip(torch.split(found, rows), torch.split(said, rows), strict=True)
    ]
    return torch.cat(parts)
