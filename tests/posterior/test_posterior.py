"""Posteriors known in closed form: modes, curvature, draws, blocks, retries, and what is compiled how often."""

from collections import Counter
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from joint_cases import small_model
from numpyro.infer import NUTS
from posteriors import joint_filled
from tables import family_table

from bayeslaw.calibration.row_calibration import CalibratedLaw
from bayeslaw.comparison.refits import LawRefits
from bayeslaw.fitting.fits import fit
from bayeslaw.fitting.given_rows import outline_of, rows_of
from bayeslaw.fitting.joint_posterior import BLOCKS
from bayeslaw.fitting.row_posterior import row_posterior
from bayeslaw.laws import PowerLaw
from bayeslaw.likelihood import compiled
from bayeslaw.likelihood.law_model import LawModel
from bayeslaw.likelihood.noise import Noise
from bayeslaw.posterior.density import Block, Posterior, joined
from bayeslaw.posterior.draws import Draws, join_blocks
from bayeslaw.posterior.mode import factor_at, find_mode
from bayeslaw.posterior.nuts import adaptation, begin, transition
from bayeslaw.posterior.retries import largest_rhat, rhat_limit, sample_until_trusted
from bayeslaw.posterior.solution import draw_posterior

MEAN = np.array([1.0, -2.0, 0.5])
COVARIANCE = np.array([[2.0, 0.6, 0.0], [0.6, 0.5, 0.0], [0.0, 0.0, 4.0]])


def normal(position, data):
    """Minus the log density of a normal distribution, whose mean and precision are the data."""
    mean, precision = data
    return 0.5 * (position - mean) @ precision @ (position - mean)


def data_of(mean, covariance):
    return np.asarray(mean), np.linalg.inv(covariance)


@pytest.fixture
def programs(monkeypatch):
    """Count what is compiled, by the kind of function."""
    made, right = Counter(), compiled.compile_for

    def count(function, *examples):
        made[type(function).__name__] += 1
        return right(function, *examples)

    compiled.forget_compiled()
    monkeypatch.setattr(compiled, "compile_for", count)
    yield made
    compiled.forget_compiled()


def test_mode_and_covariance_of_a_normal_distribution_are_exact():
    with jax.enable_x64(True):
        posterior, data = Posterior(normal, np.zeros(3)), data_of(MEAN, COVARIANCE)
        found = find_mode(posterior, data, starts=3, seed=0)
        factor = factor_at(posterior, data, found.position)
    assert found.level
    np.testing.assert_allclose(found.position, MEAN, atol=1e-5)
    assert found.height == pytest.approx(0, abs=1e-8)
    np.testing.assert_allclose(factor @ factor.T, COVARIANCE, rtol=1e-8, atol=1e-12)


def test_draws_have_mean_and_covariance_of_the_distribution():
    with jax.enable_x64(True):
        choices = {"draws": 4000, "chains": 2, "seed": 0}
        solution = draw_posterior(Posterior(normal, np.zeros(3)), data_of(MEAN, COVARIANCE), **choices)
    draws = solution.draws
    assert draws.position.shape == (2, 4000, 3)
    assert solution.settings == {"warmup": 500, "target_accept": 0.9, "attempts": 1}
    assert solution.level
    np.testing.assert_allclose(draws.flat.mean(axis=0), MEAN, atol=0.2)
    np.testing.assert_allclose(np.cov(draws.flat.T), COVARIANCE, atol=0.5)
    height = [-normal(position, data_of(MEAN, COVARIANCE)) for position in draws.position[1, :5]]
    np.testing.assert_allclose(draws.statistics["lp"][1, :5], height, rtol=1e-10)


