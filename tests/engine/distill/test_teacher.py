"""What the student is to match: stored, live and the slow full pass say the same; nothing is computed twice."""

import pytest
import torch

from bakery.chat.views import ViewPair
from bakery.engine.distill.cache import Cache
from bakery.engine.distill.conditions import BAKED, PROMPTED
from bakery.engine.distill.engine import Engine
from bakery.engine.distill.forward import plain_logits
from bakery.engine.distill.objective import token_divergence
from bakery.engine.distill.prefix import PrefixCache
from bakery.engine.distill.shortcut_trial import try_shortcuts
from bakery.engine.distill.teacher import CachedTeacher
from bakery.engine.model.adapters import acting
from bakery.engine.model.loading import attach_adapter
from bakery.engine.model.process_group import ProcessGroup
from bakery.errors import NumericError
from bakery.settings.config import LoraConfig
from tests.engine.architectures import PACKABLE, random_rows, tiny
from tests.engine_support import shake, tokenizer


def _pairs(prefixes: int = 1, seed: int = 1) -> list[ViewPair]:
    """Rows of several lengths behind one or more prefixes of 30 tokens; every third token of the answer is skipped."""
    pairs = []
    for number in range(prefixes):
        rows = random_rows([14, 9, 21, 6], shared=30, seed=seed + number)
        for row in rows:
            own = row[30:]
            targets = [position for position in range(4, len(own)) if position % 3]
            shifted = [30 + target for target in targets]
            pairs.append(ViewPair(row, own, shifted, targets, f"row {len(pairs)}", f"prefix {number}"))
    return pairs


def _adapted(name: str, dtype: torch.dtype = torch.float64, *, trained: bool = True):
    model = attach_adapter(tiny(name, dtype), LoraConfig(r=4))
    return shake(model) if trained else model


def _engine(model, pairs: list[ViewPair], budget: int = 100, **how) -> Engine:
    with acting(model, ()):
        shortcuts = try_shortcuts(model, [pair.teacher_ids for pair in pairs[:3]], 30)
    assert shortcuts.prefix
    return Engine(model, tokenizer(), shortcuts, PrefixCache(model), budget, **how)


def _truth(model, pairs: list[ViewPair]) -> list[torch.Tensor]:
    """The base's logits at every target, row by row, by whole forward passes."""
    with acting(model, ()):
        return [plain_logits(model, pair.teacher_ids)[[at - 1 for at in pair.teacher_targets]] for pair in pairs]


