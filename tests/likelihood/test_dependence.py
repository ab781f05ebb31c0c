"""Rows that share errors have the density, conditionals and effects of a dense multivariate normal."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.infer.util import log_density
from pool_tables import random_table
from scipy import stats

from bayeslaw.errors import InputError
from bayeslaw.fitting.row_programs import log_prior
from bayeslaw.laws import CollaborationLaw, PowerLaw
from bayeslaw.likelihood.dependence import Dependence, share
from bayeslaw.likelihood.law_model import LawModel
from bayeslaw.likelihood.loadings import sampling_factor_of
from bayeslaw.likelihood.many_draws import LoadingPairs, ManyDraws
from bayeslaw.likelihood.noise import Noise, noise_from_specification
from bayeslaw.pools.pool_losses import make_pools, read_pools, write_pools
from bayeslaw.simulation.tables import simulate_losses

# The stubs take the covariance for a number.
NORMAL: Any = stats.multivariate_normal
MEMBER_SCALE = 0.4
VARIANCE = np.array([0.3, 0.02, 0.7])


def some(rows=14, seed=0) -> Dependence:
    generator = np.random.default_rng(seed)
    return share(
        generator.standard_normal((rows, 2)),
        generator.standard_normal((rows, 1)),
        generator.standard_normal((rows, 2)),
        generator.standard_normal((rows, 4)),
        remainder=generator.uniform(0, 0.1, rows),
        inflation=np.ones(3),
        group=np.arange(rows) % 3,
        groups=3,
    )


def dense(shared: Dependence, variance=VARIANCE, member_scale=MEMBER_SCALE) -> np.ndarray:
    """Write the covariance out."""
    covariance = np.diag(variance[shared.group])
    for factor in (shared.sampling_factor, shared.model_factor, shared.course_factor, member_scale * shared.contrasts):
        covariance = covariance + factor @ factor.T
    return covariance


@pytest.fixture
def residual():
    return np.random.default_rng(5).standard_normal(14)


def test_own_variance_is_the_scale_squared_and_the_mean_remainder():
    shared = some()
    with jax.enable_x64(True):
        found = np.asarray(shared.variance(np.array([0.1, 0.2, 0.3])))
    wanted = [s**2 + shared.remainder[shared.group == g].mean() for g, s in enumerate((0.1, 0.2, 0.3))]
    np.testing.assert_allclose(found, wanted)


def test_the_joint_density_is_that_of_a_dense_normal(residual):
    for seed in range(3):
        shared = some(seed=seed)
        with jax.enable_x64(True):
            found = float(shared.log_density(jnp.asarray(residual), jnp.asarray(VARIANCE), MEMBER_SCALE))
        wanted = NORMAL.logpdf(residual, cov=dense(shared))
        assert found == pytest.approx(float(wanted), rel=1e-10)


def test_derivatives_are_those_of_finite_differences(residual):
    shared = some()

    def density(point):
        return shared.log_density(residual * point[0], point[1:4], point[4])

    point, step = np.array([1.3, *VARIANCE, MEMBER_SCALE]), 1e-5
    with jax.enable_x64(True):
        found = np.asarray(jax.grad(density)(jnp.asarray(point)))
        ends = [[float(density(point + sign * step * e)) for sign in (1, -1)] for e in np.eye(len(point))]
    np.testing.assert_allclose(found, [(high - low) / (2 * step) for high, low in ends], rtol=1e-6)


def test_conditional_densities_are_those_of_each_row_given_the_others(residual):
    shared = some()
    with jax.enable_x64(True):
        found = np.asarray(shared.conditional_log_density(jnp.asarray(residual), jnp.asarray(VARIANCE), MEMBER_SCALE))
    covariance = dense(shared)
    for row, density in enumerate(found):
        others = np.arange(14) != row
        weights = np.linalg.solve(covariance[np.ix_(others, others)], covariance[others, row])
        left = covariance[row, row] - weights @ covariance[others, row]
        wanted = stats.norm.logpdf(residual[row], weights @ residual[others], np.sqrt(left))
        assert density == pytest.approx(float(wanted), rel=1e-9)


def test_effects_are_drawn_from_their_distribution_given_the_rows(residual):
    shared = some()
    scaled = shared.loadings * np.array([1, 1, 1, 1, 1, *[MEMBER_SCALE] * 4, 1, 1])
    gain = np.linalg.solve(dense(shared), scaled).T
    with jax.enable_x64(True):
        variance = jnp.asarray(VARIANCE)
        weighted, _ = shared.sums(jnp.asarray(residual), variance)
        draw = lambda standard: np.asarray(shared.draw_effects(weighted, variance, MEMBER_SCALE, standard))  # noqa: E731
        mean = draw(jnp.zeros(11))
        root = np.stack([draw(e) - mean for e in jnp.eye(11)], axis=1)
    np.testing.assert_allclose(mean, gain @ residual, rtol=1e-9)
    np.testing.assert_allclose(root @ root.T, np.eye(11) - gain @ scaled, rtol=1e-8, atol=1e-12)


def test_information_is_that_of_dense_derivatives():
    shared = some()
    location = np.random.default_rng(2).standard_normal((14, 3))
    inverse = np.linalg.inv(dense(shared))
    slopes = [np.diag((shared.group == g).astype(float)) for g in range(3)]
    slopes.append(2 * MEMBER_SCALE * shared.contrasts @ shared.contrasts.T)
    wanted = [[np.trace(inverse @ a @ inverse @ b) / 2 for a in slopes] for b in slopes]
    with jax.enable_x64(True):
        found = shared.information(jnp.asarray(location), jnp.asarray(VARIANCE), MEMBER_SCALE)
    np.testing.assert_allclose(found[0], location.T @ inverse @ location, rtol=1e-9)
    np.testing.assert_allclose(found[1], wanted, rtol=1e-8)


@pytest.fixture(scope="module")
def pools():
    """Return 230 pools of 11 models, enough for nodes to stand for their rows."""
    return make_pools(simulate_losses(families=3, sizes=4, samples=120, clusters=30, seed=2), max_size=3, limit=230)


def model_of(pools, **noise) -> LawModel:
    law = CollaborationLaw()
    return LawModel(law, Noise(**noise), law.observe(pools))


def shared_by(model: LawModel) -> Dependence:
    assert model.dependence is not None
    return model.dependence


def sampling_of(model: LawModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what a table of pools says of its sampling error, and which members its rows have."""
    observations = model.observations
    assert observations.sampling_factor is not None
    assert observations.sampling_remainder is not None
    assert observations.membership is not None
    return observations.sampling_factor, observations.sampling_remainder, observations.membership


