"""Noise: shapes, scales, responses and what is refused."""

import json
import re
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from tables import rows

from bayeslaw.errors import InputError
from bayeslaw.noise import (
    FAMILIES,
    Noise,
    check_interval,
    combined_scale,
    draw_losses,
    loss_log_jacobian,
    noise_from_specification,
    noise_priors,
    observation_distribution,
    response_of,
)

SHAPES = {"normal": stats.norm(), "student_t": stats.t(6.0), "laplace": stats.laplace()}
EVERY_FAMILY = pytest.mark.parametrize("family", SHAPES)


def test_every_family_is_tested():
    assert set(SHAPES) == set(FAMILIES)


@EVERY_FAMILY
def test_fisher_information_is_the_expected_squared_score(family):
    shape, step = SHAPES[family], 1e-5
    location = lambda y: (shape.logpdf(y + step) - shape.logpdf(y - step)) / (2 * step)  # noqa: E731
    scale = lambda y: -1 - y * location(y)  # noqa: E731
    for score, ours in ((location, FAMILIES[family].location_information), (scale, FAMILIES[family].scale_information)):
        halves = [integrate.quad(lambda y, s=score: s(y) ** 2 * shape.pdf(y), *ends)[0] for ends in ((-60, 0), (0, 60))]
        assert float(ours(6.0)) == pytest.approx(sum(halves), rel=1e-4)


@EVERY_FAMILY
@pytest.mark.parametrize("response", ["loss", "log_loss"])
def test_draws_have_the_distribution_named_and_are_fresh(family, response):
    mean, scale = jnp.full((4000, 2), 2.0), jnp.full((4000, 1), 0.05)
    losses = np.asarray(
        draw_losses(jax.random.PRNGKey(1), Noise(family, response), mean, scale, jnp.full((4000, 1), 6.0))
    )
    standard = (np.log(losses / 2) if response == "log_loss" else losses - 2) / 0.05
    for column in standard.T:
        assert stats.kstest(column, SHAPES[family].cdf).pvalue > 1e-3
    assert abs(np.corrcoef(standard.T)[0, 1]) < 0.06


@EVERY_FAMILY
@pytest.mark.parametrize("response", ["loss", "log_loss"])
def test_a_density_of_the_response_becomes_one_of_the_loss(family, response):
    noise = Noise(family=family, response=response)

    grid = np.concatenate(
        [np.geomspace(1e-3, 1.2, 200), np.linspace(1.2, 2.8, 801)[1:], np.geomspace(2.8, 50, 400)[1:]]
    )
    point = np.log(grid) if response == "log_loss" else grid
    with jax.enable_x64(True):
        log_density = observation_distribution(noise, jnp.asarray(2.0), jnp.asarray(0.1), 6.0).log_prob(point)
    density = np.exp(np.asarray(log_density) + loss_log_jacobian(point, response))
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


def test_default_priors_are_proper_where_all_losses_are_one_and_complete_by_family():
    assert np.isfinite(dict(noise_priors(Noise(), np.zeros(5))["noise_scale"].arguments)["loc"])
    assert list(noise_priors(Noise(family="laplace"), rows().loss)) == ["noise_scale"]
    student = noise_priors(Noise(family="student_t"), rows().loss)
    assert str(student["degrees_of_freedom"]) == "Gamma(concentration=2, rate=0.1)"
    own = noise_priors(Noise("student_t", scale="HalfNormal(1)", degrees_of_freedom="Gamma(3, 1)"), rows().loss)
    assert [str(prior) for prior in own.values()] == ["HalfNormal(scale=1)", "Gamma(concentration=3, rate=1)"]


@pytest.mark.parametrize(
    "noise",
    [
        Noise(),
        Noise(family="laplace", response="log_loss", standard_errors=True, by_group=False),
        Noise(family="student_t", scale="HalfNormal(0.1)", degrees_of_freedom="Gamma(2, 0.1)"),
    ],
)
def test_specification_builds_the_same_noise(noise):
    assert noise_from_specification(json.loads(json.dumps(noise.specification))) == noise


@pytest.mark.parametrize(
    ("specification", "said"),
    [
        ({"family": "gaussian"}, "noise family 'gaussian' is not known"),
        ({"family": "students_t"}, "use 'student_t'"),
        ({"family": None}, "noise family None is not known"),
        ({"response": "logloss"}, "use 'log_loss'"),
        ({"famly": "normal"}, "use 'family'"),
        ({1: "normal"}, "noise has no setting 1"),
        ({"standard_errors": "yes"}, "standard_errors is 'yes'"),
        ({"by_group": 1}, "by_group is 1"),
        ({"scale": "Normal(0, 1)"}, "noise_scale is Normal"),
        ({"scale": "HalfNorml(1)"}, "use 'HalfNormal'"),
        ({"scale": 0.1}, "the prior of noise_scale is 0.1"),
        ({"family": "student_t", "degrees_of_freedom": "Normal(4, 1)"}, "degrees_of_freedom is Normal"),
        ({"degrees_of_freedom": "Gamma(2, 0.1)"}, "given for normal noise"),
    ],
)
def test_an_unusable_specification_is_refused(specification, said):
    with pytest.raises(InputError, match=re.escape(said)):
        noise_from_specification(specification)


@pytest.mark.parametrize("interval", [0, 1, -0.1, 1.5, float("nan"), float("inf"), "0.9", None])
def test_an_interval_outside_zero_and_one_is_refused(interval):
    with pytest.raises(InputError, match="interval"):
        check_interval(interval)


def test_an_interval_inside_is_kept():
    assert check_interval(0.9) == 0.9
