"""Tables that a pool's gain is held against: the same models, were they independent or always of one mind."""

from collections.abc import Iterable

import numpy as np

from bayeslaw.pools.loss_blocks import SAMPLES


def independent_columns(columns: np.ndarray, weights: np.ndarray, seed: int) -> np.ndarray:
    """Keep each sample's mean over models, and shuffle each model's deviations from it over samples.

    With weights, what is shuffled is the deviation per unit of weight, and a sample is drawn as often as it weighs
    (systematic sampling in random order; with equal weights a permutation); a constant then restores the model's mean
    loss exactly. Since the mean holds a part of every model's own deviation, the gain of models that truly are
    independent is larger by a factor of about ``sqrt(M / (M - 1))``, with M the models of the table.

    Parameters
    ----------
    columns
        Losses in nats, [lm, sample].
    weights
        Weight of each sample, [sample].
    seed
        Seed of the shuffles.

    Returns
    -------
    np.ndarray
        Losses of the same means, [lm, sample].
    """
    means, deviations = columns.mean(axis=0), np.empty_like(columns)
    independent_deviations(columns, means, weights, seed, out=deviations)
    return means + deviations


def independent_deviations(
    columns: Iterable[np.ndarray], means: np.ndarray, weights: np.ndarray, seed: int, *, out: np.ndarray
) -> None:
    """Shuffle the deviations of one model after the other; see `independent_columns`.

    Parameters
    ----------
    columns
        Losses in nats of each model, [sample].
    means
        Their mean over models, [sample].
    weights, seed
        As in `independent_columns`.
    out
        Written to: deviations from `means`, [lm, sample].
    """
    generator = np.random.default_rng([seed, 2])
    uniform = np.ptp(weights) == 0
    left = iter(columns)
    for row in out:
        # Nothing else may hold on to the column meanwhile.
        rates = np.subtract(next(left), means)
        if uniform:
            row[:] = generator.permuted(rates, out=rates)
            continue
        lost, rates = rates.sum(), np.divide(rates, weights, out=rates)
        source = generator.permutation(len(weights))
        rates = rates[source]
        ends = weights[source]
        del source
        np.cumsum(ends, out=ends)
        _draw(rates, ends, generator.permutation(len(weights)), weights, lost, out=row)


def _draw(
    rates: np.ndarray, ends: np.ndarray, target: np.ndarray, weights: np.ndarray, total: float, *, out: np.ndarray
) -> None:
    """Draw rates, which last until their ends, for samples in the order of the target, to a sum of `total`."""
    before, drawn = 0.0, 0.0
    for start in range(0, len(target), SAMPLES):
        rows = target[start : start + SAMPLES]
        row_weights = weights[rows]
        # The first sum goes on where the last block's ended.
        reached = np.cumsum(np.concatenate([[before], row_weights]))[1:]
        before = reached[-1]
        place = np.minimum(np.searchsorted(ends, reached - row_weights / 2, side="right"), len(ends) - 1)
        values = row_weights * rates[place]
        drawn += values.sum()
        out[rows] = values
    share = (total - drawn) / weights.sum()
    for start in range(0, len(out), SAMPLES):
        out[start : start + SAMPLES] += weights[start : start + SAMPLES] * share


def comonotone_columns(columns: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sort the losses of each model.

    With weights, columns of losses per unit of weight are sorted, each value lasting as long as it weighs, and cut into
    as many parts of equal weight as there are samples; the parts' sums keep the model's mean loss exactly.

    Parameters
    ----------
    columns
        Losses in nats, [lm, sample].
    weights
        Weight of each sample, [sample].

    Returns
    -------
    np.ndarray
        Losses of the same means, [lm, quantile]: as many quantiles as there are samples.
    """
    return np.stack([comonotone_column(column, weights) for column in columns])


def comonotone_column(column: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sort the losses of a model, [sample], as `comonotone_columns` those of all; returns [quantile]."""
    if np.ptp(weights) == 0:
        return np.sort(column)
    order = np.argsort(column / weights, kind="stable")
    # Pages of zeros take no room before they are written to.
    ends, sums = np.zeros(len(order) + 1), np.zeros(len(order) + 1)
    np.take(column, order, out=sums[1:], mode="clip")
    del column
    np.take(weights, order, out=ends[1:], mode="clip")
    del order
    for running in (ends, sums):
        np.cumsum(running, out=running)
    quantiles, count = np.empty(len(weights)), len(weights)
    for start in range(0, count, SAMPLES):
        stop = min(start + SAMPLES, count)
        grid = np.arange(start, stop + 1) * (weights.sum() / count)
        if stop == count:
            grid[-1] = weights.sum()
        quantiles[start:stop] = np.diff(np.interp(grid, ends, sums))
    return quantiles
