"""Laws put together by what each predicts of the models left out."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import numpyro.distributions as dist
import pytest
from quick_fits import quick_fits
from scipy import stats
from tables import family_table, power, tiny_table

from bayeslaw.comparison.comparisons import compare, compare_left_out
from bayeslaw.comparison.left_out import FoldScore, LeftOut
from bayeslaw.comparison.stacking import Stack, stack
from bayeslaw.comparison.stacking_weights import fold_weights, share_draws, stacking_weights
from bayeslaw.errors import InputError
from bayeslaw.fitting.fits import Fit, fit
from bayeslaw.laws import DiversityLaw, PowerLaw
from bayeslaw.prediction.predictions import predict, predict_draws

TARGETS = {"parameters": [1e9, 1e11], "family": ["alder", "new"]}


def left_out(*densities, by="model"):
    """Return folds of the given log densities of rows."""
    folds = [
        FoldScore(
            name=f"m{number}",
            rows=len(each),
            elpd=float(np.sum(each)),
            elpd_error=0.01,
            joint=0.5 * float(np.sum(each)),
            joint_error=0.01,
            method="exact",
            pareto_k=float("nan"),
            rhat=1.0,
            divergences=0,
            densities=np.asarray(each, dtype=float),
        )
        for number, each in enumerate(densities)
    ]
    return LeftOut(tuple(folds), by, "nats")


def expectation_maximisation(log_densities, share, steps=20_000):
    """Maximise the same by another way: each step raises the score."""
    densities = np.exp(log_densities)
    weights = np.full(densities.shape[1], 1 / densities.shape[1])
    for _ in range(steps):
        mixture = densities * weights
        weights = share @ (mixture / mixture.sum(axis=1, keepdims=True)) / share.sum()
    return weights


# The weights.


@pytest.mark.parametrize("laws", [2, 4])
def test_weights_are_those_that_expectation_maximisation_finds(laws):
    rng = np.random.default_rng(laws)
    densities, share = rng.normal(0, 1.5, (60, laws)), rng.uniform(0.1, 1, 60)
    found = stacking_weights(densities, share)
    np.testing.assert_allclose(found, expectation_maximisation(densities, share), atol=2e-4)
    assert found.sum() == pytest.approx(1)


def test_weights_do_not_depend_on_the_unit_nor_on_how_low_densities_are():
    densities = np.random.default_rng(0).normal(0, 1, (40, 3))
    shift = np.linspace(-3000, 3000, 40)[:, None]
    np.testing.assert_allclose(stacking_weights(densities + shift), stacking_weights(densities), atol=1e-6)


def test_the_true_law_gets_most_weight_and_the_mixture_its_parts():
    rng = np.random.default_rng(3)
    laws = [stats.norm(0, 1), stats.norm(0.7, 1.5), stats.norm(-4, 1)]
    y = rng.normal(0, 1, 4000)
    found = stacking_weights(np.stack([law.logpdf(y) for law in laws], axis=1))
    assert found[0] > 0.95
    mixed = np.where(rng.random(4000) < 0.3, y, rng.normal(-4, 1, 4000))
    found = stacking_weights(np.stack([law.logpdf(mixed) for law in laws], axis=1))
    np.testing.assert_allclose(found, [0.3, 0, 0.7], atol=0.04)


def test_laws_that_cannot_be_told_apart_share():
    same = np.random.default_rng(0).normal(size=(10, 1))
    np.testing.assert_allclose(stacking_weights(np.repeat(same, 2, axis=1)), [0.5, 0.5])


def test_what_no_law_holds_possible_does_not_count():
    densities = np.random.default_rng(5).normal(size=(20, 2))
    beyond = np.concatenate([densities, np.full((3, 2), -np.inf)])
    np.testing.assert_allclose(stacking_weights(beyond), stacking_weights(densities))
    np.testing.assert_allclose(stacking_weights(beyond[20:]), [0.5, 0.5])
    assert stacking_weights(np.array([[-np.inf, 0.0]]))[1] == pytest.approx(1)


def test_every_fold_counts_once_however_many_rows_it_has():
    first = left_out([0.0, 0.0], [-1.0], [-1.0])
    other = left_out([-1.0, -1.0], [0.0], [-1.0])
    np.testing.assert_allclose(fold_weights([first, other]), [0.5, 0.5], atol=1e-4)
    many, single = left_out([0.0] * 50, [-1.0], [-1.0]), left_out([-1.0] * 50, [0.0], [-1.0])
    np.testing.assert_allclose(fold_weights([many, single]), [0.5, 0.5], atol=1e-4)


def test_other_folds_are_refused():
    with pytest.raises(InputError, match="different rows were left out"):
        fold_weights([left_out([0.0], [0.0]), left_out([0.0, 1.0], [0.0])])


# The mixture.


@pytest.mark.parametrize("weights", [[1.0, 0.0], [0.25, 0.75], [0.1, 0.2, 0.7]])
def test_draws_are_shared_as_the_weights_say(weights):
    found = share_draws(np.array(weights), 1000, seed=4)
    np.testing.assert_allclose(np.bincount(found, minlength=len(weights)) / 1000, weights, atol=1e-3)
    assert (found != np.sort(found)).any() == (max(weights) < 1)


def test_a_mixture_of_equal_laws_is_the_law(partial_fit):
    both = Stack({"a": partial_fit, "b": partial_fit}, {"a": 0.3, "b": 0.7})
    np.testing.assert_array_equal(
        both.predict_draws(TARGETS).to_numpy().ravel(), predict_draws(partial_fit, TARGETS).to_numpy().ravel()
    )
    for kind in ("mean", "new"):
        alone = predict(partial_fit, TARGETS, kind=kind, interval=0.8)
        assert alone.equals(both.predict(TARGETS, kind=kind, interval=0.8))


def moved(fit, by):
    """Return the same fit with every floor raised; its rows are the same."""
    tree = fit.tree.copy(deep=True)
    posterior = tree["posterior"].dataset
    tree["posterior"] = posterior.assign(floor=posterior["floor"] + by)
    return Fit(tree)


def test_the_mixture_has_the_parts_in_their_shares(tiny_fit):
    far = moved(tiny_fit, 10.0)
    at = {"parameters": [1e9, 3e10]}
    both = Stack({"near": tiny_fit, "far": far}, {"near": 0.2, "far": 0.8})
    draws = both.predict_draws(at, kind="mean").to_numpy()[0]
    np.testing.assert_allclose((draws > 8).mean(axis=0), 0.8, atol=1e-3)
    # One law at all targets of a draw.
    assert ((draws > 8)[:, 0] == (draws > 8)[:, 1]).all()
    table, near = both.predict(at, kind="mean"), predict(tiny_fit, at, kind="mean")
    np.testing.assert_allclose(table["mean"], near["mean"] + 8, rtol=1e-2)
    assert (table["lower"] < near["upper"]).all()
    assert (table["upper"] > 10).all()
    alone = Stack({"near": tiny_fit, "far": far}, {"near": 1.0, "far": 0.0}).predict(at, kind="mean")
    np.testing.assert_allclose(alone["upper"], near["upper"])
    assert both.unit == tiny_fit.unit
    assert str(both).splitlines() == ["0.200  near: power", "0.800  far: power"]


def test_a_draw_of_fewer_is_spread_over_all_draws(tiny_fit):
    few = Fit(
        tiny_fit.tree.map_over_datasets(lambda data: data.isel(draw=slice(0, 100)) if "draw" in data.dims else data)
    )
    draws = Stack({"few": few, "all": tiny_fit}, {"few": 0.5, "all": 0.5}).predict_draws({"parameters": 1e9})
    assert draws.sizes["draw"] == few.tree["posterior"].sizes["chain"] * 100


def test_weights_that_are_none_are_refused(tiny_fit):
    for weights in ({"a": 1.0}, {"a": 0.5, "b": 0.6}, {"a": 1.5, "b": -0.5}, {"a": 0.5, "c": 0.5}):
        with pytest.raises(InputError, match="the weights are"):
            Stack({"a": tiny_fit, "b": tiny_fit}, weights)


def test_other_rows_and_other_targets_are_refused(tiny_fit, partial_fit):
    with pytest.raises(InputError, match="different rows"):
        stack({"a": tiny_fit, "b": partial_fit})
    with pytest.raises(InputError, match="nothing was left out of b"):
        stack({"a": tiny_fit, "b": tiny_fit}, {"a": left_out([0.0], [0.0])})


# Ranking.


def test_laws_are_ranked_by_folds():
    good, poor = left_out([1.0, 1.0], [2.0], [0.5]), left_out([0.0, 0.0], [1.0], [0.0])
    found = compare_left_out({"poor": poor, "good": good})
    assert list(found.table.index) == ["good", "poor"]
    row = found.table.loc["poor"]
    difference = np.array([-2.0, -1.0, -0.5])
    assert row["elpd_diff"] == pytest.approx(-3.5)
    assert row["dse"] == pytest.approx(np.sqrt(3) * difference.std(ddof=1))
    assert row["joint_diff"] == pytest.approx(-1.75)
    assert row["se"] == pytest.approx(np.sqrt(3) * np.std([0, 1, 0], ddof=1))
    assert found.table["weight"].sum() == pytest.approx(1)
    assert found.table.loc["good", "weight"] > 0.99
    assert found.left_out["poor"] is poor
    rough = compare_left_out(
        {"poor": replace(poor, folds=(replace(poor.folds[0], joint_error=3.0), *poor.folds[1:])), "good": good}
    )
    assert rough.warnings[0].startswith("poor: The joint density of m0")


@pytest.mark.slow
def test_the_law_that_is_true_is_found_and_weighs_most(tiny_fit):
    """The other law holds that losses fall with an exponent of 1.5, where they fall with 0.3."""
    law = PowerLaw(pooling="complete", exponent=dist.LogNormal(np.log(1.5), 0.02))
    fits = {"steep": fit(law, tiny_table(), noise=tiny_fit.noise, draws=100, chains=2), "true": tiny_fit}
    found = compare(fits, by="model", draws=100, chains=2)
    assert list(found.table.index) == ["true", "steep"]
    assert found.table.loc["steep", "elpd_diff"] + 2 * found.table.loc["steep", "dse"] < 0
    assert set(found.left_out["true"].table.index) == set(tiny_fit.observations.labels)
    both = stack(fits, found.left_out)
    assert both.weights["true"] > 0.9
    table = both.predict({"parameters": [2e9, 2e11]}, interval=0.9)
    truth = power([2e9, 2e11], 1.5, 1.4, 0.3)
    assert ((table["lower"] < truth) & (truth < table["upper"])).all()
    assert (table["extrapolation"] > 0).tolist() == [False, True]


@pytest.mark.slow
def test_targets_are_the_same_for_every_law(partial_fit):
    table = family_table(standard_error=[0.005] * 24)
    with quick_fits():
        one = fit(PowerLaw(pooling="complete"), table, draws=50, chains=1)
    both = Stack({"families": partial_fit, "one": one}, {"families": 0.5, "one": 0.5})
    with pytest.raises(InputError, match="add a column family"):
        both.predict({"parameters": 1e9})
    found = both.predict({"parameters": [1e9, 1e9], "family": ["alder", "cedar"]})
    assert list(found["family"]) == ["alder", "cedar"]


def test_each_diversity_law_of_a_stack_is_given_its_numbers():
    laws = {name: DiversityLaw(diversity=(name,)) for name in ("decorrelation", "effective_families")}
    stacked = object.__new__(Stack)
    object.__setattr__(stacked, "fits", {name: SimpleNamespace(law=law) for name, law in laws.items()})
    at = {"parameters": [1e9], "size": [2], "decorrelation": [0.1], "effective_families": [1.5]}
    for name in laws:
        assert set(stacked._of(name, at)) == {"parameters", "size", name}
