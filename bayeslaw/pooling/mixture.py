"""The rule ``mixture``: the ensemble that mixes whole samples, all members with one weight."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor

import numpy as np
from scipy.special import logsumexp, softmax

from bayeslaw.pooling import direction_kernels, kernels, mixture_kernels
from bayeslaw.pooling.cluster_layout import ClusterLayout
from bayeslaw.pooling.kernels import BLOCK
from bayeslaw.pooling.parts import Part, Step
from bayeslaw.pooling.pool_table import Evaluation, PoolTable
from bayeslaw.pooling.rule_functions import RuleFunctions
from bayeslaw.pooling.sample_rules import evaluate_by_sample


def _losses(nll: np.ndarray, folds: np.ndarray) -> np.ndarray:
    return np.log(nll.shape[1]) - logsumexp(-nll, axis=1)


def _gradients(nll: np.ndarray, folds: np.ndarray) -> np.ndarray:
    return softmax(-nll, axis=1)


def _losses_of_members(columns: np.ndarray) -> np.ndarray:
    lowest = columns.min(axis=0)
    return lowest - np.log(np.exp(lowest - columns).mean(axis=0))


def _sums(columns: np.ndarray, parts: Sequence[Part], folds: np.ndarray) -> np.ndarray:
    count = parts[-1].rows.stop
    sums, no_wins = np.zeros((1, count)), np.zeros((count, parts[0].pools.shape[1]))
    columns = np.ascontiguousarray(columns, dtype=np.float64)
    step = _plain_step(columns, sums, np.ones(columns.shape[1]), no_wins)
    for part in parts:
        step(part)
    return sums[0]


def _evaluate(table: PoolTable) -> Evaluation:
    return evaluate_by_sample(table, losses=_losses_of_members, make_steps=_make_steps, project=_project)


def _make_steps(
    table: PoolTable, layout: ClusterLayout, sums: np.ndarray, null_sums: np.ndarray, wins: np.ndarray
) -> list[Callable[[], Step]]:
    nulls = [
        lambda row=row, columns=columns: _plain_step(columns(), row[None], table.weights, wins)
        for row, columns in zip(null_sums, table.null_tables, strict=True)
    ]
    return [lambda: _sum_step(table.columns, layout, sums, table.weights, wins), *nulls]


def _sum_step(
    columns: np.ndarray, layout: ClusterLayout, sums: np.ndarray, weights: np.ndarray, wins: np.ndarray
) -> Step:
    """Sum mixtures, their moments over clusters and the responsibilities."""
    padded = np.concatenate([columns, np.zeros((len(columns), 1))], axis=1)[:, layout.order]
    return _mixing_step(
        padded, np.append(weights, 0.0)[layout.order], layout.blocks, layout.weights, sums=sums, wins=wins
    )


def _plain_step(columns: np.ndarray, sums: np.ndarray, weights: np.ndarray, wins: np.ndarray) -> Step:
    """Sum mixtures alone; `wins` is not written to."""
    starts = np.arange(0, columns.shape[1], BLOCK)
    blocks = np.zeros((len(starts), 5), dtype=np.int64)
    blocks[:, 0], blocks[:, 1], blocks[:, 2] = kernels.PLAIN, starts, 1
    blocks[:, 3] = np.minimum(BLOCK, columns.shape[1] - starts)
    return _mixing_step(columns, weights, blocks, np.zeros(1), sums=sums, wins=wins)


def _mixing_step(
    columns: np.ndarray,
    position_weights: np.ndarray,
    blocks: np.ndarray,
    lane_weights: np.ndarray,
    *,
    sums: np.ndarray,
    wins: np.ndarray,
) -> Step:
    base = columns.min(axis=0)
    exponentials = np.exp(base - columns)

    def step(part: Part) -> None:
        found = np.zeros((3, len(part.sizes)))
        tables = exponentials, columns, base, position_weights
        mixture_kernels.mixture_sums(*tables, blocks, lane_weights, part.plan, part.pools, found, wins[part.rows])
        sums[:, part.rows] = found[: len(sums)]

    return step


def _project(
    columns: np.ndarray, on_samples: np.ndarray, parts: Sequence[Part], executor: Executor, count: int
) -> np.ndarray:
    products, base = np.zeros((count, len(on_samples))), columns.min(axis=0)
    exponentials = np.exp(base - columns)

    def step(part: Part) -> None:
        found = np.zeros((part.pools.shape[0], len(on_samples)))
        direction_kernels.mixture_products(exponentials, columns, base, on_samples, part.plan, part.pools, found)
        products[part.rows] = found

    list(executor.map(step, parts))
    return products


MIXTURE = RuleFunctions(losses=_losses, gradients=_gradients, evaluate=_evaluate, sums=_sums)
