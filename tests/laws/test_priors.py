"""Priors: what is read, what is refused, and that the densities are the named ones."""

import json
import math

import jax
import numpy as np
import numpyro.distributions as dist
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bayeslaw.errors import InputError
from bayeslaw.laws.priors import ARGUMENTS, Prior, check_positive, parse_prior

# Arguments in NumPyro's order, and the same distribution in scipy.
SAME = {
    "Beta": ((2.0, 3.5), stats.beta(2, 3.5)),
    "Cauchy": ((0.4, 1.5), stats.cauchy(0.4, 1.5)),
    "Exponential": ((2.5,), stats.expon(scale=1 / 2.5)),
    "Gamma": ((2.0, 0.5), stats.gamma(2, scale=2)),
    "HalfCauchy": ((1.5,), stats.halfcauchy(scale=1.5)),
    "HalfNormal": ((0.7,), stats.halfnorm(scale=0.7)),
    "InverseGamma": ((3.0, 2.0), stats.invgamma(3, scale=2)),
    "Laplace": ((0.3, 0.8), stats.laplace(0.3, 0.8)),
    "LogNormal": ((-1.2, 0.5), stats.lognorm(0.5, scale=np.exp(-1.2))),
    "LogUniform": ((0.1, 4.0), stats.loguniform(0.1, 4)),
    "Normal": ((0.3, 0.2), stats.norm(0.3, 0.2)),
    "StudentT": ((4.0, 0.3, 0.2), stats.t(4, 0.3, 0.2)),
    "TruncatedNormal": ((0.3, 0.5, 0.1, 1.2), stats.truncnorm(-0.4, 1.8, 0.3, 0.5)),
    "Uniform": ((0.1, 0.9), stats.uniform(0.1, 0.8)),
    "Weibull": ((1.3, 2.0), stats.weibull_min(2, scale=1.3)),
}


def by_mapping(name, arguments):
    return {"distribution": name, **dict(zip(ARGUMENTS[name], arguments, strict=True))}


def test_every_distribution_is_tested():
    assert set(SAME) == set(ARGUMENTS)


@pytest.mark.parametrize("name", SAME)
def test_density_and_support_are_those_of_the_name(name):
    arguments, reference = SAME[name]
    prior = parse_prior("exponent", by_mapping(name, arguments))
    points = reference.ppf([0.02, 0.3, 0.5, 0.9, 0.99])
    with jax.enable_x64(True):
        ours = np.asarray(prior.distribution().log_prob(points))
    np.testing.assert_allclose(ours, reference.logpdf(points), rtol=1e-9)
    assert prior.support == pytest.approx(reference.support())


@pytest.mark.parametrize("name", SAME)
def test_three_ways_to_write_a_prior_are_one(name):
    arguments, _ = SAME[name]
    wanted = parse_prior("exponent", by_mapping(name, arguments))
    positional = f"{name}({', '.join(map(str, arguments))})"
    keywords = f"{name}({', '.join(f'{k}={v}' for k, v in reversed(wanted.arguments))})"
    built = getattr(dist, name)(**dict(wanted.arguments))
    for given_as in (positional, f" {keywords} ", built, wanted):
        assert parse_prior("exponent", given_as) == wanted
    assert parse_prior("exponent", json.loads(json.dumps(wanted.specification))) == wanted


@pytest.mark.parametrize(
    ("text", "support"),
    [
        ("TruncatedNormal(0.2, 1, low=0)", (0, math.inf)),
        ("TruncatedNormal(0.2, 1, high=2)", (-math.inf, 2)),
        ("TruncatedNormal(0.2, 1)", (-math.inf, math.inf)),
    ],
)
def test_bounds_of_a_truncated_normal_may_be_left_out(text, support):
    prior = parse_prior("exponent", text)
    assert prior.support == support
    assert parse_prior("exponent", prior.distribution()).support == support


@given(loc=st.floats(-5, 5).map(lambda x: round(x, 5)), scale=st.floats(0.01, 5).map(lambda x: round(x, 5)))
def test_a_distribution_stored_in_float32_keeps_its_digits(loc, scale):
    prior = parse_prior("floor", dist.LogNormal(np.float32(loc), np.float32(scale)))
    assert dict(prior.arguments) == {"loc": loc, "scale": scale}


