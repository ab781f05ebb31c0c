"""Columns that no scoring gives: losses that never change, bytes that are no counts, parts of sizes above the whole."""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from bayeslaw.findings import Finding
from bayeslaw.losses.sizes import ROUNDED


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


def parts_above_total(losses: xr.Dataset) -> Iterator[Finding]:
    """Look for models with more active or non-embedding parameters than parameters.

    Parameters
    ----------
    losses
        A loss table, or a table of whole models.

    Yields
    ------
    Finding
        Of severity ``"error"``.
    """
    total = losses["parameters"].to_numpy().astype(float)
    for part in ("active_parameters", "non_embedding_parameters"):
        if part not in losses:
            continue
        count = losses[part].to_numpy().astype(float)
        for index in np.flatnonzero(count > ROUNDED * total):
            message = (
                f"{losses['lm'].to_numpy()[index]} is said to have {count[index]:.3g} {part.replace('_', ' ')} of "
                f"{total[index]:.3g} in all: check the units of both."
            )
            yield Finding("part-above-total", "error", message)
