"""One model's losses given in bits where those of the others are in nats."""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from bayeslaw.findings import Finding

LOG_RATIO = -float(np.log(np.log(2)))
"""Logarithm of what a nat is in bits, 1.44."""
# Of ten measured tables none has two models of so nearly one size, so nearly this ratio and so little scatter about it,
# of 3,000 random parts of them with three models or more and 60 samples or more one has. Where sizes may differ by a
# factor of two, parts of one of the tables have.
LIKE_SIZE, NEAR_RATIO, TIMES_SCATTER = 1.3, 0.05, 1.5
FEWEST_ROWS, MOST_ROWS = 50, 3_000


def bits_for_nats(losses: xr.Dataset) -> Iterator[Finding]:
    """Look for a model that loses 1.44 times as much as one of its size, on every text alike.

    A worse model loses more on some texts than on others: the logarithm of the ratio of its losses to those of a better
    one scatters. That of one and the same model in two units does not. So the scatter is held to that between the other
    models and those nearest to them.

    Parameters
    ----------
    losses
        A loss table.

    Yields
    ------
    Finding
        Of severity ``"error"``.
    """
    nll = losses["nll"].to_numpy()
    rows = nll[:: max(1, len(nll) // MOST_ROWS)]
    rows = rows[(rows > 0).all(axis=1)]
    if rows.shape[1] < 3 or len(rows) < FEWEST_ROWS:
        return
    sizes, totals = np.log(losses["parameters"].to_numpy().astype(float)), np.log(rows.sum(axis=0))
    like_size = np.abs(sizes[:, None] - sizes) < np.log(LIKE_SIZE)
    suspected = like_size & (np.abs(totals[:, None] - totals - LOG_RATIO) < NEAR_RATIO)
    if not suspected.any():
        return
    scatter = _scatter(rows)
    names = losses["lm"].to_numpy()
    for index in np.flatnonzero(suspected.any(axis=1)):
        peer = int(np.where(like_size[index], scatter[index], np.inf).argmin())
        others = np.delete(np.delete(scatter, index, axis=0), index, axis=1)
        if suspected[index, peer] and scatter[index, peer] < TIMES_SCATTER * np.median(others.min(axis=1)):
            message = (
                f"{names[index]} loses {np.exp(totals[index] - totals[peer]):.2f} times as much as {names[peer]}, a "
                "model of about its size, on one text as on the other, and a nat is 1.44 bits: its losses may be in "
                "bits, those of the others in nats."
            )
            yield Finding("bits-for-nats", "error", message)


def _scatter(rows: np.ndarray) -> np.ndarray:
    """Return the standard deviation of the log ratio of each two models' losses, weighted by the second's, [lm, lm]."""
    logs, weights = np.log(rows), rows / rows.sum(axis=0)
    first = logs.T @ weights
    mean = first - np.diagonal(first)
    squares = (logs**2).T @ weights
    products = logs.T @ (logs * weights)
    variance = squares - 2 * products + np.diagonal(squares) - mean**2
    scatter = np.sqrt(np.maximum(variance, 0))
    np.fill_diagonal(scatter, np.inf)
    return scatter
