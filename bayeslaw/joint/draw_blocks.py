"""Work on many draws, some at a time, on all cores."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from bayeslaw.pools.cpu_cores import one_blas_thread, usable_cores

MOST_DRAWS = 16
MOST_NUMBERS = 2**20


def thinned(values: Mapping[str, np.ndarray], names: Iterable[str], most: int) -> dict[str, np.ndarray]:
    """Take every so many of the draws of some sites, each [draw, ...], so that there are so many at most."""
    return {name: values[name][:: max(1, len(values[name]) // most)][:most] for name in names}


def map_draws(
    work: Callable[[Mapping[str, np.ndarray], np.random.Generator], np.ndarray],
    values: Mapping[str, np.ndarray],
    *,
    numbers: int,
    seed: int,
) -> np.ndarray:
    """Call a function on blocks of draws and join what it returns.

    Parameters
    ----------
    work
        Of draws of every site, each [draw, ...] in float64, and a source of randomness: what is wanted of each draw,
        [draw, ...]. It is called from several threads.
    values
        All draws of every site.
    numbers
        About how many numbers the function holds for each draw at the same time, which limits the block.
    seed
        Seed; what a block draws depends on it and on the place of the block, not on the number of cores.

    Returns
    -------
    np.ndarray
        [draw, ...].
    """
    count = len(next(iter(values.values())))
    size = min(max(MOST_NUMBERS // max(numbers, 1), 1), MOST_DRAWS)
    starts = range(0, count, size)

    def block(start: int, sequence: np.random.SeedSequence) -> np.ndarray:
        chosen = {name: np.asarray(draws[start : start + size], dtype=float) for name, draws in values.items()}
        return work(chosen, np.random.default_rng(sequence))

    with one_blas_thread(), ThreadPoolExecutor(max_workers=usable_cores()) as executor:
        return np.concatenate(list(executor.map(block, starts, np.random.SeedSequence(seed).spawn(len(starts)))))
