"""Rows that no scoring gives: totals among the samples, samples given twice, values filled in, columns sorted alone."""

import hashlib
from collections.abc import Iterator

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.findings import Finding

# Of larger tables some rows are looked at, chosen by a loss, so that equal rows are chosen together.
MOST_ROWS = 50_000
FEWEST_ROWS, SEVERAL_MODELS = 8, 3
# Measured: the row that comes nearest to the sum of all others is 99 % off, to their mean 5 %.
NEAR_SUM, NEAR_MEAN, NEAR_NAMED, MANY_ROWS = 1e-3, 1e-5, 1e-2, 50
SUMMARY_NAMES = frozenset(
    (
        *("mean", "average", "avg", "total", "totals", "grand total", "sum", "all", "overall", "aggregate", "summary"),
        *("std", "sd", "stdev", "count", "n", "median", "min", "max", "25%", "50%", "75%"),
    )
)
# Measured: 0.1 % of the rows are repeats.
REPEATED_SHARE, FEWEST_REPEATED = 0.1, 10
# Where fewer of the rows differ in a loss, losses are rounded so far that rows may well agree.
HIGH_RESOLUTION = 0.8
# Measured: no loss of a model but zero is there more than four times, and the next as often as three quarters of that.
FEWEST_FILLED, FILLED_SHARE, FILLED_TIMES = 4, 0.005, 3


def odd_rows(losses: xr.Dataset) -> Iterator[Finding]:
    """Look for rows that are no samples, or not what each model lost on its sample.

    Parameters
    ----------
    losses
        A loss table, in nats.

    Yields
    ------
    Finding
        Of severity ``"error"``.
    """
    if losses.sizes["sample"] < FEWEST_ROWS:
        return
    yield from summary_rows(losses)
    if "cluster" in losses:
        yield from _subtotals(losses, losses["nll"].to_numpy()[:MOST_ROWS])
    rows = _some_rows(losses["nll"].to_numpy())
    repeats = _repeats(rows)
    if _are_high_resolution(rows[repeats == 0]):
        yield from _repeated_rows(repeats)
    yield from _filled_rows(rows)
    yield from _filled_losses(rows[repeats == 0], losses)
    yield from _sorted_columns(losses)
    yield from _standardised_columns(losses)


def _error(code: str, message: str) -> Finding:
    return Finding(code, "error", message)


def summary_rows(losses: xr.Dataset) -> Iterator[Finding]:
    """Look for rows that are sums or means of all others.

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
    if len(nll) < FEWEST_ROWS or (nll.max(axis=0) == nll.min(axis=0)).all():
        return
    named = [row for row in (0, 1, *range(len(nll) - 6, len(nll))) if _name(losses, row).casefold() in SUMMARY_NAMES]
    sums, count = nll.sum(axis=0), len(nll)
    seen = {row: summary for row in named if (summary := _summary_of(nll, row))}
    largest = int(nll[:, 0].argmax())
    if _near(nll[largest], sums - nll[largest], NEAR_SUM if count < MANY_ROWS else NEAR_NAMED):
        seen[largest] = "sum"
        sums, count = sums - nll[largest], count - 1
    if nll.shape[1] >= SEVERAL_MODELS:
        mean = sums / count
        candidates = np.flatnonzero(np.abs(nll[:, 0] - mean[0]) <= NEAR_MEAN * mean[0])
        seen |= {int(row): "mean" for row in candidates if _near(nll[row], mean, NEAR_MEAN)}
    for row, summary in seen.items():
        message = (
            f"the losses of sample {_name(losses, row)!r} are the {summary} of those of all others under every model: "
            "it is no sample. Leave the row out."
        )
        yield _error("summary-row", message)


def _subtotals(losses: xr.Dataset, nll: np.ndarray) -> Iterator[Finding]:
    """Find rows that are sums of all other rows of their cluster, each of three rows or more."""
    clusters = pd.factorize(losses["cluster"].to_numpy()[: len(nll)])[0]
    sums = np.stack([np.bincount(clusters, column)[clusters] for column in nll.T], axis=1)
    several = np.bincount(clusters)[clusters] > 2
    rows = np.flatnonzero(several & (np.abs(2 * nll - sums) <= NEAR_SUM * nll).all(axis=1) & (nll > 0).all(axis=1))
    # In a cluster of three, one may be the sum of the others by chance; subtotals are in all of them.
    if len(rows) and len(rows) >= len(np.unique(clusters[several])) / 2:
        also = f", and so are those of {len(rows) - 1} others" if len(rows) > 1 else ""
        message = (
            f"the losses of sample {_name(losses, int(rows[0]))!r} are the sum of those of its cluster under every "
            f"model{also}: it is no sample. Leave such rows out."
        )
        yield _error("summary-row", message)


def _name(losses: xr.Dataset, row: int) -> str:
    # As an array, millions of names would take their time and room.
    return str(losses.indexes["sample"][row]) if "sample" in losses.indexes else str(row)


def _summary_of(nll: np.ndarray, row: int) -> str:
    """Return what a row with a telling name is of the rows that are samples, or nothing."""
    others = np.delete(nll, row, axis=0)
    statistics = {
        "sum": others.sum(axis=0),
        "mean": others.mean(axis=0),
        "median": np.median(others, axis=0),
        "standard deviation": others.std(axis=0, ddof=1),
        "largest": others.max(axis=0),
        "lowest": others.min(axis=0),
    }
    return next((name for name, value in statistics.items() if _near(nll[row], value, NEAR_NAMED)), "")


def _near(row: np.ndarray, value: np.ndarray, within: float) -> bool:
    return bool((np.abs(row - value) <= within * np.abs(value)).all()) and bool((value != 0).all())


def _some_rows(nll: np.ndarray) -> np.ndarray:
    """Return the rows, or of a large table every so many distinct ones with all that equal them."""
    every = -(-len(nll) // MOST_ROWS)
    if every == 1:
        return nll
    bits = nll[:, 0].astype(np.float64).view(np.uint64)
    # Numbers that were written in decimal or in single precision end in the same bits: they are mixed first.
    bits *= np.uint64(0x9E3779B97F4A7C15)
    bits >>= np.uint64(40)
    bits %= np.uint64(every)
    return nll[bits == 0]


def _repeats(rows: np.ndarray) -> np.ndarray:
    """Count for each row the equal ones before it, [sample]; zero of those without a loss."""
    mixed = (rows * np.random.default_rng(0).uniform(1, 2, rows.shape[1])).sum(axis=1)
    order = np.argsort(mixed, kind="stable")
    same = np.append(False, np.diff(mixed[order]) == 0) & (mixed[order] > 0)
    starts = np.maximum.accumulate(np.where(same, 0, np.arange(len(order))))
    repeats = np.empty(len(rows), dtype=int)
    repeats[order] = np.arange(len(order)) - starts
    return repeats


def repeated_columns(values: np.ndarray) -> list[list[int]]:
    """Return the columns that are the same in every row, those of one content together; none that stand alone."""
    together: dict[bytes, list[int]] = {}
    for index, column in enumerate(values.T):
        together.setdefault(hashlib.sha256(np.ascontiguousarray(column)).digest(), []).append(index)
    return [indices for indices in together.values() if len(indices) > 1]


def _are_high_resolution(rows: np.ndarray) -> bool:
    """Say whether some model's losses are given so exactly that equal ones are the same."""
    return any(len(np.unique(column)) >= HIGH_RESOLUTION * len(column) for column in rows.T)


