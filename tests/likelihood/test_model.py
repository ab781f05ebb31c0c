"""The model's density is that of an independent computation, whatever the noise, response and pooling."""

from itertools import product

import jax
import numpy as np
import pytest
from numpyro.infer.util import log_density
from scipy import stats
from tables import rows

from bayeslaw.fitting.row_programs import log_prior
from bayeslaw.laws import ChinchillaLaw, CollaborationLaw, PowerLaw
from bayeslaw.likelihood.law_model import LawModel
from bayeslaw.likelihood.noise import Noise

PRIORS = {
    "floor": ("LogNormal(-0.1, 0.4)", stats.lognorm(0.4, scale=np.exp(-0.1))),
    "amplitude": ("Gamma(3, 2)", stats.gamma(3, scale=0.5)),
    "exponent": ("Normal(0.3, 0.2)", stats.norm(0.3, 0.2)),
}
SPREAD = ("HalfNormal(0.4)", stats.halfnorm(scale=0.4))
SCALE = ("HalfNormal(0.2)", stats.halfnorm(scale=0.2))
FREEDOM = ("Gamma(2, 0.1)", stats.gamma(2, scale=10))
OBSERVED = {
    "normal": lambda y, mean, scale, _: stats.norm(mean, scale).logpdf(y),
    "laplace": lambda y, mean, scale, _: stats.laplace(mean, scale).logpdf(y),
    "student_t": lambda y, mean, scale, freedom: stats.t(freedom, mean, scale).logpdf(y),
}
POOLINGS = [{"floor": kind, "amplitude": kind, "exponent": kind} for kind in ("complete", "separate", "partial")] + [
    {"floor": "partial", "amplitude": "complete", "exponent": "separate"}
]


def some_values(model, seed=0):
    """Draw a value of every site, near those that the rows were made with."""
    rng = np.random.default_rng(seed)
    values, groups = {}, max(len(model.groups), 1)
    centres = {"floor": 1.4, "amplitude": 1.3, "exponent": 0.3}
    for parameter in model.parameters:
        centre = centres[parameter.name]
        if parameter.pooling == "partial":
            values[parameter.name + "_population"] = centre * 1.1
            values[parameter.name + "_spread"] = 0.2 + 0.1 * rng.random()
        values[parameter.name] = centre * rng.uniform(0.9, 1.1, groups) if parameter.grouped else centre * 0.95
    values["noise_scale"] = rng.uniform(0.05, 0.1, groups) if model.noise_by_group else 0.08
    if model.noise.distribution == "student_t":
        values["degrees_of_freedom"] = 4.5
    return values


def prior_by_hand(pooling, values):
    """Sum scipy's log densities of all sites."""
    total = SCALE[1].logpdf(values["noise_scale"]).sum()
    if "degrees_of_freedom" in values:
        total += FREEDOM[1].logpdf(values["degrees_of_freedom"])
    for name, (_, prior) in PRIORS.items():
        if pooling[name] != "partial":
            total += prior.logpdf(values[name]).sum()
            continue
        centre, spread = values[name + "_population"], values[name + "_spread"]
        total += prior.logpdf(centre) + SPREAD[1].logpdf(spread)
        around = stats.norm(centre, spread) if name == "exponent" else stats.lognorm(spread, scale=centre)
        total += around.logpdf(values[name]).sum()
    return total


def likelihood_by_hand(noise, observations, group, values):
    """Evaluate the rows one by one."""
    reference = np.exp(np.mean(np.log(observations.covariates["parameters"])))
    total = 0.0
    for row, loss in enumerate(observations.loss):
        own = {name: np.atleast_1d(value)[group[row] if np.ndim(value) else 0] for name, value in values.items()}
        mean = (
            own["floor"]
            + own["amplitude"] * (observations.covariates["parameters"][row] / reference) ** -own["exponent"]
        )
        error = observations.standard_error[row] if noise.standard_errors else 0.0
        response = loss
        if noise.response == "log_loss":
            response, mean, error = np.log(loss), np.log(mean), error / loss
        scale = np.sqrt(own["noise_scale"] ** 2 + error**2)
        total += OBSERVED[noise.distribution](response, mean, scale, own.get("degrees_of_freedom"))
    return total


def built(law, pooling, distribution, response, errors, by_group, observations):
    spread = {name: SPREAD[0] for name, kind in pooling.items() if kind == "partial"}
    noise = Noise(
        distribution=distribution,
        response=response,
        standard_errors=errors,
        scale=SCALE[0],
        degrees_of_freedom=FREEDOM[0] if distribution == "student_t" else None,
        by_group=by_group,
    )
    priors = {name: text for name, (text, _) in PRIORS.items()}
    return LawModel(law(pooling=pooling, spread=spread, **priors), noise, observations)