VALUES = {
    "floor": np.array([1.1, 0.9, 0.8]),
    "amplitude": np.array([0.8, 0.9, 0.7]),
    "exponent": np.array([0.3, 0.25, 0.2]),
    "noise_scale": np.array([0.1, 0.07, 0.05]),
    "member_scale": 0.2,
}
VALUES |= {f"{name}_{kind}": 0.7 for name in ("floor", "amplitude", "exponent") for kind in ("population", "spread")}


@pytest.mark.parametrize("response", ["loss", pytest.param("log_loss", marks=pytest.mark.slow)])
def test_the_models_density_is_that_of_scipy_over_rows_and_over_nodes(pools, response):
    model = model_of(pools, response=response)
    assert model.compressed is not None
    shared, observations, outside = shared_by(model), model.observations, sampling_of(model)[1]
    size = observations.covariates["parameters"] / observations.reference["parameters"]
    own = {name: VALUES[name][model.group_index] for name in ("floor", "amplitude", "exponent")}
    law = own["floor"] + own["amplitude"] * size ** -own["exponent"]
    residual = observations.loss - law if response == "loss" else np.log(observations.loss / law)
    remainder = outside / (1 if response == "loss" else observations.loss**2)
    variance = [s**2 + remainder[model.group_index == g].mean() for g, s in enumerate(VALUES["noise_scale"])]
    covariance = dense(shared, np.array(variance), VALUES["member_scale"])
    wanted = float(NORMAL.logpdf(residual, cov=covariance))
    with jax.enable_x64(True):
        assert float(model.joint_log_likelihood(VALUES)) == pytest.approx(wanted, rel=1e-9)
        assert float(model.fast_log_likelihood()(VALUES)) == pytest.approx(wanted, rel=1e-7)
        prior = sum(float(each.sum()) for each in log_prior(model, VALUES).values())
        assert float(log_density(model, (), {}, VALUES)[0]) == pytest.approx(wanted + prior, rel=1e-8)
        conditional = np.asarray(model.log_likelihood(VALUES))
    precision = np.linalg.inv(covariance)
    centre = residual - precision @ residual / np.diag(precision)
    wanted = stats.norm.logpdf(residual, centre, np.diag(precision) ** -0.5)
    np.testing.assert_allclose(conditional, wanted, rtol=1e-6)