def test_a_printed_prior_can_be_read():
    prior = parse_prior("floor", "LogNormal(-1.2, 0.5)")
    assert str(prior) == "LogNormal(loc=-1.2, scale=0.5)"
    assert parse_prior("floor", str(prior)) == prior


@pytest.mark.parametrize(
    ("given_as", "said"),
    [
        ("LogNorml(0, 1)", "use 'LogNormal'"),
        ("Poisson(3)", "'Poisson' is not known"),
        (dist.Poisson(3.0), "'Poisson' is not known"),
        (dist.Chi2(3.0), "'Chi2' is not known"),
        ({"distribution": "Student", "df": 3}, "use 'StudentT'"),
        ("LogNormal(0)", "lacks 'scale'"),
        ("LogNormal(0, 1, 2)", "is 'LogNormal(0, 1, 2)'"),
        ("LogNormal(0, loc=1)", "is 'LogNormal(0, loc=1)'"),
        ("LogNormal(loc=0, scale=1, scale=2)", "is 'LogNormal(loc=0, scale=1, scale=2)'"),
        ("LogNormal(0, width=1)", "an argument 'width'"),
        ("LogNormal(0, **{'scale': 1})", "write it like"),
        ("LogNormal(0, open('x'))", "write it like"),
        ("LogNormal(0", "write it like"),
        ("LogNormal", "write it like"),
        ("dist.LogNormal(0, 1)", "write it like"),
        ("", "write it like"),
        ("LogNormal(0, -1)", "a positive number"),
        ("LogNormal(0, 0)", "a positive number"),
        ("LogNormal(0, 'a')", "one finite number"),
        ("LogNormal(0, True)", "one finite number"),
        ("LogNormal(0, 1j)", "one finite number"),
        ("LogNormal(0, b'1')", "one finite number"),
        ("LogNormal(0, [1])", "one finite number"),
        ("LogNormal(0, 1e999)", "one finite number"),
        ("LogNormal(0, 1" + 400 * "0" + ")", "one finite number"),
        (dist.LogNormal(np.zeros(2), 1.0), "one finite number"),
        ({"loc": 0, "scale": 1}, "add distribution"),
        ({"distribution": "Normal", "loc": 0, "scale": float("nan")}, "one finite number"),
        ("Uniform(2, 1)", "low < high"),
        ("Uniform(1, 1)", "low < high"),
        ("TruncatedNormal(0, 1, 3, 2)", "low < high"),
        ("TruncatedNormal(1, 0.1, 2, 3)", "low at most 8 standard deviations"),
        ("LogUniform(0, 1)", "a positive number"),
        ("LogUniform(-1, 1)", "a positive number"),
        (3.0, "a NumPyro distribution"),
        (None, "a NumPyro distribution"),
        (["Normal", 0, 1], "a NumPyro distribution"),
    ],
)
def test_what_is_refused_is_named(given_as, said):
    with pytest.raises(InputError) as caught:
        parse_prior("exponent", given_as)
    assert said in str(caught.value)
    assert "exponent" in caught.value.problem


@pytest.mark.parametrize(
    "text", ["Normal(1, 0.1)", "Uniform(-0.1, 1)", "TruncatedNormal(1, 1, high=2)", "Cauchy(1, 1)"]
)
def test_a_positive_parameter_refuses_a_prior_below_zero(text):
    with pytest.raises(InputError, match=r"floor.*below zero"):
        check_positive("floor", parse_prior("floor", text))


@pytest.mark.parametrize("text", ["HalfNormal(1)", "Uniform(0, 1)", "TruncatedNormal(1, 1, low=0)", "Beta(1, 2)"])
def test_a_positive_parameter_takes_a_prior_above_zero(text):
    prior = parse_prior("floor", text)
    assert check_positive("floor", prior) is prior


def test_priors_are_values():
    one, other = parse_prior("a", "Normal(0, 1)"), parse_prior("b", dist.Normal(0.0, 1.0))
    assert one == other
    assert hash(one) == hash(other)
    assert one != Prior("Normal", (("loc", 0.0), ("scale", 2.0)))
