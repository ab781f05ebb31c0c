"""Columns that no scoring gives: losses that never change, bytes that are no counts, one model as two."""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from bayeslaw.findings import Finding
from bayeslaw.losses.metrics import metric_of


def constant_losses(losses: xr.Dataset) -> Iterator[Finding]:
    """Look for models that lose the same on every sample, where others do not.

    Parameters
    ----------
    losses
        A loss table of some samples.

    Yields
    ------
    Finding
        Of severity ``"error"``. Of losses that are all zero, or all 0 or 1, other findings tell.
    """
    nll = losses["nll"].to_numpy()
    lowest, highest = nll.min(axis=0), nll.max(axis=0)
    constant = (lowest == highest) & (lowest != 0)
    # Tables are large: whether all are 0 or 1 is asked where it matters.
    if not constant.any() or constant.all() or np.isin(nll, (0.0, 1.0)).all():
        return
    for index in np.flatnonzero(constant):
        message = (
            f"{losses['lm'].to_numpy()[index]} loses {lowest[index]:.4g} nats on every sample, and other models do "
            "not: is its mean loss given in the place of the loss of each sample?"
        )
        yield Finding("constant-losses", "error", message)


def fractional_bytes(losses: xr.Dataset) -> Iterator[Finding]:
    """Look for lengths of samples that are no whole numbers of bytes.

    Parameters
    ----------
    losses
        A loss table.

    Yields
    ------
    Finding
        Of severity ``"error"``.
    """
    if "bytes" not in losses:
        return
    size = losses["bytes"].to_numpy()
    broken = np.flatnonzero(size != np.floor(size))
    if len(broken):
        message = (
            f"the bytes of {len(broken)} of {len(size)} samples are no whole numbers, those of "
            f"{losses['sample'].to_numpy()[broken[0]]} {size[broken[0]]:g}: they are to be the length of each sample's "
            "text in UTF-8, not in thousands of bytes and no mean."
        )
        yield Finding("fractional-bytes", "error", message)


# Models whose losses usually differ by less than this are one model, rounded or trained a little further. Measured:
# 1.3 % between two models of one table.
NEARLY_SAME, FEWEST_ROWS, MOST_ROWS = 0.005, 20, 3_000


def near_copies(losses: xr.Dataset) -> Iterator[Finding]:
    """Look for models whose losses hardly differ, as those of a quantised copy do from its original's.

    Parameters
    ----------
    losses
        A loss table, in nats.

    Yields
    ------
    Finding
        Of severity ``"warning"``. Of losses that are the same but for rounding another finding tells.
    """
    nll, names = losses["nll"].to_numpy(), losses["lm"].to_numpy()
    rows = nll[:: max(1, len(nll) // MOST_ROWS)]
    if len(rows) < FEWEST_ROWS or not metric_of(losses).log_losses:
        return
    for first in range(len(names)):
        scale = np.maximum(np.abs(rows[:, [first]]), np.abs(rows[:, first + 1 :]))
        apart = np.median(np.abs(rows[:, [first]] - rows[:, first + 1 :]) / np.where(scale > 0, scale, 1), axis=0)
        for other in np.flatnonzero((apart > 0) & (apart < NEARLY_SAME)) + first + 1:
            message = (
                f"the losses of {names[first]} and {names[other]} usually differ by {apart[other - first - 1]:.2%}: is "
                "one a copy of the other, such as a quantised one or the next checkpoint? A law counts both as models, "
                "and a pool of both gains hardly anything."
            )
            yield Finding("near-copies", "warning", message)
