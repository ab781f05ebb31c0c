"""Noise: shapes, scales, responses and what is refused."""

import json
import re
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from hypothesis import given
from hypothesis import strategies as st
from quick_fits import quick_fits
from scipy import integrate, stats
from tables import rows

import bayeslaw as bl
from bayeslaw.errors import InputError
from bayeslaw.inputs.arguments import a_level
from bayeslaw.laws.priors import Prior
from bayeslaw.likelihood.noise import (
    Noise,
    combined_scale,
    draw_losses,
    noise_from_specification,
    noise_priors,
    observation_distribution,
    response_of,
)
from bayeslaw.likelihood.noise_distributions import DISTRIBUTIONS, NoiseDistribution
from bayeslaw.likelihood.responses import RESPONSES

SHAPES = {"normal": stats.norm(), "student_t": stats.t(6.0), "laplace": stats.laplace()}
EVERY_DISTRIBUTION = pytest.mark.parametrize("distribution", SHAPES)


def test_every_distribution_is_tested():
    assert set(SHAPES) == set(DISTRIBUTIONS)


@EVERY_DISTRIBUTION
def test_fisher_information_is_the_expected_squared_score(distribution):
    shape, step = SHAPES[distribution], 1e-5
    location = lambda y: (shape.logpdf(y + step) - shape.logpdf(y - step)) / (2 * step)  # noqa: E731
    scale = lambda y: -1 - y * location(y)  # noqa: E731
    entry = DISTRIBUTIONS[distribution]
    for score, ours in ((location, entry.location_information), (scale, entry.scale_information)):
        halves = [integrate.quad(lambda y, s=score: s(y) ** 2 * shape.pdf(y), *ends)[0] for ends in ((-60, 0), (0, 60))]
        assert float(ours({"degrees_of_freedom": 6.0})) == pytest.approx(sum(halves), rel=1e-4)


@EVERY_DISTRIBUTION
@pytest.mark.parametrize("response", ["loss", "log_loss"])
def test_draws_have_the_distribution_named_and_are_fresh(distribution, response):
    mean, scale = jnp.full((4000, 2), 2.0), jnp.full((4000, 1), 0.05)
    shape = {"degrees_of_freedom": jnp.full((4000, 1), 6.0)}
    losses = np.asarray(draw_losses(jax.random.PRNGKey(1), Noise(distribution, response), mean, scale, shape))
    standard = (np.log(losses / 2) if response == "log_loss" else losses - 2) / 0.05
    for column in standard.T:
        assert stats.kstest(column, SHAPES[distribution].cdf).pvalue > 1e-3
    assert abs(np.corrcoef(standard.T)[0, 1]) < 0.06


@EVERY_DISTRIBUTION
@pytest.mark.parametrize("response", ["loss", "log_loss"])
def test_a_density_of_the_response_becomes_one_of_the_loss(distribution, response):
    noise = Noise(distribution=distribution, response=response)
    grid = np.concatenate(
        [np.geomspace(1e-3, 1.2, 200), np.linspace(1.2, 2.8, 801)[1:], np.geomspace(2.8, 50, 400)[1:]]
    )
    point = np.log(grid) if response == "log_loss" else grid
    shape = {"degrees_of_freedom": 6.0}
    with jax.enable_x64(True):
        log_density = observation_distribution(noise, jnp.asarray(2.0), jnp.asarray(0.1), shape).log_prob(point)
    density = np.exp(np.asarray(log_density) + RESPONSES[response].log_jacobian(point))
    assert density.shape == grid.shape
    assert integrate.trapezoid(density, grid) == pytest.approx(1, abs=3e-3)


def test_standard_errors_add_in_quadrature():
    assert float(combined_scale(jnp.asarray(3.0), jnp.asarray(4.0))) == 5
    assert float(combined_scale(jnp.asarray(3.0), None)) == 3


def test_a_log_response_takes_its_error_by_the_delta_method():
    observations = rows()
    loss, error = response_of(Noise(), observations)
    np.testing.assert_array_equal(loss, observations.loss)
    np.testing.assert_array_equal(error, observations.standard_error)
    response, relative = response_of(Noise(response="log_loss"), observations)
    np.testing.assert_allclose(response, np.log(loss))
    step = np.log(loss + 1e-6) - np.log(loss)
    np.testing.assert_allclose(relative, error * step / 1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("wanted", "table", "enters"),
    [
        (None, "models", True),
        (None, "pools", False),
        (None, "losses", False),
        (True, "pools", True),
        (False, "models", False),
    ],
)
def test_standard_errors_enter_by_themselves_for_whole_models_alone(wanted, table, enters):
    error = response_of(Noise(standard_errors=wanted), rows(table=table))[1]
    assert (error is not None) is enters


def test_standard_errors_that_are_not_there_are_refused():
    with pytest.raises(InputError, match="no standard errors"):
        response_of(Noise(standard_errors=True), rows(errors=False))
    assert response_of(Noise(), rows(errors=False))[1] is None


def test_a_loss_of_zero_has_no_logarithm():
    observations = replace(rows(), loss=np.array([2.0, 0.0, *[1.0] * 7]))
    with pytest.raises(InputError, match="loss of row-1 is 0"):
        response_of(Noise(response="log_loss"), observations)
    assert response_of(Noise(), observations)[0][1] == 0


@given(unit=st.floats(1e-3, 1e6))
def test_the_default_scale_follows_the_unit(unit):
    response = np.array([1.0, 1.3, 2.0, 2.6])
    scale = noise_priors(Noise(), unit * response)["noise_scale"]
    assert dict(scale.arguments)["loc"] == pytest.approx(np.log(0.1 * response.std() * unit), abs=1e-4)
    assert dict(scale.arguments)["scale"] == 1


