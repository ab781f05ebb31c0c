"""Positions as sines and cosines of many periods, added to embeddings."""

import math

import numpy as np

LARGEST_PERIOD = 10_000


def sinusoids(length: int, width: int, *, first: int, steps: int) -> np.ndarray:
    """Return what is added to embeddings by position.

    Parameters
    ----------
    length
        Number of positions.
    width
        Width of the embeddings.
    first
        Number of the first position.
    steps
        In how many equal steps of its logarithm the period grows from 2 pi to 10,000 times that: half the width
        (Vaswani et al., Attention Is All You Need, 2017), or one less.

    Returns
    -------
    numpy.ndarray
        [length, width], float32: sines in the first half, cosines in the second, and a zero where the width is odd.

    Examples
    --------
    >>> sinusoids(2, 4, first=0, steps=2).round(2).tolist()
    [[0.0, 0.0, 1.0, 1.0], [0.8399999737739563, 0.009999999776482582, 0.5400000214576721, 1.0]]
    """
    half = width // 2
    # In float32 from the beginning, as the models were trained with.
    speeds = np.exp(np.arange(half, dtype=np.float32) * np.float32(-math.log(LARGEST_PERIOD) / steps))
    angles = np.arange(first, first + length, dtype=np.float32)[:, None] * speeds
    table = np.concatenate([np.sin(angles), np.cos(angles)], 1)
    return np.pad(table, ((0, 0), (0, width - 2 * half)))
