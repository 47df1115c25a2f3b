"""What the student is to match: stored, live and the slow full pass say the same; nothing is computed twice."""

import pytest
import torch

from bakery.chat.views import ViewPair
from bakery.engine.distill.forward import Paths, find_paths, plain_logits
from bakery.engine.distill.objective import DivergenceObjective, token_divergence
from bakery.engine.distill.prefix import PrefixCache
from bakery.engine.distill.teacher import LiveTeacher, PerTarget, compare, student_states, teacher_signal
from bakery.engine.model.loading import adapter_off
from tests.engine.architectures import PACKABLE, random_rows, tiny
from tests.engine_support import shake


def _pairs(prefixes: int = 1, seed: int = 1) -> list[ViewPair]:
    """Rows of several lengths behind one or more prefixes of 30 tokens; every third token of the answer is skipped."""
    pairs = []
    for number in range(prefixes):
        rows = random_rows([14, 9, 21, 6], shared=30, seed=seed + number)
        for row in rows:
            own = row[30:]
            targets = [place for place in range(4, len(own)) if place % 3]
            shifted = [30 + target for target in targets]
            pairs.append(ViewPair(row, own, shifted, targets, f"row {len(pairs)}", f"prefix {number}"))
    return pairs


def _adapted(name: str, dtype: torch.dtype = torch.float64):
    from bakery.engine.model.loading import attach_adapter
    from bakery.settings.config import LoraConfig

    return shake(attach_adapter(tiny(name, dtype), LoraConfig(r=4)))


def _states(model, pairs: list[ViewPair], paths: Paths, budget: int) -> PerTarget:
    """The teacher's states themselves: what reverse KL needs."""
    return teacher_signal(model, pairs, paths, DivergenceObjective(paths.head, beta=1.0), budget, PrefixCache(model))


def _all(found: PerTarget) -> torch.Tensor:
    return found.of(range(len(found.counts)))


@pytest.mark.parametrize("name", PACKABLE)
@pytest.mark.parametrize("budget", [10, 60, 10_000])
def test_the_stored_teacher_equals_a_full_forward_pass_row_by_row(name, budget):
    model, pairs = _adapted(name), _pairs(prefixes=2)
    with adapter_off(model):
        paths = find_paths(model, [pair.teacher_ids for pair in pairs[:3]], 30)
        truth = [
            plain_logits(model, pair.teacher_ids)[[target - 1 for target in pair.teacher_targets]] for pair in pairs
        ]
    assert paths.prefix
    stored = _states(model, pairs, paths, budget)
    exact = 1e-3 if name == "gemma2" else 1e-9  # Gemma 2 takes its softmax in float32 in any precision
    for row, wanted in enumerate(truth):
        torch.testing.assert_close(paths.head.logits(stored.of([row])), wanted, rtol=exact, atol=exact)
    order = [5, 0, 3]
    wanted = torch.cat([truth[row] for row in order])
    torch.testing.assert_close(paths.head.logits(stored.of(order)), wanted, rtol=exact, atol=exact)


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_live_and_stored_teachers_agree(beta):
    model, pairs = _adapted("qwen3"), _pairs(prefixes=3)
    with adapter_off(model):
        paths = find_paths(model, [pair.teacher_ids for pair in pairs[:3]], 30)
    measure = DivergenceObjective(paths.head, beta=beta)
    stored, live = (
        teacher_signal(model, pairs, paths, measure, 100, PrefixCache(model)),
        LiveTeacher(model, pairs, paths, measure, 100, PrefixCache(model)),
    )
    for rows in ([0], [3, 2], [11, 0, 4, 5], list(range(12))):
        torch.testing.assert_close(live.of(rows), stored.of(rows), rtol=1e-9, atol=1e-9)


def test_the_adapter_does_not_touch_the_teacher_and_is_on_again_afterwards():
    model, pairs = _adapted("qwen3"), _pairs()
    with adapter_off(model):
        paths = find_paths(model, [pair.teacher_ids for pair in pairs[:3]], 30)
    before = _all(student_states(model, pairs, paths, 100))
    first = _all(_states(model, pairs, paths, 100))
    shake(model, seed=9)
    torch.testing.assert_close(_all(_states(model, pairs, paths, 100)), first, rtol=0, atol=0)
    assert (_all(student_states(model, pairs, paths, 100)) - before).abs().max() > 1e-3


def test_every_distinct_prefix_is_read_once(monkeypatch):
    from bakery.engine.distill import prefix as module

    made = []
    real = module.prefix_key_values
    monkeypatch.setattr(
        module, "prefix_key_values", lambda model, ids, *rest: made.append(tuple(ids)) or real(model, ids)
    )
    model, pairs = _adapted("llama"), _pairs(prefixes=3)
    with adapter_off(model):
        paths = find_paths(model, [pair.teacher_ids for pair in pairs[:3]], 30)
    _states(model, pairs, paths, 25)
    assert len(made) == len(set(made)) == 3


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("budget", [20, 10_000])
def test_the_comparison_is_the_divergence_by_its_definition_in_the_order_of_the_rows(beta, budget):
    model, pairs = _adapted("llama"), _pairs(prefixes=2)
    with adapter_off(model):
        paths = find_paths(model, [pair.teacher_ids for pair in pairs[:3]], 30)
        p = [plain_logits(model, pair.teacher_ids)[[t - 1 for t in pair.teacher_targets]] for pair in pairs]
    q = [plain_logits(model, pair.student_ids)[[t - 1 for t in pair.student_targets]] for pair in pairs]
    measure = DivergenceObjective(paths.head, temperature=1.5, beta=beta)
    teacher = teacher_signal(model, pairs, paths, measure, 50, PrefixCache(model))
    found = compare(model, pairs, teacher, paths, measure, budget).divergence
    wanted = torch.cat([token_divergence(*row, temperature=1.5, beta=beta) for row in zip(q, p, strict=True)])
    torch.testing.assert_close(found, wanted, rtol=1e-8, atol=1e-9)


def test_where_the_views_are_equal_and_the_adapter_is_new_there_is_no_divergence():
    from bakery.engine.model.loading import attach_adapter
    from bakery.settings.config import LoraConfig

    model = attach_adapter(tiny("qwen3", torch.float64), LoraConfig(r=4))
    anchors = [
        ViewPair(pair.student_ids, pair.student_ids, pair.student_targets, pair.student_targets) for pair in _pairs()
    ]
    with adapter_off(model):
        paths = find_paths(model, [pair.teacher_ids for pair in anchors[:3]], 0)
    measure = DivergenceObjective(paths.head)
    found = compare(
        model, anchors, teacher_signal(model, anchors, paths, measure, 50, PrefixCache(model)), paths, measure, 50
    )
    assert found.divergence.abs().max() < 1e-10
    assert found.agreement.min() == 1
