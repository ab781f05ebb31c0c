"""Pools of known and new models by the joint law: simulation, targets and the whole way from table to band."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from forms import few_or_many
from hypothesis import given, settings
from hypothesis import strategies as st
from joint_cases import small_losses, small_model, some_values
from typer.testing import CliRunner

import bayeslaw as bl
from bayeslaw.cli import app
from bayeslaw.diagnosis.joint_pool_check import check_pools
from bayeslaw.joint.dependence_at_draws import DependenceAtDraws
from bayeslaw.joint.drawn_pools import draw_pools
from bayeslaw.joint.hypothetical import NewModel
from bayeslaw.joint.joint_model import JointModel
from bayeslaw.joint.new_columns import NewColumns
from bayeslaw.joint.sample_scales import SampleScales, sample_scales
from bayeslaw.joint.shifted_losses import with_means
from bayeslaw.prediction.joint_targets import pool_extrapolation, read_pool

NEW = NewModel(3e11, "unseen")


@pytest.fixture(scope="module")
def losses() -> xr.Dataset:
    return small_losses()


@pytest.fixture(scope="module")
def model() -> JointModel:
    return small_model()


def repeated(model: JointModel, count: int = 40) -> dict[str, np.ndarray]:
    """Return some values, the same at every draw."""
    return {name: np.repeat(value[None], count, axis=0) for name, value in some_values(model).items()}


@pytest.mark.parametrize("rule", ["oracle", "mixture", "stacked", "best"])
def test_pools_of_known_models_have_the_losses_of_the_table(model: JointModel, losses: xr.Dataset, rule: str) -> None:
    names = [str(name) for name in model.table.names]
    pools = [[names[0]], [names[1], names[6]], [names[2], names[3], names[7]]]
    drawn = draw_pools(model, repeated(model, 2), pools, rule=rule)
    weight = float(bl.sample_weights(losses).sum())
    expected = [model.table.scale * float(bl.combine(losses, pool, rule=rule).sum()) / weight for pool in pools]
    np.testing.assert_allclose(drawn, np.broadcast_to(expected, (2, 3)), rtol=1e-5)


def test_a_pool_loses_no_more_than_its_members_and_less_with_one_more(model: JointModel) -> None:
    names = [str(name) for name in model.table.names]
    pools = [[NEW], [names[0]], [NEW, names[0]], [NEW, names[0], names[5]]]
    new, known, both, three = draw_pools(model, repeated(model), pools).T
    assert (both <= np.minimum(new, known) + 1e-6).all()
    assert (three <= both + 1e-6).all()
    mixture = draw_pools(model, repeated(model), pools, rule="mixture")
    assert (mixture[:, 2] >= both - 1e-6).all()
    assert (mixture[:, 2] <= both + np.log(2) * model.table.scale * len(model.table.weights)).all()


def test_new_samples_move_known_pools_and_same_samples_do_not(model: JointModel) -> None:
    pool = [[str(model.table.names[0]), str(model.table.names[5])]]
    same = draw_pools(model, repeated(model, 200), pool)
    new = draw_pools(model, repeated(model, 200), pool, samples="new")
    assert np.ptp(same) == 0
    names = [str(name) for name in model.table.names]
    expected = bl.pools_of(small_losses(), [pool[0]])["standard_error"].item()
    assert new.std() == pytest.approx(expected, rel=0.25), names


def test_new_columns_have_the_means_drawn(model: JointModel) -> None:
    scales = SampleScales(np.ones(240), 8, np.inf)
    columns = NewColumns(model, scales, np.array([2.0, 4.0]), np.array([0, len(model.groups)]))
    share = model.table.weights / model.table.weights.sum()
    for losses, means in columns.draw(repeated(model, 5), np.random.default_rng(1)):
        np.testing.assert_allclose(losses @ share, means, rtol=1e-6)
        assert (losses > 0).all()


@few_or_many(8, 50)
def test_shifted_losses_have_the_mean_asked_for(examples) -> None:
    @settings(max_examples=examples, deadline=None)
    @given(
        mean=st.floats(0.05, 20.0), spread=st.floats(0.05, 2.0), link=st.sampled_from(["log", "softplus", "identity"])
    )
    def check(mean: float, spread: float, link: str) -> None:
        model = small_model(link)
        table = model.table
        latent = spread * np.random.default_rng(0).normal(size=(1, len(table.weights)))
        share = table.weights / table.weights.sum()
        for precision in (np.float64, np.float32):
            losses = with_means(table, latent.astype(precision), np.array([mean]))
            assert losses.dtype == precision
            assert (losses @ share).item() == pytest.approx(mean, rel=2e-6)
            # They are a shift of what was given, up to what is scaled.
            shift = table.link.array_latent(losses.astype(float)) - latent
            middle = np.abs(latent) < 1
            assert np.ptp(shift[middle]) < 1e-3 * max(1.0, mean)

    check()


def test_a_copy_of_a_known_model_behaves_like_it(model: JointModel) -> None:
    values = some_values(model)
    values |= {"own_level": np.asarray(-30.0), "own_slope": np.asarray(0.0), "own_spread": np.asarray(1e-3)}
    table, dependence = model.table, model.dependence
    one = DependenceAtDraws(dependence, {name: np.asarray(value)[None] for name, value in values.items()})
    ((weights,), (factor,)) = one.conditional(table.quality[None, 2:3], table.family[2:3], np.zeros((1, 1)))
    assert np.argmax(weights[0]) == 2
    assert weights[0, 2] == pytest.approx(1.0, abs=1e-3)
    assert np.abs(factor).max() < 1e-2


def test_tails_are_found_where_there_are_some(model: JointModel) -> None:
    generator, count = np.random.default_rng(1), 240
    structure = 0.7 + 0.3 * np.eye(8)
    factor = np.linalg.cholesky(structure)
    scale = np.sqrt(3 / generator.chisquare(3, size=count))
    for name, heavy in (("normal", np.ones(count)), ("heavy", scale)):
        table = small_model("identity").table
        latent = (generator.normal(size=(count, 8)) @ factor.T) * heavy[:, None]
        table.__dict__["standardised"] = (latent - latent.mean(axis=0)) / latent.std(axis=0)
        found = sample_scales(JointModel(model.law, table), structure)
        assert (found.freedom < 10) == (name == "heavy")


def test_members_are_read_as_names_and_as_sizes_with_families(model: JointModel) -> None:
    name = str(model.table.names[3])
    assert read_pool(f"{name}, 70e9:llama,70e9:llama", list(model.table.names)) == [
        name,
        NewModel(70e9, "llama"),
        NewModel(70e9, "llama", "1"),
    ]


def test_a_family_not_seen_lies_further_than_one_that_was(model: JointModel) -> None:
    name, largest = str(model.table.names[3]), float(model.table.parameters.max())
    pools = [[name], [NewModel(largest, "unseen")], [NewModel(largest * np.e, "unseen")]]
    known, inside, beyond = pool_extrapolation(model, pools)
    assert known == 0
    assert inside == 1
    assert beyond == pytest.approx(1 + 1 / np.ptp(np.log(model.table.parameters)))


def test_a_prediction_does_not_depend_on_what_else_is_asked(model: JointModel) -> None:
    """A model of a family not seen has one distribution, alone and beside models of that family and of others."""
    largest = float(model.table.parameters.max())
    asked, beside = NewModel(10 * largest, "unseen"), [NewModel(largest / 1e4, "unseen"), NewModel(largest, "other")]
    values = repeated(model, 4000) | {"amplitude_spread": np.full(4000, 1e-3)}
    alone, among = (
        np.log(draw_pools(model, values, pools, seed=seed)[:, 0])
        for seed, pools in enumerate([[[asked]], [[asked], *([one] for one in beside)]])
    )
    error = np.sqrt(alone.var() / len(alone) + among.var() / len(among))
    assert abs(alone.mean() - among.mean()) < 4 * error
    assert among.std() == pytest.approx(alone.std(), rel=0.06)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("llama:7e9", "'llama' where a number"),
        ("7X:llama", "'7X' where a number"),
        ("7e9", "'7e9' has no family"),
        ("7e9:", "'7e9:' cannot be read: it has no family"),
        ("-1:llama", "-1 parameters, which is not a positive"),
        ("nan:llama", "nan parameters, which is not a positive"),
        ("7e9:llama,,7e9:mistral", "an empty one"),
        ("llama", "no model 'llama'"),
    ],
)
def test_members_that_cannot_be_read_are_named(model: JointModel, text: str, words: str) -> None:
    with pytest.raises(bl.InputError, match=words):
        read_pool(text, list(model.table.names))


def test_replicated_pools_lose_what_pools_drawn_from_the_law_do(model: JointModel) -> None:
    table = check_pools(model, repeated(model, 20), max_size=3)
    assert set(table["size"]) == {2, 3}
    assert set(table["regime"]) == {"homogeneous", "heterogeneous"}
    assert (table["lower"] < table["upper"]).all()
    first = table.iloc[0]
    names = model.table.names
    pairs = [
        [str(names[i]), str(names[j])]
        for i in range(8)
        for j in range(i)
        if (model.table.families[i] == model.table.families[j]) == (first["regime"] == "homogeneous")
    ]
    assert first["pools"] == len(pairs)
    assert first["observed"] == pytest.approx(float(bl.pools_of(small_losses(), pairs)["loss"].mean()), rel=1e-5)


def test_from_table_to_band(joint_fit: bl.Fit, losses: xr.Dataset) -> None:
    result = bl.predict(joint_fit, {"members": ["1e11:alder,5e10:unseen", "1e11:alder"]})
    assert (result["lower"] < result["median"]).all()
    assert (result["median"] < result["upper"]).all()
    assert result["median"][0] < result["median"][1]
    assert list(result["samples"]) == ["new", "new"]
    mean = bl.predict(joint_fit, {"parameters": [1e11], "family": ["alder"]}, kind="mean")
    assert mean["upper"][0] - mean["lower"][0] < result["upper"][1] - result["lower"][1]
    draws = bl.predict_draws(joint_fit, {"members": ["1e11:alder"]}, rule="mixture", samples="new")
    assert (draws["rule"].item(), draws.attrs["samples"]) == ("mixture", "new")
    assert draws.dims == ("chain", "draw", "target")


@pytest.mark.slow
def test_the_sampler_finds_its_way(read_fit) -> None:
    # Of 800 draws the largest R-hat of some forty parameters is above 1.01 by chance.
    figures = bl.diagnostics(read_fit("joint"))
    assert figures.rhat_max < 1.025
    assert figures.divergences == 0


@pytest.mark.parametrize(
    ("at", "more", "words"),
    [
        ({"members": ["1e11:alder"], "regime": ["single"]}, {}, "regime"),
        ({"members": ["1e11:alder"], "parameters": [1e9]}, {}, "members alone"),
        ({"family": ["alder"]}, {}, "no members"),
        ({"members": ["alder"]}, {}, "no model"),
        ({"members": ["1e11:alder"]}, {"rule": "stakced"}, "rule"),
        ({"members": ["1e11:alder"]}, {"kind": "mean", "samples": "new"}, "leave out samples"),
    ],
)
def test_what_cannot_be_predicted_is_said(joint_fit: bl.Fit, at: dict, more: dict, words: str) -> None:
    with pytest.raises(bl.InputError, match=words):
        bl.predict(joint_fit, at, **more)


def test_the_command_predicts_members(joint_file: Path) -> None:
    run = CliRunner().invoke(app, ["predict", str(joint_file), "--members", "70e9:alder,7e9:unseen", "--json"])
    assert run.exit_code == 0, run.output
    (row,) = json.loads(run.stdout)
    assert row["lower"] < row["median"] < row["upper"]
    assert row["regime"] == "heterogeneous"
    assert row["interval_kind"] == "equal-tailed"
    assert row["rule"] == "oracle"
    assert "families that the fit has not seen, predicted as new ones: unseen (seen: " in run.stderr
    assert "combined by the rule oracle" in run.stderr
    assert "a bound that nobody can run" in run.stderr
    assert "which --rule mixture predicts" in run.stderr
    asked = CliRunner().invoke(app, ["predict", str(joint_file), "--members", "70e9:alder", "--rule", "mixture"])
    assert "combined by the rule" not in asked.stderr


def test_what_was_observed_has_no_band_and_new_samples_have_one(joint_fit: bl.Fit, losses: xr.Dataset) -> None:
    first, second = (str(name) for name in joint_fit.model.table.names[:2])
    at = {"members": [first, f"{first},{second}", "1e11:alder"]}
    seen = bl.predict(joint_fit, at, samples="same")
    assert seen["kind"].tolist() == ["observed", "observed", "new"]
    assert seen[["lower", "upper"]].isna().to_numpy().tolist() == [[True, True], [True, True], [False, False]]
    pools = bl.pools_of(losses, [[first], [first, second]])
    np.testing.assert_allclose(seen["median"][:2], pools["loss"], rtol=1e-6)
    new = bl.predict(joint_fit, at)
    assert new["kind"].tolist() == ["new"] * 3
    assert new["samples"].tolist() == ["new"] * 3
    width = (new["upper"] - new["lower"]).to_numpy()[:2]
    np.testing.assert_allclose(width, 2 * 1.645 * pools["standard_error"].to_numpy(), rtol=0.2)


def test_rows_are_compared_draw_by_draw(joint_fit: bl.Fit) -> None:
    first, second = (str(name) for name in joint_fit.model.table.names[:2])
    at = {"members": [first, f"{first},{second}", "1e11:alder"]}
    result = bl.predict(joint_fit, at, versus=0)
    draws = bl.predict_draws(joint_fit, at).to_numpy().reshape(-1, 3)
    away = draws - draws[:, :1]
    np.testing.assert_allclose(result["difference"], np.median(away, axis=0))
    np.testing.assert_allclose(result["difference_upper"][1:], np.quantile(away, 0.95, axis=0)[1:])
    np.testing.assert_allclose(result["probability_better"][1:], (away < 0).mean(axis=0)[1:])
    assert result.loc[0, ["difference_lower", "difference_upper", "probability_better"]].isna().all()
    # A pool and its member share samples: what they differ by is known better than two bands tell.
    apart = np.hypot(*(result["upper"] - result["lower"])[:2])
    assert (result["difference_upper"] - result["difference_lower"])[1] < 0.7 * apart
    with pytest.raises(bl.InputError, match="there is no row 3"):
        bl.predict(joint_fit, at, versus=3)


def test_the_command_compares_rows_and_says_what_was_observed(joint_fit: bl.Fit, joint_file: Path) -> None:
    name = str(joint_fit.model.table.names[0])
    asked = ["predict", str(joint_file), "--members", name, "--members", "70e9:alder", "--samples", "same"]
    run = CliRunner().invoke(app, [*asked, "--versus", "1", "--json"])
    assert run.exit_code == 0, run.output
    known, new = json.loads(run.stdout)
    assert (known["kind"], known["lower"], known["upper"]) == ("observed", None, None)
    assert new["difference"] == pytest.approx(new["median"] - known["median"])
    assert new["difference_lower"] < new["difference"] < new["difference_upper"]
    shown = CliRunner().invoke(app, [*asked, "--versus", "1"]).output
    assert "observed, new, same samples" in shown
    assert "differences to row 1 of the same draws" in shown
    refused = CliRunner().invoke(app, [*asked, "--versus", "0"])
    assert refused.exit_code == 2
    assert "--versus is 0" in refused.output


@pytest.mark.slow
def test_families_that_were_seen_are_not_named(joint_file: Path) -> None:
    known = CliRunner().invoke(app, ["predict", str(joint_file), "--members", "70e9:alder", "--json"])
    assert "not seen" not in known.stderr


def test_recommended_laws(losses: xr.Dataset) -> None:
    assert bl.recommend(losses).law.name == "joint"
    assert bl.recommend(bl.make_pools(losses, max_size=2)).law.name == "collaboration"
    few = losses.isel(sample=slice(0, 10))
    assert bl.recommend(few).law.name == "power"
    assert "30" in bl.recommend(few).reason
    points = bl.models_from_frame(bl.simulate_chinchilla(points=40))
    assert bl.recommend(points).law.name == "chinchilla"
    assert bl.recommend(points.drop_vars("training_tokens")).law.name == "power"