def test_transitions_are_those_of_numpyro():
    """The same random numbers give the same chain, adaptation and all, whatever is an argument here."""
    data = data_of(MEAN, COVARIANCE)

    def potential(z):
        return normal(z, data) + jnp.sum(z**4) / 50

    with jax.enable_x64(True):
        kernel, key, start = (
            NUTS(potential_fn=potential, target_accept_prob=0.85, dense_mass=True),
            jax.random.PRNGKey(4),
            MEAN,
        )
        theirs = kernel.init(key, 160, jnp.asarray(start), (), {})
        ours = begin(key, jnp.asarray(start), *jax.value_and_grad(potential)(jnp.asarray(start)))
        plan = adaptation(160, 0.85)
        step = jax.jit(lambda state: kernel.sample(state, (), {}))
        advance = jax.jit(lambda state, plan: transition(potential, state, plan))
        for _ in range(220):
            theirs, ours = step(theirs), advance(ours, plan)
            np.testing.assert_allclose(ours.z, theirs.z, rtol=1e-6)
        assert float(ours.step_size) == pytest.approx(float(theirs.adapt_state.step_size), rel=1e-6)
        np.testing.assert_allclose(ours.inverse_mass, theirs.adapt_state.inverse_mass_matrix, rtol=1e-6)


def first_two(position, data):
    mean, precision = data
    return 0.5 * (position - mean[:2]) @ precision[:2, :2] @ (position - mean[:2])


def last(position, data):
    mean, precision = data
    return 0.5 * precision[2, 2] * (position[0] - mean[2]) ** 2


def in_blocks():
    """Return the normal distribution as two blocks, the first of which is the last coordinate."""
    one, two = Posterior(last, np.zeros(1)), Posterior(first_two, np.zeros(2))
    return joined((Block("last", (2,), one), Block("first", (0, 1), two)))


def test_blocks_together_are_the_whole():
    data = data_of(MEAN, COVARIANCE)
    with jax.enable_x64(True):
        blocks = in_blocks()
        for seed in range(3):
            position = jnp.asarray(np.random.default_rng(seed).standard_normal(3))
            assert float(blocks.potential(position, data)) == pytest.approx(float(normal(position, data)), rel=1e-12)
        drawn = draw_posterior(blocks, data, draws=4000, chains=2, seed=1).draws
    np.testing.assert_allclose(drawn.flat.mean(axis=0), MEAN, atol=0.2)
    np.testing.assert_allclose(np.cov(drawn.flat.T), COVARIANCE, atol=0.5)
    height = [-normal(position, data) for position in drawn.position[0, :5]]
    np.testing.assert_allclose(drawn.statistics["lp"][0, :5], height, rtol=1e-10)


def test_statistics_of_blocks_are_joined():
    def statistics(first):
        return {
            "diverging": np.array([[first, False]]),
            "n_steps": np.array([[3, 7 if first else 1]]),
            "acceptance_rate": np.array([[0.5 if first else 1.0, 1.0]]),
            "energy": np.array([[1.0, 2.0]]),
            "lp": np.array([[-1.0, -2.0]]),
            "tree_depth": np.array([[2, 3 if first else 1]]),
            "reached_max_treedepth": np.array([[False, first]]),
        }

    parts = [Draws(np.ones((1, 2, 1)), statistics(True)), Draws(np.full((1, 2, 2), 2.0), statistics(False))]
    joint = join_blocks(in_blocks().blocks, parts)
    np.testing.assert_array_equal(joint.position, np.tile([2.0, 2.0, 1.0], (1, 2, 1)))
    assert joint.divergences == 1
    found = {name: array.tolist()[0] for name, array in joint.statistics.items()}
    assert found == {
        "diverging": [True, False],
        "n_steps": [3, 7],
        "acceptance_rate": [0.75, 1.0],
        "energy": [2.0, 4.0],
        "lp": [-2.0, -4.0],
        "tree_depth": [2, 3],
        "reached_max_treedepth": [False, True],
    }


