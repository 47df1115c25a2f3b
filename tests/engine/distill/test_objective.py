"""The fused head and divergence equals its definition, in values and gradients."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bakery.engine.distill.moments import moments
from bakery.engine.distill.objective import (
    DivergenceObjective,
    TokenDivergence,
    compute_kl_divergence,
    token_divergence,
)
from bakery.engine.model.lm_head import LMHead

BETAS = [0.0, 0.3, 0.5, 1.0]


def _case(seed: int, dtype: torch.dtype, *, bias: bool = False, softcap: float | None = None, scale: float = 1.0):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    head = LMHead(normal(50, 8), normal(50) if bias else None, scale, softcap)
    return normal(13, 8).requires_grad_(), normal(13, 8), head, normal(13)


def _measured(student: torch.Tensor, teacher: torch.Tensor, head: LMHead, **how: Any) -> TokenDivergence:
    objective = DivergenceObjective(head, **how)
    return objective.divergence(student, objective.signal(teacher.detach()))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize(
    "head", [{}, {"bias": True}, {"softcap": 3.0}, {"scale": 0.25}, {"softcap": 2.0, "scale": 3.0}]
)
def test_fused_equals_the_definition_in_values_and_gradients(dtype, tolerance, beta, temperature, head):
    student, teacher, frozen, weights = _case(3, dtype, **head)
    plain = token_divergence(frozen.logits(student), frozen.logits(teacher), temperature=temperature, beta=beta)
    (wanted,) = torch.autograd.grad((plain * weights).sum(), student)
    fused = _measured(student, teacher, frozen, temperature=temperature, beta=beta, chunk_rows=4)
    (found,) = torch.autograd.grad((fused.divergence * weights).sum(), student)
    torch.testing.assert_close(fused.divergence, plain, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance * float(wanted.abs().max()))


@pytest.mark.parametrize("beta", BETAS)
def test_gradient_passes_gradcheck(beta):
    student, teacher, head, _ = _case(4, torch.float64, softcap=4.0)
    assert torch.autograd.gradcheck(
        lambda h: _measured(h, teacher, head, temperature=1.3, beta=beta, chunk_rows=5).divergence, (student,)
    )


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), beta=st.sampled_from(BETAS), chunk=st.integers(1, 20))
def test_divergence_is_never_negative_zero_on_itself_and_blind_to_chunks(seed, beta, chunk):
    student, teacher, head, _ = _case(seed, torch.float64)
    found = _measured(student, teacher, head, beta=beta, chunk_rows=chunk)
    assert (found.divergence > 0).all()
    assert _measured(teacher, teacher, head, beta=beta).divergence.abs().max() < 1e-12
    whole = _measured(student, teacher, head, beta=beta)
    torch.testing.assert_close(found.divergence, whole.divergence, rtol=1e-12, atol=1e-12)


def test_jensen_shannon_lies_between_and_is_bounded_by_log_2():
    student, teacher, head, _ = _case(7, torch.float64)
    jensen_shannon = _measured(student, teacher, head, beta=0.5).divergence
    assert (jensen_shannon <= torch.log(torch.tensor(2.0))).all()
    swapped = _measured(teacher, student.detach(), head, beta=0.5).divergence
    torch.testing.assert_close(jensen_shannon.detach(), swapped)


def test_entropy_and_agreement_are_those_of_the_teacher_and_the_argmax():
    student, teacher, head, _ = _case(5, torch.float64)
    found = _measured(student, teacher, head)
    p = head.logits(teacher).softmax(-1)
    torch.testing.assert_close(found.teacher_entropy, -(p * p.log()).sum(-1))
    same = head.logits(student).argmax(-1) == head.logits(teacher).argmax(-1)
    assert found.agreement.bool().tolist() == same.tolist()


def test_probability_zero_is_finite():
    teacher = torch.tensor([[0.0, float("-inf"), 0.0]])
    student = torch.tensor([[0.0, 1.0, 2.0]])
    assert torch.isfinite(token_divergence(student, teacher)).all()
    assert torch.isfinite(token_divergence(student, teacher, beta=0.5)).all()


def test_mean_over_a_mask_and_nothing_selected_is_an_error():
    student, teacher = torch.randn(2, 3, 5), torch.randn(2, 3, 5)
    mask = torch.tensor([[1, 0, 1], [0, 0, 1]])
    wanted = token_divergence(student, teacher)[mask.bool()].mean()
    torch.testing.assert_close(compute_kl_divergence(student, teacher, mask), wanted)
    with pytest.raises(ValueError, match="no token is selected"):
        compute_kl_divergence(student, teacher, torch.zeros(2, 3))
    with pytest.raises(ValueError, match="differ in shape"):
        compute_kl_divergence(student, teacher[:, :2])


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(1, 20),
    width=st.integers(1, 60),
    factor=st.sampled_from([1.0, 0.3, 4.0, 40.0]),
)
def test_moments_are_those_of_the_softmax_whatever_the_tiles(seed, rows, width, factor):
    hidden, _, head, _ = _case(seed, torch.float64)
    p = (factor * hidden @ head.weight.T).softmax(-1)
    found = moments(hidden, head.weight, factor, (rows, width))
    torch.testing.assert_close(found.mean, p @ head.weight, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.entropy, torch.special.entr(p).sum(-1), rtol=1e-10, atol=1e-12)
    assert found.best.tolist() == p.argmax(-1).tolist()


@pytest.mark.parametrize(("scale", "apart"), [(0.1, 0.1), (0.3, 0.05), (0.3, 0.01)], ids=["flat", "peaked", "close"])
def test_in_half_precision_moments_are_as_close_to_the_truth_as_logits_and_far_less_biased(scale, apart):
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    head = LMHead((scale * normal(8192, 256)).bfloat16())
    teacher = normal(400, 256).bfloat16()
    student = (teacher.float() + apart * normal(400, 256)).bfloat16()
    exact = _measured(student.double(), teacher.double(), LMHead(head.weight.double())).divergence
    by_moments = _measured(student, teacher, head).divergence - exact
    by_logits = token_divergence(head.logits(student), head.logits(teacher)) - exact
    assert by_moments.abs().mean() < 1.3 * by_logits.abs().mean() + 2.5e-4
    assert abs(by_moments.mean()) < 0.3 * abs(by_logits.mean()) + 2.5e-5


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 0)])
@pytest.mark.parametrize("apart", [0.0, 0.02, 0.5])
def test_without_a_gradient_the_value_is_the_same(dtype, tolerance, apart):
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(3000, 64, generator=generator).to(dtype)
    teacher = 0.3 * torch.randn(20, 64, generator=generator)
    student = (teacher + apart * torch.randn(20, 64, generator=generator)).to(dtype)
    objective = DivergenceObjective(LMHead(weight))
    signal = objective.signal(teacher.to(dtype))
    with_gradient = objective.divergence(student.clone().requires_grad_(), signal)
    without = objective.divergence(student, signal)
    torch.testing.assert_close(without.divergence, with_gradient.divergence.detach(), rtol=1e-4, atol=tolerance)
    assert torch.equal(without.agreement, with_gradient.agreement)
    assert torch.equal(without.teacher_entropy, with_gradient.teacher_entropy)


def test_autocast_does_not_round_what_the_head_holds():
    student, teacher, head, _ = _case(8, torch.float32)
    wanted = _measured(student, teacher, head).divergence
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(_measured(student, teacher, head).divergence, wanted)


def test_no_row_at_all_is_a_zero_that_still_has_a_gradient():
    """A process whose last batch only fills up the others' takes part in the backward pass all the same."""
    student, teacher, head, _ = _case(6, torch.float32)
    found = _measured(student[:0], teacher[:0], head)
    (gradient,) = torch.autograd.grad(found.divergence.sum(), student)
    assert found.divergence.shape == found.agreement.shape == (0,)
    assert gradient.abs().max() == 0