@pytest.mark.parametrize("name", PACKABLE)
@pytest.mark.parametrize("budget", [10, 60, 10_000])
def test_the_stored_teacher_equals_a_full_forward_pass_row_by_row(name, budget):
    model, pairs = _adapted(name), _pairs(prefixes=2)
    truth = _truth(model, pairs)
    engine = _engine(model, pairs, budget, beta=1.0)  # reverse KL: the signal is the states themselves
    teacher = engine.teacher(pairs)
    exact = 1e-3 if name == "gemma2" else 1e-9  # Gemma 2 takes its softmax in float32 in any precision
    for order in ([0], [1], [7], [5, 0, 3]):
        states = teacher.signal([pairs[row] for row in order]).states
        wanted = torch.cat([truth[row] for row in order])
        torch.testing.assert_close(engine.shortcuts.head.logits(states), wanted, rtol=exact, atol=exact)


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_live_and_stored_teachers_agree(beta):
    model, pairs = _adapted("qwen3"), _pairs(prefixes=3)
    engine = _engine(model, pairs, beta=beta)
    stored, live = engine.teacher(pairs), engine.live_teacher()
    for rows in ([0], [3, 2], [11, 0, 4, 5], list(range(12))):
        asked = [pairs[row] for row in rows]
        one, other = live.signal(asked), stored.signal(asked)
        for name, column in other.columns.items():
            torch.testing.assert_close(one.columns[name], column, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("cached", [False, True])
def test_a_row_that_appears_later_is_asked_once_like_any_other(tmp_path, monkeypatch, cached):
    model, pairs = _adapted("qwen3"), _pairs(prefixes=2)
    engine = _engine(model, pairs)
    teacher = engine.teacher(pairs[:5], cache=Cache(tmp_path, "about") if cached else None)
    wanted = engine.teacher(pairs).signal(pairs)
    signal = teacher.signal(pairs)
    for name, column in wanted.columns.items():
        torch.testing.assert_close(signal.columns[name], column, rtol=1e-9, atol=1e-9)
    monkeypatch.setattr("bakery.engine.distill.teacher.LiveTeacher.compute", None)
    assert torch.equal(teacher.signal(pairs[::-1]).entropy[: len(pairs[-1].teacher_targets)],
                       signal.entropy[-len(pairs[-1].teacher_targets) :])  # fmt: skip


def test_a_row_that_appears_later_is_read_by_the_process_that_met_it_alone():
    """The first of two processes meets rows that the other one does not: nothing is shared, and none is left out."""
    model, pairs = _adapted("qwen3"), _pairs()
    engine = _engine(model, pairs)
    first_of_two = CachedTeacher(engine.live_teacher(), [], processes=ProcessGroup(0, 2))
    signal, wanted = first_of_two.signal(pairs), engine.live_teacher().signal(pairs)
    for name, column in wanted.columns.items():
        torch.testing.assert_close(signal.columns[name], column, rtol=1e-9, atol=1e-9)


def test_the_adapter_does_not_touch_the_teacher_and_is_on_again_afterwards():
    model, pairs = _adapted("qwen3"), _pairs()
    engine = _engine(model, pairs, beta=1.0)
    student, first = engine.states(BAKED, pairs), engine.teacher(pairs).signal(pairs).states
    shake(model, seed=9)
    torch.testing.assert_close(engine.teacher(pairs).signal(pairs).states, first, rtol=0, atol=0)
    assert (engine.states(BAKED, pairs) - student).abs().max() > 1e-3


def test_every_distinct_prefix_is_read_once(monkeypatch):
    from bakery.engine.distill import prefix as module

    computed = []
    real = module.prefix_key_values
    monkeypatch.setattr(
        module, "prefix_key_values", lambda model, ids, *rest: computed.append(tuple(ids)) or real(model, ids)
    )
    model, pairs = _adapted("llama"), _pairs(prefixes=3)
    _engine(model, pairs, 25).teacher(pairs)
    assert len(computed) == len(set(computed)) == 3


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("budget", [20, 10_000])
def test_the_comparison_is_the_divergence_by_its_definition_in_the_order_of_the_rows(beta, budget):
    model, pairs = _adapted("llama"), _pairs(prefixes=2)
    p = _truth(model, pairs)
    q = [plain_logits(model, pair.student_ids)[[t - 1 for t in pair.student_targets]] for pair in pairs]
    engine = _engine(model, pairs, budget, temperature=1.5, beta=beta)
    measured = engine.compare(BAKED, pairs, engine.teacher(pairs)).divergence
    wanted = torch.cat([token_divergence(*row, temperature=1.5, beta=beta) for row in zip(q, p, strict=True)])
    torch.testing.assert_close(measured, wanted, rtol=1e-8, atol=1e-9)


def test_where_the_views_are_equal_and_the_adapter_is_new_there_is_no_divergence():
    model = _adapted("qwen3", trained=False)
    anchors = [
        ViewPair(pair.student_ids, pair.student_ids, pair.student_targets, pair.student_targets) for pair in _pairs()
    ]
    engine = Engine(model, tokenizer(), _engine(model, _pairs()).shortcuts, PrefixCache(model), 50)
    measured = engine.compare(BAKED, anchors, engine.teacher(anchors))
    assert measured.divergence.abs().max() < 1e-10
    assert measured.agreement.min() == 1
    assert engine.compare(PROMPTED, anchors, engine.teacher(anchors)).divergence.abs().max() < 1e-10


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_an_answer_that_is_not_finite_names_its_row(beta):
    model, pairs = _adapted("qwen3"), _pairs()
    engine = _engine(model, pairs, beta=beta)
    row = 2
    others = {token for pair in pairs if pair is not pairs[row] for token in pair.teacher_ids}
    token = next(token for token in pairs[row].teacher_ids[30:-1] if token not in others)
    with torch.no_grad():
        model.get_input_embeddings().weight[token] = torch.nan
    with pytest.raises(NumericError, match=r"the teacher's answer to row 3 of 4 is not finite"):
        engine.teacher(pairs)
