"""Heterogeneous against homogeneous pools of the same budget: two designs, and their differences with a bootstrap."""

from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import xarray as xr

import bayeslaw as bl
from bayeslaw.losses.weighted_means import cluster_codes, loss_scale

BINS = 3
BOOTSTRAP_DRAWS = 2000


@dataclass(frozen=True)
class Contrast:
    """Which pools are compared.

    Attributes
    ----------
    members
        Positions of members on ``lm``, [pool, slot], padded with -1.
    weights
        Weight of each pool in the difference, [bin, pool]: positive for homogeneous pools, which add up to one, and
        negative for heterogeneous ones. The first bin holds all, the others part it by budget.
    bins
        Budgets in words, [bin].
    comparisons
        How many comparisons are averaged, [bin].
    """

    members: np.ndarray
    weights: np.ndarray
    bins: list[str]
    comparisons: list[int]


@dataclass(frozen=True)
class Differences:
    """Homogeneous minus heterogeneous, in the unit of the losses; [draw, bin], the first draw being the table itself.

    Attributes
    ----------
    loss
        Of the pools' losses; above zero where heterogeneous pools are better.
    best_members
        Of the losses of the pools' best members.
    net
        `loss` minus `best_members`: what heterogeneous pools gain over their own best members, minus what homogeneous
        ones do.
    """

    loss: np.ndarray
    best_members: np.ndarray
    net: np.ndarray


def matched_pairs(losses: xr.Dataset, max_size: int) -> Contrast:
    """Pair each homogeneous pool with a heterogeneous one of its size and nearly its budget.

    Parameters
    ----------
    losses
        A loss table.
    max_size
        Largest number of members.

    Returns
    -------
    Contrast
        Of pairs as `bayeslaw.make_pools` makes them with the design ``"matched"``.
    """
    pools = bl.make_pools(losses, design="matched", max_size=max_size)
    held = pools["match"].to_numpy() >= 0
    # Pools stand pair after pair, the homogeneous one first.
    signs = np.kron(np.eye(held.sum() // 2), [1.0, -1.0])
    return _binned(pools["member"].to_numpy()[held], signs, pools["parameters"].to_numpy()[held][0::2])


def balanced_sets(losses: xr.Dataset, max_size: int) -> Contrast:
    """Compare pools that hold the same places of the families' ladders of sizes, every model as often on either side.

    For each set of places, such as the second and fifth smallest, the homogeneous pools take them from one family, and
    the heterogeneous ones from families in every other way. The mean loss and the mean budget of members are then the
    same on both sides, so that the difference is one of how members go together.

    Parameters
    ----------
    losses
        A loss table.
    max_size
        Largest number of members.

    Returns
    -------
    Contrast
        Of sets of places.
    """
    family, parameters = losses["family"].to_numpy(), losses["parameters"].to_numpy()
    positions = [np.flatnonzero(family == name) for name in dict.fromkeys(family)]
    places = min(len(own) for own in positions)
    ladder = np.array([own[np.argsort(parameters[own], kind="stable")][:places] for own in positions])
    families = range(len(ladder))
    rows, signs, budgets = [], [], []
    for size in range(2, max_size + 1):
        ways = np.array(list(product(families, repeat=size)))
        alike = (ways == ways[:, :1]).all(axis=1)
        for chosen in combinations(range(places), size):
            members = ladder[ways, np.array(chosen)]
            rows.append(np.pad(members, ((0, 0), (0, max_size - size)), constant_values=-1))
            signs.append(np.where(alike, 1 / alike.sum(), -1 / (~alike).sum()))
            budgets.append(parameters[members[alike]].sum(axis=1).mean())
    weights = np.zeros((len(signs), sum(len(one) for one in signs)))
    ends = np.cumsum([len(one) for one in signs])
    for number, (one, end) in enumerate(zip(signs, ends, strict=True)):
        weights[number, end - len(one) : end] = one
    return _binned(np.concatenate(rows), weights, np.array(budgets))


def _binned(members: np.ndarray, weights: np.ndarray, budgets: np.ndarray) -> Contrast:
    """Average comparisons, [comparison, pool], over all of them and over parts of their budgets."""
    order = np.argsort(budgets, kind="stable")
    parts = [order, *np.array_split(order, BINS)]
    ranges = [f"{budgets[part[0]]:,.0f} to {budgets[part[-1]]:,.0f}" for part in parts]
    means = np.array([weights[part].mean(axis=0) for part in parts])
    return Contrast(members, means, ranges, [len(part) for part in parts])


def differences(losses: xr.Dataset, contrast: Contrast, *, draws: int = BOOTSTRAP_DRAWS, seed: int = 0) -> Differences:
    """Compare oracle pools, with a bootstrap over clusters.

    Parameters
    ----------
    losses
        A loss table.
    contrast
        Which pools.
    draws
        Number of bootstrap draws; each takes clusters with replacement, and finds every pool's best member anew.
    seed
        Seed of the draws.

    Returns
    -------
    Differences
        Of the table and of the draws.
    """
    nll, codes, weights = losses["nll"].to_numpy(), cluster_codes(losses), bl.sample_weights(losses)
    members = contrast.members
    columns = [nll[:, pool[pool >= 0]].min(axis=1) for pool in members]
    sums = np.stack([np.bincount(codes, column) for column in (*columns, *nll.T, weights)], axis=1)
    clusters = len(sums)
    drawn = np.random.default_rng(seed).multinomial(clusters, np.full(clusters, 1 / clusters), size=draws)
    totals = np.vstack([np.ones(clusters), drawn]) @ sums
    rates = loss_scale(losses) * totals[:, :-1] / totals[:, -1:]
    # Padding reads the last entry, which is never the best.
    models = np.column_stack([rates[:, len(members) :], np.full(len(rates), np.inf)])
    best = np.min([models[:, column] for column in members.T], axis=0)
    loss, best_members = rates[:, : len(members)] @ contrast.weights.T, best @ contrast.weights.T
    return Differences(loss, best_members, loss - best_members)
