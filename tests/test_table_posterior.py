"""The posterior of simulated tables: its density, and the search for its mode."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayeslaw.calibration.law import CalibratedLaw
from bayeslaw.calibration.rows import ResponsePosterior
from bayeslaw.calibration.sampling import TablePosterior
from bayeslaw.sampling.mode import make_target


def test_the_density_is_that_which_is_fitted(partial_fit, tiny_log_fit):
    for fitted in (partial_fit, tiny_log_fit):
        with jax.enable_x64(True):
            posterior, target = ResponsePosterior(fitted.model, warmup=10, draws=10), make_target(fitted.model)
            start = posterior.start(fitted.model)
            np.testing.assert_array_equal(start, target.start)
            ours, theirs = jax.jit(posterior.potential), jax.jit(target.potential)
            for seed in range(3):
                position = jnp.asarray(start + 0.2 * np.random.default_rng(seed).standard_normal(len(start)))
                found = float(ours(position, fitted.model.response))
                assert found == pytest.approx(float(theirs(position)), rel=1e-10)


def test_a_search_from_a_bad_start_goes_on(tiny_fit, monkeypatch):
    """A noise that starts far too small, from which a search with the whole likelihood gives up on a slope."""
    law = CalibratedLaw(tiny_fit.keep(()))
    posterior, model = law.posterior, law.template.model
    response = np.asarray(model.response)
    with jax.enable_x64(True):
        start = posterior.start(model) - np.array([0.0, 0.0, 0.0, 20.0])
        mode = posterior.mode(start, response)
        gradient = jax.grad(posterior.potential)(jnp.asarray(mode), response)
        assert np.abs(np.asarray(gradient)).max() < 1
        monkeypatch.setattr("bayeslaw.calibration.sampling.POWERS", ())
        assert posterior.mode(start, response) is None


class TwoModes(TablePosterior):
    """One coordinate, with a mode near 0.15 and a higher one near -0.15."""

    def values(self, position):
        return {"place": position[0]}, jnp.zeros(())

    def log_prior(self, values):
        return jnp.zeros(())

    def log_likelihood(self, values, table):
        return -table * ((values["place"] ** 2 - 0.0225) ** 2 * 1000 + values["place"])


def test_the_highest_of_the_modes_is_found():
    posterior = TwoModes(warmup=1, draws=1)
    with jax.enable_x64(True):
        nearest = posterior.mode(np.array([0.15]), 30.0)
        highest = posterior.mode(np.array([0.15]), 30.0, starts=4)
    assert nearest == pytest.approx(0.14, abs=0.02)
    assert highest == pytest.approx(-0.16, abs=0.02)
