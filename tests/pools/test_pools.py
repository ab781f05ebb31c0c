"""Designs of pools, their dataset, their files and their command."""

import json
import os
import subprocess
import sys
import time
from itertools import pairwise
from math import comb

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pool_tables import loss_table, plain_pool, random_table, subsets
from table_files import from_elsewhere
from typer.testing import CliRunner

import bayeslaw as bl
from bayeslaw.cli import app
from bayeslaw.errors import InputError
from bayeslaw.pools import nulls, rule_sums, sampling_factor
from bayeslaw.pools.designs import all_subsets, count_subsets
from bayeslaw.pools.nulls import comonotone_columns, independent_columns
from bayeslaw.pools.pool_losses import make_pools, read_pools, write_pools


def rng(seed=0):
    return np.random.default_rng(seed)


def members_of(pools):
    return [tuple(m for m in row if m >= 0) for row in pools["member"].to_numpy().tolist()]


def tied(table):
    return table.assign(nll=table["nll"].round(1))


def duplicated(table):
    nll = table["nll"].copy()
    nll[:, 3] = nll[:, 2]
    return table.assign(nll=nll)


def far_apart(table):
    return table.assign(nll=table["nll"] * 300)


TABLES = {
    "plain": random_table(700, 5),
    "words in sentences": random_table(1500, 5, clusters=rng().integers(0, 200, 1500)),
    "long documents": random_table(1500, 5, clusters=rng(1).integers(0, 3, 1500)),
    "clusters of all lengths": random_table(1500, 5, clusters=np.sort(rng(2).integers(0, 45, 1500) ** 2 // 40)),
    "one cluster": random_table(600, 5, clusters=np.zeros(600)),
    "bytes": random_table(700, 5, sizes=rng().integers(1, 300, 700)),
    "bytes and clusters": random_table(700, 5, sizes=rng().integers(1, 9, 700), clusters=rng().integers(0, 60, 700)),
    "weights that are no whole numbers": random_table(700, 5, sizes=rng().uniform(0.5, 9, 700)),
    "ties": tied(random_table(700, 5)),
    "ties and bytes": tied(random_table(700, 5, sizes=rng().integers(1, 300, 700))),
    "duplicate models": duplicated(random_table(700, 5)),
    "exponentials that underflow": far_apart(random_table(700, 5)),
    "two samples": random_table(2, 5),
    "more samples than a stretch of bits": random_table(17000, 5),
}


@pytest.mark.parametrize("rule", ["oracle", "mixture"])
@pytest.mark.parametrize("name", TABLES)
def test_pools_equal_a_plain_computation(name, rule):
    table = TABLES[name]
    pools = make_pools(table, rule=rule, max_size=5)
    assert members_of(pools) == subsets(5, 5)
    for row, members in enumerate(members_of(pools)):
        pool = pools.isel(pool=row)
        loss, error, shares = plain_pool(table, members, rule)
        assert float(pool["loss"]) == pytest.approx(loss, rel=1e-12)
        assert float(pool["standard_error"]) == pytest.approx(error, rel=1e-7, nan_ok=True)
        np.testing.assert_allclose(pool["win_share"].to_numpy()[list(members)], shares, rtol=1e-9, atol=1e-12)
        assert str(pool["pool"].item()) == " + ".join(f"m{m}" for m in members)
    np.testing.assert_allclose(pools["win_share"].sum("lm"), 1)


def test_many_models_and_pools_over_several_tasks():
    table = random_table(100, 25)
    pools = make_pools(table, max_size=3)
    nll = table["nll"].to_numpy()
    expected = [nll[:, list(members)].min(axis=1).mean() for members in members_of(pools)]
    assert pools.sizes["pool"] == count_subsets(25, 3) == 25 + 300 + 2300
    np.testing.assert_allclose(pools["loss"], expected, rtol=1e-12)
    wins = [np.bincount(nll[:, list(m)].argmin(axis=1), minlength=len(m)) / 100 for m in members_of(pools)]
    for row, members in enumerate(members_of(pools)):
        np.testing.assert_allclose(pools["win_share"].to_numpy()[row, list(members)], wins[row], atol=1e-12)


def test_what_the_dataset_says_of_pools():
    table = random_table(50, 4, families=["a", "a", "b", "b"], parameters=[1e8, 3e8, 2e8, 4e8])
    pools = make_pools(table, max_size=3)
    by_name = pools.set_index(pool="pool") if "pool" not in pools.indexes else pools
    pair = by_name.sel(pool="m0 + m1")
    mixed = by_name.sel(pool="m0 + m2 + m3")
    assert (pair["regime"].item(), mixed["regime"].item()) == ("homogeneous", "heterogeneous")
    assert (pair["families"].item(), mixed["families"].item()) == (1, 2)
    assert (pair["size"].item(), mixed["size"].item()) == (2, 3)
    assert mixed["parameters"].item() == pytest.approx(7e8)
    assert mixed["effective_families"].item() == pytest.approx(np.exp(-(np.log(1 / 7) / 7 + 6 / 7 * np.log(6 / 7))))
    assert pools.attrs | {"source": ""} == {
        "kind": "pools",
        "rule": "oracle",
        "unit": "word",
        "loss_unit": "nats per word",
        "design": "all",
        "max_size": 3,
        "seed": 0,
        "samples": 50,
        "clusters": 50,
        "parameters_kind": "total",
        "source": "",
    }
    single = pools.isel(pool=slice(0, 4))
    assert set(single["regime"].to_numpy()) == {"single"}
    for name in ("effective_families", "decorrelation", "win_entropy"):
        assert np.isnan(single[name]).all()
        assert np.isfinite(pools[name][4:]).all()
    for name in ("gain", "gain_independent", "gain_comonotone"):
        assert (single[name] == 0).all()
    np.testing.assert_allclose(pools["lm_loss"], table["nll"].mean("sample"))
    np.testing.assert_array_equal(pools["lm_parameters"], [1e8, 3e8, 2e8, 4e8])


def test_counting_and_listing_subsets():
    assert members_of(xr.Dataset({"member": (("pool", "slot"), all_subsets(6, 4))})) == subsets(6, 4)
    assert count_subsets(80, 8) == sum(comb(80, size) for size in range(1, 9))


def test_stratified_sample_is_even_over_size_families_and_budget():
    table = random_table(20, 12, families=["a"] * 5 + ["b"] * 4 + ["c"] * 3)
    pools = make_pools(table, max_size=5, limit=300, seed=3)
    members = members_of(pools)
    assert pools.attrs["design"] == "stratified"
    assert pools.sizes["pool"] == len(set(members)) == 300
    assert members[:12] == [(m,) for m in range(12)]
    budgets = np.log(1e8 * 1.5 ** np.arange(12))
    edges = np.linspace(budgets.min(), np.log(np.exp(budgets)[-5:].sum()), 11)
    families = np.array([0] * 5 + [1] * 4 + [2] * 3)

    def stratum(pool):
        budget = np.log(np.exp(budgets[list(pool)]).sum())
        return len(pool), len(set(families[list(pool)])), int(np.searchsorted(edges[1:-1], budget, side="right"))

    drawn, there = {}, {}
    for pool in members[12:]:
        drawn[stratum(pool)] = drawn.get(stratum(pool), 0) + 1
    for pool in subsets(12, 5)[12:]:
        there[stratum(pool)] = there.get(stratum(pool), 0) + 1
    most = max(drawn.values())
    assert all(drawn.get(key, 0) in (most - 1, most) or drawn[key] == count for key, count in there.items())


def test_sampling_a_huge_design_does_not_list_it():
    table = random_table(10, 80, families=[f"f{m % 7}" for m in range(80)], parameters=1e7 * 1.1 ** np.arange(80))
    start = time.perf_counter()
    pools = make_pools(table, max_size=8, limit=2000)
    assert time.perf_counter() - start < 20
    assert pools.sizes["pool"] == len(set(members_of(pools))) == 2000
    sizes = pools["size"].to_numpy()
    assert (np.bincount(sizes)[2:] > 80).all()
    assert set(pools["families"].to_numpy()[sizes == 8]) == {1, 2, 3, 4, 5, 6, 7}
    single_budgets = pools["parameters"].to_numpy()[sizes == 1]
    pairs = pools["parameters"].to_numpy()[sizes == 2]
    assert pairs.min() < 4 * single_budgets.min()
    assert pairs.max() > single_budgets.max()


def test_matched_pairs_share_size_and_budget():
    table = random_table(20, 12, families=["a"] * 5 + ["b"] * 4 + ["c"] * 3)
    pools = make_pools(table, design="matched", max_size=3, tolerance=0.2)
    match = pools["match"].to_numpy()
    assert (match[:12] == -1).all()
    assert len(match) > 30
    assert len(set(members_of(pools))) == len(match)
    for pair in range(match.max() + 1):
        first, second = (pools.isel(pool=row) for row in np.flatnonzero(match == pair))
        assert (first["regime"].item(), second["regime"].item()) == ("homogeneous", "heterogeneous")
        assert first["size"].item() == second["size"].item()
        assert abs(np.log(first["parameters"].item() / second["parameters"].item())) <= 0.2


def test_matched_pairs_take_the_nearest_budget():
    parameters = [1.0, 2.0, 2.05, 4.0, 0.5]
    table = random_table(5, 5, families=["a", "a", "b", "b", "c"], parameters=parameters)
    pools = make_pools(table, design="matched", max_size=2, tolerance=0.5)
    # a: 1 + 2 = 3, nearest 1 + 2.05; b: 2.05 + 4 = 6.05, nearest 2 + 4.
    assert members_of(pools)[5:] == [(0, 1), (0, 2), (2, 3), (1, 3)]


@pytest.mark.slow
def test_matched_pairs_with_a_limit_and_too_many_to_list():
    table = random_table(5, 60, families=[f"f{m % 3}" for m in range(60)], parameters=1e7 * 1.1 ** np.arange(60))
    pools = make_pools(table, design="matched", max_size=6, limit=400)
    sizes = pools["size"].to_numpy()
    assert pools.sizes["pool"] <= 400
    assert set(sizes) == {1, 2, 3, 4, 5, 6}
    for pair in range(0, pools["match"].to_numpy().max(), 20):
        first, second = pools["parameters"].to_numpy()[pools["match"].to_numpy() == pair]
        assert abs(np.log(first / second)) <= 0.1


def test_same_seed_same_pools():
    table = random_table(40, 12)
    first, again, other = (make_pools(table, max_size=5, limit=100, seed=seed) for seed in (1, 1, 2))
    xr.testing.assert_identical(first, again)
    assert members_of(first) != members_of(other)


def test_best_loss_is_that_of_the_member_best_on_other_folds():
    clusters = rng().integers(0, 40, 300)
    table = random_table(300, 4, clusters=clusters)
    pools = make_pools(table, max_size=4, seed=7)
    best = make_pools(table, rule="best", max_size=4, seed=7)
    np.testing.assert_allclose(best["loss"], pools["best_loss"])
    np.testing.assert_allclose(best["gain"], 0, atol=1e-12)
    for row, members in enumerate(members_of(pools)):
        names = [f"m{m}" for m in members]
        values = bl.combine(table, names, rule="best", seed=7)
        assert float(best["loss"][row]) == pytest.approx(float(values.mean()))
        labels = table["cluster"].to_numpy()
        error = bl.clustered_standard_error(values.to_numpy(), None, labels)
        assert float(best["standard_error"][row]) == pytest.approx(float(error), rel=1e-7)
        assert float(best["win_share"][row].sum()) == pytest.approx(1)


def test_one_cluster_leaves_undefined_what_is_undefined():
    pools = make_pools(TABLES["one cluster"], max_size=2)
    assert np.isnan(pools["standard_error"]).all()
    assert np.isnan(pools["gain"][5:]).all()
    assert np.isfinite(pools["loss"]).all()
    with pytest.raises(InputError, match="at least two clusters"):
        make_pools(TABLES["one cluster"], rule="best", max_size=2)


def test_nulls_are_the_gains_on_shuffled_and_sorted_losses():
    table = random_table(3000, 4)
    nll = table["nll"].to_numpy()
    pools = make_pools(table, max_size=4)
    ordered = np.sort(nll, axis=0)
    means, generator = nll.mean(axis=1, keepdims=True), rng(5)
    for row, members in enumerate(members_of(pools)):
        best = float(pools["best_loss"][row])
        comonotone = best - ordered[:, list(members)].min(axis=1).mean()
        assert float(pools["gain_comonotone"][row]) == pytest.approx(comonotone, abs=1e-7)
        losses = []
        for _ in range(40):
            shuffled = means + generator.permuted(nll - means, axis=0)
            losses.append(shuffled[:, list(members)].min(axis=1).mean())
        assert abs(float(pools["gain_independent"][row]) - (best - np.mean(losses))) <= 5 * np.std(losses) + 1e-7


@pytest.mark.parametrize("rule", ["oracle", "mixture"])
def test_independent_models_gain_what_the_null_says(rule):
    generator = rng(1)
    nll = generator.gamma(4, 1, (4000, 1)) + generator.gamma(4, 0.25, (4000, 30))
    pools = make_pools(loss_table(nll), rule=rule, max_size=2).isel(pool=slice(30, None))
    # The mean over 30 models takes 1 / 30 of each model's own variance away.
    ratio = float(pools["gain"].mean() / pools["gain_independent"].mean())
    assert ratio == pytest.approx((30 / 29) ** (0.5 if rule == "oracle" else 1), rel=0.03)


def test_nulls_keep_each_models_mean_whatever_the_weights():
    generator = rng(2)
    columns = generator.gamma(2, 1, (3, 500))
    for weights in (np.ones(500), generator.integers(1, 90, 500).astype(float)):
        for null in (independent_columns(columns, weights, 0), comonotone_columns(columns, weights)):
            np.testing.assert_allclose(null.sum(axis=1), columns.sum(axis=1))
    # Two equal models stay equal when sorted: nothing is gained.
    same = comonotone_columns(np.stack([columns[0], columns[0, ::-1]]), np.ones(500))
    np.testing.assert_array_equal(same[0], same[1])


def test_weighted_nulls_keep_the_spread_of_losses_per_weight():
    generator = rng(3)
    weights = generator.integers(1, 200, 4000).astype(float)
    columns = weights * (1 + generator.normal(0, 1 / np.sqrt(weights), (2, 4000)))
    means = columns.mean(axis=0)
    before, after = ((table - means) / weights for table in (columns, independent_columns(columns, weights, 0)))
    spread = [weights @ deviation[0] ** 2 / weights.sum() for deviation in (before, after)]
    assert spread[1] == pytest.approx(spread[0], rel=0.1)
    # Without regard to weights short samples would count as much as long ones, which spread ten times less.
    assert np.mean(before[0] ** 2) > 2 * spread[0]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(st.integers(0, 10**6), st.integers(2, 60), st.integers(2, 5), st.booleans())
def test_invariants_of_pools(seed, samples, models, weighted):
    generator = rng(seed)
    nll = np.round(generator.gamma(2, 1, (samples, models)), generator.integers(0, 4))
    sizes = generator.integers(1, 5, samples) if weighted else None
    table = loss_table(nll, sizes=sizes)
    unit = 1 / np.log(2) / np.mean(sizes) if weighted else 1.0
    oracle, mixture = (make_pools(table, rule=rule, max_size=models, seed=1) for rule in ("oracle", "mixture"))
    low, high = oracle["loss"].to_numpy(), mixture["loss"].to_numpy()
    assert (low <= high + 1e-12).all()
    assert (high <= low + unit * np.log(oracle["size"].to_numpy()) + 1e-12).all()
    np.testing.assert_allclose(oracle["win_share"].sum("lm"), 1)
    np.testing.assert_allclose(mixture["win_share"].sum("lm"), 1)
    assert (oracle["gain"].to_numpy() >= -1e-12).all()
    loss_of = dict(zip(members_of(oracle), low, strict=True))
    for members, loss in loss_of.items():
        for without in range(len(members) if len(members) > 1 else 0):
            assert loss <= loss_of[members[:without] + members[without + 1 :]] + 1e-12
    order = generator.permutation(samples)
    shuffled = make_pools(table.isel(sample=order), max_size=models, seed=1)
    for name in ("loss", "standard_error", "win_share"):
        np.testing.assert_allclose(shuffled[name], oracle[name], rtol=1e-7, atol=1e-9)


def test_renaming_the_order_of_models_changes_nothing_but_the_order():
    table = random_table(300, 5)
    order = [3, 0, 4, 1, 2]
    pools, other = make_pools(table, max_size=5), make_pools(table.isel(lm=order), max_size=5)
    loss_of = dict(zip(map(frozenset, members_of(pools)), pools["loss"].to_numpy(), strict=True))
    for row, members in enumerate(members_of(other)):
        original = frozenset(order[m] for m in members)
        assert float(other["loss"][row]) == pytest.approx(loss_of[original], rel=1e-12)
    np.testing.assert_allclose(other["decorrelation"].to_numpy()[-1], pools["decorrelation"].to_numpy()[-1])


def test_doubling_samples_within_their_clusters_changes_no_error():
    table = random_table(200, 3, clusters=rng().integers(0, 30, 200))
    twice = xr.concat([table, table.assign_coords(sample=table["sample"] + "b")], "sample", data_vars="minimal")
    pools, again = make_pools(table, max_size=3), make_pools(twice, max_size=3)
    for name in ("loss", "standard_error", "win_share", "decorrelation"):
        np.testing.assert_allclose(again[name], pools[name], rtol=1e-9)


def test_bytes_alike_change_the_unit_only():
    table = random_table(100, 3)
    pools, weighed = (
        make_pools(table, max_size=3),
        make_pools(table.assign(bytes=("sample", np.full(100, 4.0))), max_size=3),
    )
    assert weighed.attrs["loss_unit"] == "bits per byte"
    for name in ("loss", "standard_error", "gain", "gain_independent", "gain_comonotone"):
        np.testing.assert_allclose(weighed[name] * 4 * np.log(2), pools[name], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(weighed["win_share"], pools["win_share"])


def test_a_constant_table_has_no_error():
    pools = make_pools(loss_table(np.full((50, 3), 2.5)), max_size=3)
    np.testing.assert_allclose(pools["loss"], 2.5)
    np.testing.assert_allclose(pools["standard_error"], 0, atol=1e-12)
    np.testing.assert_allclose(pools["win_share"][-1], 1 / 3)


def test_parameter_counts():
    table = random_table(10, 3)
    with pytest.raises(InputError, match="non-embedding parameters of 3 of 3"):
        make_pools(table, max_size=2, parameters="non-embedding")
    with pytest.raises(InputError, match="active parameters"):
        make_pools(table, max_size=2, parameters="active")
    total = table["parameters"].to_numpy()
    given_embedding = table.assign(embedding_parameters=("lm", [1e7, 2e7, 3e7]))
    pools = make_pools(given_embedding, max_size=3, parameters="non-embedding")
    assert pools["parameters"].to_numpy()[-1] == pytest.approx(total.sum() - 6e7)
    pools = make_pools(table.assign(active_parameters=("lm", [1e6, 2e6, 3e6])), max_size=3, parameters="active")
    assert pools["parameters"].to_numpy()[-1] == pytest.approx(6e6)
    assert pools.attrs["parameters_kind"] == "active"
    with pytest.raises(InputError, match=r"active parameters of 1 of 3 models.*m1"):
        make_pools(table.assign(active_parameters=("lm", [1e6, np.nan, 3e6])), max_size=3, parameters="active")


WHOLE = xr.Dataset({"loss": ("lm", [1.0, 2.0])}, coords={"lm": ["a", "b"]}, attrs={"kind": "models"})
SMALL = random_table(10, 4)


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (SMALL, {"max_size": 5}, "max size 5 does not suit a table of 4 models"),
        (SMALL, {"max_size": 0}, "max size 0"),
        (SMALL, {"max_size": 1.5}, "max size 1.5"),
        (SMALL, {"rule": "orcale"}, "rule 'orcale' is not known"),
        (SMALL, {"design": "every"}, "design 'every' is not known"),
        (SMALL, {"parameters": "all"}, "parameters 'all' is not known"),
        (SMALL, {"limit": 3}, "limit 3 leaves no room for the 4 single models"),
        (SMALL, {"limit": 6, "design": "all"}, "the design 'all' has 15 pools and the limit is 6"),
        (SMALL, {"seed": -1}, "seed -1"),
        (SMALL, {"design": "matched", "max_size": 1}, "no pairs to match"),
        (SMALL, {"design": "matched", "tolerance": 1e-9}, "no homogeneous pool has a heterogeneous one"),
        (WHOLE, {}, "one loss per model"),
        (SMALL.isel(sample=[]), {}, "the loss table is empty"),
        (SMALL.assign(nll=SMALL["nll"] * np.nan), {}, "missing or infinite"),
        (random_table(3, 80), {"max_size": 8}, f"80 models have {count_subsets(80, 8):,} pools of up to 8"),
        (
            random_table(3, 80, families=["a"] * 40 + ["b"] * 40),
            {"max_size": 8, "design": "matched"},
            r"this asks for [\d,]+ pools",
        ),
    ],
)
def test_bad_requests_are_refused_at_once(table, options, message):
    start = time.perf_counter()
    with pytest.raises(InputError, match=message):
        make_pools(table, **options)
    assert time.perf_counter() - start < 5


def test_refusal_of_too_many_pools_names_the_way_to_sample():
    with pytest.raises(InputError, match=r"--limit 20000, or limit=20000"):
        make_pools(random_table(3, 60), max_size=6)


@pytest.mark.parametrize("design", ["all", "matched"])
def test_files_round_trip(tmp_path, design):
    table = random_table(60, 6, families=["a", "a", "a", "b", "b", "b"], clusters=rng().integers(0, 20, 60))
    pools = make_pools(table, design=design, max_size=4, tolerance=0.5)
    write_pools(pools, tmp_path / "pools")
    assert sorted(os.listdir(tmp_path)) == ["pools"]
    assert sorted(os.listdir(tmp_path / "pools")) == [
        "manifest.json",
        "models.parquet",
        "pools.parquet",
        "win_shares.parquet",
    ]
    again = read_pools(tmp_path / "pools")
    assert again.attrs == pools.attrs
    assert set(again.variables) == set(pools.variables)
    for name in pools.variables:
        assert again[name].dims == pools[name].dims
        np.testing.assert_array_equal(again[name].to_numpy(), pools[name].to_numpy())
    write_pools(again, tmp_path / "pools")
    assert json.loads((tmp_path / "pools" / "manifest.json").read_text())["kind"] == "pools"


def test_simulated_pools_are_written_and_read_too(tmp_path):
    pools = bl.simulate_pools(seed=0)
    write_pools(pools, tmp_path / "pools")
    again = read_pools(tmp_path / "pools")
    for name in pools.variables:
        np.testing.assert_array_equal(again[name].to_numpy(), pools[name].to_numpy())


def test_broken_folders_are_refused(tmp_path):
    folder = tmp_path / "pools"
    with pytest.raises(InputError, match=r"no manifest\.json"):
        read_pools(folder)
    write_pools(make_pools(SMALL, max_size=2), folder)
    (folder / "pools.parquet").write_bytes(b"PAR1 is not enough")
    with pytest.raises(InputError, match=r"pools\.parquet.* cannot be read"):
        read_pools(folder)
    (folder / "pools.parquet").unlink()
    with pytest.raises(InputError, match=r"pools\.parquet.* is missing"):
        read_pools(folder)
    write_pools(make_pools(SMALL, max_size=2), tmp_path / "other")
    os.replace(tmp_path / "other" / "pools.parquet", folder / "pools.parquet")
    write_pools(make_pools(SMALL.isel(lm=[0, 1]), max_size=2), tmp_path / "other")
    os.replace(tmp_path / "other" / "models.parquet", folder / "models.parquet")
    with pytest.raises(InputError, match=r"models\.parquet.* cannot be read"):
        read_pools(folder)
    from_elsewhere(folder)
    with pytest.raises(InputError, match="do not fit together"):
        read_pools(folder)
    with pytest.raises(InputError, match="does not hold pools"):
        write_pools(SMALL, tmp_path / "no")


@pytest.mark.parametrize("rule", ["oracle", "mixture", "best"])
@pytest.mark.parametrize("weighted", [False, True])
def test_blocks_of_samples_add_up_to_the_whole(monkeypatch, rule, weighted):
    table = random_table(2600, 5, families=["a", "a", "b", "b", "b"])
    # Long clusters, which take several blocks, short ones, and single samples.
    sizes = [1500, 70, 1, 1, 1, 64, *[3] * 200, *[1] * 363]
    table["cluster"] = ("sample", rng().permutation(np.repeat(np.arange(len(sizes)), sizes)).astype(str))
    if weighted:
        table["bytes"] = ("sample", rng().integers(1, 50, 2600).astype(float))
    whole = make_pools(table, max_size=3, rule=rule)
    for module in (rule_sums, nulls, sampling_factor):
        monkeypatch.setattr(module, "SAMPLES", 100)
    monkeypatch.setattr(sampling_factor, "KEPT", 0)
    in_blocks = make_pools(table, max_size=3, rule=rule)
    for name, values in whole.data_vars.items():
        if values.dtype.kind != "f":
            assert (in_blocks[name] == values).all(), name
        elif name == "sampling_factor":
            covariance, expected = (each[name].to_numpy() @ each[name].to_numpy().T for each in (in_blocks, whole))
            np.testing.assert_allclose(covariance, expected, rtol=1e-6, atol=1e-12)
        else:
            # The nulls are added up in single precision.
            close = 1e-7 if name in ("gain_independent", "gain_comonotone") else 1e-9
            np.testing.assert_allclose(in_blocks[name], values, rtol=close, atol=close, err_msg=str(name))


@pytest.fixture
def csv(tmp_path):
    table = random_table(60, 6, families=["a", "a", "a", "b", "b", "b"])
    frame = table["nll"].to_pandas().assign(docid=np.arange(60) // 4)
    frame.to_csv(tmp_path / "losses.csv", index_label="sample")
    models = table[["family", "parameters"]].to_dataframe()
    models.to_csv(tmp_path / "models.csv", index_label="model")
    return tmp_path


def command(csv, *arguments):
    paths = [str(csv / "losses.csv"), "--models", str(csv / "models.csv"), "--out", str(csv / "out")]
    return CliRunner().invoke(app, ["pools", *paths, *arguments])


def test_command_writes_pools(csv):
    result = command(csv, "--unit", "word", "--cluster", "docid", "--max-size", "3", "--rule", "mixture")
    assert result.exit_code == 0, result.output
    pools = read_pools(csv / "out")
    assert pools.attrs["unit"] == "word"
    assert pools.attrs["clusters"] == 15
    assert pools.attrs["rule"] == "mixture"
    assert pools.sizes["pool"] == 6 + 15 + 20
    assert "41 pools, rule mixture, design all, loss in nats per word" in result.stdout
    assert "lowest loss: " in result.stdout
    assert command(csv, "--max-size", "2", "--limit", "10", "--seed", "4", "--quiet").output == ""
    assert read_pools(csv / "out").sizes["pool"] == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-size", "7"], "max size 7"),
        (["--rule", "oracel"], "use 'oracle'"),
        (["--design", "pairs"], "design 'pairs'"),
        (["--params", "active"], "active parameters"),
        (["--limit", "2"], "limit 2"),
    ],
)
def test_command_refuses_bad_input_and_writes_nothing(csv, arguments, message):
    result = command(csv, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert not (csv / "out").exists()


def test_kernels_compile_where_nothing_can_be_kept(tmp_path):
    # Neither beside the package nor in a home: every way of keeping machine code is closed.
    code = (
        "import numba.core.caching as caching, warnings; warnings.simplefilter('error')\n"
        "caching.CacheImpl._locator_classes = []\n"
        "import numpy as np\n"
        "from bayeslaw.pools.kernels import plan_pools\n"
        "plan = plan_pools(np.array([[0, -1], [0, 1]]), np.array([1, 2]), np.array([0, 1]), 2)\n"
        "assert plan.tolist() == [[2, 0, 3, 0], [3, 1, 4, 1]], plan\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, timeout=120)


def test_plan_shares_what_pools_have_in_common():
    members = np.sort(np.array(subsets(8, 4), dtype=object))
    assert len(members) == count_subsets(8, 4)
    rows = sorted(subsets(8, 4))
    new = sum(
        len(later) - next((i for i, (a, b) in enumerate(zip(first, later, strict=False)) if a != b), len(first))
        for first, later in pairwise(rows)
    )
    # Of all subsets every one but the first adds one member to what stands already.
    assert new == len(rows) - 1
