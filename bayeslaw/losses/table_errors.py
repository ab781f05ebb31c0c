"""Mistakes that people make with loss tables: of units, of rows, of columns and of sizes.

What counts as a mistake was set on nine measured tables, none of which has one, and on random parts of them of two to
eight models and ten samples or more, of which 1 of 2,000 has: "measured" beside a limit says how near they come.
"""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from bayeslaw.findings import Finding
from bayeslaw.losses.bits_for_nats import bits_for_nats
from bayeslaw.losses.loss_text import loss_text
from bayeslaw.losses.metrics import metric_of
from bayeslaw.losses.model_names import listed
from bayeslaw.losses.odd_answers import odd_answers
from bayeslaw.losses.odd_columns import constant_losses, fractional_bytes
from bayeslaw.losses.odd_models import odd_models
from bayeslaw.losses.odd_rows import odd_rows, repeated_columns
from bayeslaw.losses.odd_whole_models import odd_whole_models
from bayeslaw.losses.sample_lengths import FEWEST_BITS, MOST_BITS, odd_lengths
from bayeslaw.losses.sizes import count_label
from bayeslaw.losses.weighted_means import mean_losses, sample_weights

# Measured: at most 0.3 % in one model where the others have none.
ZERO_SHARE, ZERO_TIMES, FEWEST_ZEROS = 0.01, 5.0, 5
# Scores of one model by two devices differ by some millionths; of two models by percents.
SAME, NEARLY_ALL = 1e-4, 0.99
# Measured: the least correlation of a model with the others is 0.79 of the median; shuffling leaves nothing.
USUAL_CORRELATION, SHARE_OF_CORRELATION = 0.3, 0.5
LEAST_CORRELATION = -0.3
FEWEST_ALIGNED, MOST_ALIGNED = 20, 50_000
# Measured: between two models of one table at least 0.27.
UNRELATED = 0.15
SHIFTS = (-3, -2, -1, 1, 2, 3)
# Correlation of moved rows, and how much higher than that of the rows as they are; of few rows more is asked for, of
# which measured tables have at most 0.82 and 0.58 by chance.
MOVED, MOVED_FEW = (0.6, 0.3), (0.9, 0.6)
# Measured: at most 3.4 % of a model's losses lie so far from what the other models let expect. A tenth of the rows in
# another order makes 1 to 9 %: most where models are many and alike.
FAR, FAR_SHARE, FAR_TIMES, FAR_FLOOR = 5.0, 0.035, 2.5, 0.004
FEWEST_ROWS = 300
# Of fewer rows nothing is said: two models may well lose the same on one.
FEW_ROWS, FEWEST_SAME = 8, 3
MOST_ROWS, MOST_PREDICTORS = 3_000, 20
# Sizes of the models of a table lie closer, or the largest is better by far.
SIZE_GAP, SIZE_GAIN = 100.0, 1.05


def loss_errors(losses: xr.Dataset) -> list[Finding]:
    """Look for mistakes in a loss table.

    Parameters
    ----------
    losses
        A loss table, or a table of whole models.

    Returns
    -------
    list of Finding
        Of severity ``"error"``.
    """
    found = [*_sizes(losses), *odd_models(losses)]
    if "nll" not in losses:
        return [*odd_whole_models(losses), *found]
    if not metric_of(losses).log_losses:
        return [*odd_answers(losses), *found]
    if scores := list(_scores(losses)):
        return [*scores, *found]
    found = [*_bits(losses), *fractional_bytes(losses), *_zeros(losses), *found]
    if losses.sizes["sample"] < FEW_ROWS:
        return [*_given_twice(losses), *found]
    found = [*bits_for_nats(losses), *odd_rows(losses), *odd_lengths(losses), *_rows(losses), *found]
    return [*constant_losses(losses), *_same(losses), *found]


def _error(code: str, message: str) -> Finding:
    return Finding(code, "error", message)


def _names(losses: xr.Dataset) -> list[str]:
    return [str(name) for name in losses["lm"].to_numpy()]


def _scores(losses: xr.Dataset) -> Iterator[Finding]:
    nll = losses["nll"].to_numpy()
    if np.isin(nll, (0.0, 1.0)).all() and nll.any():
        message = (
            "every loss is 0 or 1: these are scores of right and wrong answers, not losses in nats; read them as such "
            "with --metric accuracy (metric='accuracy') where 1 is right, or error_rate where 1 is wrong."
        )
        yield _error("scores", message)


def _bits(losses: xr.Dataset) -> Iterator[Finding]:
    if "bytes" not in losses:
        return
    size = float(sample_weights(losses).sum())
    bits = losses["nll"].to_numpy().sum(axis=0) / (np.log(2) * size)
    wrong = (bits > MOST_BITS) | (bits < FEWEST_BITS)
    if wrong.any():
        names = [name for name, one in zip(_names(losses), wrong, strict=True) if one]
        low, high = bits[wrong].min(), bits[wrong].max()
        have = f"{low:.3g} bits per byte" if low == high else f"{low:.3g} to {high:.3g} bits per byte"
        message = (
            f"{listed(names)}: {have}, where text takes {FEWEST_BITS:g} to {MOST_BITS:g}. Losses are sums over the "
            "tokens of a sample in nats, not means, and bytes are those of its text in UTF-8."
        )
        yield _error("bits-per-byte", message)


