"""The rule ``mixture``: the ensemble that mixes whole samples, all members with one weight."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from scipy.special import logsumexp, softmax

from bayeslaw.pools import direction_kernels, kernels, mixture_kernels
from bayeslaw.pools.kernels import BLOCK
from bayeslaw.pools.mixture_products import factors_in_products, log_product_sums
from bayeslaw.pools.pool_parts import Part
from bayeslaw.pools.rule_functions import RuleFunctions
from bayeslaw.pools.rule_sums import Step
from bayeslaw.pools.sample_rules import SampleKernels, evaluate_by_sample
from bayeslaw.pools.sampling_factor import Block


def _losses(nll: np.ndarray, folds: np.ndarray) -> np.ndarray:
    return np.log(nll.shape[1]) - logsumexp(-nll, axis=1)


def _gradients(nll: np.ndarray, folds: np.ndarray) -> np.ndarray:
    return softmax(-nll, axis=1)


def _losses_of_members(columns: np.ndarray) -> np.ndarray:
    lowest = columns.min(axis=0)
    return lowest - np.log(np.exp(lowest - columns).mean(axis=0))


def _sums(columns: np.ndarray, parts: Sequence[Part], folds: np.ndarray) -> np.ndarray:
    losses = np.ascontiguousarray(columns, dtype=np.float64)
    base = losses.min(axis=0)
    factors = factors_in_products(losses.max(axis=0) - base)
    if (factors == 0).any():
        # Members so far behind the sample's best that their exponentials are no normal numbers.
        step = _plain_step(losses)
        return np.concatenate([step(part)[0][0] for part in parts])
    exponentials, found = np.exp(base - losses), []
    for part in parts:
        logs = np.zeros(len(part.sizes))
        log_product_sums(exponentials, factors, part.plan, part.pools.shape[1], logs)
        found.append(base.sum() + len(base) * np.log(part.sizes) - logs)
    return np.concatenate(found)


def _make_step(losses: np.ndarray, weights: np.ndarray, blocks: np.ndarray, lane_weights: np.ndarray) -> Step:
    base = losses.min(axis=0)
    exponentials = np.exp(base - losses)

    def step(part: Part) -> tuple[np.ndarray, np.ndarray]:
        found, wins = np.zeros((3, len(part.sizes))), np.zeros(part.pools.shape)
        tables = exponentials, losses, base, weights
        mixture_kernels.mixture_sums(*tables, blocks, lane_weights, part.plan, part.pools, found, wins)
        return found, wins

    return step


def _plain_step(losses: np.ndarray) -> Step:
    """Sum mixtures alone, without regard to clusters."""
    starts = np.arange(0, losses.shape[1], BLOCK)
    blocks = np.zeros((len(starts), 5), dtype=np.int64)
    blocks[:, 0], blocks[:, 1], blocks[:, 2] = kernels.PLAIN, starts, 1
    blocks[:, 3] = np.minimum(BLOCK, losses.shape[1] - starts)
    return _make_step(losses, np.ones(losses.shape[1]), blocks, np.zeros(1))


def _block_sums(block: np.ndarray) -> Callable[[Part], np.ndarray]:
    step = _plain_step(block.astype(np.float64))
    return lambda part: step(part)[0][0]


def _products(block: Block, on_samples: np.ndarray) -> Callable[[Part], np.ndarray]:
    base = block.losses.min(axis=0)
    exponentials = np.exp(base - block.losses)

    def products(part: Part) -> np.ndarray:
        found = np.zeros((part.pools.shape[0], len(on_samples)))
        direction_kernels.mixture_products(exponentials, block.losses, base, on_samples, part.plan, part.pools, found)
        return found

    return products


_KERNELS = SampleKernels(_losses_of_members, _make_step, _block_sums, _products)
MIXTURE = RuleFunctions(
    losses=_losses,
    gradients=_gradients,
    evaluate=partial(evaluate_by_sample, kernels=_KERNELS),
    sums=_sums,
    kernels=_KERNELS,
)