def test_log_losses_share_errors_by_the_delta_method(pools):
    model = model_of(pools, response="log_loss")
    loss, step = model.observations.loss, 1e-6
    factor, remainder, _ = sampling_of(model)
    moved = np.log(loss[:, None] + step * factor) - np.log(loss)[:, None]
    wanted, shared = sampling_factor_of(moved / step, model.trends()), shared_by(model)
    np.testing.assert_allclose(shared.sampling_factor @ shared.sampling_factor.T, wanted @ wanted.T, rtol=1e-4)
    np.testing.assert_allclose(shared.remainder, remainder / loss**2)


def test_relative_errors_do_not_know_the_unit_of_the_loss(pools):
    larger = pools.assign({name: 7 * pools[name] for name in ("loss", "sampling_factor")})
    larger["sampling_remainder"] = 49 * pools["sampling_remainder"]
    for response, scale in (("log_loss", 1), ("loss", 7)):
        small, large = (shared_by(model_of(table, response=response)) for table in (pools, larger))
        for name in ("sampling_factor", "model_factor"):
            ours, theirs = (getattr(each, name) @ getattr(each, name).T for each in (small, large))
            # Priors that are scaled to the losses are rounded to four digits, and so is what they hold of the trends.
            np.testing.assert_allclose(theirs, scale**2 * ours, atol=1e-3 * scale**2 * np.abs(ours).max())
        np.testing.assert_allclose(large.contrasts, small.contrasts, atol=1e-3)


