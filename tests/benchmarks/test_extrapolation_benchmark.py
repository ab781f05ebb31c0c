"""The extrapolation benchmark: its split, its scores, its baseline, and what it prints."""

import importlib.util
import json
import sys
from itertools import combinations
from math import comb
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pool_tables import loss_table, plain_pool
from scipy import integrate, optimize, stats

import bayeslaw as bl
from bayeslaw.errors import InputError

pytestmark = pytest.mark.tools

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def load(name):
    specification = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module


# In this order, since each imports those before it by name.
scoring, protocol, laws, benchmark = (load(f"extrapolation{part}") for part in ("_scores", "_protocol", "_laws", ""))

CUT = 1e9


def curve(n, floor, amplitude, exponent):
    return np.exp(floor) + np.exp(amplitude - np.exp(exponent) * np.log(n / 1e9))


def power_table(models=9, samples=40, seed=0, noise=0.3, **others):
    """Return a table near a power law of two families, its sizes on either side of the cut."""
    generator = np.random.default_rng(seed)
    parameters = np.round(1e9 * np.geomspace(0.04, 4, models))[generator.permutation(models)]
    means = 1.5 + 1.2 * (parameters / 1e9) ** -0.3
    nll = means * generator.lognormal(0, noise, (samples, models))
    families = [f"f{model % 2}" for model in range(models)]
    return loss_table(nll, families=families, parameters=parameters, **others)


def members_of(rows):
    return [tuple(member for member in row if member >= 0) for row in rows.tolist()]


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(1, 5))
def test_combinations_are_found_by_their_rank(models, size):
    ranks = range(comb(models, size))
    found = [protocol.combination_at(rank, models, size) for rank in ranks]
    assert found == list(combinations(range(models), size))


def test_few_models_give_every_pool_up_to_five():
    members = members_of(protocol.training_members(np.array(["a", "b", "a", "b", "c", "c"]), np.random.default_rng(0)))
    assert members == sorted(pool for size in range(1, 6) for pool in combinations(range(6), size))


def test_many_models_give_a_sample_and_the_first_pools_of_one_family():
    families, generator, plain = np.array(["a", "b"] * 9), np.random.default_rng(3), np.random.default_rng(3)
    members = members_of(protocol.training_members(families, generator))
    expected = {(model,) for model in range(18)}
    for size in range(2, 6):
        every = list(combinations(range(18), size))
        drawn = plain.choice(len(every), 800, replace=False) if len(every) > 800 else range(len(every))
        expected |= {every[row] for row in drawn}
        expected |= set([pool for pool in every if len(set(families[list(pool)])) == 1][:200])
    assert members == sorted(expected)
    # The targets are drawn next, and so must find the generator as the plain draws leave it.
    assert generator.random() == plain.random()


def test_every_target_holds_a_larger_model_and_sizes_are_even():
    larger = np.arange(8) >= 4
    members = members_of(protocol.target_members(larger, 2000, np.random.default_rng(0)))
    assert all(larger[list(pool)].any() and pool == tuple(sorted(set(pool))) for pool in members)
    sizes = np.bincount([len(pool) for pool in members], minlength=6)[1:]
    # A size is kept as often as a pool of it holds one of the four larger ones of eight.
    kept = np.array([1 - comb(4, size) / comb(8, size) for size in range(1, 6)])
    assert stats.chisquare(sizes, 2000 * kept / kept.sum()).pvalue > 1e-3


def test_targets_of_fewer_than_five_models():
    members = members_of(protocol.target_members(np.array([False, True, False]), 50, np.random.default_rng(0)))
    assert max(len(pool) for pool in members) == 3


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_nothing_of_larger_models_reaches_the_task(seed):
    table = power_table(seed=seed)
    table.attrs["truth"] = json.dumps({"losses": {"m0": 1.0}})
    task = protocol.split_at(table, CUT, targets=30).task
    larger = table["parameters"].to_numpy() > CUT
    assert task.losses["lm"].to_numpy().tolist() == table["lm"].to_numpy()[~larger].tolist()
    assert task.pools["lm"].to_numpy().tolist() == task.losses["lm"].to_numpy().tolist()
    assert "truth" not in task.losses.attrs
    assert "truth" in table.attrs
    # Whatever the larger models lose, the task is the same, to the last bit.
    spoilt = table.assign(nll=table["nll"].where(~(table["parameters"] > CUT), 77.0))
    other = protocol.split_at(spoilt, CUT, targets=30).task
    assert other.losses.identical(task.losses.assign_attrs(other.losses.attrs))
    assert other.pools.identical(task.pools)
    assert other.targets == task.targets


