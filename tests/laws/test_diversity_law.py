"""The diversity law: its equation, its rows, what it recovers, and what it predicts of pools by their members."""

import json
import re
import subprocess
import sys

import jax
import numpy as np
import pytest
import xarray as xr
from forms import FORMS
from hypothesis import given, settings
from hypothesis import strategies as st
from known_gains import EFFECT, TRUTH, gain, pools_of_known_gain
from quick_fits import quick_fits

import bayeslaw as bl
from bayeslaw.fitting.fit_law import CLASS
from bayeslaw.fitting.fits import Fit
from bayeslaw.fitting.settings_file import read_config
from bayeslaw.laws import DiversityLaw, law_from_specification
from bayeslaw.laws.diversity import coefficient_names, diversity_law
from bayeslaw.plotting.gain_picture import gain_draws
from bayeslaw.pools.diversity_numbers import DIVERSITY_NUMBERS, effective_number
from bayeslaw.pools.gains import explained_shares


@pytest.fixture(scope="module")
def pools():
    return pools_of_known_gain(quality=0.3)


@pytest.fixture(scope="module", params=FORMS)
def fitted(pools, request):
    # Two short chains would be drawn again and again until they agree.
    with quick_fits(request.param):
        return bl.fit(DiversityLaw(), pools, draws=500, chains=1, seed=1)


values = st.floats(0.01, 1.5)
scores = st.floats(-2, 2)


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_the_function_is_the_equation(data):
    names = data.draw(st.lists(st.sampled_from(sorted(DIVERSITY_NUMBERS)), min_size=1, max_size=3, unique=True))
    given_scores = {name: data.draw(scores) for name in names}
    parameters = {name: data.draw(values) for name in TRUTH}
    parameters |= {name: data.draw(scores) for name in coefficient_names(names)}
    budget, size, best = data.draw(st.floats(0.01, 100)), data.draw(st.integers(2, 6)), data.draw(values)
    with jax.enable_x64(True):
        relative = [np.exp(score) for score in given_scores.values()]
        ours = float(diversity_law(budget, float(size), best, *relative, **parameters))
    assert ours == pytest.approx(best - gain(budget, size, given_scores, parameters), rel=1e-9)


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_a_gain_is_positive_and_grows_with_the_number_of_members(data):
    parameters = {name: data.draw(values) for name in TRUTH}
    parameters |= {name: data.draw(scores) for name in coefficient_names(("families",))}
    budget, relative = data.draw(st.floats(0.01, 100)), data.draw(st.floats(0.1, 10))
    with jax.enable_x64(True):
        losses = np.asarray(diversity_law(budget, np.arange(2.0, 9.0), 3.0, relative, **parameters))
    assert losses[0] < 3.0
    assert (np.diff(losses) < 0).all()


@pytest.mark.parametrize("part", ["lasting_gain", "amplitude"])
def test_a_coefficient_multiplies_its_part_per_standard_deviation(part):
    others = {name: 1e-12 if name in ("lasting_gain", "amplitude") else 0.5 for name in TRUTH} | {part: 0.2}
    zero = dict.fromkeys(coefficient_names(("families",)), 0.0)
    with jax.enable_x64(True):
        before, after = (
            float(diversity_law(1.0, 2.0, 3.0, np.exp(score), **others, **(zero | {f"families_on_{part}": 0.7})))
            for score in (0.0, 1.0)
        )
    assert (3 - after) / (3 - before) == pytest.approx(np.exp(0.7), rel=1e-6)