def _zeros(losses: xr.Dataset) -> Iterator[Finding]:
    nll = losses["nll"].to_numpy()
    shares = (nll == 0).mean(axis=0)
    usual = np.array([np.median(np.delete(shares, index)) if len(shares) > 1 else 0.0 for index in range(len(shares))])
    many = (shares > ZERO_SHARE) & (shares * len(nll) >= FEWEST_ZEROS) & (shares > ZERO_TIMES * usual)
    wrong = many | (shares == 1)
    if wrong.any():
        each = zip(_names(losses), shares, wrong, strict=True)
        told = [f"{name} ({share:.1%})" for name, share, one in each if one]
        beside = f", under the other models usually on {usual[wrong].min():.1%}" if len(shares) > 1 else ""
        message = (
            f"losses are exactly 0 on a share of the samples under {listed(told)}{beside}: what was not scored is "
            "missing, not zero. Leave such losses empty."
        )
        yield _error("zero-losses", message)


def _same(losses: xr.Dataset) -> Iterator[Finding]:
    """Find models whose losses are the same but for rounding."""
    nll, names = losses["nll"].to_numpy(), _names(losses)
    rows = nll[:: max(1, len(nll) // MOST_ROWS)]
    left = list(range(len(names)))
    while left:
        first, *left = left
        scale = np.maximum(np.abs(rows[:, [first]]), np.abs(rows[:, left]))
        near = np.abs(rows[:, [first]] - rows[:, left]) <= SAME * scale
        copies = [index for index, one in zip(left, near.mean(axis=0) >= NEARLY_ALL, strict=True) if one]
        if not copies:
            continue
        left = [index for index in left if index not in copies]
        together = [names[index] for index in (first, *copies)]
        exactly = (nll[:, copies] == nll[:, [first]]).all()
        how = "identical losses on every sample" if exactly else f"losses within {SAME:g} of each other"
        yield _error("duplicate-columns", f"{listed(together)} have {how}: one model's scores were given twice.")


def _given_twice(losses: xr.Dataset) -> Iterator[Finding]:
    """Find models with the same losses on a few samples."""
    nll, names = losses["nll"].to_numpy(), _names(losses)
    for together in repeated_columns(nll) if len(nll) >= FEWEST_SAME else ():
        # Losses that were rounded far may well be the same.
        if (nll[:, together[0]] * 100 % 1 != 0).any():
            message = f"{listed([names[index] for index in together])} have identical losses on every sample"
            yield _error("duplicate-columns", f"{message}: one model's scores were given twice.")


def _rows(losses: xr.Dataset) -> Iterator[Finding]:
    """Find models whose rows are in another order than those of the others."""
    # One run of rows, so that moved ones stay beside those that they belong to.
    nll, names = losses["nll"].to_numpy()[:MOST_ALIGNED], _names(losses)
    if len(names) < 2 or len(nll) < FEW_ROWS:
        return
    followed, weights = {"losses": nll}, np.ones((len(nll), 1))
    if "bytes" in losses:
        # Long samples lose more under any model, also where rows of about one length are exchanged.
        weights = np.maximum(sample_weights(losses)[:MOST_ALIGNED], 1)[:, None]
        followed["losses per byte"] = nll / weights
    values = nll / weights
    seen: dict[str, str] = dict(_moved(nll, weights, names))
    for what, each in followed.items():
        seen = dict(_apart(each, names, what)) | seen
    if len(names) == 2 and not seen:
        seen = dict(_unrelated(values, names))
    if len(names) > 2 and len(nll) >= FEWEST_ROWS:
        seen = dict(_far(values, names)) | seen
    for name, message in seen.items():
        yield _error("unaligned", f"{name}: {message}")


def _apart(values: np.ndarray, names: list[str], what: str) -> Iterator[tuple[str, str]]:
    if len(names) < 3 or len(values) < FEWEST_ALIGNED:
        return
    standard = _standardised(values)
    others = (standard.sum(axis=1, keepdims=True) - standard) / (len(names) - 1)
    correlation = (standard * _standardised(others)).mean(axis=0)
    usual = float(np.median(correlation))
    for name, with_others in zip(names, correlation, strict=True):
        # A model of other strengths may be good where the others are bad; other rows have nothing to do with theirs.
        if usual > USUAL_CORRELATION and LEAST_CORRELATION < with_others < SHARE_OF_CORRELATION * usual:
            message = (
                f"its {what} hardly follow those of the other models (correlation {with_others:.2f}, "
                f"usually {usual:.2f}): its rows may be in another order, or of another text."
            )
            yield name, message


def _moved(nll: np.ndarray, weights: np.ndarray, names: list[str]) -> Iterator[tuple[str, str]]:
    standard = _standardised(nll / weights)
    others = _standardised((standard.sum(axis=1, keepdims=True) - standard) / (len(names) - 1))
    at_home = (standard * others).mean(axis=0)
    # The losses are moved and the samples' bytes are not.
    shifted = {shift: (_standardised(np.roll(nll, shift, axis=0) / weights) * others).mean(axis=0) for shift in SHIFTS}
    least, gain = MOVED if len(nll) >= FEWEST_ALIGNED else MOVED_FEW
    # Of two models each is moved as the other is not: one of them is named.
    for index, name in enumerate(names if len(names) > 2 else names[:1]):
        shift = max(SHIFTS, key=lambda each, at=index: shifted[each][at])
        best = shifted[shift][index]
        if best > least and best > at_home[index] + gain:
            message = (
                f"its losses follow those of the other models {abs(shift)} {'rows' if abs(shift) > 1 else 'row'} "
                f"{'later' if shift > 0 else 'earlier'} (correlation {best:.2f} in place of {at_home[index]:.2f}): its "
                "rows are moved."
            )
            yield name, message


def _unrelated(values: np.ndarray, names: list[str]) -> Iterator[tuple[str, str]]:
    standard, ranks = _standardised(values), _standardised(values.argsort(axis=0).argsort(axis=0).astype(float))
    found = [float((each[:, 0] * each[:, 1]).mean()) for each in (standard, ranks)]
    # Of few rows a correlation may be small by chance: it has to be surely below what honest models have at least.
    if max(found) < UNRELATED and max(found) + 2.6 / np.sqrt(len(values)) < 2 * UNRELATED:
        message = (
            f"their losses have nothing to do with each other (correlation {found[0]:.2f}): the rows of one may be in "
            "another order, or of another text."
        )
        yield f"{names[0]} and {names[1]}", message


def _far(values: np.ndarray, names: list[str]) -> Iterator[tuple[str, str]]:
    rows = values[:: max(1, len(values) // MOST_ROWS)]
    shares = _far_shares(_standardised(np.log(np.maximum(rows, 1e-9))))
    index, count = int(shares.argmax()), len(rows)
    following = max(float(np.delete(shares, index).max()), FAR_FLOOR)
    # Three standard deviations of a count more, so that few rows do not do it by chance.
    limit = FAR_TIMES * following + 3 * np.sqrt(following * count + 1) / count
    if shares[index] > max(FAR_SHARE, limit):
        message = (
            f"{shares[index]:.1%} of its losses are far from what the other models let expect, of the others at most "
            f"{following:.1%}: some of its rows may be in another order, or of other texts."
        )
        yield names[index], message


def _far_shares(standard: np.ndarray) -> np.ndarray:
    """Predict each column by the others, and return the share of rows that are many robust deviations off, [lm]."""
    correlation = standard.T @ standard / len(standard)
    shares = np.zeros(standard.shape[1])
    for index, column in enumerate(standard.T):
        nearest = np.argsort(-np.abs(correlation[index]))
        nearest = nearest[nearest != index][:MOST_PREDICTORS]
        design = np.column_stack([np.ones(len(column)), standard[:, nearest]])
        kept = np.ones(len(column), dtype=bool)
        deviations = np.zeros(len(column))
        for _ in range(4):
            used = design[kept]
            ridge = 1e-3 * kept.sum() * np.eye(design.shape[1])
            weights = np.linalg.solve(used.T @ used + ridge, used.T @ column[kept])
            residual = np.abs(column - design @ weights)
            deviations = residual / max(1.4826 * float(np.median(residual)), 1e-12)
            kept = deviations < 3
        shares[index] = (deviations > FAR).mean()
    return shares


def _standardised(values: np.ndarray) -> np.ndarray:
    scale = values.std(axis=0)
    return (values - values.mean(axis=0)) / np.where(scale > 0, scale, 1)


def _sizes(losses: xr.Dataset) -> Iterator[Finding]:
    """Find a size far beyond all others whose loss is not."""
    sizes, names = losses["parameters"].to_numpy().astype(float), _names(losses)
    if len(names) < 3:
        return
    loss = mean_losses(losses)["loss"].to_numpy()
    for index, name in enumerate(names):
        others, other_losses = np.delete(sizes, index), np.delete(loss, index)
        larger = sizes[index] > SIZE_GAP * others.max() and loss[index] > other_losses.min() / SIZE_GAIN
        smaller = sizes[index] < others.min() / SIZE_GAP and loss[index] < other_losses.max() * SIZE_GAIN
        if larger or smaller:
            edge, next_one = (others.max(), "largest") if larger else (others.min(), "smallest")
            hardly = f"hardly {'lower' if larger else 'higher'} than that of {'the best' if larger else 'the worst'}"
            message = (
                f"{name} is said to have {count_label(sizes[index])} parameters, the next {next_one} "
                f"{count_label(edge)}, and its loss of {loss_text(loss[index])} is {hardly} other: check "
                "the unit of its size."
            )
            yield _error("size-out-of-line", message)