@pytest.mark.parametrize("pooling", POOLINGS, ids=lambda pooling: "-".join(dict.fromkeys(pooling.values())))
@pytest.mark.parametrize(
    ("distribution", "response", "errors"), list(product(OBSERVED, ("loss", "log_loss"), (False, True)))
)
def test_the_density_is_that_of_scipy(distribution, response, errors, pooling):
    observations = rows(tokens=False)
    for by_group in (False, True):
        model = built(PowerLaw, pooling, distribution, response, errors, by_group, observations)
        group = np.searchsorted(["alder", "birch", "cedar"], observations.groups["family"])
        values = some_values(model)
        wanted_prior = prior_by_hand(pooling, values)
        wanted = likelihood_by_hand(model.noise, observations, group, values)
        with jax.enable_x64(True):
            whole = float(log_density(model, (), {}, values)[0])
            prior = sum(float(each.sum()) for each in log_prior(model, values).values())
            likelihood = float(model.log_likelihood(values).sum())
            fast = float(model.fast_log_likelihood()(values))
        assert prior == pytest.approx(wanted_prior, rel=1e-10)
        assert likelihood == pytest.approx(wanted, rel=1e-10)
        assert fast == pytest.approx(wanted, rel=1e-10)
        assert whole == pytest.approx(wanted + wanted_prior, rel=1e-10)


def test_regimes_are_ordered_by_what_they_are_and_scatter_on_their_own():
    observations = rows(group="regime", tokens=False, table="pools")
    model = LawModel(CollaborationLaw(), Noise(), observations)
    assert model.groups == ("single", "homogeneous", "heterogeneous")
    assert model.noise_by_group
    assert [model.groups[i] for i in model.group_index] == list(observations.groups["regime"])
    assert not LawModel(CollaborationLaw(), Noise(by_group=False), observations).noise_by_group
    assert not LawModel(PowerLaw(), Noise(), rows()).noise_by_group


def test_groups_without_rows_have_no_parameter():
    observations = rows(group="regime", groups=2, tokens=False, table="pools")
    assert LawModel(CollaborationLaw(), Noise(), observations).groups == ("single", "homogeneous")


def test_complete_pooling_has_no_groups_and_the_chinchilla_law_two_covariates():
    model = LawModel(ChinchillaLaw(), Noise(), rows())
    assert model.groups == ()
    assert (model.group_index == 0).all()
    values = {
        "floor": 1.5,
        "parameter_amplitude": 0.5,
        "parameter_exponent": 0.3,
        "token_amplitude": 0.4,
        "token_exponent": 0.2,
    }
    size, tokens = (model.covariates[name] for name in ("parameters", "training_tokens"))
    with jax.enable_x64(True):
        mean = model.mean(values, model.covariates, model.group_index)
    np.testing.assert_allclose(mean, 1.5 + 0.5 * size**-0.3 + 0.4 * tokens**-0.2)
    for name, covariate in model.covariates.items():
        assert np.exp(np.log(covariate).mean()) == pytest.approx(1), name


def test_sites_list_every_prior_once():
    model = LawModel(PowerLaw(pooling=POOLINGS[3]), Noise(distribution="student_t"), rows())
    assert list(model.sites) == [
        "floor_population",
        "floor_spread",
        "amplitude",
        "exponent",
        "noise_scale",
        "degrees_of_freedom",
    ]
    with jax.enable_x64(True):
        densities = log_prior(model, some_values(model))
    assert set(densities) == {*model.sites, "floor"}


def test_a_printed_model_shows_law_and_noise():
    text = str(LawModel(PowerLaw(), Noise(distribution="student_t", response="log_loss"), rows()))
    assert "log_loss ~ student_t(log law, sqrt(noise_scale**2 + standard_error**2))" in text
    assert "degrees_of_freedom ~ Gamma(concentration=2, rate=0.1)" in text
    assert "noise_scale ~ LogNormal" in text
    assert "nats per word" in text


def test_a_printed_model_shows_where_the_noise_differs():
    text = str(LawModel(CollaborationLaw(), Noise(), rows(group="regime", table="pools")))
    assert "\n  loss ~ normal(law, noise_scale[regime])" in text
    assert "\n  noise_scale[regime] ~ LogNormal" in text
