"""Predictions: what they are, how their bands behave, and where they are refused."""

import itertools
import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from forms import FORMS
from hypothesis import given, settings
from hypothesis import strategies as st
from quick_fits import quick_fits
from scipy import stats
from tables import family_table

from bayeslaw.errors import InputError
from bayeslaw.fitting.fits import Fit, fit
from bayeslaw.laws import CollaborationLaw, PowerLaw
from bayeslaw.losses.model_names import NEW_FAMILY
from bayeslaw.pools.regimes import regime_of
from bayeslaw.prediction.predictions import predict, predict_draws
from bayeslaw.prediction.row_prediction import extrapolation, law_draws, new_group_draws
from bayeslaw.prediction.targets import parse_members, read_targets

REGIMES = ("single", "homogeneous", "heterogeneous")


@pytest.fixture(scope="module", params=FORMS)
def unseen_fit(small_pools, request):
    """Return a fit to pools of which none is heterogeneous."""
    pools = small_pools.isel(pool=small_pools["regime"].to_numpy() != "heterogeneous")
    with quick_fits(request.param):
        return fit(CollaborationLaw(), pools, draws=300, chains=1)


def width(frame):
    return (frame["upper"] - frame["lower"]).to_numpy()


def by_hand(fit, parameters, group=None):
    """Evaluate the power law at every draw, from the amplitude at 1e9."""
    values = {name: fit.values()[name] for name in ("floor", "amplitude_1e9", "exponent")}
    if group is not None:
        index = fit.model.groups.index(group)
        values = {name: array[:, index] if array.ndim > 1 else array for name, array in values.items()}
    return values["floor"] + values["amplitude_1e9"] * (parameters / 1e9) ** -values["exponent"]


@pytest.mark.parametrize("regime", REGIMES)
def test_the_mean_band_is_the_law_at_every_draw(collaboration_fit, regime):
    frame = predict(collaboration_fit, {"parameters": [7e9, 3e11], "regime": regime}, kind="mean", interval=0.8)
    for row, parameters in enumerate((7e9, 3e11)):
        draws = by_hand(collaboration_fit, parameters, regime)
        assert frame["mean"][row] == pytest.approx(draws.mean(), rel=1e-9)
        assert frame["median"][row] == pytest.approx(np.median(draws), rel=1e-9)
        np.testing.assert_allclose(frame[["lower", "upper"]].iloc[row], np.quantile(draws, [0.1, 0.9]), rtol=1e-9)


def test_a_new_pool_scatters_around_the_law_as_the_noise_says(collaboration_fit):
    at = {"parameters": [7e9] * 5, "regime": "single"}
    new = predict_draws(collaboration_fit, at).to_numpy().reshape(-1, 5)
    mean = by_hand(collaboration_fit, 7e9, "single")[:, None]
    z = (new - mean) / collaboration_fit.values()["noise_scale"][:, :1]
    for column in z.T:
        assert stats.kstest(column, stats.norm().cdf).pvalue > 1e-3
    assert abs(np.corrcoef(z.T) - np.eye(5)).max() < 4 / np.sqrt(len(z)), "fresh noise for every target"


def test_every_regime_scatters_by_its_own_scale(collaboration_fit):
    tree = collaboration_fit.tree.copy(deep=True)
    posterior = tree["posterior"].to_dataset()
    factor = xr.DataArray([1.0, 3.0, 9.0], coords={"regime": list(REGIMES)}, dims="regime")
    tree["posterior"] = xr.DataTree(posterior.assign(noise_scale=0 * posterior["noise_scale"] + 0.1 * factor))
    at = {"parameters": 7e9, "regime": list(REGIMES)}
    apart = predict_draws(Fit(tree), at) - predict_draws(Fit(tree), at, kind="mean")
    np.testing.assert_allclose(apart.std(("chain", "draw")), [0.1, 0.3, 0.9], rtol=0.05)


def test_new_losses_of_a_log_response_scatter_in_proportion(chinchilla_fit):
    at = {"parameters": [1e8, 1e10], "training_tokens": 1e11}
    new = predict_draws(chinchilla_fit, at).to_numpy().reshape(-1, 2)
    mean = predict_draws(chinchilla_fit, at, kind="mean").to_numpy().reshape(-1, 2)
    values = chinchilla_fit.values()
    z = np.log(new / mean) / values["noise_scale"][:, None]
    probability = stats.t(values["degrees_of_freedom"][:, None]).cdf(z)
    for column in probability.T:
        assert stats.kstest(column, stats.uniform().cdf).pvalue > 1e-3