def test_rows_are_pools_of_two_or_more_about_their_best_members():
    losses = bl.simulate_losses(families=3, sizes=3, samples=200, clusters=20)
    pools = bl.make_pools(losses, max_size=3)
    rows = DiversityLaw(diversity=["decorrelation", "families"]).observe(pools)
    several = pools.isel(pool=pools["size"].to_numpy() > 1)
    assert list(rows.labels) == list(several["pool"].to_numpy())
    means = dict(zip(losses["lm"].to_numpy(), bl.mean_losses(losses)["loss"].to_numpy(), strict=True))
    best = [min(means[name] for name in label.split(" + ")) for label in rows.labels]
    np.testing.assert_allclose(rows.covariates["best_member_loss"], best, rtol=1e-12)
    for number in ("decorrelation", "families"):
        score = np.log(rows.covariates[f"relative_{number}"])
        raw = several[number].to_numpy()
        np.testing.assert_allclose(score, (raw - raw.mean()) / raw.std(), atol=1e-9)
        assert rows.facts[f"{number}_centre"] == pytest.approx(raw.mean())
    assert rows.reference["best_member_loss"] == rows.reference["size"] == 1.0


def test_sampling_errors_are_those_of_the_gains():
    losses = bl.simulate_losses(families=2, sizes=3, samples=300, clusters=30, seed=3)
    pools = bl.make_pools(losses, max_size=2)
    rows = DiversityLaw().observe(pools)
    nll, clusters = losses["nll"].to_numpy(), np.unique(losses["cluster"], return_inverse=True)[1]
    names, means = losses["lm"].to_numpy().tolist(), losses["nll"].to_numpy().mean(axis=0)
    for row in (0, 7):
        members = [names.index(name) for name in rows.labels[row].split(" + ")]
        best = min(members, key=lambda member: means[member])
        difference = nll[:, members].min(axis=1) - nll[:, best]
        error = bl.clustered_standard_error(difference, np.ones(len(nll)), clusters)
        ours = np.sqrt((rows.sampling_factor[row] ** 2).sum())
        assert ours == pytest.approx(float(error), rel=0.1)


def test_members_share_their_pools_alike():
    rows = DiversityLaw().observe(pools_of_known_gain())
    np.testing.assert_allclose(rows.shares.sum(axis=1), 1)
    np.testing.assert_allclose(rows.shares.max(axis=1), 1 / rows.covariates["size"])


def test_families_and_effective_families_need_no_samples():
    pools = bl.simulate_pools(families=3, sizes=3, max_size=2)
    best = np.append(pools["lm_loss"].to_numpy(), np.inf)[pools["member"].to_numpy()].min(axis=1)
    pools["loss"] = ("pool", best - 0.01)
    rows = DiversityLaw(diversity=["families", "effective_families"]).observe(pools)
    assert len(rows.loss) == 36
    with pytest.raises(bl.InputError, match="no win_entropy"):
        DiversityLaw(diversity=["win_entropy"]).observe(pools)


def test_the_parameters_are_recovered_net_of_better_members(fitted):
    """One family is better by 0.3, and so are heterogeneous pools: that must not pass for a gain."""
    draws = fitted.values()
    truth = {"effective_families_on_lasting_gain": EFFECT, "growth": TRUTH["growth"]}
    truth["lasting_gain"] = TRUTH["lasting_gain"]
    for name, wanted in truth.items():
        lower, upper = np.quantile(draws[name], [0.005, 0.995])
        assert lower < wanted < upper, name
    assert np.quantile(draws["effective_families_on_lasting_gain"], 0.01) > 0
    assert draws["effective_families_on_lasting_gain"].std() < 0.3


def test_the_claim_is_that_diverse_pools_gain_more(fitted):
    (claim,) = bl.claims(fitted)
    assert claim.claim == "pools of more effective families gain more over their own best members"
    draws = fitted.values()
    lasting_gain, amplitude = draws["lasting_gain"], draws["amplitude"]
    more = lasting_gain * np.exp(draws["effective_families_on_lasting_gain"])
    more = more + amplitude * np.exp(draws["effective_families_on_amplitude"])
    assert claim.probability == np.mean(more > lasting_gain + amplitude)
    assert claim.probability > 0.99
    assert 0.4 < claim.prior_probability < 0.6


def former(fit: Fit) -> Fit:
    """Write a fit of a diversity law as the version before did: what is left of the gain was called floor."""
    tree = fit.tree.copy()
    for group in set(tree.children) - {"members"}:
        dataset = tree[group].to_dataset()
        names = {name: str(name).replace("lasting_gain", "floor") for name in dataset.data_vars}
        tree[group].dataset = dataset.rename({name: new for name, new in names.items() if name != new})
    tree.attrs = {**tree.attrs, "law": tree.attrs["law"].replace("lasting_gain", "floor")}
    del tree.attrs[CLASS]
    return Fit(tree)


