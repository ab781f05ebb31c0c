"""What pools of new models are expected to lose: the same as drawn apart, but smooth along budgets."""

import numpy as np
import pytest
from joint_cases import small_model, some_values

from bayeslaw.joint.dependence_at_draws import symmetric_root
from bayeslaw.joint.drawn_pools import draw_pools
from bayeslaw.joint.expected_pools import draw_expected
from bayeslaw.joint.hypothetical import NewModel

NEAR = (1e10, 1.001e10)


@pytest.fixture(scope="module")
def model():
    return small_model()


@pytest.fixture(scope="module")
def values(model):
    one = some_values(model)
    return {name: np.repeat(value[None], 160, axis=0) for name, value in one.items()}


def pools_of(model, budget):
    first, second = model.groups
    half = budget / 2
    return [
        [NewModel(budget, first)],
        [NewModel(half, first), NewModel(half, first, "1")],
        [NewModel(half, first), NewModel(half, second)],
    ]


def advantages(losses):
    return losses[..., :1] - losses[..., 1:]


@pytest.mark.parametrize("rule", ["mixture", "oracle"])
def test_draws_hardly_differ_between_budgets_that_hardly_do(model, values, rule):
    pools = [pools_of(model, budget) for budget in NEAR]
    found = advantages(draw_expected(model, values, pools, rule=rule, replicates=1))
    moved, spread = np.abs(found[:, 1] - found[:, 0]).mean(axis=0), found[:, 0].std(axis=0)
    assert (moved < 0.05 * spread).all()
    # Drawn together with models of their own they differ by as much as two draws do.
    apart = draw_pools(model, values, [*pools[0], *pools[1]], rule=rule, samples="new", own_part=False)
    apart = advantages(apart.reshape(160, 2, 3))
    assert (np.abs(apart[:, 1] - apart[:, 0]).mean(axis=0) > 0.3 * apart[:, 0].std(axis=0)).all()


def test_they_are_expected_to_lose_what_is_drawn_apart(model, values):
    pools = pools_of(model, NEAR[0])
    one = draw_pools(model, values, pools, rule="mixture", samples="new", own_part=False, seed=1)
    found = {each: draw_expected(model, values, [pools], rule="mixture", replicates=each)[:, 0] for each in (1, 8)}
    for drawn in found.values():
        for here, there in ((drawn, one), (advantages(drawn), advantages(one))):
            error = np.hypot(here.std(axis=0), there.std(axis=0)) / 160**0.5
            assert (np.abs(here.mean(axis=0) - there.mean(axis=0)) < 4 * error).all()
    # Chance of single models is averaged out; texts, which are the same for all, are not.
    assert (advantages(found[8]).std(axis=0) < 0.95 * advantages(found[1]).std(axis=0)).all()


def test_a_model_that_many_pools_name_is_one(model, values):
    member = NewModel(1e10, model.groups[0])
    found = draw_expected(model, values, [[[member], [member]]], rule="mixture", replicates=2)
    np.testing.assert_array_equal(found[:, 0, 0], found[:, 0, 1])


def test_the_smooth_root_is_a_root_and_symmetric():
    generator = np.random.default_rng(0)
    half = generator.standard_normal((5, 3, 3))
    covariance = half @ half.swapaxes(1, 2)
    eigenvalues, vectors = np.linalg.eigh(covariance)
    root = symmetric_root(vectors * np.sqrt(eigenvalues)[:, None])
    np.testing.assert_allclose(root @ root.swapaxes(1, 2), covariance, atol=1e-12)
    np.testing.assert_allclose(root, root.swapaxes(1, 2), atol=1e-12)
