"""Posterior predictive check of the joint law: whether replicated pools lose as much as those observed."""

from collections.abc import Mapping
from itertools import combinations
from math import comb
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayeslaw.errors import check_whole
from bayeslaw.joint.draw_blocks import map_draws, thinned
from bayeslaw.joint.joint_model import JointModel
from bayeslaw.joint.replicated_losses import ReplicatedLosses
from bayeslaw.joint.sample_scales import scales_at_mean
from bayeslaw.pools.regimes import REGIMES, regime_of
from bayeslaw.pools.repeated_means import PoolMeans
from bayeslaw.pools.rules import USUAL_RULE, find_rule
from bayeslaw.pools.rules_by_unit import check_combines

if TYPE_CHECKING:
    from bayeslaw.fitting.fits import Fit

POOLS_OF_A_SIZE = 300


def check_fit(
    fit: "Fit",
    *,
    rule: str = USUAL_RULE,
    max_size: int = 4,
    interval: float = 0.9,
    draws: int = 400,
    first: int | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare the observed pools of a fit with replicates of them.

    Parameters
    ----------
    fit, rule, max_size, interval, draws, seed
        As of `bayeslaw.pool_check`.
    first
        How many of these draws give a replicate, which is the one that it gives among all; None for all.

    Returns
    -------
    pandas.DataFrame
        As `check_pools` gives it, with the ``rule``, the ``unit`` of the losses, and the ``interval`` and its kind.
    """
    values = thinned(fit.values(), fit.model.sites, draws)
    found = check_pools(fit.model, values, rule=rule, max_size=max_size, interval=interval, first=first, seed=seed)
    return found.assign(rule=rule, unit=fit.unit, interval=interval, interval_kind="equal-tailed")


def check_pools(
    model: JointModel,
    values: Mapping[str, np.ndarray],
    *,
    rule: str = USUAL_RULE,
    max_size: int = 4,
    interval: float = 0.9,
    first: int | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare observed pools with pools on replicated losses, by size and regime.

    A replicate has new losses of all models on as many new samples: the structure of the dependence with its scatter,
    latent deviations and mean losses as observed. So it checks what pools gain, not the curve over sizes.

    Parameters
    ----------
    model
        The joint law with its table.
    values
        Draws of every site, each [draw, ...]; one replicate for each.
    first
        As in `check_fit`.
    rule
        ``"oracle"``, ``"mixture"``, ``"stacked"`` or ``"best"``.
    max_size
        Largest number of members; of each size all pools, or some 300 drawn.
    interval
        Level of the equal-tailed interval.
    seed
        Seed of pools and replicates.

    Returns
    -------
    pandas.DataFrame
        One row for each size and regime: number of ``pools``, ``observed`` mean loss, ``median``, ``lower`` and
        ``upper`` of the replicates in the reported unit, and ``tail``: the two-sided posterior predictive p-value, the
        smaller share of replicates on either side times two, at least 1 / draws.

    Raises
    ------
    InputError
        If the rule is not known or the size not a whole number of 2 or more.
    """
    sizes, regimes, observed, replicates = _compared(model, values, rule, max_size, seed, first)
    tail = (1 - interval) / 2
    rows = []
    for size in np.unique(sizes):
        for regime in REGIMES:
            in_row = (sizes == size) & (regimes == regime)
            if not in_row.any():
                continue
            drawn, seen = replicates[:, in_row].mean(axis=1), float(observed[in_row].mean())
            lower, median, upper = np.quantile(drawn, [tail, 0.5, 1 - tail])
            side = min(float((drawn <= seen).mean()), float((drawn >= seen).mean()))
            rows.append((size, regime, int(in_row.sum()), seen, median, lower, upper, max(2 * side, 1 / len(drawn))))
    columns = ["size", "regime", "pools", "observed", "median", "lower", "upper", "tail"]
    return pd.DataFrame(rows, columns=columns)


def pool_losses(
    model: JointModel,
    values: Mapping[str, np.ndarray],
    *,
    rule: str = USUAL_RULE,
    max_size: int = 4,
    interval: float = 0.9,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare each observed pool with its replicates; arguments as of `check_pools`.

    Returns
    -------
    pandas.DataFrame
        One row a pool: ``size``, ``regime``, ``observed`` mean loss, and ``median``, ``lower`` and ``upper`` of the
        replicates in the reported unit.

    Raises
    ------
    InputError
        As `check_pools`.
    """
    sizes, regimes, observed, replicates = _compared(model, values, rule, max_size, seed)
    lower, median, upper = np.quantile(replicates, [(1 - interval) / 2, 0.5, (1 + interval) / 2], axis=0)
    columns = {"size": sizes, "regime": regimes, "observed": observed}
    return pd.DataFrame({**columns, "median": median, "lower": lower, "upper": upper})


def _compared(
    model: JointModel,
    values: Mapping[str, np.ndarray],
    rule: str,
    max_size: int,
    seed: int,
    first: int | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Sizes, regimes and observed losses of pools, each [pool], and their replicates, [draw, pool]."""
    check_combines(find_rule(rule, on_tokens=False, of_losses=True), model.table.answer_unit, votes=model.table.votes)
    check_whole("max_size", max_size, lowest=2, suggested=4)
    table = model.table
    members, sizes, regimes = _pools(table.families, max_size, np.random.default_rng(seed))
    means, total = PoolMeans(members, len(table.names), table.clusters, rule), float(table.weights.sum())
    kept = table.nll.sum(axis=1) * table.scale / total
    return sizes, regimes, table.scale * means(table.nll, total), _replicates(model, values, means, kept, seed, first)


def _pools(
    families: np.ndarray, max_size: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose pools, different ones of each size: members [pool, slot] padded with -1, sizes and regimes [pool]."""
    models = len(families)
    rows: list[tuple[int, ...]] = []
    for size in range(2, min(max_size, models) + 1):
        if comb(models, size) <= POOLS_OF_A_SIZE:
            rows += combinations(range(models), size)
        else:
            # Few are drawn twice, and those count once.
            drawn = (generator.choice(models, size, replace=False).tolist() for _ in range(POOLS_OF_A_SIZE))
            rows += sorted({tuple(sorted(pool)) for pool in drawn})
    members = np.full((len(rows), max_size), -1)
    for target, row in zip(members, rows, strict=True):
        target[: len(row)] = row
    regimes = np.array([regime_of([str(families[member]) for member in row]) for row in rows])
    return members, np.array([len(row) for row in rows]), regimes


def _replicates(
    model: JointModel,
    values: Mapping[str, np.ndarray],
    means: PoolMeans,
    kept: np.ndarray,
    seed: int,
    first: int | None,
) -> np.ndarray:
    """Losses of the pools on replicated tables, in the reported unit, [draw, pool]."""
    table, values = model.table, {name: values[name] for name in model.sites}
    replicated = ReplicatedLosses(model, scales_at_mean(model, values), kept)
    to_nats, total = (table.weights / table.scale).astype(np.float32), float(table.weights.sum())

    def losses_of(block: Mapping[str, np.ndarray], generator: np.random.Generator) -> np.ndarray:
        return np.stack([table.scale * means(drawn * to_nats, total) for drawn in replicated.draw(block, generator)])

    # The scales are those at the mean of all draws, so that a draw gives the same replicate among fewer of them.
    drawn = {name: draws[:first] for name, draws in values.items()}
    return map_draws(losses_of, drawn, numbers=len(table.names) ** 2, seed=seed)