@pytest.mark.slow
def test_a_fit_of_the_version_before_is_read(fitted, tmp_path):
    old, path = former(fitted), tmp_path / "old.nc"
    assert {"floor", "effective_families_on_floor"} <= set(old.tree["prior"])
    assert '"floor": "complete"' in old.tree.attrs["law"]
    old.save(path)
    back = bl.load_fit(path)
    assert back.law == fitted.law
    assert set(back.tree["posterior"]) == set(fitted.tree["posterior"])
    at = {"members": ["7e9:alder,7e9:birch"]}
    assert bl.predict(back, at)["median"].tolist() == bl.predict(fitted, at)["median"].tolist()
    assert bl.claims(back) == bl.claims(fitted)
    assert back.members is not None
    assert "floor" in back.members.values(), "the law of members has a floor"


def test_a_fit_says_how_numbers_are_standardised_and_keeps_the_law_of_members(fitted, pools, tmp_path):
    facts = fitted.observations.facts
    words = f"z of effective_families: (effective_families - {facts['effective_families_centre']:.4g})"
    assert words in str(fitted)
    fitted.save(tmp_path / "f.nc")
    again = bl.load_fit(tmp_path / "f.nc")
    assert str(again) == str(fitted)
    assert again.law == fitted.law
    np.testing.assert_array_equal(again.members.observations.loss, pools["lm_loss"].to_numpy())
    at = {"members": ["70e9:alder,7e9:birch", "3e9:alder,9e9:cedar"]}
    one, other = (bl.predict(each, at, seed=3) for each in (fitted, again))
    np.testing.assert_allclose(one["mean"], other["mean"])


def test_known_pools_are_predicted_by_name_near_their_losses(fitted, pools):
    several = pools.isel(pool=pools["size"].to_numpy() > 1)
    names = several["pool"].to_numpy()[::10]
    bands = bl.predict(fitted, {"members": [name.replace(" + ", ",") for name in names]}, interval=0.95)
    loss = several["loss"].to_numpy()[::10]
    np.testing.assert_allclose(bands["parameters"], several["parameters"].to_numpy()[::10])
    np.testing.assert_allclose(bands["size"], several["size"].to_numpy()[::10])
    assert (bands["extrapolation"] <= 1e-9).all()
    assert ((bands["lower"] < loss) & (loss < bands["upper"])).mean() > 0.8
    np.testing.assert_allclose(bands["mean"], loss, atol=0.02)


def test_columns_predict_what_members_do(fitted, pools):
    name = pools["pool"].to_numpy()[-1]
    by_name = bl.predict(fitted, {"members": [name.replace(" + ", ",")]}, kind="mean")
    own = by_name.iloc[0]
    columns = {key: [own[key]] for key in ("parameters", "size", "best_member_loss", "effective_families", "regime")}
    np.testing.assert_allclose(bl.predict(fitted, columns, kind="mean")["mean"], by_name["mean"], rtol=1e-9)


def test_new_members_follow_the_law_of_their_family(fitted):
    """A pool's best new member is drawn by the power law of its family, and gains are taken off."""
    text = "70e9:alder,7e9:birch"
    bands = bl.predict(fitted, {"members": [text]}, kind="mean")
    members = bl.predict_draws(fitted.members, {"parameters": [70e9, 7e9], "family": ["alder", "birch"]}, kind="mean")
    best = members.to_numpy().reshape(-1, 2).min(axis=1)
    shares = np.array([[70.0, 7.0]])
    assert bands["effective_families"][0] == pytest.approx(effective_number(shares)[0])
    gained = best.mean() - bands["mean"][0]
    assert 0.01 < gained < 0.3
    new = bl.predict(fitted, {"members": [text]}, kind="new")
    assert new["upper"][0] - new["lower"][0] > bands["upper"][0] - bands["lower"][0]


