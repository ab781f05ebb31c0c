"""Losses, bytes and tokens that are not of the same texts: losses that do not grow with the length of samples."""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from bayeslaw.findings import Finding

MOST_ROWS = 50_000
# Losses of words in a context need not grow with their length, and those of texts of one length cannot.
FEWEST_ROWS, FEWEST_BYTES, LEAST_SPREAD = 50, 20, 0.3
# Measured: correlations of the logarithms of losses and bytes of at least 0.8, of parts of 60 samples too.
LEAST_CORRELATION = 0.25
# Bits per byte that text takes: a uniform guess of the byte has 8, the best models of today 0.5; measured, 2.1 to 3.7.
# The last is the largest share of samples outside.
MOST_BITS, FEWEST_BITS, MOST_OUTSIDE = 8.0, 0.1, 0.1
SHIFTS = (-3, -2, -1, 1, 2, 3)
MOVED, MOVED_GAIN = 0.6, 0.3
# A token has a byte at least, but for a few that stand at the beginning and at the end.
MOST_TOKENS = 1.5


def odd_lengths(losses: xr.Dataset) -> Iterator[Finding]:
    """Look for losses that have nothing to do with the bytes of samples, and for tokens that cannot be theirs.

    Parameters
    ----------
    losses
        A loss table, in nats.

    Yields
    ------
    Finding
        Of severity ``"error"``.
    """
    if "bytes" not in losses:
        return
    yield from _tokens(losses)
    yield from _rates(losses)
    size, nll = losses["bytes"].to_numpy()[:MOST_ROWS].astype(float), losses["nll"].to_numpy()[:MOST_ROWS]
    there = (size > 0) & (nll > 0).all(axis=1)
    if there.sum() < FEWEST_ROWS or np.median(size[there]) < FEWEST_BYTES:
        return
    logs, length = np.log(nll[there]), np.log(size[there])
    if length.std() < LEAST_SPREAD:
        return
    yield from _lengths(logs, length, [str(name) for name in losses["lm"].to_numpy()])


def _rates(losses: xr.Dataset) -> Iterator[Finding]:
    """Find rows in another unit than the rest, as of two runs put together."""
    step = max(1, losses.sizes["sample"] // MOST_ROWS)
    size, nll = losses["bytes"].to_numpy()[::step].astype(float), losses["nll"].to_numpy()[::step]
    usual = np.median(nll.sum(axis=0)) / (np.log(2) * max(float(size.sum()), 1.0))
    long = size >= FEWEST_BYTES
    if long.sum() < FEWEST_ROWS or not FEWEST_BITS <= usual <= MOST_BITS:
        return
    bits = np.median(nll[long], axis=1) / (np.log(2) * size[long])
    outside = {f"under {FEWEST_BITS:g}": (bits < FEWEST_BITS).mean(), f"over {MOST_BITS:g}": (bits > MOST_BITS).mean()}
    where, share = max(outside.items(), key=lambda one: one[1])
    if share > MOST_OUTSIDE:
        message = (
            f"{share:.1%} of the samples of {FEWEST_BYTES} bytes or more have {where} bits per byte under half of the "
            f"models, and the table has {usual:.3g} in all: were rows of two runs put together, the losses of one of "
            "them means over tokens or in another unit?"
        )
        yield Finding("bits-per-byte", "error", message)


def _lengths(logs: np.ndarray, length: np.ndarray, names: list[str]) -> Iterator[Finding]:
    correlation = _correlation(logs, length)
    mean = logs.mean(axis=1, keepdims=True)
    shift = max(SHIFTS, key=lambda each: _correlation(mean, np.roll(length, each))[0])
    at_home, moved = _correlation(mean, length)[0], _correlation(mean, np.roll(length, shift))[0]
    if moved > max(MOVED, at_home + MOVED_GAIN):
        message = (
            f"the losses follow the bytes of the samples {abs(shift)} {'later' if shift < 0 else 'earlier'} "
            f"(correlation {moved:.2f} in place of {at_home:.2f}): the column bytes is moved."
        )
        yield Finding("lengths", "error", message)
        return
    odd = np.flatnonzero(correlation + 2.6 / np.sqrt(len(length)) < LEAST_CORRELATION)
    if len(odd):
        which = "the models" if len(odd) == len(names) else ", ".join(names[index] for index in odd[:8])
        which += f" and {len(odd) - 8} more" if 8 < len(odd) < len(names) else ""
        message = (
            f"the losses of {which} do not grow with the bytes of the samples (correlation of their logarithms at most "
            f"{correlation[odd].max():.2f}): losses are sums over the tokens of a sample, not means, and bytes those "
            "of the same sample."
        )
        yield Finding("lengths", "error", message)


def _correlation(values: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Return the correlation of each column with the lengths, zero of one that does not vary."""
    deviations, of_length = values - values.mean(axis=0), length - length.mean()
    scale = np.sqrt((deviations**2).sum(axis=0) * (of_length**2).sum())
    return of_length @ deviations / np.where(scale > 0, scale, 1)


def _tokens(losses: xr.Dataset) -> Iterator[Finding]:
    if "tokens" not in losses:
        return
    tokens, size = losses["tokens"].to_numpy(), losses["bytes"].to_numpy()
    total = float(tokens.sum()) / (tokens.shape[1] if tokens.ndim == 2 else 1)
    if total == 0 or total > MOST_TOKENS * float(size.sum()):
        message = (
            f"the samples have {total:,.0f} tokens and {size.sum():,.0f} bytes, and a token has a byte at least: check "
            "the columns tokens and bytes."
        )
        yield Finding("lengths", "error", message)
