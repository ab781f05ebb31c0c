"""The case study of the zoo: its designs of pools, its differences, and the texts that units share."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from budget_matched import balanced_sets, differences, matched_pairs
from scipy.stats import linregress, t

import bayeslaw as bl

pytestmark = pytest.mark.tools

SCRIPT = Path(__file__).parents[2] / "examples/03_zoo_collaboration.py"
MAX_SIZE = 3
DESIGNS = pytest.mark.parametrize("design", [matched_pairs, balanced_sets])


@pytest.fixture(scope="module")
def study():
    specification = importlib.util.spec_from_file_location("zoo_collaboration", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def simulated(family_part=0.3, family_spread=0.1, own_part=0.4, seed=0):
    truth = bl.Truth(family_part=family_part, family_spread=family_spread, own_part=own_part)
    return bl.simulate_losses(families=3, sizes=4, samples=1000, clusters=50, with_bytes=True, truth=truth, seed=seed)


def families_of(losses, pool):
    return losses["family"].to_numpy()[pool[pool >= 0]]


@DESIGNS
def test_a_contrast_sets_homogeneous_pools_against_heterogeneous_ones(design):
    losses = simulated()
    contrast = design(losses, MAX_SIZE)
    alike = np.array([len(set(families_of(losses, pool))) == 1 for pool in contrast.members])
    assert (contrast.weights[:, alike] >= 0).all()
    assert (contrast.weights[:, ~alike] <= 0).all()
    np.testing.assert_allclose(contrast.weights[:, alike].sum(axis=1), 1)
    np.testing.assert_allclose(contrast.weights[:, ~alike].sum(axis=1), -1)
    assert contrast.comparisons[0] == sum(contrast.comparisons[1:])
    parts = np.average(contrast.weights[1:], axis=0, weights=contrast.comparisons[1:])
    np.testing.assert_allclose(parts, contrast.weights[0], atol=1e-15)


def test_balanced_sets_hold_every_model_as_often_on_either_side():
    losses = simulated()
    contrast = balanced_sets(losses, MAX_SIZE)
    held = np.stack([(contrast.members == model).any(axis=1) for model in range(losses.sizes["lm"])], axis=1)
    np.testing.assert_allclose(contrast.weights @ held, 0, atol=1e-15)
    # 6 pairs and 4 triples of 4 places, each in 9 or 27 ways.
    assert len(contrast.members) == 6 * 9 + 4 * 27
    assert len(np.unique(contrast.members, axis=0)) == len(contrast.members)


@DESIGNS
def test_differences_are_those_of_the_pools_losses(design):
    losses = simulated()
    contrast = design(losses, MAX_SIZE)
    names = losses["lm"].to_numpy()
    factor = 1 / np.log(2) / losses["bytes"].sum().item()
    pool = [factor * bl.combine(losses, list(names[row[row >= 0]])).sum().item() for row in contrast.members]
    means = bl.mean_losses(losses)["loss"].to_numpy()
    best = [means[row[row >= 0]].min() for row in contrast.members]
    found = differences(losses, contrast, draws=3)
    np.testing.assert_allclose(found.loss[0], contrast.weights @ pool, rtol=1e-9)
    np.testing.assert_allclose(found.best_members[0], contrast.weights @ best, atol=1e-12)
    np.testing.assert_allclose(found.net, found.loss - found.best_members)
    assert found.loss.shape == (4, len(contrast.bins))


def test_a_draw_takes_whole_clusters_with_replacement():
    losses = simulated()
    contrast = balanced_sets(losses, 2)
    clusters, codes = np.unique(losses["cluster"], return_inverse=True)
    counts = np.random.default_rng(5).multinomial(len(clusters), np.full(len(clusters), 1 / len(clusters)), size=1)[0]
    drawn = differences(losses, contrast, draws=1, seed=5)
    again = differences(losses.isel(sample=np.repeat(np.arange(len(codes)), counts[codes])), contrast, draws=1)
    np.testing.assert_allclose(drawn.net[1], again.net[0], rtol=1e-9)
    np.testing.assert_allclose(drawn.best_members[1], again.best_members[0], atol=1e-12)


def test_families_in_name_only_have_no_net_difference():
    found = differences(simulated(family_part=0, family_spread=0), balanced_sets(simulated(), MAX_SIZE))
    lower, upper = np.quantile(found.net[1:, 0], [0.025, 0.975])
    assert lower < 0 < upper


@DESIGNS
def test_families_that_find_other_samples_hard_have_one(design):
    losses = simulated(family_part=0.5)
    found = differences(losses, design(losses, MAX_SIZE))
    assert np.quantile(found.net[1:, 0], 0.025) > 0


def nested(documents=12, spans=6):
    """Return tables of one set of losses in units document and line, the latter without the last document."""
    rng = np.random.default_rng(0)
    nll = rng.gamma(5, 10, (documents, spans, 2))
    names = [f"a:{number}" for number in range(documents)]

    def table(values, samples, kept):
        whole = xr.Dataset(
            {
                "nll": (("sample", "lm"), values),
                "bytes": ("sample", np.full(len(values), 40.0 * spans * documents / len(values))),
                "family": ("lm", ["x", "y"]),
                "parameters": ("lm", [1e4, 1e5]),
            },
            coords={"sample": samples, "lm": ["x-1", "y-1"]},
            attrs={"kind": "losses"},
        )
        return whole.isel(sample=slice(kept))

    lines = [f"{name}:{number}" for name in names for number in range(spans)]
    return {
        "document": table(nll.sum(axis=1), names, None),
        "line": table(nll.reshape(-1, 2), lines, (documents - 1) * spans),
    }


def test_units_are_compared_on_the_documents_they_share(study):
    shared = study.share_documents(nested())
    assert shared["document"].sizes["sample"] == 11
    assert "a:11" not in shared["document"]["sample"]
    totals = [table[["nll", "bytes"]].sum("sample") for table in shared.values()]
    xr.testing.assert_allclose(*totals)


@pytest.mark.parametrize("exponent", [0.3, -0.2])
def test_slope_is_that_of_the_power_law_and_its_interval_that_of_least_squares(study, exponent):
    parameters = np.geomspace(1e4, 1e6, 6)
    noise = np.array([0.01, -0.02, 0.03, -0.01, 0.0, -0.01])
    slope, lower, upper = study.log_slope(parameters, np.exp(2 - exponent * np.log(parameters) + noise))
    line = linregress(np.log(parameters), 2 - exponent * np.log(parameters) + noise)
    assert slope == pytest.approx(line.slope)
    assert (upper - lower) / 2 == pytest.approx(t.ppf(0.975, 4) * line.stderr)


def test_choosing_by_domain_gains_where_domains_have_other_best_members(study):
    table = nested(documents=40)["document"]
    domain = np.repeat(["code", "prose"], 20)
    good = np.where(domain == "code", [[0], [1]], [[1], [0]]).T
    table["nll"] = ("sample", "lm"), 100 - 30.0 * good
    assert np.isnan(study.best_by_domain(table, ["x-1", "y-1"]))
    table["domain"] = "sample", domain
    bits = 70 / np.log(2) / 240
    assert study.best_by_domain(table, ["x-1", "y-1"]) == pytest.approx(bits)
    table["cluster"] = "sample", domain
    assert np.isnan(study.best_by_domain(table, ["x-1", "y-1"]))