@pytest.mark.slow
def test_the_joint_law_falls_apart():
    """Given a table no second derivative of the model's own density mixes sites of different blocks."""
    with jax.enable_x64(True):
        model = small_model()
        target = joint_filled(model)
        number = np.empty(len(target.start), dtype=int)
        for index, block in enumerate(target.posterior.blocks):
            number[list(block.coordinates)] = index
        apart = number[:, None] != number[None, :]

        def density(position):
            values, determinant = target.values(position)
            prior = sum(jnp.sum(each) for each in model.log_prior(values).values())
            return prior + model.log_likelihood(values) + determinant

        second_derivatives = jax.jit(jax.jacfwd(jax.grad(density)))
        assert len(target.posterior.blocks) == len(BLOCKS) == 3
        for seed in range(2):
            position = target.start + 0.3 * np.random.default_rng(seed).standard_normal(len(target.start))
            second = np.asarray(second_derivatives(jnp.asarray(position)))
            np.testing.assert_allclose(second[apart], 0, atol=1e-9)
            assert float(target.potential(position)) == pytest.approx(-float(density(jnp.asarray(position))), rel=1e-10)


def test_blocks_that_share_a_coordinate_are_refused():
    one = Posterior(last, np.zeros(1))
    with pytest.raises(ValueError, match="one of the blocks"):
        joined((Block("last", (0,), one), Block("again", (0,), one)))


def test_a_search_that_gets_stuck_goes_on_by_degrees():
    """A noise that starts far too small, from which a search with the whole likelihood gives up on a slope."""
    law = PowerLaw(pooling="complete")
    model = LawModel(law, Noise(), law.observe(family_table(one_law=True)))
    with jax.enable_x64(True):
        posterior, rows = row_posterior(model), rows_of(model)
        sites = [name for name, _ in outline_of(model).shapes]
        assert sites == ["levels", "noise_scale"]
        far = replace(posterior, start=posterior.start - np.array([0.0, 0.0, 0.0, 20.0]))
        alone = find_mode(replace(far, prior=None), rows, starts=1, seed=0)
        helped = find_mode(far, rows, starts=1, seed=0)
        usual = find_mode(posterior, rows, starts=1, seed=0)
    assert not alone.level
    assert helped.level
    assert helped.height == pytest.approx(usual.height, abs=1e-3)


def two_modes(position, data):
    """One coordinate, with a mode near 0.15 and a higher one near -0.15."""
    return data * ((position[0] ** 2 - 0.0225) ** 2 * 1000 + position[0])


def test_the_highest_of_the_modes_is_found():
    posterior, data = Posterior(two_modes, np.array([0.15])), np.asarray(30.0)
    with jax.enable_x64(True):
        nearest = find_mode(posterior, data, starts=1, seed=0)
        highest = find_mode(posterior, data, starts=4, seed=0)
    assert nearest.position == pytest.approx(0.14, abs=0.02)
    assert highest.position == pytest.approx(-0.16, abs=0.02)


def test_chains_that_disagree_and_draws_that_are_no_numbers_are_not_trusted():
    rng = np.random.default_rng(0)
    position = rng.standard_normal((2, 500, 2))
    assert largest_rhat(position) < 1.01
    assert largest_rhat(position + np.array([0.0, 1.0])[:, None, None]) > 1.1
    assert largest_rhat(position[:1]) == 1.0
    position[0, 3] = np.nan
    assert largest_rhat(position[:1]) == np.inf
    assert rhat_limit(1000, 4) == 1.01
    assert rhat_limit(100, 2) == 1.1


def heavy_tails(z, data):
    return data * jnp.log1p(z @ z)


def test_a_retry_compiles_nothing(programs):
    with jax.enable_x64(True):
        posterior, choices = Posterior(heavy_tails, np.zeros(2)), {"draws": 250, "chains": 2, "seed": 0}
        given = np.asarray(2.0), np.zeros(2), np.eye(2)
        attempts = ((40, 0.5), (120, 0.9), (130, 0.95))
        _, settings = sample_until_trusted(posterior, *given, attempts=attempts, **choices)
    assert settings["attempts"] > 1
    assert programs == {"Gradient": 1, "_Block": 1}


