"""Fits: that NUTS finds the posterior, that truths are recovered, and that float64 stays inside."""

import json
import os
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brute import WIDTHS, brute_posterior
from forms import FORMS
from numpyro.infer.util import log_density
from scipy import stats
from shared_fits import tiny_law, tiny_noise
from tables import (
    AMPLITUDES,
    EXPONENTS,
    FLOORS,
    TINY_MEDIANS,
    family_table,
    tiny_table,
)

from bayeslaw.diagnosis.checks import check
from bayeslaw.diagnosis.sampling_diagnostics import diagnostics
from bayeslaw.errors import InputError
from bayeslaw.fitting.fits import fit
from bayeslaw.laws import PowerLaw
from bayeslaw.likelihood.noise import Noise
from bayeslaw.simulation.tables import simulate_losses
from bayeslaw.simulation.truth import ChinchillaTruth

MAIN = ("floor", "amplitude_1e9", "exponent")


def scores(fit, truth):
    """Distance of every truth from its posterior, on the log scale, in posterior standard deviations."""
    values = fit.values()
    found = []
    for name, value in truth.items():
        logs = np.log(values[name])
        found.append(np.ravel((np.log(value) - logs.mean(0)) / logs.std(0)))
    return np.concatenate(found)


def assert_calibrated(z):
    assert np.abs(z).max() < 3.5, z
    assert np.sqrt((z**2).mean()) < 1.8, z


@pytest.mark.parametrize("response", ["loss", "log_loss"])
def test_nuts_finds_the_posterior_of_brute_force(request, response):
    fit = request.getfixturevalue("tiny_fit" if response == "loss" else "tiny_log_fit")
    table = tiny_table()
    parameters, loss = (table[name].to_numpy() for name in ("parameters", "loss"))
    brute = brute_posterior(parameters, loss, TINY_MEDIANS, logarithm=response == "log_loss")
    assert brute.effective > 5000
    for name in WIDTHS:
        draws = fit.values()[name]
        for level in (0.05, 0.25, 0.5, 0.75, 0.95):
            assert (draws < brute.quantile(name, level)).mean() == pytest.approx(level, abs=0.05), name


def test_the_collaboration_law_is_recovered(collaboration_fit, small_pools):
    truth = json.loads(small_pools.attrs["truth"])
    laws = [truth["regimes"][regime] for regime in collaboration_fit.model.groups]
    z = scores(
        collaboration_fit,
        {
            "floor": [law["floor"] for law in laws],
            "amplitude_1e9": [law["amplitude"] for law in laws],
            "exponent": [law["exponent"] for law in laws],
            "noise_scale": [truth["noise"]] * 3,
        },
    )
    assert_calibrated(z)
    assert collaboration_fit.values()["floor"].std(0).max() < 0.05


def family_truth():
    laws = {"floor": FLOORS, "amplitude_1e9": AMPLITUDES, "exponent": EXPONENTS}
    return {name: [by_family[family] for family in sorted(FLOORS)] for name, by_family in laws.items()}


def test_families_are_recovered_with_partial_pooling(partial_fit):
    assert_calibrated(scores(partial_fit, family_truth()))
    scale = partial_fit.values()["noise_scale"]
    assert np.quantile(scale, 0.01) < np.sqrt(0.01**2 - 0.005**2) < np.quantile(scale, 0.99)


@pytest.mark.slow
def test_families_are_recovered_with_separate_laws():
    separate = fit(PowerLaw(pooling="separate"), family_table(), chains=2)
    assert_calibrated(scores(separate, family_truth()))
    assert set(separate.values()) >= {"floor", "amplitude_1e9"}
    assert "floor_population" not in separate.values()


def test_one_law_is_recovered_with_complete_pooling(tiny_fit):
    assert_calibrated(scores(tiny_fit, {"floor": 1.5, "amplitude_1e9": 1.4, "exponent": 0.3, "noise_scale": 0.05}))