@pytest.mark.parametrize(
    ("at", "options", "said"),
    [
        ({"members": ["70e9:alder"]}, {}, "one member"),
        ({"members": ["nobody,7e9:birch"]}, {}, "no model 'nobody'"),
        ({"members": ["70e9:alder,7e9:birch"], "size": [3]}, {}, "both size and members"),
        ({"members": ["70e9:alder,7e9:birch"], "regime": ["homogeneous"]}, {}, "heterogeneous pool"),
        ({"members": ["70e9:alder,7e9:birch"], "training_tokens": [1e9]}, {}, "no prediction at 'training_tokens'"),
        ({"parameters": [1e9], "size": [2], "best_member_loss": [2.0]}, {}, "effective_families of these pools"),
        (
            {"parameters": [1e9], "size": [1], "best_member_loss": [2.0], "effective_families": [1.5]},
            {},
            "pools of two or more",
        ),
        ({"members": ["70e9:alder,7e9:birch"]}, {"samples": "new"}, "new samples"),
    ],
)
def test_targets_that_cannot_be_predicted_are_refused(fitted, at, options, said):
    with pytest.raises(bl.InputError, match=re.escape(said)):
        bl.predict(fitted, at, **options)


def test_numbers_that_members_do_not_tell_are_asked_for_or_given(fitted):
    law = DiversityLaw(diversity=["decorrelation"])
    pools = pools_of_known_gain()
    several = pools["size"].to_numpy() > 1
    rng = np.random.default_rng(0)
    pools["decorrelation"] = ("pool", np.where(several, rng.uniform(0.8, 1.2, len(several)), np.nan))
    tree = fitted.tree.copy()
    rows = law.observe(pools)
    tree.attrs |= {"law": json.dumps(law.specification), "facts": json.dumps(dict(rows.facts))}
    stand_in = bl.Fit(tree)
    with pytest.raises(bl.InputError, match="members alone do not tell it"):
        bl.predict(stand_in, {"members": ["70e9:alder,7e9:birch"]})


@pytest.mark.filterwarnings("ignore:Estimated shape parameter of Pareto distribution")
def test_check_and_arviz_take_the_fit(fitted):
    from arviz_stats.loo import loo

    record = {finding.code for finding in bl.check(fitted)}
    assert "collinear-diversity" not in record
    assert np.isfinite(loo(fitted.tree).elpd)


def test_gains_are_drawn_against_diversity_with_the_law(fitted):
    figure = bl.plot_law(fitted, interval=0.8)
    numbers = [name for name in fitted.law.covariates if name.startswith("relative_")]
    rows = fitted.observations
    gains = rows.covariates["best_member_loss"] - rows.loss
    drawn = [ax for ax in figure.axes if ax.collections]
    assert len(drawn) == len(numbers) * max(len(fitted.model.groups), 1)
    for ax in drawn:
        low, high = ax.get_ylim()
        assert low < gains.min() <= gains.max() < high
        assert {line.get_label() for line in ax.lines} >= {
            f"_law {int(size)}" for size in np.unique(rows.covariates["size"])
        }
    number = numbers[0]
    drawn_gain = gain_draws(fitted, "", number, np.array([-1.0, 1.0]), 2)
    assert drawn_gain.shape == (len(fitted.values()["noise_scale"]), 2)
    assert (drawn_gain > 0).all()
    with pytest.raises(bl.InputError, match="several panels"):
        bl.plot_law(fitted, ax=figure.axes[0])


def test_collinear_numbers_are_warned_of(fitted):
    rng = np.random.default_rng(0)
    first = rng.standard_normal(200)
    second = first + 0.2 * rng.standard_normal(200)
    parameters, size = np.exp(rng.standard_normal(200)), np.full(200, 2.0)
    alone = explained_shares({"families": first}, parameters, size)
    both = explained_shares({"families": first, "win_entropy": second}, parameters, size)
    assert alone["families"] < 0.1
    correlation = np.corrcoef(first, second)[0, 1]
    assert both["families"] == pytest.approx(correlation**2, abs=0.02)
    assert min(both.values()) > 0.9
    tree = fitted.tree.copy()
    facts = {**fitted.observations.facts, "effective_families_explained": both["families"]}
    tree.attrs["facts"] = json.dumps(facts)
    found = {finding.code: finding.message for finding in bl.check(bl.Fit(tree))}
    assert "effective_families" in found["collinear-diversity"]