def test_default_priors_are_proper_where_all_losses_are_one_and_complete_by_distribution():
    assert np.isfinite(dict(noise_priors(Noise(), np.zeros(5))["noise_scale"].arguments)["loc"])
    assert list(noise_priors(Noise(distribution="laplace"), rows().loss)) == ["noise_scale"]
    student = noise_priors(Noise(distribution="student_t"), rows().loss)
    assert str(student["degrees_of_freedom"]) == "Gamma(concentration=2, rate=0.1)"
    own = noise_priors(Noise("student_t", scale="HalfNormal(1)", degrees_of_freedom="Gamma(3, 1)"), rows().loss)
    assert [str(prior) for prior in own.values()] == ["HalfNormal(scale=1)", "Gamma(concentration=3, rate=1)"]


@pytest.mark.parametrize(
    "noise",
    [
        Noise(),
        Noise(distribution="laplace", response="log_loss", standard_errors=True, by_group=False),
        Noise(distribution="student_t", scale="HalfNormal(0.1)", degrees_of_freedom="Gamma(2, 0.1)"),
    ],
)
def test_specification_builds_the_same_noise(noise):
    assert noise_from_specification(json.loads(json.dumps(noise.specification))) == noise


@pytest.mark.parametrize(
    ("specification", "said"),
    [
        ({"distribution": "gaussian"}, "noise distribution 'gaussian' is not known"),
        ({"distribution": "students_t"}, "use 'student_t'"),
        ({"distribution": None}, "noise distribution None is not known"),
        ({"response": "logloss"}, "use 'log_loss'"),
        ({"distribtion": "normal"}, "use 'distribution'"),
        ({1: "normal"}, "noise has no setting 1"),
        ({"standard_errors": "yes"}, "standard_errors is 'yes'"),
        ({"by_group": 1}, "by_group is 1"),
        ({"scale": "Normal(0, 1)"}, "noise_scale is Normal"),
        ({"scale": "HalfNorml(1)"}, "use 'HalfNormal'"),
        ({"scale": 0.1}, "the prior of noise_scale is 0.1"),
        ({"distribution": "student_t", "degrees_of_freedom": "Normal(4, 1)"}, "degrees_of_freedom is Normal"),
        ({"degrees_of_freedom": "Gamma(2, 0.1)"}, "given for normal noise"),
    ],
)
def test_an_unusable_specification_is_refused(specification, said):
    with pytest.raises(InputError, match=re.escape(said)):
        noise_from_specification(specification)


@pytest.mark.parametrize("interval", [0, 1, -0.1, 1.5, float("nan"), float("inf"), "0.9", None])
def test_an_interval_outside_zero_and_one_is_refused(interval):
    with pytest.raises(InputError, match="interval"):
        a_level("interval", interval)


def test_an_interval_inside_is_kept():
    assert a_level("interval", 0.9) == 0.9


def test_the_former_name_of_the_distribution_is_read_and_says_so():
    with pytest.warns(FutureWarning, match="family is called distribution"):
        noise = Noise(family="laplace", response="log_loss")
    assert noise == Noise("laplace", "log_loss")
    with pytest.warns(FutureWarning, match="family is called distribution"):
        assert noise.family == "laplace"
    with pytest.raises(TypeError, match="given twice"), pytest.warns(FutureWarning):
        Noise(distribution="laplace", family="normal")


def test_files_of_former_versions_are_read():
    specification = Noise("student_t", degrees_of_freedom="Gamma(3, 1)").specification
    former = {"family" if name == "distribution" else name: value for name, value in specification.items()}
    assert noise_from_specification(former) == noise_from_specification(specification)
    with pytest.raises(InputError, match="a distribution and a family"):
        noise_from_specification({"distribution": "normal", "family": "normal"})


@pytest.mark.slow
def test_a_new_distribution_is_one_entry(monkeypatch):
    logistic = NoiseDistribution(
        "logistic",
        lambda location, scale, values: dist.Logistic(location, scale * values["width"]),
        location_information=lambda _: 1 / 3,
        scale_information=lambda _: (3 + np.pi**2) / 9,
        priors={"width": Prior("LogNormal", (("loc", 0.0), ("scale", 0.1)))},
    )
    monkeypatch.setitem(DISTRIBUTIONS, "logistic", logistic)
    noise = noise_from_specification({"distribution": "logistic", "response": "log_loss"})
    losses = bl.simulate_losses(families=2, sizes=4, samples=40, clusters=10)
    with quick_fits():
        fitted = bl.fit(bl.PowerLaw(pooling="complete"), losses, noise=noise, draws=50, chains=2)
    assert "log_loss ~ logistic(log law, " in str(fitted.model)
    assert "width ~ LogNormal" in str(fitted.model)
    values = fitted.values()
    density = fitted.tree["log_likelihood"]["log_loss"].to_numpy().reshape(100, -1)
    model = fitted.model
    with jax.enable_x64(True):
        for draw in (0, 99):
            one = {name: array[draw] for name, array in values.items()}
            mean = np.asarray(model.location(one))
            scale = one["noise_scale"] * one["width"]
            expected = stats.logistic(mean, scale).logpdf(model.response)
            np.testing.assert_allclose(density[draw], expected, rtol=1e-5)
    assert np.isfinite(bl.predict(fitted, {"parameters": [1e9]}, kind="new")["mean"]).all()
    mode = bl.maximum_likelihood(bl.PowerLaw(pooling="complete"), losses, noise=noise)
    assert mode["exponent"] > 0
    with pytest.raises(InputError, match="degrees of freedom with student_t"):
        Noise("logistic", degrees_of_freedom="Gamma(2, 0.1)")
    with pytest.raises(InputError, match="under logistic noise"):
        Noise("logistic", dependence="shared")
