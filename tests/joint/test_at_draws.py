"""What is written in NumPy for many draws, against the density in JAX; and draws, against closed forms."""

from collections.abc import Iterator

import jax
import numpy as np
import pytest
from forms import in_gate
from joint_cases import small_model, some_values
from scipy import stats

import bayeslaw as bl
from bayeslaw.diagnosis.joint_pool_check import check_pools
from bayeslaw.fitting.joint_posterior import log_likelihood_at
from bayeslaw.joint.curve import Models
from bayeslaw.joint.curve_at_draws import CurveAtDraws
from bayeslaw.joint.dependence_at_draws import DependenceAtDraws
from bayeslaw.joint.draw_blocks import map_draws
from bayeslaw.joint.drawn_pools import draw_pools
from bayeslaw.joint.hypothetical import NewModel
from bayeslaw.joint.joint_model import JointModel
from bayeslaw.joint.new_columns import NewColumns
from bayeslaw.joint.normal_at_draws import factor_of
from bayeslaw.joint.replicated_losses import ReplicatedLosses
from bayeslaw.joint.sample_scales import SampleScales
from bayeslaw.likelihood import compiled
from bayeslaw.pools.folds import assign_folds
from bayeslaw.pools.repeated_means import PoolMeans
from bayeslaw.pools.rules import find_rule

SEEDS = range(4)
EXACT = {"rtol": 1e-8, "atol": 1e-10}


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def model() -> JointModel:
    return small_model()


@pytest.fixture(scope="module")
def values(model: JointModel) -> dict[str, np.ndarray]:
    drawn = [some_values(model, seed) for seed in SEEDS]
    return {name: np.stack([one[name] for one in drawn]) for name in drawn[0]}


def each(values: dict[str, np.ndarray]) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    for number in SEEDS:
        yield number, {name: draws[number] for name, draws in values.items()}


def test_the_curve_is_that_of_the_density(model: JointModel, values: dict[str, np.ndarray]) -> None:
    curve, many = model.curve, CurveAtDraws(model.curve, values)
    for number, one in each(values):
        np.testing.assert_allclose(many.floors[number], curve.floors(one)[0], **EXACT)


@pytest.mark.parametrize("own_part", in_gate([True], [True, False]))
def test_the_curve_of_new_models_is_that_of_the_density(
    model: JointModel, values: dict[str, np.ndarray], own_part: bool
) -> None:
    generator, families = np.random.default_rng(0), len(model.groups)
    new = Models(np.array([2.0, 3.0, 1.5, 0.5]), np.array([0, 1, families, families + 1]))
    noise = {"model": generator.normal(size=(4, 4)), "floor": generator.normal(size=(4, 2))}
    noise["scale"] = generator.gamma(2.5, size=(4, 2))
    drawn = CurveAtDraws(model.curve, values).draw(new, noise, own_part=own_part)
    for number, one in each(values):
        alone = {name: numbers[number] for name, numbers in noise.items()}
        np.testing.assert_allclose(drawn[number], model.curve.draw(one, new, alone, own_part=own_part), **EXACT)


def test_a_loss_given_drawn_ones_has_the_conditional_density(model: JointModel, values: dict[str, np.ndarray]) -> None:
    """Mean and factor of the joint normal are told by draws of zero and unit noise."""
    many, new = CurveAtDraws(model.curve, values), Models(np.array([2.0, 3.0, 2.5]), np.array([0, 0, 1]))
    floors, noise = many.floors[:, new.family], {"floor": np.zeros((4, 0)), "scale": np.zeros((4, 0))}
    zero, *units = (
        np.log(many.draw(new, noise | {"model": np.tile(unit, (4, 1))}, own_part=True) - floors)
        for unit in np.vstack([np.zeros(3), np.eye(3)])
    )
    drawn = floors[:, 1:] + np.exp(zero[:, 1:] + np.array([0.1, -0.2]))
    losses = np.array([floors.max() * 1.1, model.table.mean.min()])
    found = many.log_densities(new, noise, losses, drawn)
    for number in range(4):
        factor = np.stack([unit[number] - zero[number] for unit in units], axis=1)
        joint = stats.multivariate_normal(zero[number], factor @ factor.T, allow_singular=True)
        others = stats.multivariate_normal(zero[number][1:], (factor @ factor.T)[1:, 1:], allow_singular=True)
        for place, loss in enumerate(losses):
            logs = np.log(np.concatenate([[loss], drawn[number]]) - floors[number])
            wanted = joint.logpdf(logs) - others.logpdf(logs[1:]) - logs[0]
            assert found[number, place] == pytest.approx(wanted, rel=1e-5, abs=1e-5)