def test_a_specification_builds_the_same_law():
    law = DiversityLaw(
        diversity=["win_entropy", "families"],
        pooling={"lasting_gain": "partial"},
        lasting_gain="LogNormal(-3, 1)",
        families_on_lasting_gain="Normal(0, 1)",
        exponent="Normal(0, 0.3)",
    )
    copy = law_from_specification(json.loads(json.dumps(law.specification)))
    assert copy == law
    assert copy.parameter_names[-6:] == coefficient_names(("win_entropy", "families"))
    assert law != DiversityLaw(diversity=["win_entropy"])
    assert law_from_specification({"law": "diversity"}) == DiversityLaw()
    assert DiversityLaw(diversity="families").diversity == ("families",)


NEW_NUMBER = """
import numpy as np, bayeslaw as bl
from bayeslaw.pools.diversity_numbers import DIVERSITY_NUMBERS, DiversityNumber
entry = DiversityNumber("spread_of_sizes", "spread of members' sizes", lambda facts: facts.by_family.std(axis=1))
DIVERSITY_NUMBERS["spread_of_sizes"] = entry
losses = bl.load_dataset("zoo", unit="document").isel(lm=slice(0, 8))
law = bl.DiversityLaw(diversity=["spread_of_sizes"], spread_of_sizes_on_amplitude="Normal(0, 0.1)")
rows = law.observe(bl.make_pools(losses, max_size=3))
print(law.parameter_names[-3:], rows.covariates["relative_spread_of_sizes"].std() > 0)
"""


@pytest.mark.slow
def test_a_number_enters_the_law_by_its_entry_alone():
    done = subprocess.run([sys.executable, "-c", NEW_NUMBER], capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr == ""
    names = tuple(f"spread_of_sizes_on_{part}" for part in ("lasting_gain", "amplitude", "exponent"))
    assert done.stdout == f"{names} True\n"


def test_numbers_are_chosen_in_a_file(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("law: diversity\ndiversity: [decorrelation, win_entropy]\n")
    law, _ = read_config(path, None)
    assert law == DiversityLaw(diversity=["decorrelation", "win_entropy"])
    path.write_text("law: power\ndiversity: [decorrelation]\n")
    with pytest.raises(bl.InputError, match="diversity with the law diversity"):
        read_config(path, None)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"diversity": ["familys"]}, "use 'families'"),
        ({"diversity": []}, "each once"),
        ({"diversity": ["families", "families"]}, "each once"),
        ({"families_on_lasting_gain": "Normal(0, 1)"}, "priors of the numbers chosen"),
        ({"lasting_gain": "Normal(0, 1)"}, "below zero"),
        ({"growth": "Normal(0, 1)"}, "below zero"),
    ],
)
def test_laws_that_make_no_sense_are_refused(options, said):
    with pytest.raises(bl.InputError, match=re.escape(said)):
        DiversityLaw(**options)


def without_losses(pools: xr.Dataset) -> xr.Dataset:
    return pools.drop_vars("lm_loss")


def of_one_family(pools: xr.Dataset) -> xr.Dataset:
    return pools.assign(family=("lm", np.full(pools.sizes["lm"], "alder")))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: bl.simulate_losses(samples=20, clusters=5), "a table of losses"),
        (lambda p: p.isel(pool=p["size"].to_numpy() == 1), "single models only"),
        (without_losses, "what each member loses alone"),
        (of_one_family, "effective_families of every pool is 1"),
        (lambda p: p.assign(loss=p["loss"] + 10), "over their best members"),
    ],
)
def test_tables_that_tell_nothing_of_gains_are_refused(pools, change, said):
    with pytest.raises(bl.InputError, match=re.escape(said)):
        DiversityLaw().observe(change(pools))
