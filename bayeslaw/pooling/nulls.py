"""Tables that a pool's gain is held against: the same models, were they independent or always of one mind."""

import numpy as np


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
    generator = np.random.default_rng([seed, 2])
    means = columns.mean(axis=0)
    deviations = (columns - means) / weights
    if np.ptp(weights) == 0:
        return means + weights * generator.permuted(deviations, axis=1, out=deviations)
    shuffled = np.empty_like(columns)
    for model, rates in enumerate(deviations):
        source, target = generator.permutation(len(weights)), generator.permutation(len(weights))
        ends = np.cumsum(weights[source])
        middle = np.cumsum(weights[target]) - weights[target] / 2
        place = np.minimum(np.searchsorted(ends, middle, side="right"), len(weights) - 1)
        shuffled[model, target] = weights[target] * rates[source[place]]
        lost = (weights * rates).sum() - shuffled[model].sum()
        shuffled[model] += weights * (lost / weights.sum())
    return means + shuffled


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
    if np.ptp(weights) == 0:
        return np.sort(columns, axis=1)
    grid = np.linspace(0.0, weights.sum(), len(weights) + 1)
    aligned = np.empty_like(columns)
    for model, column in enumerate(columns):
        order = np.argsort(column / weights, kind="stable")
        ends = np.concatenate([[0.0], np.cumsum(weights[order])])
        sums = np.concatenate([[0.0], np.cumsum(column[order])])
        aligned[model] = np.diff(np.interp(grid, ends, sums))
    return aligned