def test_losses_of_targets_are_those_of_their_members():
    table = power_table(sizes=np.arange(1, 41), clusters=np.arange(40) // 4)
    split = protocol.split_at(table, CUT, targets=60)
    names = table["lm"].to_numpy().tolist()
    for pool, loss in zip(split.task.targets, split.target_losses, strict=True):
        positions = [names.index(member.name) for member in pool]
        assert loss == pytest.approx(plain_pool(table, positions, "oracle")[0], rel=1e-12)
        assert [member.parameters for member in pool] == table["parameters"].to_numpy()[positions].tolist()
        assert [member.family for member in pool] == table["family"].to_numpy()[positions].tolist()


def test_training_pools_are_those_of_make_pools():
    table = power_table(sizes=np.arange(1, 41), clusters=np.arange(40) // 4)
    task = protocol.split_at(table, CUT, targets=5).task
    made = bl.make_pools(task.losses, max_size=5).sel(pool=task.pools["pool"].to_numpy())
    assert task.pools.sizes["pool"] == made.sizes["pool"] > 10
    for name in task.pools.data_vars:
        if task.pools[name].dtype.kind == "f":
            np.testing.assert_allclose(task.pools[name], made[name], rtol=1e-10, atol=1e-12)
        else:
            assert (task.pools[name].to_numpy() == made[name].to_numpy()).all(), name


@pytest.mark.parametrize(("cut", "problem"), [(1e12, "no model is larger"), (1.0, "every model is larger")])
def test_a_cut_outside_the_sizes_is_refused(cut, problem):
    with pytest.raises(InputError, match=problem):
        protocol.split_at(power_table(), cut)


def test_a_model_of_the_size_of_the_cut_is_known():
    table = power_table()
    sizes = np.sort(table["parameters"].to_numpy())
    assert protocol.split_at(table, sizes[5], targets=5).task.losses.sizes["lm"] == 6


@settings(deadline=None)
@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(0.1, 3))
def test_crps_of_a_normal_is_its_integral(loss, mean, deviation):
    below = integrate.quad(lambda x: stats.norm.cdf(x, mean, deviation) ** 2, -np.inf, loss)[0]
    above = integrate.quad(lambda x: stats.norm.sf(x, mean, deviation) ** 2, loss, np.inf)[0]
    found = scoring.NormalPrediction(np.array([mean]), np.array([deviation])).crps(np.array([loss]))
    assert found[0] == pytest.approx(below + above, abs=1e-6)


@settings(deadline=None)
@given(st.integers(2, 7), st.integers(0, 100))
def test_crps_of_draws_is_that_of_all_their_pairs(count, seed):
    generator = np.random.default_rng(seed)
    draws, losses = 1e6 + generator.standard_normal((count, 3)), 1e6 + generator.standard_normal(3)
    pairs = np.abs(draws[:, None] - draws[None]).sum((0, 1)) / (count * (count - 1))
    expected = np.abs(draws - losses).mean(0) - pairs / 2
    np.testing.assert_allclose(scoring.DrawnPrediction(draws).crps(losses), expected, atol=1e-8)


def test_crps_of_few_draws_is_on_average_that_of_their_distribution():
    generator = np.random.default_rng(0)
    draws = generator.standard_normal((2, 40_000))
    losses = np.full(40_000, 0.7)
    exact = scoring.NormalPrediction(np.zeros(1), np.ones(1)).crps(losses[:1])[0]
    found = scoring.DrawnPrediction(draws).crps(losses)
    assert abs(found.mean() - exact) < 4 * found.std() / 200


def test_coverage_and_width_of_a_right_distribution():
    generator = np.random.default_rng(0)
    mean, deviation = generator.normal(0, 5, 4000), generator.uniform(0.5, 2, 4000)
    losses = generator.normal(mean, deviation)
    draws = generator.normal(mean, deviation, (800, 4000))
    for prediction in (scoring.NormalPrediction(mean, deviation), scoring.DrawnPrediction(draws)):
        scores = scoring.score(prediction, losses)
        assert scores.coverage90 == pytest.approx(0.9, abs=0.02)
        assert scores.width90 == pytest.approx(2 * 1.645 * deviation.mean(), rel=0.01)
        assert scores.rmse == pytest.approx(np.sqrt(np.mean(deviation**2)), rel=0.05)


def test_predictions_without_sense_are_not_scored():
    losses = np.ones(3)
    with pytest.raises(ValueError, match="not finite"):
        scoring.score(scoring.NormalPrediction(np.array([1.0, np.nan, 1.0]), np.ones(3)), losses)
    with pytest.raises(ValueError, match="shape"):
        scoring.score(scoring.DrawnPrediction(np.ones((5, 2))), losses[:2].repeat(2))


def plain_baseline(table, cut, targets):
    """Scores of least squares with nothing shared with the benchmark, all pools below the cut being training pools."""
    nll, count, family = (table[name].to_numpy() for name in ("nll", "parameters", "family"))
    generator = np.random.default_rng(1)
    drawn = []
    while len(drawn) < targets:
        pool = generator.choice(len(count), generator.integers(1, 6), replace=False)
        drawn += [pool] if count[pool].max() > cut else []
    small = np.flatnonzero(count <= cut)
    known = [np.array(pool) for size in range(1, 6) for pool in combinations(small, size)]

    def rows(pools, kind):
        own = [pool for pool in pools if (1 if len(pool) == 1 else 1 + len(set(family[pool]))) == kind]
        return np.array([count[pool].sum() for pool in own]), np.array([nll[:, pool].min(1).mean() for pool in own])

    errors, deviations = [], []
    for kind in (1, 2, 3):
        (n, y), (budget, loss) = rows(known, kind), rows(drawn, kind)
        starts = [(np.log(f * y.mean()), np.log(0.4 * y.mean()), np.log(r)) for f in (0.2, 0.5) for r in (0.1, 0.3)]
        found = [optimize.curve_fit(curve, n, y, start, method="trf", ftol=1e-12)[0] for start in starts]
        best = min(found, key=lambda theta: np.sum((curve(n, *theta) - y) ** 2))
        errors.append(loss - curve(budget, *best))
        deviations.append(np.full(len(loss), np.std(curve(n, *best) - y)))
    error, sd = np.concatenate(errors), np.concatenate(deviations)
    z = error / sd
    crps = sd * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))
    inside = np.abs(error) < 1.645 * sd
    return np.sqrt(np.mean(error**2)), crps.mean(), inside.mean(), 3.29 * sd.mean()


