"""Hamiltonian Monte Carlo of all chains in step, on densities whose moments are known."""

import numpy as np
import pytest
from arviz_stats.sampling_diagnostics import ess
from dying import Killed, die_after

from bayeslaw.laws.priors import parse_prior
from bayeslaw.posterior import kept_draws
from bayeslaw.posterior.density import Posterior
from bayeslaw.posterior.free_coordinates import ManyPositions, free_sites
from bayeslaw.posterior.hamiltonian import sample_in_step
from bayeslaw.posterior.kept_draws import NOTHING_KEPT, Checkpoint
from bayeslaw.posterior.many_modes import begin_at_mode, begin_in_funnel, curvature_at
from bayeslaw.posterior.retries import largest_rhat
from bayeslaw.posterior.samplers import SAMPLERS, sampler_of

MEAN = np.array([1.0, -2.0, 30.0])
ROOT = np.array([[0.1, 0.0, 0.0], [2.0, 1.0, 0.0], [5.0, -30.0, 7.0]])
COVARIANCE = ROOT @ ROOT.T
FLAT = "Normal(0, 1000000)"
CHOICES = {"warmup": 300, "target_accept": 0.9, "seed": 1}


def density(likelihood, size):
    """Return a density of one site whose prior is hardly there."""
    priors = {"site": parse_prior("site", FLAT)}
    return ManyPositions(free_sites(priors, [("site", (size,))]), likelihood)


def normal(values, hint):
    """Return a normal density of three coordinates whose scales differ by hundreds."""
    away = values["site"] - MEAN
    solved = away @ np.linalg.inv(COVARIANCE)
    return -0.5 * (away * solved).sum(axis=1), {"site": -solved}, hint


def gamma(values, hint):
    """Return a gamma density of the exponential of one coordinate, of concentration 2.5."""
    free = values["site"]
    return (2.5 * free - np.exp(free)).sum(axis=1), {"site": 2.5 - np.exp(free)}, hint


def test_draws_have_the_moments_of_a_normal_distribution():
    drawn = sample_in_step(density(normal, 3), np.zeros(3), np.eye(3), draws=3000, chains=4, **CHOICES)
    mean, covariance = drawn.flat.mean(axis=0), np.cov(drawn.flat.T)
    scale = np.sqrt(np.diag(COVARIANCE))
    error = 5 / np.sqrt(min(ess(drawn.position[..., index], method="bulk") for index in range(3)))
    np.testing.assert_allclose((mean - MEAN) / scale, 0, atol=error)
    np.testing.assert_allclose((covariance - COVARIANCE) / np.outer(scale, scale), 0, atol=2 * error)
    assert largest_rhat(drawn.position) < 1.01
    assert drawn.divergences == 0
    assert 0.8 < drawn.statistics["acceptance_rate"].mean() < 0.98
    expected = [normal({"site": position}, None)[0] for position in drawn.position[:, -1][:, None]]
    found = drawn.statistics["lp"][:, -1] + 3 * (np.log(1e6) + 0.5 * np.log(2 * np.pi))
    np.testing.assert_allclose(found, np.concatenate(expected), rtol=1e-8)


def test_draws_have_the_quantiles_of_a_skewed_distribution():
    from scipy import stats

    drawn = sample_in_step(density(gamma, 1), np.zeros(1), np.eye(1), draws=4000, chains=4, **CHOICES)
    size = ess(drawn.position[..., 0], method="bulk")
    for share in (0.05, 0.5, 0.95):
        below = (np.exp(drawn.flat[:, 0]) <= stats.gamma(2.5).ppf(share)).mean()
        assert below == pytest.approx(share, abs=5 * np.sqrt(share * (1 - share) / size))


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_chains_go_on_to_the_same_draws(share, tmp_path, monkeypatch):
    monkeypatch.setattr(kept_draws, "SECONDS_BETWEEN", 0.0)

    def drawn(checkpoint=NOTHING_KEPT):
        choices = {**CHOICES, "warmup": 60, "draws": 50, "chains": 3, "checkpoint": checkpoint}
        return sample_in_step(density(normal, 3), np.zeros(3), np.eye(3), **choices)

    whole = drawn()
    with pytest.MonkeyPatch.context() as patch:
        die_after(patch, int(share * 11))
        with pytest.raises(Killed):
            drawn(Checkpoint(tmp_path / "kept"))
    again = drawn(Checkpoint(tmp_path / "kept"))
    np.testing.assert_array_equal(again.position, whole.position)
    assert all(np.array_equal(again.statistics[name], array) for name, array in whole.statistics.items())


def test_the_mode_and_its_curvature_are_found():
    mode, factor = begin_at_mode(density(normal, 3), np.zeros(3), starts=2, seed=0)
    np.testing.assert_allclose(mode.position, MEAN, atol=1e-2)
    assert mode.level
    curvature = curvature_at(density(gamma, 1), np.array([0.7]))
    assert curvature[0, 0] == pytest.approx(np.exp(0.7), rel=1e-6)
    wide = np.linalg.eigh(np.linalg.inv(COVARIANCE))
    kept = wide.eigenvectors / np.sqrt(np.maximum(wide.eigenvalues, 0.05))
    np.testing.assert_allclose(factor @ factor.T, kept @ kept.T, rtol=1e-4, atol=1e-4)


def test_a_scale_is_placed_where_its_mass_is():
    """Offsets whose scale the data say to be a twentieth, of which the joint mode knows nothing."""
    seen = 0.05 * np.random.default_rng(0).standard_normal(40)

    def likelihood(values, hint):
        free, offsets = values["site"][:, 0], values["site"][:, 1:]
        scale, error = np.exp(free)[:, None], 0.02
        away = seen - scale * offsets
        height = -0.5 * (away**2).sum(axis=1) / error**2 - 0.5 * (offsets**2).sum(axis=1) - 0.5 * (free + 1) ** 2
        by_free = (away * scale * offsets).sum(axis=1) / error**2 - (free + 1)
        return height, {"site": np.column_stack([by_free, away * scale / error**2 - offsets])}, hint

    funnel = density(likelihood, 41)
    placed, _ = begin_in_funnel(funnel, np.zeros(41), 0)
    height, _ = begin_at_mode(funnel, np.zeros(41), starts=1, seed=0)
    assert placed.position[0] == pytest.approx(np.log(0.05), abs=0.6)
    assert abs(placed.position[0] - np.log(0.05)) < abs(height.position[0] - np.log(0.05))


def test_samplers_are_looked_up():
    plain = Posterior(lambda z, data: z @ z, np.zeros(1))
    assert sampler_of(plain, "auto") is SAMPLERS["nuts"]
    assert sampler_of(Posterior(plain.potential, plain.start, by_hand=lambda data: None), "auto") is SAMPLERS["hmc"]
    with pytest.raises(ValueError, match="'hmc' needs gradients by hand"):
        sampler_of(plain, "hmc")
    with pytest.raises(ValueError, match="nutz"):
        sampler_of(plain, "nutz")
