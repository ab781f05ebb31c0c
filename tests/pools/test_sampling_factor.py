"""The factor of the pools' sampling covariance is that of residual sums over clusters, of every rule."""

import os
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from forms import few_or_many
from hypothesis import given, settings
from hypothesis import strategies as st
from pool_tables import loss_table, random_table

import bayeslaw as bl
from bayeslaw.pools.pool_losses import make_pools, pools_of, read_pools, write_pools
from bayeslaw.pools.sampling_factor import MOST_DIRECTIONS, POOLS_LOOKED_AT, SHARE_HELD

RULES = ("oracle", "mixture", "best")


def rng(seed=0):
    return np.random.default_rng(seed)


TABLES = {
    "samples": random_table(300, 4),
    "clusters": random_table(600, 4, clusters=rng().integers(0, 70, 600)),
    "few clusters": random_table(600, 4, clusters=rng(1).integers(0, 3, 600)),
    "bytes and clusters": random_table(500, 4, sizes=rng().integers(1, 9, 500), clusters=rng().integers(0, 60, 500)),
    "exponentials that underflow": random_table(300, 4).assign(nll=lambda table: table["nll"] * 300),
}


def names_of(pools: xr.Dataset) -> list[list[str]]:
    lms = pools["lm"].to_numpy()
    return [[str(lms[m]) for m in row if m >= 0] for row in pools["member"].to_numpy()]


def cluster_totals(table: xr.Dataset, pools: xr.Dataset, rule: str) -> tuple[np.ndarray, np.ndarray]:
    """Sum each pool's losses [pool, cluster], in the pools' unit, and the weights [cluster]."""
    labels = np.unique(table["cluster" if "cluster" in table else "sample"].to_numpy(), return_inverse=True)[1]
    weights = table["bytes"].to_numpy() * np.log(2) if "bytes" in table else np.ones(table.sizes["sample"])
    losses = [bl.combine(table, names, rule=rule, seed=0).to_numpy() for names in names_of(pools)]
    return np.stack([np.bincount(labels, loss) for loss in losses]), np.bincount(labels, weights)


def covariance_of(table: xr.Dataset, pools: xr.Dataset, rule: str) -> np.ndarray:
    totals, weights = cluster_totals(table, pools, rule)
    residuals = totals - totals.sum(axis=1, keepdims=True) / weights.sum() * weights
    number = len(weights)
    return number / (number - 1) * residuals @ residuals.T / weights.sum() ** 2


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", TABLES)
def test_the_factor_is_that_of_the_clustered_covariance(name, rule):
    table = TABLES[name]
    pools = make_pools(table, rule=rule, max_size=3)
    factor, wanted = pools["sampling_factor"].to_numpy(), covariance_of(table, pools, rule)
    assert factor.shape[1] <= MOST_DIRECTIONS
    missing = wanted - factor @ factor.T
    # What is missing is a covariance itself, and as small as declared.
    assert np.linalg.eigvalsh(missing).min() > -1e-9 * np.trace(wanted)
    assert np.trace(missing) < (1 - SHARE_HELD) * np.trace(wanted) * (1 + 1e-6)
    np.testing.assert_allclose(pools["sampling_remainder"], np.diag(missing), atol=1e-9 * np.trace(wanted))
    np.testing.assert_allclose(
        (factor**2).sum(axis=1) + pools["sampling_remainder"], pools["standard_error"] ** 2, rtol=1e-7
    )


@pytest.mark.parametrize("rule", RULES)
def test_the_factor_tells_the_jackknife_over_clusters(rule):
    """Leaving out a cluster at a time, with the folds' choices kept, gives the same covariance with no formula."""
    table = TABLES["bytes and clusters"]
    pools = make_pools(table, rule=rule, max_size=2)
    totals, weights = cluster_totals(table, pools, rule)
    without = (totals.sum(axis=1, keepdims=True) - totals) / (weights.sum() - weights)
    deviations = without - without.mean(axis=1, keepdims=True)
    jackknife = (len(weights) - 1) / len(weights) * deviations @ deviations.T
    factor = pools["sampling_factor"].to_numpy()
    np.testing.assert_allclose(factor @ factor.T, jackknife, atol=0.06 * np.diag(jackknife).max())