def test_families_of_samples_are_recovered_with_one_amplitude(power_fit):
    truth = json.loads(simulate_losses(samples=300, clusters=50, families=5, sizes=8).attrs["truth"])
    predicted = power_fit.tree["posterior_predictive"].dataset["loss"].to_numpy()
    losses = np.array([truth["losses"][name] for name in power_fit.observations.labels])
    # The samples' common difficulty moves all models together, which rows taken as independent do not know.
    common = (power_fit.observations.loss / losses).mean()
    z = (losses * common - predicted.mean((0, 1))) / predicted.std((0, 1))
    assert np.abs(z).max() < 4
    assert (power_fit.values()["amplitude"].ndim, power_fit.values()["floor"].ndim) == (1, 2)


@pytest.mark.parametrize("quick", FORMS)
def test_the_chinchilla_law_is_recovered(read_fit, quick):
    chinchilla_fit, truth = read_fit("quick_chinchilla" if quick else "chinchilla"), ChinchillaTruth()
    z = scores(
        chinchilla_fit,
        {
            "floor": truth.floor,
            "parameter_amplitude_1e9": truth.parameter_amplitude,
            "parameter_exponent": truth.parameter_exponent,
            "token_amplitude_1e9": truth.token_amplitude * 10**truth.token_exponent,
            "token_exponent": truth.token_exponent,
        },
    )
    assert_calibrated(z)
    # Normal truth under Student-t noise: many degrees of freedom and a scale somewhat below the standard deviation.
    assert np.median(chinchilla_fit.values()["noise_scale"]) == pytest.approx(truth.noise, rel=0.25)


def test_floors_are_below_the_lowest_loss_of_their_regime(collaboration_fit):
    loss, index = collaboration_fit.observations.loss, collaboration_fit.model.group_index
    for group in range(3):
        floor = collaboration_fit.values()["floor"][:, group]
        assert np.quantile(floor, 0.999) < loss[index == group].min()


@pytest.mark.slow
def test_few_rows_in_a_family_are_sampled_without_divergences(read_fit):
    few_rows_fit = read_fit("few_rows")
    assert not few_rows_fit.tree["sample_stats"].dataset["diverging"].any()
    figures, codes = diagnostics(few_rows_fit), {finding.code for finding in check(few_rows_fit)}
    assert figures.divergences == 0
    assert figures.rhat_max < 1.05
    assert not codes & {"bfmi", "tree-depth"}
    assert "few-sizes" in codes
    spread = np.log(few_rows_fit.values()["floor"]).std(0)
    assert spread[few_rows_fit.model.groups.index("alder")] == spread.min()


def test_the_tree_is_the_models_own_density(partial_fit):
    """Log prior and log likelihood of the tree, and the sampler's density, belong to one model."""
    model, tree = partial_fit.model, partial_fit.tree
    posterior = tree["posterior"].dataset
    log_prior, rows = tree["log_prior"].dataset, tree["log_likelihood"].dataset["loss"]
    apart = []
    with jax.enable_x64(True):
        for draw in (0, 17, 400):
            values = {name: posterior[name][1, draw].to_numpy() for name in [*model.sites, *MAIN] if name in posterior}
            values |= {p.name: posterior[p.name][1, draw].to_numpy() for p in model.parameters}
            values.pop("amplitude_1e9")
            prior = sum(float(each[1, draw].sum()) for each in log_prior.data_vars.values())
            likelihood = float(rows[1, draw].sum())
            apart.append(float(log_density(model, (), {}, values)[0]) - prior - likelihood)
    np.testing.assert_allclose(apart, 0, atol=1e-3)
    np.testing.assert_array_equal(tree["observed_data"].dataset["loss"], family_table()["loss"])


def test_prior_draws_are_of_the_prior(partial_fit):
    prior, model = partial_fit.values("prior"), partial_fit.model
    for site, wanted in model.sites.items():
        if wanted.relative:
            continue
        logs, given_as = np.log(prior[site]), dict(wanted.arguments)
        assert abs(logs.mean() - given_as["loc"]) < 4 * given_as["scale"] / np.sqrt(1000)
        assert logs.std() == pytest.approx(given_as["scale"], rel=0.12)
    largest = model.covariates["parameters"].max()
    total = prior["floor_population"] + prior["amplitude_population"] * largest ** -prior["exponent_population"]
    assert stats.kstest(prior["floor_population"] / total, "uniform").pvalue > 1e-3
    deviation = np.log(prior["floor"]) - np.log(prior["floor_population"])[:, None]
    assert (deviation / prior["floor_spread"][:, None]).std() == pytest.approx(1, abs=0.08)


