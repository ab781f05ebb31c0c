"""Priors with two given quantiles: exact by the distribution's own function, in Python and in files, or refused."""

import json
from contextlib import suppress

import jax
import numpy as np
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

import bayeslaw as bl
from bayeslaw.errors import InputError
from bayeslaw.fitting.settings_file import read_config
from bayeslaw.laws.prior_argument import read_prior
from bayeslaw.laws.prior_densities import SCIPY
from bayeslaw.laws.quantile_priors import MATCHED, Between, read_between

ENDS = st.tuples(st.floats(1e-3, 0.999), st.floats(1e-3, 0.999)).filter(lambda ends: ends[1] - ends[0] > 1e-3)
MASSES = st.floats(0.05, 0.999)


def probabilities(prior, *at):
    """Probabilities below, of SciPy's distribution, which no prior is worked out with."""
    return SCIPY[prior.name](**dict(prior.arguments)).cdf(np.array(at))


@pytest.mark.parametrize(
    ("values", "name"), [("positive", "LogNormal"), ("signed", "Normal"), ("share", "Beta"), ("exponent", "LogNormal")]
)
@settings(deadline=None, max_examples=60)
@given(ends=ENDS, mass=MASSES)
# Hardly anything lies between ends that are nearly those of all shares.
@example(ends=(0.001, 0.99609375), mass=0.0546875)
def test_the_quantiles_are_those_asked_for(values, name, ends, mass):
    prior = read_prior("site", bl.between(*ends, mass=mass), values=values)
    tail = (1 - mass) / 2
    assert prior.name == name
    np.testing.assert_allclose(probabilities(prior, *ends), [tail, 1 - tail], rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize(("values", "ends"), [("positive", (0.1, 0.6)), ("signed", (-2, 0.5)), ("share", (0.02, 0.3))])
def test_the_distribution_that_is_sampled_has_them(values, ends):
    prior = read_prior("site", bl.between(*ends), values=values)
    with jax.enable_x64(True):
        np.testing.assert_allclose(prior.distribution().cdf(np.array(ends)), [0.05, 0.95], rtol=1e-9)


@pytest.mark.parametrize("ends", [(0.4999, 0.5001), (1e-6, 1e-3), (1 - 1e-3, 1 - 1e-6), (1e-4, 0.9999), (1e-12, 0.5)])
def test_extreme_shares_are_exact_or_refused(ends):
    prior = None
    with suppress(InputError):
        prior = read_prior("site", bl.between(*ends), values="share")
    if prior is None:
        return
    below, above = probabilities(prior, *ends)
    np.testing.assert_allclose([below, 1 - above], [0.05, 0.05], rtol=1e-6)


def test_most_shares_are_found():
    for ends in [(0.01, 0.02), (0.001, 0.9), (0.45, 0.55), (0.9, 0.99), (0.05, 0.95)]:
        assert read_prior("site", bl.between(*ends), values="share").name == "Beta"


@pytest.mark.parametrize(
    ("law", "text", "name"),
    [
        ("collaboration", "priors:\n  exponent: {between: [0.1, 0.6], mass: 0.9}\n", "LogNormal"),
        ("joint", "priors:\n  exponent: {between: [0.1, 0.6]}\n", "Normal"),
        ("joint", "priors:\n  floor_share: {between: [0.2, 0.7]}\n", "Beta"),
        ("joint", "priors:\n  own_level: {between: [-5, 0]}\n", "Normal"),
        ("power", "priors:\n  exponent_spread: {between: [0.1, 0.6]}\n", "LogNormal"),
        ("power", "priors:\n  floor: {between: [0.1, 0.6]}\n", "LogNormal"),
        ("chinchilla", "priors:\n  token_exponent: {between: [0.1, 0.6]}\n", "LogNormal"),
        ("chinchilla", "priors:\n  token_exponent: {between: [-0.1, 0.6]}\n", "Normal"),
        ("diversity", "priors:\n  exponent: {between: [0.1, 0.6]}\n", "LogNormal"),
    ],
)
def test_a_file_says_where_a_parameter_is_expected(tmp_path, law, text, name):
    path = tmp_path / "law.yaml"
    path.write_text(text)
    chosen, _ = read_config(path, law)
    assert chosen is not None
    (site,) = chosen.specification["priors"]
    assert chosen.specification["priors"][site]["distribution"] == name
    # What a saved fit keeps is the distribution, to all digits.
    again = type(chosen).from_specification(json.loads(json.dumps(chosen.specification)))
    assert again == chosen


def test_a_file_says_where_noise_is_expected(tmp_path):
    path = tmp_path / "law.yaml"
    path.write_text("noise:\n  scale: {between: [0.01, 0.2], mass: 0.5}\n")
    _, noise = read_config(path, "power")
    assert noise is not None
    np.testing.assert_allclose(probabilities(noise.scale, 0.01, 0.2), [0.25, 0.75])


def test_python_and_files_say_the_same():
    by_hand = bl.PowerLaw(exponent=bl.between(0.1, 0.6, mass=0.8), spread={"floor": bl.between(0.1, 0.5)})
    by_mapping = bl.PowerLaw(exponent={"between": [0.1, 0.6], "mass": 0.8}, spread={"floor": {"between": (0.1, 0.5)}})
    assert by_hand == by_mapping
    assert by_hand.exponent != bl.PowerLaw(exponent=bl.between(0.1, 0.6)).exponent


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: bl.between(0.6, 0.1), "the lower one first"),
        (lambda: bl.between(0.1, 0.1), "the lower one first"),
        (lambda: bl.between(float("nan"), 0.1), "two numbers"),
        (lambda: bl.between("low", 0.1), "two numbers"),
        (lambda: bl.between(True, 3), "two numbers"),
        (lambda: bl.between(0.1, 0.6, mass=90), "mass"),
        (lambda: bl.between(0.1, 0.6, mass=0), "mass"),
        (lambda: bl.PowerLaw(floor=bl.between(-0.1, 0.6)), "above zero"),
        (lambda: bl.PowerLaw(amplitude=bl.between(0, 0.6)), "above zero"),
        (lambda: bl.JointLaw(floor_share=bl.between(0.5, 1.5)), "inside"),
        (lambda: bl.JointLaw(roughness=bl.between(1.1, 1.9)), "roughness"),
        (lambda: bl.PowerLaw(exponent={"between": [0.1, 0.6], "masss": 0.9}), "use 'mass'"),
        (lambda: bl.PowerLaw(exponent={"between": 0.1}), "two numbers"),
        (lambda: bl.PowerLaw(exponent={"between": [0.1, 0.2, 0.3]}), "two numbers"),
        (lambda: bl.PowerLaw(exponent={"between": ["a", "b"]}), "exponent"),
        (lambda: bl.PowerLaw(exponent={"between": [0.1, 0.6], "distribution": "Normal"}), "'distribution' beside"),
    ],
)
def test_what_is_no_interval_of_a_parameter_is_refused(make, says):
    with pytest.raises(InputError) as error:
        make()
    assert says in str(error.value)


def test_what_a_parameter_may_be_decides_the_distribution():
    names = {values: read_prior("site", bl.between(0.2, 0.4), values=values).name for values in MATCHED}
    assert names == {"positive": "LogNormal", "exponent": "LogNormal", "signed": "Normal", "share": "Beta"}


def test_numbers_that_yaml_takes_for_text_are_read():
    given = yaml.safe_load("{between: [1e-3, 5e-1], mass: 9e-1}")
    assert given["between"] == ["1e-3", "5e-1"]
    assert read_between("exponent", given) == Between(0.001, 0.5, 0.9)
    with pytest.raises(InputError, match="two numbers"):
        read_between("exponent", {"between": ["low", "nan"]})
