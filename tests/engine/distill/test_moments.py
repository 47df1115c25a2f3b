"""Moments of a softmax head: in tiles of any size they are those of the definition, in float64."""

import pytest
import torch

from bakery.engine.distill.moments import equal_part, log_partition, moments

N, H, V = 7, 6, 50


def problem(dtype=torch.float64, spread=1.0):
    generator = torch.Generator().manual_seed(0)
    hidden = spread * torch.randn(N, H, generator=generator, dtype=torch.float64)
    return hidden.to(dtype), torch.randn(V, H, generator=generator, dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("tile", [(1, 1), (2, 7), (7, 50), (100, 1000), None], ids=str)
@pytest.mark.parametrize("factor", [1.0, 0.3])
def test_mean_entropy_and_likeliest_token_are_those_of_the_distribution(tile, factor):
    hidden, weight = problem()
    q = torch.softmax(factor * hidden @ weight.T, dim=-1)
    ours = moments(hidden, weight, factor, tile)
    torch.testing.assert_close(ours.mean, q @ weight)
    torch.testing.assert_close(ours.entropy, -(q * q.log()).sum(-1))
    assert ours.best.tolist() == q.argmax(-1).tolist()


def test_the_log_partition_is_mean_times_state_plus_entropy():
    hidden, weight = problem()
    ours = moments(hidden, weight, 0.7, (3, 8))
    log_partition = torch.logsumexp(0.7 * hidden @ weight.T, dim=-1)
    torch.testing.assert_close(0.7 * (ours.mean * hidden).sum(-1) + ours.entropy, log_partition)


@pytest.mark.parametrize("tile", [(1, 1), (2, 7), (7, 50), None], ids=str)
def test_the_log_partition_alone_is_that_of_the_definition(tile):
    hidden, weight = problem()
    logits = 0.7 * hidden @ weight.T
    partition, best = log_partition(hidden.requires_grad_(), weight, 0.7, tile)
    torch.testing.assert_close(partition, logits.logsumexp(-1))
    assert best.tolist() == logits.argmax(-1).tolist()
    assert not partition.requires_grad


def test_a_peaked_distribution_has_its_tokens_embedding_and_no_entropy():
    hidden, weight = problem(spread=1e4)
    ours = moments(hidden, weight, 1.0, (3, 8))
    torch.testing.assert_close(ours.mean, weight[ours.best])
    torch.testing.assert_close(ours.entropy, torch.zeros(N, dtype=torch.float64))


def test_half_precision_gives_float32_near_the_exact_moments_of_the_same_weights():
    hidden, weight = problem(torch.bfloat16)
    ours, exact = moments(hidden, weight, 1.0), moments(hidden.double(), weight.double(), 1.0)
    assert ours.mean.dtype == ours.entropy.dtype == torch.float32
    torch.testing.assert_close(ours.entropy.double(), exact.entropy, rtol=0, atol=0.03)
    torch.testing.assert_close(ours.mean.double(), exact.mean, rtol=0, atol=0.03)


def test_nothing_of_it_carries_a_gradient():
    hidden, weight = problem()
    ours = moments(hidden.requires_grad_(), weight, 1.0)
    assert not ours.mean.requires_grad
    assert not ours.entropy.requires_grad


@pytest.mark.parametrize("most", [1, 3, 64])
def test_equal_parts_are_as_few_as_possible_and_nearly_equal(most):
    for count in range(1, 200):
        size = equal_part(count, most)
        parts = -(-count // size)
        assert size <= most
        assert parts == -(-count // most)
        assert size * parts - count < parts
