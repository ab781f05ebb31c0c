"""The smoothly broken power law: against the power law that it bends, and what it recovers."""

import jax
import numpy as np
import pytest
from tables import models_table

import bayeslaw as bl
from bayeslaw.laws.broken_power import broken_power_law
from bayeslaw.laws.power import power_law

TRUTH = {
    "floor": 1.2,
    "amplitude": 1.0,
    "exponent": 0.15,
    "exponent_change": 0.5,
    "break_size": 2.0,
    "break_width": 0.4,
}


def broken_table(noise=0.002, seed=0):
    """Return sixty models of one law with a visible break, of sizes whose geometric mean is 1e9."""
    sizes = 1e9 * np.geomspace(1 / 300, 300, 60)
    with jax.enable_x64(True):
        loss = np.asarray(broken_power_law(sizes / 1e9, **TRUTH))
    return models_table(loss + noise * np.random.default_rng(seed).standard_normal(60), sizes, ["alder"] * 60)


def test_it_is_a_power_law_on_either_side_of_the_break():
    with jax.enable_x64(True):
        unbroken = broken_power_law(np.geomspace(0.01, 100, 9), **{**TRUTH, "exponent_change": 0.0})
        far = np.array([1e-6, 2e-6, 1e6, 2e6])
        above = np.log(np.asarray(broken_power_law(far, **TRUTH)) - TRUTH["floor"])
        power = power_law(np.geomspace(0.01, 100, 9), floor=1.2, amplitude=1.0, exponent=0.15)
    np.testing.assert_allclose(unbroken, power, rtol=1e-12)
    slopes = np.diff(above)[[0, 2]] / np.log(2)
    np.testing.assert_allclose(slopes, [-0.15, -0.65], atol=1e-6)


def test_a_break_of_no_width_overflows_nothing():
    sharp = {**TRUTH, "break_width": 1e-3}
    with jax.enable_x64(True):
        value, slope = jax.value_and_grad(lambda n: broken_power_law(n, **sharp).sum())(np.array([1e-4, 1e4]))
    assert np.isfinite(value)
    assert (np.asarray(slope) < 0).all()


def test_priors_put_the_break_among_the_sizes_seen():
    law = bl.BrokenPowerLaw()
    priors = law.default_priors(law.observe(broken_table()))
    with jax.enable_x64(True):
        ends = np.asarray(priors["break_size"].distribution().icdf(np.array([0.025, 0.975])))
    np.testing.assert_allclose(ends, [1 / 300, 300], rtol=0.2)
    assert priors["exponent_change"].support[0] < 0


@pytest.mark.slow
def test_the_parameters_are_recovered():
    fitted = bl.fit("broken_power", broken_table(), chains=2, seed=1)
    assert not {finding.code for finding in bl.check(fitted) if finding.severity == "error"}
    draws = fitted.values()
    for name, wanted in TRUTH.items():
        lower, upper = np.quantile(draws[name], [0.005, 0.995])
        assert lower < wanted < upper, name
    assert np.quantile(draws["exponent_change"], 0.01) > 0.2, "the break is seen"
    bands = bl.predict(fitted, {"parameters": [3e12]}, kind="mean")
    assert bands["lower"][0] < broken_power_law(3000.0, **TRUTH) < bands["upper"][0]


@pytest.mark.slow
def test_curves_without_a_break_have_none_and_families_may_differ():
    losses = bl.simulate_losses(samples=300, clusters=50, families=3, sizes=8)
    law = bl.BrokenPowerLaw(pooling={"floor": "partial", "amplitude": "partial"})
    fitted = bl.fit(law, losses, chains=2, seed=1)
    lower, upper = np.quantile(fitted.values()["exponent_change"], [0.05, 0.95])
    assert lower < 0 < upper
    assert fitted.values()["floor"].shape[1] == 3