def test_pools_that_were_not_looked_at_are_held_as_well():
    table = random_table(300, 11, clusters=rng().integers(0, 80, 300))
    pools = make_pools(table, max_size=4)
    assert pools.sizes["pool"] > 2 * POOLS_LOOKED_AT
    factor, wanted = pools["sampling_factor"].to_numpy(), covariance_of(table, pools, "oracle")
    assert np.trace(wanted - factor @ factor.T) < 0.02 * np.trace(wanted)
    some = rng().integers(0, len(wanted), (2, 2000))
    size = np.sqrt(np.diag(wanted)[some[0]] * np.diag(wanted)[some[1]])
    assert np.abs(wanted[some[0], some[1]] - (factor[some[0]] * factor[some[1]]).sum(axis=1)).max() < 0.1 * size.max()


def test_one_cluster_has_no_sampling_factor():
    pools = make_pools(random_table(60, 3, clusters=np.zeros(60)), max_size=2)
    assert "sampling_factor" not in pools
    assert "sampling_remainder" not in pools


def test_equal_losses_have_no_sampling_error():
    pools = make_pools(loss_table(np.ones((30, 3))), max_size=2)
    np.testing.assert_array_equal(pools["sampling_factor"], 0)
    np.testing.assert_array_equal(pools["sampling_remainder"], 0)


@few_or_many(5, 40)
def test_neither_order_nor_unit_changes_what_pools_share(examples):
    @settings(max_examples=examples, deadline=None)
    @given(seed=st.integers(0, 10**6), scale=st.floats(0.1, 10), rule=st.sampled_from(RULES))
    def check(seed, scale, rule):
        table = random_table(80, 4, seed=seed, clusters=rng(seed).integers(0, 12, 80))
        names = names_of(make_pools(table, max_size=3))
        order = rng(seed).permutation(len(names))
        first, other = pools_of(table, names, rule=rule), pools_of(table, [names[i] for i in order], rule=rule)
        covariance, shuffled = product(first), product(other)
        np.testing.assert_allclose(shuffled, covariance[np.ix_(order, order)], atol=1e-10 * np.trace(covariance))
        if rule != "mixture":
            larger = pools_of(table.assign(nll=scale * table["nll"]), names, rule=rule)
            wanted = scale**2 * covariance
            np.testing.assert_allclose(product(larger), wanted, atol=1e-9 * np.trace(wanted))

    check()


def product(pools: xr.Dataset) -> np.ndarray:
    factor = pools["sampling_factor"].to_numpy()
    return factor @ factor.T


@pytest.mark.parametrize("rule", RULES)
def test_files_keep_the_factor(tmp_path, rule):
    pools = make_pools(TABLES["clusters"], rule=rule, max_size=3)
    write_pools(pools, tmp_path / "pools")
    again = read_pools(tmp_path / "pools")
    for name in ("sampling_factor", "sampling_remainder"):
        np.testing.assert_array_equal(again[name], pools[name])


REPEATED = """
import hashlib
import bayeslaw as bl
losses = bl.simulate_losses(families=3, sizes=3, samples=3000, clusters=300, seed=2)
for rule in ("oracle", "mixture"):
    pools = bl.make_pools(losses, rule=rule, max_size=3)
    for name in ("loss", "standard_error", "win_share", "sampling_factor"):
        print(rule, name, hashlib.sha256(pools[name].to_numpy().tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_the_process_that_compiles_gives_what_later_ones_give(tmp_path):
    """To the last bit: what it compiled and what others read from disk may sum in different orders."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "compiled")}
    found = [
        subprocess.run([sys.executable, "-c", REPEATED], env=environment, capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert found[0].stdout == found[1].stdout
    assert len(found[0].stdout.splitlines()) == 8