def test_other_data_of_the_same_shapes_compile_nothing(programs):
    posterior, choices = Posterior(normal, np.zeros(3)), {"draws": 60, "chains": 1, "seed": 0}
    with jax.enable_x64(True):
        draw_posterior(posterior, data_of(MEAN, COVARIANCE), **choices)
        once = dict(programs)
        moved = draw_posterior(posterior, data_of(MEAN + 50, COVARIANCE), **choices)
    assert once == {"Gradient": 1, "Hessian": 1, "_Block": 1}
    assert programs == once
    assert moved.draws.flat.mean(axis=0) == pytest.approx(MEAN + 50, abs=2)


def test_another_table_of_the_same_shape_is_fitted_without_compiling(programs):
    choices = {"draws": 60, "chains": 1, "keep": ()}
    law = PowerLaw(pooling="complete")
    first = fit(law, family_table(standard_error=[0.005] * 24), **choices)
    made = sum(programs.values())
    other = family_table(noise=0.03, standard_error=[0.02] * 24)
    other = other.assign(loss=other["loss"] + 0.5)
    second = fit(law, other, **choices)
    assert made > 0
    assert sum(programs.values()) == made
    assert first.tree["sample_stats"].attrs["compile_time"] > 0
    assert second.tree["sample_stats"].attrs["compile_time"] == 0
    # It is the other table's posterior, its default priors and all: the one that is compiled for it alone.
    assert str(first.noise.scale) != str(second.noise.scale)
    compiled.forget_compiled()
    alone = fit(law, other, **choices)
    assert second.tree["posterior"].dataset.equals(alone.tree["posterior"].dataset)


def test_laws_that_differ_in_more_than_numbers_do_not_share_programs():
    def outlined(law, noise=None):
        return outline_of(LawModel(law, noise or Noise(), law.observe(family_table())))

    with jax.enable_x64(True):
        same = outlined(PowerLaw(floor="LogNormal(0, 1)"))
        assert same == outlined(PowerLaw(floor="LogNormal(3, 0.2)"))
        assert hash(same) == hash(outlined(PowerLaw(floor="LogNormal(3, 0.2)")))
        others = [PowerLaw(floor="Gamma(2, 1)"), PowerLaw(floor="Gamma(3, 1)"), PowerLaw(pooling="complete")]
        others += [PowerLaw(floor="Uniform(0, 2)"), PowerLaw(floor="Uniform(0, 3)")]
        found = {same, *map(outlined, others), outlined(PowerLaw(), Noise(distribution="student_t"))}
        assert len(found) == 7


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny_fit", pytest.param("partial_fit", marks=pytest.mark.slow)])
def test_refits_share_their_programs(programs, name, request):
    fitted = request.getfixturevalue(name)
    number = np.arange(len(fitted.observations.loss))
    refits = LawRefits(fitted.model, fitted.values(), draws=60, chains=1)
    refits.left_out(number == 0, seed=0)
    made = dict(programs)
    refits.left_out(number == 1, seed=0)
    assert programs == made
    again = LawRefits(fitted.model, fitted.values(), draws=60, chains=1)
    again.left_out(number == 5, seed=0)
    assert programs == made


@pytest.mark.slow
def test_simulated_tables_share_their_programs(programs, tiny_fit):
    law = CalibratedLaw(tiny_fit.keep(()))
    assert law.fit(law.simulate(0).data, 0) is not None
    made = dict(programs)
    assert law.fit(law.simulate(1).data, 1) is not None
    assert programs == made


def test_the_density_of_simulated_tables_is_that_which_is_fitted(partial_fit, tiny_log_fit):
    for fitted in (partial_fit, tiny_log_fit):
        with jax.enable_x64(True):
            posterior, rows = CalibratedLaw(fitted.keep(())).posterior(np.asarray(fitted.model.response))
            np.testing.assert_array_equal(posterior.start, row_posterior(fitted.model).start)
            assert posterior.potential == row_posterior(fitted.model).potential
            np.testing.assert_array_equal(rows.response, fitted.model.response)
