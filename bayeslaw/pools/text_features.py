"""Byte statistics and hashed n-grams of texts: what a router may see of a text without running a model."""

from collections.abc import Sequence

import numpy as np

BUCKETS = 256
LENGTHS = (1, 2, 3)
# Odd numbers: multiplied by them, n-grams spread over all buckets (Knuth's multiplicative hashing, in 64 bits).
_FACTOR, _STEP, _SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(0x100000001B3), np.uint64(56)
_LETTERS = np.isin(np.arange(256), [*range(65, 91), *range(97, 123)])
_KINDS = {
    "letters": _LETTERS,
    "capitals": np.isin(np.arange(256), range(65, 91)),
    "digits": np.isin(np.arange(256), range(48, 58)),
    "white space": np.isin(np.arange(256), [9, 10, 13, 32]),
    "line feeds": np.arange(256) == 10,
    "beyond ASCII": np.arange(256) > 127,
}


def text_columns(texts: Sequence[str]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Describe texts.

    Parameters
    ----------
    texts
        The texts.

    Returns
    -------
    numbers : dict
        Logarithm of one plus the bytes in UTF-8, shares of kinds of bytes, and the entropy of the bytes in nats: those
        that differ between texts, each [text].
    shares : dict
        Square roots of the shares of hashed n-grams of one to three bytes: those that differ, each [text].
    """
    kinds = np.stack(list(_KINDS.values())).astype(float)
    numbers, hashed = np.zeros((len(texts), 2 + len(kinds))), np.zeros((len(texts), BUCKETS))
    for row, text in enumerate(texts):
        # Surrogates that no encoding has stand for nothing, and are no reason to stop.
        data = np.frombuffer(text.encode("utf-8", "replace"), np.uint8)
        counts = np.bincount(data, minlength=256) / max(len(data), 1)
        entropy = -(counts[counts > 0] * np.log(counts[counts > 0])).sum()
        numbers[row] = [np.log1p(len(data)), entropy, *kinds @ counts]
        hashed[row] = _hashed(data)
    names = ["text bytes", "text entropy", *(f"text {kind}" for kind in _KINDS)]
    return _named(names, numbers), _named([f"n-grams {bucket}" for bucket in range(BUCKETS)], hashed)


def _hashed(data: np.ndarray) -> np.ndarray:
    found = np.zeros(BUCKETS)
    value = np.zeros(len(data), dtype=np.uint64)
    for length in LENGTHS:
        if length > len(data):
            break
        value = value[: len(data) - length + 1] * _STEP + data[length - 1 :].astype(np.uint64) + np.uint64(1)
        found += np.bincount((value * _FACTOR >> _SHIFT).astype(np.int64), minlength=BUCKETS)
    return np.sqrt(found / max(found.sum(), 1))


def _named(names: Sequence[str], columns: np.ndarray) -> dict[str, np.ndarray]:
    return {name: column for name, column in zip(names, columns.T, strict=True) if column.min() < column.max()}
