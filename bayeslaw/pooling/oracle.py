"""The rule ``oracle``: on every sample the lowest loss of the members, a bound that is in general not attained."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor

import numpy as np

from bayeslaw.pooling import direction_kernels, kernels
from bayeslaw.pooling.cluster_layout import ClusterLayout
from bayeslaw.pooling.parts import Part, Step
from bayeslaw.pooling.pool_table import Evaluation, PoolTable
from bayeslaw.pooling.rule_functions import RuleFunctions
from bayeslaw.pooling.sample_rules import evaluate_by_sample
from bayeslaw.pooling.wins import win_step


def _losses(nll: np.ndarray, folds: np.ndarray) -> np.ndarray:
    return nll.min(axis=1)


def _gradients(nll: np.ndarray, folds: np.ndarray) -> np.ndarray:
    lowest = nll == nll.min(axis=1, keepdims=True)
    return lowest / lowest.sum(axis=1, keepdims=True)


def _sums(columns: np.ndarray, parts: Sequence[Part], folds: np.ndarray) -> np.ndarray:
    rounded, sums = np.ascontiguousarray(columns, dtype=np.float32), np.zeros(parts[-1].rows.stop)
    for part in parts:
        kernels.minimum_sums(rounded, part.plan, part.pools.shape[1], sums[part.rows])
    return sums


def _evaluate(table: PoolTable) -> Evaluation:
    return evaluate_by_sample(table, losses=lambda own: own.min(axis=0), make_steps=_make_steps, project=_project)


def _make_steps(
    table: PoolTable, layout: ClusterLayout, sums: np.ndarray, null_sums: np.ndarray, wins: np.ndarray
) -> list[Callable[[], Step]]:
    nulls = [
        lambda row=row, columns=columns: _null_step(columns(), row)
        for row, columns in zip(null_sums, table.null_tables, strict=True)
    ]
    return [
        lambda: _sum_step(table.columns, layout, sums),
        lambda: win_step(table.columns, table.weights, wins),
        *nulls,
    ]


def _sum_step(columns: np.ndarray, layout: ClusterLayout, sums: np.ndarray) -> Step:
    padded = np.concatenate([columns, np.zeros((len(columns), 1))], axis=1)[:, layout.order]

    def step(part: Part) -> None:
        # A fresh array: one layout in memory means one compiled version.
        found = np.zeros((3, len(part.sizes)))
        kernels.oracle_sums(padded, layout.blocks, layout.weights, part.plan, part.pools.shape[1], found)
        sums[:, part.rows] = found

    return step


def _null_step(columns: np.ndarray, sums: np.ndarray) -> Step:
    # Only deviations from the models' mean are rounded to float32: an error near 1e-8 of them, far below what another
    # shuffle would change.
    means = columns.mean(axis=0)
    deviations = (columns - means).astype(np.float32)
    sums[:] = means.sum()

    def step(part: Part) -> None:
        kernels.minimum_sums(deviations, part.plan, part.pools.shape[1], sums[part.rows])

    return step


def _project(
    columns: np.ndarray, on_samples: np.ndarray, parts: Sequence[Part], executor: Executor, count: int
) -> np.ndarray:
    products = np.zeros((count, len(on_samples)))

    def step(part: Part) -> None:
        found = np.zeros((part.pools.shape[0], len(on_samples)))
        direction_kernels.oracle_products(columns, on_samples, part.plan, part.pools.shape[1], found)
        products[part.rows] = found

    list(executor.map(step, parts))
    return products


ORACLE = RuleFunctions(losses=_losses, gradients=_gradients, evaluate=_evaluate, sums=_sums)