def test_least_squares_is_the_plain_one():
    table = power_table(models=11, samples=400, noise=0.05)
    split = protocol.split_at(table, CUT, targets=300)
    scores = scoring.score(laws.least_squares(split.task), split.target_losses)
    found = scores.rmse, scores.crps, scores.coverage90, scores.width90
    np.testing.assert_allclose(found, plain_baseline(table, CUT, 300), rtol=1e-3)


def test_least_squares_finds_a_law_without_noise():
    parameters = np.geomspace(1e7, 1e11, 12)
    losses = 1.3 + 0.8 * (parameters / 1e9) ** -0.4
    logarithms, deviation = laws.fit_power_curve(parameters, losses)
    np.testing.assert_allclose(np.exp(logarithms), [1.3, 0.8, 0.4], rtol=1e-4)
    assert deviation < 1e-5


def test_a_regime_with_too_few_pools_takes_the_curve_of_all():
    table = power_table(models=9)
    # One pair of one family: no other homogeneous pool below the cut.
    families = np.array([f"f{model}" for model in range(9)])
    small = np.flatnonzero(table["parameters"].to_numpy() <= CUT)
    families[small[:2]] = "pair"
    larger = np.flatnonzero(table["parameters"].to_numpy() > CUT)
    families[larger] = "pair"
    task = protocol.split_at(table.assign(family=("lm", families)), CUT, targets=200).task
    rows = protocol.regimes(task.targets) == "homogeneous"
    assert rows.any()
    everything = laws.fit_power_curve(task.pools["parameters"].to_numpy(), task.pools["loss"].to_numpy())
    prediction = laws.least_squares(task)
    budgets = protocol.total_parameters(task.targets)[rows]
    np.testing.assert_allclose(prediction.mean[rows], laws.power_curve(everything[0], budgets))
    np.testing.assert_allclose(prediction.deviation[rows], everything[1])