def test_replicates_scatter_around_the_law_as_the_noise_says(partial_fit):
    replicates = partial_fit.tree["posterior_predictive"].dataset["loss"].to_numpy()
    values, model = partial_fit.values(), partial_fit.model
    group, size = model.group_index, model.covariates["parameters"]
    mean = values["floor"][:, group] + values["amplitude"][:, group] * size ** -values["exponent"][:, group]
    scale = np.sqrt(values["noise_scale"][:, None] ** 2 + 0.005**2)
    z = (replicates.reshape(mean.shape) - mean) / scale
    assert z.std() == pytest.approx(1, abs=0.02)
    assert abs(z.mean()) < 0.02


def test_the_same_seed_draws_the_same_and_float32_stays_the_default(tiny_fit):
    inside, outside = [], []

    def elsewhere():
        while not done.is_set():
            outside.append(jnp.ones(1).dtype)
            done.wait(0.05)

    done = threading.Event()
    watcher = threading.Thread(target=elsewhere)
    watcher.start()
    again = fit(tiny_law(WIDTHS), tiny_table(), noise=tiny_noise("loss"))
    done.set()
    watcher.join()
    thread = threading.Thread(target=lambda: inside.append(jnp.ones(1).dtype))
    thread.start()
    thread.join()
    assert {jnp.ones(1).dtype, *inside, *outside} == {jnp.dtype("float32")}
    assert not jax.config.jax_enable_x64
    for name, draws in tiny_fit.values().items():
        np.testing.assert_array_equal(again.values()[name], draws, err_msg=name)
        assert draws.dtype == np.float64
    for group in ("posterior_predictive", "prior"):
        for name, array in tiny_fit.tree[group].data_vars.items():
            np.testing.assert_array_equal(again.tree[group][name], array)


def test_chains_are_not_copies_of_each_other(tiny_fit):
    floor = tiny_fit.tree["posterior"].dataset["floor"].to_numpy()
    assert floor.shape == (4, 1000)
    assert len(np.unique(floor[:, 500])) == 4


def test_a_fit_says_what_it_used(tiny_fit):
    assert str(dict(tiny_fit.model.sites)["floor"]) == str(tiny_law(WIDTHS).floor)
    assert tiny_fit.law.floor is not None
    assert tiny_fit.noise.scale is not None
    assert json.loads(tiny_fit.tree.attrs["settings"])["seed"] == 0
    assert "4 chains of 1000 draws, 8 rows" in str(tiny_fit)
    assert tiny_fit.parameters_kind == "total"


def test_defaults_are_stored_with_the_fit(partial_fit):
    law, noise = partial_fit.law, partial_fit.noise
    assert law != PowerLaw()
    assert all(getattr(law, name) is not None for name in law.parameter_names)
    assert set(law.spread) == {"floor", "amplitude", "exponent"}
    assert (noise.by_group, noise.standard_errors) == (False, None)
    assert noise.scale == partial_fit.model.noise_priors["noise_scale"]
    assert "scale" in json.loads(partial_fit.tree.attrs["noise"])["scale"]
    assert partial_fit.model.standard_error is not None


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({"draws": 49}, "draws is 49"),
        ({"draws": 100.0}, "draws is 100.0"),
        ({"draws": True}, "draws is True"),
        ({"chains": 0}, "chains is 0"),
        ({"chains": "2"}, "chains is '2'"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": None}, "seed is None"),
    ],
)
def test_numbers_out_of_range_are_refused(numbers, said):
    with pytest.raises(InputError, match=said):
        fit(PowerLaw(), family_table(), **numbers)


def test_standard_errors_that_are_asked_for_must_be_there():
    with pytest.raises(InputError, match="no standard errors"):
        fit(PowerLaw(), family_table(), noise=Noise(standard_errors=True))


def test_the_switch_to_float64_leaves_no_trace_in_the_environment():
    assert os.environ.get("JAX_ENABLE_X64") is None