def test_quantiles_and_draws_are_of_one_kind(power_fit):
    at = {"parameters": [1e9, 1e12], "family": ["alder", "new"]}
    for kind in ("mean", "new"):
        draws = predict_draws(power_fit, at, kind=kind, seed=5)
        frame = predict(power_fit, at, kind=kind, seed=5, interval=0.5)
        assert draws.dims == ("chain", "draw", "target")
        assert draws.shape == (4, 1000, 2)
        flat = draws.to_numpy().reshape(-1, 2)
        np.testing.assert_allclose(frame["mean"], flat.mean(0))
        np.testing.assert_allclose(frame[["lower", "upper"]], np.quantile(flat, [0.25, 0.75], axis=0).T)
        assert draws.attrs == {"unit": power_fit.unit, "kind": kind, "samples": "all" if kind == "mean" else "same"}
        assert list(draws["family"].to_numpy()) == ["alder", "new"]


@pytest.mark.parametrize("name", ["collaboration_fit", "power_fit"])
def test_the_mean_falls_with_the_budget_and_bands_widen_outside(request, name):
    fitted = request.getfixturevalue(name)
    sizes = fitted.observations.covariates["parameters"]
    budgets = np.geomspace(sizes.min(), sizes.max() * 1e5, 25)
    for group in fitted.model.groups:
        means = predict(fitted, {"parameters": budgets, fitted.law.group: group}, kind="mean")
        news = predict(fitted, {"parameters": budgets, fitted.law.group: group}, kind="new")
        assert (np.diff(means["mean"]) < 0).all()
        assert (width(news) > width(means)).all()
        own = sizes[fitted.model.group_index == fitted.model.groups.index(group)]
        inside = predict(
            fitted, {"parameters": float(np.exp(np.log(own).mean())), fitted.law.group: group}, kind="mean"
        )
        outside = budgets > own.max()
        assert (np.diff(means["extrapolation"][outside]) > 0).all()
        assert (np.diff(width(means)[outside]) > 0).all()
        assert width(means)[-1] > 1.5 * width(inside)[0]
        assert width(news)[-1] > predict(fitted, {"parameters": own.mean(), fitted.law.group: group}).pipe(width)[0]


def test_regimes_differ(collaboration_fit):
    frame = predict(collaboration_fit, {"parameters": 1e10}, kind="mean").set_index("regime")
    assert list(frame.index) == list(REGIMES)
    for better, worse in itertools.pairwise(reversed(REGIMES)):
        assert frame["upper"][better] < frame["lower"][worse]


@settings(deadline=None, max_examples=20)
@given(levels=st.lists(st.floats(0.01, 0.99), min_size=2, max_size=4, unique=True).map(sorted))
def test_intervals_are_nested(tiny_fit, levels):
    frames = [predict(tiny_fit, {"parameters": 1e10}, interval=level).iloc[0] for level in levels]
    for inner, outer in itertools.pairwise(frames):
        assert outer["lower"] <= inner["lower"] <= inner["median"] <= inner["upper"] <= outer["upper"]
        assert inner["mean"] == outer["mean"]


def test_an_interval_holds_its_share_of_new_losses(collaboration_fit):
    """The band at the rows fitted holds about as many of their losses as its level says.

    Rather more: rows fitted are nearer to the law than pools of other models, for which the band is.
    """
    rows = collaboration_fit.observations
    at = {"parameters": rows.covariates["parameters"], "regime": rows.groups["regime"]}
    frame = predict(collaboration_fit, at, interval=0.8)
    inside = (frame["lower"] < rows.loss) & (rows.loss < frame["upper"])
    assert 0.7 < inside.mean() < 0.95


def test_a_new_family_is_drawn_from_the_population(partial_fit):
    values, rng = partial_fit.values(), np.random.default_rng(0)
    frame = predict(partial_fit, {"parameters": 1e10, "family": ["alder", "birch", "cedar", "new"]}, kind="mean")
    assert width(frame)[3] > 2 * width(frame)[:3].max()
    for parameter in partial_fit.model.parameters:
        drawn = new_group_draws(values, parameter, rng)
        population, spread = values[parameter.name + "_population"], values[parameter.name + "_spread"]
        z = np.log(drawn / population) / spread
        assert stats.kstest(z, stats.norm().cdf).pvalue > 1e-3


def test_two_targets_of_one_new_family_share_its_law(partial_fit):
    draws = predict_draws(partial_fit, {"parameters": [1e10, 1.01e10], "family": "new"}, kind="mean")
    one, other = draws.to_numpy().reshape(-1, 2).T
    assert np.corrcoef(one, other)[0, 1] > 0.999


def test_the_same_seed_predicts_the_same(partial_fit):
    at = {"parameters": [1e10, 1e11], "family": "new"}
    pd.testing.assert_frame_equal(predict(partial_fit, at, seed=4), predict(partial_fit, at, seed=4))
    for kind, family in (("mean", "new"), ("new", "alder")):
        one, other = (
            predict(partial_fit, {**at, "family": family}, kind=kind, seed=seed)["mean"][0] for seed in (4, 5)
        )
        assert one != other