def test_the_dependence_is_that_of_the_density(model: JointModel, values: dict[str, np.ndarray]) -> None:
    dependence, many = model.dependence, DependenceAtDraws(model.dependence, values)
    new = (np.array([-6.0, 0.4]), np.array([1, 7]), np.array([0.3, 0.6]))
    seen = (dependence.quality, dependence.family)
    kernel = many.kernel((*new[:2], np.tile(new[2], (4, 1))), (*seen, many.seen_own_share))
    for number, one in each(values):
        own = dependence.own_share(one, dependence.quality, one["own_offset"])
        np.testing.assert_allclose(many.seen_own_share[number], own, **EXACT)
        np.testing.assert_allclose(many.structure[number], dependence.structure(one), **EXACT)
        np.testing.assert_allclose(kernel[number], dependence.kernel(one, new, (*seen, own)), **EXACT)


def test_deviations_of_new_models_are_conditional_normal(model: JointModel, values: dict[str, np.ndarray]) -> None:
    dependence, many = model.dependence, DependenceAtDraws(model.dependence, values)
    quality, family = np.array([-6.0, 0.4, 1.0]), np.array([1, 0, 5])
    zero, *units = (
        np.log(many.draw_deviation(np.tile(quality, (4, 1)), family, np.tile(noise, (4, 1))))
        for noise in np.vstack([np.zeros(3), np.eye(3)])
    )
    near = np.clip(np.concatenate([dependence.quality, quality]), -4, 4)
    families, centre = np.concatenate([dependence.family, family]), dependence.log_deviation.mean()
    for number, one in each(values):
        covariance = 4.0 + 0.25 * np.outer(near, near) + one["deviation_spread"] ** 2 * np.eye(len(near))
        covariance += one["deviation_family_spread"] ** 2 * np.equal.outer(families, families)
        gain = covariance[8:, :8] @ np.linalg.inv(covariance[:8, :8])
        mean = centre + gain @ (dependence.log_deviation - centre)
        np.testing.assert_allclose(zero[number], mean, rtol=1e-6, atol=1e-8)
        factor = np.stack([unit[number] - zero[number] for unit in units], axis=1)
        left = covariance[8:, 8:] - gain @ covariance[:8, 8:]
        np.testing.assert_allclose(factor @ factor.T, left, rtol=1e-5, atol=1e-8)


def test_the_log_likelihood_is_that_of_the_density(model: JointModel, values: dict[str, np.ndarray]) -> None:
    found = log_likelihood_at(model, values)
    for number, one in each(values):
        np.testing.assert_allclose(found[number], model.log_likelihood(one), **EXACT)


def test_matrices_that_rounding_leaves_not_positive_have_factors() -> None:
    matrices = np.stack([np.ones((3, 3)) - 1e-14 * np.eye(3), np.eye(3)])
    factor = factor_of(matrices)
    np.testing.assert_allclose(factor @ factor.transpose(0, 2, 1), matrices, atol=1e-12)