@pytest.mark.parametrize("rule", ["oracle", "mixture", "best"])
def test_pools_share_errors_by_default_and_after_a_file(tmp_path, rule):
    pools = make_pools(random_table(90, 6, clusters=np.arange(90) // 6), rule=rule, max_size=2)
    write_pools(pools, tmp_path / "pools")
    fresh, read = model_of(pools), model_of(read_pools(tmp_path / "pools"))
    assert shared_by(fresh).directions > 0
    assert "member_scale" in fresh.sites
    np.testing.assert_array_equal(shared_by(read).loadings, shared_by(fresh).loadings)
    np.testing.assert_array_equal(shared_by(read).remainder, shared_by(fresh).remainder)
    independent = model_of(pools, dependence="independent")
    assert independent.dependence is None
    assert "member_scale" not in independent.sites


def test_every_law_of_pools_shares_errors(pools):
    law = PowerLaw(pooling="complete")
    model = LawModel(law, Noise(), law.observe(pools))
    assert shared_by(model).groups == 1


@pytest.mark.parametrize(
    "noise", [{"distribution": "student_t"}, {"distribution": "laplace"}, {"standard_errors": True}]
)
def test_rows_are_independent_where_the_noise_is_no_covariance(pools, noise):
    assert model_of(pools, **noise).dependence is None


def test_pools_without_sampling_error_still_share_members(pools):
    model = model_of(pools.drop_vars(["sampling_factor", "sampling_remainder", "win_share"]))
    assert shared_by(model).directions == 0
    assert "none" in str(model)
    membership, shares = model.observations.membership, model.observations.shares
    assert membership is not None
    assert shares is not None
    np.testing.assert_allclose(shares, membership / membership.sum(axis=1, keepdims=True))


@pytest.mark.parametrize(
    ("specification", "said"),
    [
        ({"dependence": "none"}, "dependence 'none' is not known"),
        ({"dependence": "shared", "distribution": "laplace"}, "share errors under laplace noise"),
        ({"dependence": "shared", "standard_errors": True}, "count them twice"),
        ({"dependence": "independent", "member_scale": "HalfNormal(1)"}, "for independent rows"),
        ({"member_scale": "Normal(0, 1)"}, "member_scale is Normal"),
    ],
)
def test_contradictions_are_refused(specification, said):
    with pytest.raises(InputError, match=said):
        noise_from_specification(specification)


@pytest.mark.parametrize("noise", [{"dependence": "shared"}, {"member_scale": "HalfNormal(1)"}])
def test_rows_that_are_no_pools_share_no_members(noise):
    law = PowerLaw(pooling="complete")
    rows = law.observe(simulate_losses(families=1, sizes=5, samples=20, clusters=10))
    with pytest.raises(InputError, match="no pools"):
        LawModel(law, Noise(**noise), rows).dependence  # noqa: B018


def test_a_prior_of_the_member_scale_is_kept(pools):
    noise = Noise(member_scale="HalfNormal(0.3)")
    assert noise_from_specification(noise.specification) == noise
    assert str(model_of(pools, member_scale="HalfNormal(0.3)").sites["member_scale"]) == "HalfNormal(scale=0.3)"
    assert replace(noise, member_scale=None) == Noise()


def beside(shared: Dependence) -> Dependence:
    """Make members' and courses' loadings orthogonal in each group to the others, which are three of two directions."""
    trend, course, contrasts = shared.loadings[:, :3], shared.course_factor.copy(), shared.contrasts.copy()
    for own in (shared.group == group for group in range(shared.groups)):
        basis = np.linalg.qr(trend[own][:, :2])[0]
        course[own] -= basis @ (basis.T @ course[own])
        course[own, 1] = 2 * course[own, 0]
        basis = np.column_stack([basis, course[own, 0] / np.linalg.norm(course[own, 0])])
        contrasts[own] -= basis @ (basis.T @ contrasts[own])
    model_factor = trend[:, :1] + 0.5 * trend[:, 1:2]
    kept = {name: getattr(shared, name) for name in ("remainder", "inflation", "group", "groups")}
    return share(trend[:, :2], model_factor, course, contrasts, **kept)


@pytest.mark.slow
def test_effects_that_are_orthogonal_are_taken_apart_in_the_fewest_directions(residual):
    together, apart = some(), beside(some())
    # Two columns of the loadings are spare.
    assert [part.products.shape[1] for part in together.parts] == [11]
    assert [part.products.shape[1] for part in apart.parts] == [2, 1, 4]
    for shared in (together, apart):

        def density(variance, member_scale, shared=shared):
            return shared.log_density(residual, variance, member_scale)

        with jax.enable_x64(True):
            found, slopes = jax.value_and_grad(density, argnums=(0, 1))(jnp.asarray(VARIANCE), MEMBER_SCALE)
        assert float(found) == pytest.approx(NORMAL(cov=dense(shared)).logpdf(residual), rel=1e-9)

        def above(step, shared=shared, member=0.0):
            return NORMAL(cov=dense(shared, VARIANCE + step, MEMBER_SCALE + member)).logpdf(residual)

        for group, step in enumerate(1e-6 * np.eye(3)):
            assert float(slopes[0][group]) == pytest.approx((above(step) - above(-step)) / 2e-6, rel=1e-5, abs=1e-6)
        wanted = (above(np.zeros(3), member=1e-6) - above(np.zeros(3), member=-1e-6)) / 2e-6
        assert float(slopes[1]) == pytest.approx(wanted, rel=1e-5)


def test_the_parts_of_pools_are_trends_courses_and_members():
    losses = simulate_losses(families=2, sizes=4, samples=300, clusters=30)
    law = CollaborationLaw()
    shared = LawModel(law, Noise(), law.observe(make_pools(losses, max_size=3))).dependence
    assert shared is not None
    assert len(shared.parts) == 3
    assert shared.parts[0].products.shape[1] <= shared.model_factor.shape[1]
    assert shared.parts[1].products.shape[1] <= shared.course_factor.shape[1]
    assert sum(part.products.shape[1] for part in shared.parts) < shared.loadings.shape[1]


@pytest.mark.parametrize("smaller", [1.0, 1e-5])
def test_many_draws_hold_the_density_of_a_row_of_which_the_others_tell_little(smaller):
    # The second member is in one row alone, whose variance is then next to nothing beside that of the member's effect.
    generator = np.random.default_rng(1)
    contrasts = generator.standard_normal((14, 4))
    contrasts[:, 1] = np.arange(14) == 3
    factors = [generator.standard_normal((14, count)) for count in (2, 1, 2)]
    spread = {"remainder": np.zeros(14), "inflation": np.ones(3)}
    shared = share(*factors, contrasts, **spread, group=np.arange(14) % 3, groups=3)
    member_scale, variance = np.array([MEMBER_SCALE, 2 * MEMBER_SCALE]), smaller * np.stack([VARIANCE, 3 * VARIANCE])
    covariances = [dense(shared, *each) for each in zip(variance, member_scale, strict=True)]
    residual = np.stack([generator.multivariate_normal(np.zeros(14), each) for each in covariances])
    found = ManyDraws(shared, variance, member_scale, LoadingPairs(shared)).conditional_log_densities(residual)
    for draw, covariance in enumerate(covariances):
        precision = np.linalg.inv(covariance)
        deviation = np.diag(precision) ** -0.5
        told = stats.norm.logpdf(precision @ residual[draw] * deviation) - np.log(deviation)
        np.testing.assert_allclose(found[draw], told, rtol=1e-4, atol=1e-4)