def test_a_parameter_of_one_value_is_shared_with_a_new_family(power_fit):
    targets = read_targets(power_fit, {"parameters": 1e10, "family": "new"})
    mean, _ = law_draws(power_fit, targets, seed=0)
    assert np.isfinite(mean).all()
    assert mean.shape == (4000, 1)


@pytest.mark.slow
def test_a_regime_that_was_not_seen_is_drawn_from_the_population(unseen_fit):
    frame = predict(unseen_fit, {"parameters": 1e10, "regime": list(REGIMES)}, kind="mean").set_index("regime")
    assert frame.pipe(width)[2] > 3 * frame.pipe(width)[:2].max()
    assert list(predict(unseen_fit, {"parameters": 1e10})["regime"]) == ["single", "homogeneous"]
    new = predict(unseen_fit, {"parameters": 1e10, "regime": "heterogeneous"}, kind="new")
    assert np.isfinite(new[["mean", "lower", "upper"]].to_numpy(dtype=float)).all()


def test_groups_that_are_not_named_are_all_predicted(power_fit, tiny_fit):
    frame = predict(power_fit, {"parameters": [1e9, 1e10]})
    assert list(frame["family"]) == [*power_fit.model.groups, "new"] * 2
    assert "family" not in predict(tiny_fit, {"parameters": 1e9})
    assert "family" not in predict(tiny_fit, {"parameters": 1e9, "family": "anything"})


def test_members_are_a_pool(collaboration_fit):
    frame = predict(collaboration_fit, {"members": ["70e9:llama,7e9:mistral", "7e9:a, 7e9:a", "1e9:a"]}, kind="mean")
    assert list(frame["parameters"]) == [77e9, 14e9, 1e9]
    assert list(frame["regime"]) == ["heterogeneous", "homogeneous", "single"]
    same = predict(collaboration_fit, {"parameters": 77e9, "regime": "heterogeneous"}, kind="mean")
    assert frame["mean"][0] == pytest.approx(same["mean"][0], rel=1e-12)
    assert frame["members"][0] == "70e9:llama,7e9:mistral"
    given_one_by_one = [["70e9:llama", "7e9:mistral"], ("7e9:a", "7e9:a"), "1e9:a"]
    again = predict(collaboration_fit, {"members": given_one_by_one}, kind="mean")
    assert list(again["mean"]) == list(frame["mean"])


def test_a_member_of_a_law_of_models_is_its_family(power_fit):
    frame = predict(power_fit, {"members": ["1e9:alder", "1e9:unheard"]}, kind="mean")
    assert list(frame["family"]) == ["alder", "new"]
    with pytest.raises(InputError, match="predicts single models"):
        predict(power_fit, {"members": "1e9:alder,1e9:birch"})


def test_every_row_says_what_it_is(chinchilla_fit):
    frame = predict(chinchilla_fit, {"parameters": [1e9], "training_tokens": [1e11]}, kind="new", interval=0.95)
    assert list(frame.columns) == [
        "parameters",
        "training_tokens",
        "kind",
        "samples",
        "interval",
        "interval_kind",
        "unit",
        "mean",
        "median",
        "lower",
        "upper",
        "extrapolation",
    ]
    assert frame.iloc[0][["kind", "interval", "interval_kind", "unit"]].to_list() == [
        "new",
        0.95,
        "equal-tailed",
        "nats",
    ]


def test_a_frame_is_taken_as_columns(power_fit):
    table = pd.DataFrame({"parameters": [1e9, 2e9], "family": ["alder", "birch"]}, index=[7, 9])
    frame = predict(power_fit, table)
    expected = predict(power_fit, {"parameters": [1e9, 2e9], "family": ["alder", "birch"]})
    np.testing.assert_array_equal(frame["mean"], expected["mean"])


def test_extrapolation_is_in_ranges_of_log_budget(chinchilla_fit, collaboration_fit):
    size, tokens = (chinchilla_fit.observations.covariates[name] for name in ("parameters", "training_tokens"))
    span = np.ptp(np.log(size))
    at = {
        "parameters": [size.min(), size.max() * np.exp(span / 2), size.min() * np.exp(-span), size.max()],
        "training_tokens": [
            tokens.max(),
            tokens.max(),
            tokens.max(),
            tokens.max() * np.exp(2 * np.ptp(np.log(tokens))),
        ],
    }
    found = extrapolation(chinchilla_fit, read_targets(chinchilla_fit, at))
    np.testing.assert_allclose(found, [0, 0.5, 1, 2], atol=1e-9)
    largest = {}
    for regime in ("single", "homogeneous"):
        rows = collaboration_fit.observations
        own = rows.covariates["parameters"][rows.groups["regime"] == regime]
        largest[regime] = own.max()
        beyond = read_targets(collaboration_fit, {"parameters": own.max() * 2, "regime": regime})
        assert extrapolation(collaboration_fit, beyond)[0] == pytest.approx(np.log(2) / np.ptp(np.log(own)))
    assert largest["single"] != largest["homogeneous"]


