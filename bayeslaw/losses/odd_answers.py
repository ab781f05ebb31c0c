"""Right and wrong answers that cannot be: those of one model given as two, or rows in another order."""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from bayeslaw.findings import Finding
from bayeslaw.losses.odd_rows import repeated_columns, summary_rows

FEWEST_ROWS, FEWEST_OF_EACH, FEWEST_MODELS = 100, 10, 4
# Good models may well fail on the same few of a hundred samples.
FEWEST_SAME = 50
# What models answer rightly depends on the question. Those that guess have nothing in common with the others, and are
# right less often.
USUAL, SHARE_OF_USUAL, INVERSE = 0.25, 0.3, 0.8


def odd_answers(losses: xr.Dataset) -> Iterator[Finding]:
    """Look for mistakes in a table of right and wrong answers.

    Parameters
    ----------
    losses
        A loss table of answers, or of shares of them.

    Yields
    ------
    Finding
        Of severity ``"error"``.
    """
    wrong, names = losses["nll"].to_numpy(), [str(name) for name in losses["lm"].to_numpy()]
    of_each = np.minimum((wrong > 0).sum(axis=0), (wrong < 1).sum(axis=0))
    yield from summary_rows(losses)
    if len(wrong) < FEWEST_ROWS:
        return
    for together in repeated_columns(wrong):
        if of_each[together[0]] >= FEWEST_SAME:
            listed = " and ".join(names[index] for index in together)
            message = f"{listed} answer every sample alike: one model's answers were given twice."
            yield Finding("duplicate-columns", "error", message)
    yield from _unaligned(wrong, names, of_each >= FEWEST_OF_EACH)


def _unaligned(wrong: np.ndarray, names: list[str], told: np.ndarray) -> Iterator[Finding]:
    """Find models that are as good as others, on samples that have nothing to do with those of the others."""
    if told.sum() < FEWEST_MODELS:
        return
    at = np.flatnonzero(told)
    standard = wrong[:, at] - wrong[:, at].mean(axis=0)
    standard /= standard.std(axis=0)
    correlation = standard.T @ standard / len(standard)
    np.fill_diagonal(correlation, np.nan)
    with_others = np.nanmedian(correlation, axis=0)
    usual, means = float(np.median(with_others)), wrong[:, at].mean(axis=0)
    if usual < USUAL:
        return
    # Of few rows a correlation may be small by chance.
    least = max(SHARE_OF_USUAL * usual, USUAL) - 2.6 / np.sqrt(len(wrong))
    for index, found in enumerate(with_others):
        if found < -INVERSE * usual:
            message = (
                f"{names[at[index]]}: it is right where the others are wrong (correlation {found:.2f}, usually "
                f"{usual:.2f}): right and wrong may be exchanged."
            )
            yield Finding("unaligned", "error", message)
        if abs(found) < least and means[index] <= np.median(means):
            message = (
                f"{names[at[index]]}: it is right as often as the others, on samples that have nothing to do with "
                f"theirs (correlation {found:.2f}, usually {usual:.2f}): its rows may be in another order."
            )
            yield Finding("unaligned", "error", message)
