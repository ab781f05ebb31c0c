"""Distributions of PreliZ become priors: by the package where it is installed, and by stand-ins of its attributes."""

import importlib
import importlib.util
import warnings
from typing import Any

import numpy as np
import pytest
from scipy import stats

import bayeslaw as bl
from bayeslaw.errors import InputError
from bayeslaw.laws.preliz_priors import COUNTERPARTS
from bayeslaw.laws.prior_argument import read_prior
from bayeslaw.laws.prior_densities import SCIPY
from bayeslaw.laws.priors import ARGUMENTS

VALUES = {
    "Beta": {"alpha": 2.0, "beta": 5.0},
    "Cauchy": {"alpha": 0.5, "beta": 2.0},
    "Exponential": {"lam": 3.0},
    "Gamma": {"alpha": 2.0, "beta": 4.0},
    "HalfCauchy": {"beta": 0.7},
    "HalfNormal": {"sigma": 0.4},
    "InverseGamma": {"alpha": 3.0, "beta": 2.0},
    "Laplace": {"mu": 0.3, "b": 0.6},
    "LogNormal": {"mu": -1.2, "sigma": 0.5},
    "Normal": {"mu": 0.3, "sigma": 0.2},
    "StudentT": {"nu": 4.0, "mu": 0.1, "sigma": 0.8},
    "TruncatedNormal": {"mu": 0.3, "sigma": 0.4, "lower": 0.0, "upper": 2.0},
    "Uniform": {"lower": 0.2, "upper": 0.9},
    "Weibull": {"alpha": 1.5, "beta": 0.8},
}
MEANT = {
    "Beta": stats.beta(2, 5),
    "Cauchy": stats.cauchy(0.5, 2),
    "Exponential": stats.expon(scale=1 / 3),
    "Gamma": stats.gamma(2, scale=1 / 4),
    "HalfCauchy": stats.halfcauchy(scale=0.7),
    "HalfNormal": stats.halfnorm(scale=0.4),
    "InverseGamma": stats.invgamma(3, scale=2),
    "Laplace": stats.laplace(0.3, 0.6),
    "LogNormal": stats.lognorm(0.5, scale=np.exp(-1.2)),
    "Normal": stats.norm(0.3, 0.2),
    "StudentT": stats.t(4, 0.1, 0.8),
    "TruncatedNormal": stats.truncnorm(-0.3 / 0.4, 1.7 / 0.4, 0.3, 0.4),
    "Uniform": stats.uniform(0.2, 0.7),
    "Weibull": stats.weibull_min(1.5, scale=0.8),
}
"""The distributions that PreliZ means by `VALUES`, by its documentation."""
AT = np.array([0.25, 0.5, 0.75])


def stand_in(name: str, **attributes: Any) -> Any:
    """Return what looks like a distribution of PreliZ to whoever asks for its module and attributes."""
    kind = type(name, (), {"__module__": f"preliz.distributions.{name.lower()}"})
    made = kind()
    made.__dict__.update(attributes)
    return made


def test_every_distribution_that_both_packages_have_is_read():
    # PreliZ has no log-uniform distribution.
    assert set(COUNTERPARTS) == set(VALUES) == set(ARGUMENTS) - {"LogUniform"}
    for name, pairs in COUNTERPARTS.items():
        assert tuple(argument for argument, _ in pairs) == ARGUMENTS[name]


@pytest.mark.parametrize("name", VALUES)
def test_what_looks_like_preliz_is_read(name):
    prior = read_prior("site", stand_in(name, **VALUES[name]))
    assert prior.name == name
    ours = SCIPY[name](**dict(prior.arguments))
    np.testing.assert_allclose(ours.cdf(AT), MEANT[name].cdf(AT))


def the_package() -> Any:
    """Import PreliZ, which warns of optional packages that are not there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("preliz")


@pytest.mark.skipif(importlib.util.find_spec("preliz") is None, reason="PreliZ is not installed")
@pytest.mark.parametrize("name", VALUES)
def test_a_distribution_of_preliz_is_the_same_distribution_here(name):
    theirs = getattr(the_package(), name)(**VALUES[name])
    prior = read_prior("site", theirs)
    ours = SCIPY[prior.name](**dict(prior.arguments))
    np.testing.assert_allclose(ours.cdf(AT), theirs.cdf(AT), rtol=1e-6)


@pytest.mark.skipif(importlib.util.find_spec("preliz") is None, reason="PreliZ is not installed")
def test_other_parametrisations_of_preliz_are_read_too():
    preliz = the_package()
    for theirs in (preliz.Beta(mu=0.3, sigma=0.1), preliz.Gamma(mu=0.5, sigma=0.2), preliz.Exponential(scale=2.0)):
        prior = read_prior("site", theirs)
        np.testing.assert_allclose(SCIPY[prior.name](**dict(prior.arguments)).cdf(AT), theirs.cdf(AT), rtol=1e-6)


def test_laws_and_noise_take_them():
    law = bl.PowerLaw(exponent=stand_in("LogNormal", mu=-1.2, sigma=0.5))
    assert law == bl.PowerLaw(exponent="LogNormal(-1.2, 0.5)")
    assert bl.JointLaw(exponent=stand_in("Normal", mu=0.3, sigma=0.2)).exponent.name == "Normal"
    assert bl.Noise(scale=stand_in("HalfNormal", sigma=0.1)) == bl.Noise(scale="HalfNormal(0.1)")


def test_an_end_that_is_not_there_is_left_out():
    prior = read_prior("site", stand_in("TruncatedNormal", mu=1.0, sigma=2.0, lower=0.0, upper=np.inf))
    assert dict(prior.arguments) == {"loc": 1.0, "scale": 2.0, "low": 0.0}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (stand_in("SkewNormal", mu=0, sigma=1, alpha=2), "SkewNormal, which has no counterpart"),
        (stand_in("LogNormals", mu=0, sigma=1), "use 'LogNormal'"),
        (stand_in("LogNormal", mu=0.0, sigma=None), "sigma is not set"),
        (stand_in("LogNormal"), "mu is not set"),
        (stand_in("Normal", mu=np.zeros(2), sigma=1.0), "one finite number"),
        (stand_in("LogNormal", mu=0.0, sigma=-1.0), "positive"),
        (stand_in("Normal", mu=np.inf, sigma=1.0), "finite"),
        (stand_in("Uniform", lower=-np.inf, upper=1.0), "lacks 'low'"),
    ],
)
def test_what_has_no_counterpart_is_refused_by_name(given, says):
    with pytest.raises(InputError) as error:
        read_prior("exponent", given)
    assert says in str(error.value)
    assert "exponent" in str(error.value)


def test_what_reaches_below_zero_is_refused_as_ever():
    with pytest.raises(InputError, match="below zero"):
        bl.PowerLaw(floor=stand_in("Normal", mu=0.0, sigma=1.0))