def test_a_family_not_seen_lies_further_than_the_others(power_fit):
    budget = float(power_fit.observations.covariates["parameters"].max())
    known = str(power_fit.model.groups[0])
    at = {"parameters": [budget, budget, 10 * budget], "family": [known, NEW_FAMILY, NEW_FAMILY]}
    of_known, inside, beyond = extrapolation(power_fit, read_targets(power_fit, at))
    assert of_known < inside == 1
    assert beyond > inside


@pytest.mark.parametrize(
    ("at", "options", "said"),
    [
        ({"parameters": 0}, {}, "parameters is 0"),
        ({"parameters": [1e9, -7e9]}, {}, "parameters is -7"),
        ({"parameters": float("nan")}, {}, "parameters is nan"),
        ({"parameters": float("inf")}, {}, "parameters is inf"),
        ({"parameters": "many"}, {}, "parameters is 'many'"),
        ({"parameters": None}, {}, "parameters is"),
        ({"regime": "single"}, {}, "parameters is not given"),
        ({"parameters": 1e9, "regime": "mixed"}, {}, "regime 'mixed' is not known"),
        ({"parameters": 1e9, "regime": "new"}, {}, "regime 'new' is not known"),
        ({"parameters": 1e9, "regime": "heterogenous"}, {}, "use 'heterogeneous'"),
        ({"parameters": 1e9, "regime": None}, {}, "regime"),
        ({"parameters": 1e9, "family": "alder"}, {}, "no prediction at 'family'"),
        ({"parmeters": 1e9}, {}, "use 'parameters'"),
        ({"parameters": [1e9, 2e9], "regime": ["single"] * 3}, {}, "parameters: 2, regime: 3"),
        ({"parameters": []}, {}, "parameters have no rows"),
        ({}, {}, "no columns"),
        ({"members": "7e9"}, {}, "member '7e9'"),
        ({"members": "7e9:a,-1:b"}, {}, "member '-1:b'"),
        ({"members": "7e9:a,"}, {}, "member ''"),
        ({"members": "7e9:a", "parameters": 1e9}, {}, "both parameters and members"),
        ({"members": "7e9:a", "regime": "heterogeneous"}, {}, "the members '7e9:a' make a single pool"),
        (
            {"members": ["7e9:a", "7e9:a,1e9:b"], "regime": "single"},
            {},
            "the members '7e9:a,1e9:b' make a heterogeneous pool",
        ),
        ({"parameters": 1e9}, {"interval": 1.0}, "the interval is 1.0"),
        ({"parameters": 1e9}, {"interval": 0}, "the interval is 0"),
        ({"parameters": 1e9}, {"interval": -0.5}, "the interval is -0.5"),
        ({"parameters": 1e9}, {"interval": 90}, "the interval is 90"),
        ({"parameters": 1e9}, {"kind": "pool"}, "kind 'pool'"),
    ],
)
def test_what_cannot_be_predicted_is_refused(collaboration_fit, at, options, said):
    with pytest.raises(InputError, match=re.escape(said)):
        predict(collaboration_fit, at, **options)


def test_an_unknown_family_is_refused(power_fit):
    with pytest.raises(InputError, match=r"family 'aldr' is not known.*"):
        predict(power_fit, {"parameters": 1e9, "family": "aldr"})


@pytest.mark.slow
def test_separate_families_say_nothing_of_a_new_one():
    with quick_fits():
        separate = fit(PowerLaw(pooling="separate"), family_table(sizes=np.geomspace(1e8, 5e10, 5)), draws=50, chains=1)
    with pytest.raises(InputError, match="separate in every group"):
        predict(separate, {"parameters": 1e9, "family": "new"})
    assert list(predict(separate, {"parameters": 1e9})["family"]) == ["alder", "birch", "cedar"]
    assert predict_draws(separate, {"parameters": 1e9, "family": "alder"}).shape == (1, 50, 1)


@given(
    st.lists(st.tuples(st.integers(1, 10**12), st.text("abc-_. 5", min_size=1).map(str.strip).filter(bool)), min_size=1)
)
def test_members_are_read_back(members):
    text = ", ".join(f"{count}:{family}" for count, family in members)
    assert parse_members(text) == [(float(count), family) for count, family in members]
    families = {family for _, family in members}
    expected = "single" if len(members) == 1 else "homogeneous" if len(families) == 1 else "heterogeneous"
    assert regime_of([family for _, family in members]) == expected