def _repeated_rows(repeats: np.ndarray) -> Iterator[Finding]:
    distinct, repeated = int((repeats == 0).sum()), int((repeats == 1).sum())
    if repeated >= max(FEWEST_REPEATED, REPEATED_SHARE * distinct):
        share = float((repeats > 0).mean())
        message = (
            f"{share:.1%} of the rows have the losses of another row under every model: samples are there twice under "
            "other names, and standard errors too small. Give each sample once."
        )
        yield _error("repeated-rows", message)


def _filled_rows(rows: np.ndarray) -> Iterator[Finding]:
    """Find rows on which all models have one and the same loss."""
    if rows.shape[1] < SEVERAL_MODELS:
        return
    filled = rows[(rows[:, 0] > 0) & (rows.max(axis=1) == rows.min(axis=1)), 0]
    # Losses that agree since they are rounded far are of many values.
    if len(filled) and (filled == filled[0]).all() and len(filled) < len(rows):
        message = (
            f"all {rows.shape[1]} models have the loss {filled[0]:g} on {len(filled)} of the samples: a value that "
            "stands for one that is missing? Leave such losses empty."
        )
        yield _error("filled-losses", message)


def _filled_losses(rows: np.ndarray, losses: xr.Dataset) -> Iterator[Finding]:
    """Find a loss of a model that is there far more often than any other."""
    for name, column in zip(losses["lm"].to_numpy(), rows.T, strict=True):
        values, counts = np.unique(column[column > 0], return_counts=True)
        if len(values) < 2:
            continue
        most, others = int(counts.argmax()), np.delete(counts, counts.argmax())
        if counts[most] >= max(FEWEST_FILLED, FILLED_SHARE * len(column), FILLED_TIMES * others.max() + 1):
            message = (
                f"the loss of {name} is {values[most]:g} on {counts[most]} of {len(column)} different samples, and no "
                f"other is there more than {others.max()} times: a value that stands for one that is missing, or one "
                "at which losses are cut? Leave such losses empty."
            )
            yield _error("filled-losses", message)


def _sorted_columns(losses: xr.Dataset) -> Iterator[Finding]:
    """Find losses of several models that all rise, or fall, from the first sample to the last."""
    nll = losses["nll"].to_numpy()
    for sign, how in ((1, "rise"), (-1, "fall")):
        start = (np.diff(sign * nll[:FEWEST_ROWS], axis=0) >= 0).all(axis=0)
        ordered = [
            index
            for index in np.flatnonzero(start)
            if (np.diff(sign * nll[:, index]) >= 0).all() and nll[0, index] != nll[-1, index]
        ]
        if len(ordered) > 1:
            message = (
                f"the losses of {len(ordered)} models {how} from the first sample to the last: was each column sorted "
                "by itself? Rows have to be of one sample."
            )
            yield _error("sorted-columns", message)


def _standardised_columns(losses: xr.Dataset) -> Iterator[Finding]:
    """Find models that all have one mean loss, on samples on which they differ."""
    nll = losses["nll"].to_numpy()
    means = nll.mean(axis=0)
    if len(means) < SEVERAL_MODELS or np.ptp(means) > 1e-6 * means.max() or (nll[:, :1] == nll).all():
        return
    message = (
        f"all {len(means)} models have the mean loss {means[0]:.6g}, and differ on samples: are these ranks, or losses "
        "of which each column was scaled by itself?"
    )
    yield _error("scaled-columns", message)