def test_one_family_leaves_the_collaboration_law_out():
    table = power_table().assign(family=("lm", ["alone"] * 9))
    split = protocol.split_at(table, CUT, targets=20)
    two = {name: laws.LAWS[name] for name in ("least_squares", "collaboration")}
    record = benchmark.compete(split, CUT, two).record()
    assert record["recommended"] == "joint"
    assert list(record["laws"]) == ["least_squares"]
    assert "one family" in record["refused"]["collaboration"]


def test_collaboration_predicts_every_target():
    split = protocol.split_at(power_table(samples=400, noise=0.05), CUT, targets=40)
    prediction = laws.collaboration(split.task)
    scores = scoring.score(prediction, split.target_losses)
    assert prediction.draws.shape == (4000, 40)
    assert scores.crps < 0.5 * split.target_losses.std() + 0.1
    lower, upper = prediction.band()
    assert (lower < upper).all()


def write_csv(folder, table):
    frame = table["nll"].to_pandas()
    frame.reset_index().to_csv(folder / "losses.csv", index=False)
    models = table[["family", "parameters"]].to_dataframe().rename_axis("model").reset_index()
    models.to_csv(folder / "models.csv", index=False)
    return ["--losses", str(folder / "losses.csv"), "--models", str(folder / "models.csv")]


def test_json_is_a_list_with_an_object_for_every_cut(tmp_path, capsys):
    given_files = write_csv(tmp_path, power_table())
    cuts = ["--cut", "5e8", "--cut", "1e9"]
    assert benchmark.main([*given_files, *cuts, "--law", "least_squares", "--json"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert [record["cut"] for record in records] == [5e8, 1e9]
    for record in records:
        assert set(record) == {"cut", "pools", "recommended", "laws"}
        assert (record["pools"], record["recommended"]) == (1500, "joint")
        assert set(record["laws"]["least_squares"]) == {"rmse", "crps", "coverage90", "width90", "seconds"}
    split = protocol.split_at(power_table(), 1e9)
    scores = scoring.score(laws.least_squares(split.task), split.target_losses)
    assert records[1]["laws"]["least_squares"]["crps"] == pytest.approx(scores.crps, rel=1e-9)


def test_the_table_shows_each_law_and_cut(tmp_path, capsys):
    given_files = write_csv(tmp_path, power_table())
    assert benchmark.main([*given_files, "--cut", "5e8", "1e9", "--law", "least_squares"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("1500 targets") == 2
    assert "least_squares over 2 cuts: CRPS ratio 1.000" in shown


def test_missing_losses_are_refused_or_dropped(tmp_path, capsys):
    table = power_table()
    table["nll"][3, 2] = np.nan
    given_files = [*write_csv(tmp_path, table), "--cut", "1e9", "--law", "least_squares"]
    assert benchmark.main(given_files) == 2
    assert "drop-models" in capsys.readouterr().err
    assert benchmark.main([*given_files, "--missing", "drop-models"]) == 0
    captured = capsys.readouterr()
    assert "of 8 models" in captured.out
    assert "m2" in captured.err
