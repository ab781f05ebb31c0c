"""The rule ``oracle``: on every sample the lowest loss of the members, a bound that is in general not attained."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from bayeslaw.pools import direction_kernels, kernels
from bayeslaw.pools.pool_parts import Part
from bayeslaw.pools.rule_functions import RuleFunctions
from bayeslaw.pools.rule_sums import Step
from bayeslaw.pools.sample_rules import SampleKernels, evaluate_by_sample
from bayeslaw.pools.sampling_factor import Block
from bayeslaw.pools.wins import WinCounts


def _losses(nll: np.ndarray, folds: np.ndarray) -> np.ndarray:
    return nll.min(axis=1)


def _gradients(nll: np.ndarray, folds: np.ndarray) -> np.ndarray:
    lowest = nll == nll.min(axis=1, keepdims=True)
    return lowest / lowest.sum(axis=1, keepdims=True)


def _sums(columns: np.ndarray, parts: Sequence[Part], folds: np.ndarray) -> np.ndarray:
    rounded = np.ascontiguousarray(columns, dtype=np.float32)
    return np.concatenate(list(map(_block_sums(rounded), parts)))


def _make_step(losses: np.ndarray, weights: np.ndarray, blocks: np.ndarray, lane_weights: np.ndarray) -> Step:
    counts = WinCounts.of(losses, weights)

    def step(part: Part) -> tuple[np.ndarray, np.ndarray]:
        found = np.zeros((3, len(part.sizes)))
        kernels.oracle_sums(losses, blocks, lane_weights, part.plan, part.pools.shape[1], found)
        return found, counts.add_up(part)

    return step


def _block_sums(block: np.ndarray) -> Callable[[Part], np.ndarray]:
    def sums(part: Part) -> np.ndarray:
        found = np.zeros(len(part.sizes))
        kernels.minimum_sums(block, part.plan, part.pools.shape[1], found)
        return found

    return sums


def _products(block: Block, on_samples: np.ndarray) -> Callable[[Part], np.ndarray]:
    def products(part: Part) -> np.ndarray:
        found = np.zeros((part.pools.shape[0], len(on_samples)))
        direction_kernels.oracle_products(block.losses, on_samples, part.plan, part.pools.shape[1], found)
        return found

    return products


_KERNELS = SampleKernels(lambda members: members.min(axis=0), _make_step, _block_sums, _products)
ORACLE = RuleFunctions(
    losses=_losses,
    gradients=_gradients,
    evaluate=partial(evaluate_by_sample, kernels=_KERNELS),
    sums=_sums,
    kernels=_KERNELS,
)