def test_blocks_of_draws_keep_their_order_and_their_own_randomness() -> None:
    values = {"site": np.arange(50.0)}

    def work(block, generator):
        return np.stack([block["site"], generator.normal(size=len(block["site"]))], axis=1)

    found, again = (map_draws(work, values, numbers=2**17, seed=1) for _ in range(2))
    np.testing.assert_array_equal(found[:, 0], values["site"])
    np.testing.assert_array_equal(found, again)
    assert len(np.unique(found[:, 1])) == 50
    assert not np.array_equal(found, map_draws(work, values, numbers=2**17, seed=2))


def many_of(values: dict[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
    return {name: np.repeat(draws[:1], count, axis=0) for name, draws in values.items()}


def test_mean_losses_of_new_models_are_those_of_the_columns_alone(model: JointModel, values) -> None:
    """A pool of one new model loses its mean, which the curve gives by itself: same median and spread."""
    columns = NewColumns(model, SampleScales(np.ones(240), 8, np.inf), np.array([2.0]), np.array([0]))
    size = float(np.exp(2.0) * model.table.reference)
    means = np.log(columns.draw_means(many_of(values, 4000), np.random.default_rng(0))[:, 0])
    pool = np.log(draw_pools(model, many_of(values, 1000), [[NewModel(size, model.groups[0])]])[:, 0])
    assert stats.ks_2samp(means, pool).pvalue > 1e-3


@pytest.mark.parametrize("freedom", [np.inf, 6.0])
def test_replicates_have_the_correlations_and_deviations_of_the_law(model: JointModel, values, freedom: float) -> None:
    values = many_of(values, 300) | {"structure_freedom": np.full(300, 1e8)}
    squares = np.full(len(model.table.weights), 8.0)
    replicated = ReplicatedLosses(model, SampleScales(squares, 8, freedom), model.table.mean)
    latent = []
    for losses in replicated.draw(values, np.random.default_rng(0)):
        np.testing.assert_allclose(
            losses @ model.table.weights / model.table.weights.sum(), model.table.mean, rtol=2e-6
        )
        drawn = model.table.link.array_latent(losses.astype(float))
        latent.append(drawn - drawn.mean(axis=1, keepdims=True))
    covariance = np.mean([one @ one.T / len(squares) for one in latent], axis=0)
    width = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(width, model.table.latent_deviation, rtol=0.02)
    structure = DependenceAtDraws(model.dependence, values).structure[0]
    np.testing.assert_allclose(covariance / np.outer(width, width), structure, atol=0.02)


def test_what_replicates_share_scatters_as_correlations_of_a_wishart_matrix(model: JointModel, values) -> None:
    values = many_of(values, 4000) | {"structure_freedom": np.full(4000, 200.0)}
    replicated = ReplicatedLosses(model, SampleScales(np.ones(240), 8, np.inf), model.table.mean)
    dependence = DependenceAtDraws(model.dependence, values)
    factor = replicated.common_factor(dependence, np.random.default_rng(0))
    drawn = (factor @ factor.transpose(0, 2, 1))[:, *np.triu_indices(8, 1)]
    shared = (model.dependence.quality, model.dependence.family, np.zeros((4000, 8)))
    kernel = dependence.kernel(shared, shared)[0][np.triu_indices(8, 1)]
    # Fisher's transform of a correlation from 209 degrees of freedom is normal with variance 1 / (209 - 2).
    error = np.arctanh(drawn) - np.arctanh(kernel)
    np.testing.assert_allclose(error.std(axis=0), 207**-0.5, rtol=0.06)
    np.testing.assert_allclose(error.mean(axis=0), 0, atol=0.01)


def test_scales_have_the_moments_of_their_gamma_distributions() -> None:
    generator, squares = np.random.default_rng(0), np.concatenate([np.full(20_000, 2.0), np.full(20_000, 14.0)])
    scales = SampleScales(squares, 8, 9.0)
    drawn = scales.draw(generator, True)
    assert drawn.mean() == pytest.approx(1)
    # Evidence over a gamma variable of shape 17 / 2: means in proportion to the evidence, 9 to 21.
    assert drawn[20_000:].mean() / drawn[:20_000].mean() == pytest.approx(21 / 9, rel=0.02)
    assert drawn[:20_000].std() / drawn[:20_000].mean() == pytest.approx(1 / np.sqrt(17 / 2 - 2), rel=0.03)
    new = scales.draw_new(generator, True)
    assert new.std() == pytest.approx(1 / np.sqrt(9 / 2 - 2), rel=0.1)
    assert set(np.round(scales.draw_new(generator, False), 9)) == set(np.round((7 + squares) / 15, 9))
    np.testing.assert_allclose(scales.draw(generator, False), (7 + squares) / 15)


def test_an_oracle_of_a_new_model_and_a_known_one_is_that_of_two_normals() -> None:
    """With one new model on the scale of losses, against the expected minimum of a constant and a normal variable."""
    model = small_model("identity")
    one = some_values(model) | {"structure_freedom": np.asarray(1e8), "model_spread": np.asarray(1e-4)}
    one |= {"exponent_drift": np.asarray(1e-4), "own_level": np.asarray(12.0), "own_spread": np.asarray(1e-6)}
    count = 400
    values = {name: np.repeat(np.asarray(value)[None], count, axis=0) for name, value in one.items()}
    columns = NewColumns(model, SampleScales(np.ones(240), 8, np.inf), np.array([0.3]), np.array([0]))
    expected, found = [], []
    known = model.table.losses[:, 2]
    share = model.table.weights / model.table.weights.sum()
    for losses, means in columns.draw(values, np.random.default_rng(0)):
        found.append(np.minimum(losses[0], known) @ share)
        spread, mean = losses[0].std(), float(means[0])
        # What has nothing in common with the others is normal around its mean on every sample.
        z = (known - mean) / spread
        expected.append((mean * stats.norm.cdf(z) - spread * stats.norm.pdf(z) + known * stats.norm.sf(z)) @ share)
    error = np.std(np.subtract(found, expected)) / np.sqrt(count)
    assert abs(np.mean(found) - np.mean(expected)) < 5 * error


@pytest.mark.parametrize("rule", ["oracle", "mixture", "best"])
def test_columns_in_single_precision_give_the_losses_of_double_precision(rule: str) -> None:
    generator = np.random.default_rng(0)
    columns, clusters = generator.gamma(2.0, 2.0, (12, 3000)), np.repeat(np.arange(300), 10)
    pools = np.sort([generator.choice(12, 3, replace=False) for _ in range(40)], axis=1)
    functions, folds = find_rule(rule).functions, assign_folds(clusters)
    expected = [functions.losses(columns[pool].T, folds).mean() for pool in pools]
    found = PoolMeans(pools, 12, clusters, rule)(columns.astype(np.float32), 3000.0)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_nothing_is_compiled(values: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a table that was not seen before, neither by the package nor by JAX's own operations."""

    def refuse(*arguments, **choices):
        raise AssertionError("something was compiled")

    fresh = small_model()
    monkeypatch.setattr(compiled, "compile_for", refuse)
    monkeypatch.setattr("jax._src.compiler.compile_or_get_cached", refuse)
    with pytest.raises(AssertionError, match="compiled"):
        jax.jit(lambda x: x * 3.25 + 17)(np.ones(37))
    assert np.isfinite(draw_pools(fresh, values, [[NewModel(3e11, "unseen"), NewModel(1e10, "alder")]])).all()
    assert np.isfinite(check_pools(fresh, values, max_size=2)["median"]).all()


def test_nothing_is_compiled_to_check_a_fit_or_to_predict_by_it(
    joint_fit: bl.Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments, **choices):
        raise AssertionError("something was compiled")

    monkeypatch.setattr("jax._src.compiler.compile_or_get_cached", refuse)
    bl.check(joint_fit)
    assert np.isfinite(bl.predict(joint_fit, {"members": ["1e11:alder,5e10:unseen"]})["median"]).all()
