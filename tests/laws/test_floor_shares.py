"""Priors of the floor's share of the law's loss: their density, what they are a share of, and where they may stand."""

import json

import jax
import numpy as np
import pytest
from forms import in_gate
from numpyro import handlers
from scipy import stats
from tables import rows

from bayeslaw.errors import InputError
from bayeslaw.joint.law import JointLaw
from bayeslaw.laws import ChinchillaLaw, CollaborationLaw, DiversityLaw, PowerLaw, law_from_specification
from bayeslaw.laws.floor_shares import ShareOfTotal
from bayeslaw.laws.priors import parse_prior
from bayeslaw.likelihood.law_model import LawModel
from bayeslaw.likelihood.noise import Noise
from bayeslaw.losses.sizes import count_label


@pytest.mark.parametrize(("one", "zero", "rest"), [(1.0, 1.0, 0.7), (2.5, 0.5, 3.0)])
def test_the_density_is_a_beta_prime_one_in_units_of_the_rest(one, zero, rest):
    reference = stats.betaprime(one, zero, scale=rest)
    with jax.enable_x64(True):
        ours = ShareOfTotal(one, zero, rest)
        values = reference.ppf([0.02, 0.3, 0.5, 0.9, 0.99])
        np.testing.assert_allclose(ours.log_prob(values), reference.logpdf(values), rtol=1e-9)
        drawn = np.asarray(ours.sample(jax.random.PRNGKey(0), (2000,)))
    assert stats.kstest(drawn / (drawn + rest), stats.beta(one, zero).cdf).pvalue > 1e-3


@pytest.mark.slow
def test_many_totals_have_a_density_each():
    with jax.enable_x64(True):
        many = ShareOfTotal(1.0, 1.0, np.array([0.5, 2.0]))
        assert many.batch_shape == (2,)
        found = many.log_prob(np.array([0.3, 0.4]))
        drawn = np.asarray(many.sample(jax.random.PRNGKey(0), (500,)))
        each = [ShareOfTotal(1.0, 1.0, rest).log_prob(value) for rest, value in ((0.5, 0.3), (2.0, 0.4))]
    np.testing.assert_allclose(found, each)
    assert abs(np.corrcoef((drawn / (drawn + np.array([0.5, 2.0]))).T)[0, 1]) < 0.2


def test_three_ways_to_write_a_share_are_one():
    wanted = parse_prior("floor", "Share(1, 2)", relative=True)
    assert str(wanted) == "Share(concentration1=1, concentration0=2)"
    assert wanted.support == (0.0, np.inf)
    for given in (str(wanted), wanted, json.loads(json.dumps(wanted.specification))):
        assert parse_prior("floor", given, relative=True) == wanted
    law = law_from_specification({"law": "power", "priors": {"floor": "Share(1, 2)"}})
    assert law == PowerLaw(floor="Share(1, 2)") == law_from_specification(law.specification)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: PowerLaw(amplitude="Share(1, 1)"),
        lambda: PowerLaw(exponent=parse_prior("floor", "Share(1, 1)", relative=True)),
        lambda: PowerLaw(spread={"floor": "Share(1, 1)"}),
        lambda: Noise(scale="Share(1, 1)"),
        lambda: DiversityLaw(lasting_gain="Share(1, 1)"),
        lambda: JointLaw(floor_share="Share(1, 1)"),
        lambda: law_from_specification({"law": "power", "priors": {"exponent": "Share(1, 1)"}}),
    ],
)
def test_only_a_floor_has_a_share(wrong):
    with pytest.raises(InputError, match=r"'Share' is not known"):
        wrong()


@pytest.mark.parametrize("text", ["Share(1)", "Share(1, 0)", "Share(1, 2, 3)", "Share(rate=1)"])
def test_a_share_needs_two_positive_numbers(text):
    with pytest.raises(InputError, match="floor"):
        PowerLaw(floor=text)


CASES = {
    "complete": PowerLaw(pooling="complete"),
    "partial": PowerLaw(),
    "separate": PowerLaw(pooling="separate"),
    "mixed": PowerLaw(pooling={"floor": "partial", "amplitude": "complete", "exponent": "separate"}),
    "by-group": PowerLaw(pooling={"floor": "separate", "amplitude": "partial", "exponent": "complete"}),
    "chinchilla": ChinchillaLaw(),
    "regimes": CollaborationLaw(),
}


@pytest.mark.parametrize("name", in_gate({"partial", "mixed", "chinchilla"}, CASES))
def test_the_floor_is_a_share_of_the_loss_at_the_largest_budgets(name):
    """Of the population where groups share it, else of each group at its own largest budgets."""
    law = CASES[name]
    model = LawModel(law, Noise(), rows(group=law.group, table="pools" if law.group == "regime" else "models"))
    shares = []
    with jax.enable_x64(True):
        for seed in range(200):
            trace = handlers.trace(handlers.seed(model.prior_model, jax.random.PRNGKey(seed))).get_trace()
            values = {site: np.asarray(entry["value"]) for site, entry in trace.items()}
            shares.append(share_of(model, values))
    shares = np.ravel(shares)
    assert stats.kstest(shares, "uniform").pvalue > 1e-3


def share_of(model, values):
    """Work out the share of a floor from values of all sites, by the law's function."""
    separate = model.law.pooling_by_parameter["floor"] == "separate"
    groups = range(len(model.groups)) if separate else [None]
    found = []
    for group in groups:
        chosen = [model.group_index == group] if separate else [np.ones(len(model.response), bool)]
        at = [model.covariates[name][chosen[0]].max() for name in model.law.covariates]
        every = [{}]
        for parameter in model.parameters:
            value = values.get(parameter.name + "_population", values[parameter.name])
            if separate:
                value = values[parameter.name]
            several = np.atleast_1d(value if not separate or not np.ndim(value) else value[group])
            every = [{**one, parameter.name: each} for one in every for each in several]
        rest = np.mean([float(model.function(*at, **{**one, "floor": 0.0})) for one in every])
        floor = np.mean([one["floor"] for one in every])
        found.append(floor / (floor + rest))
    return found


def test_a_described_law_says_what_the_share_is_of():
    observations = rows()
    described = PowerLaw().describe(observations)
    largest = f"N = {count_label(observations.covariates['parameters'].max())}"
    assert f"floor_population ~ Share(concentration1=1, concentration0=1)   of the loss at {largest}" in described
    both = ChinchillaLaw().describe(observations)
    assert f"{largest}, D = {count_label(observations.covariates['training_tokens'].max())}" in both
