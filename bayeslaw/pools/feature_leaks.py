"""Features that were likely computed from losses: what a router sees must be known before any model has run."""

from collections.abc import Mapping, Sequence

import numpy as np

from bayeslaw.findings import Finding

HIGHEST = 0.99
"""Correlation with a loss above which a feature is likely one."""
NOTHING = 1e-9


def leaking_features(
    numbers: Mapping[str, np.ndarray], nll: np.ndarray, weights: np.ndarray, names: Sequence[str]
) -> list[Finding]:
    """Find features that go with a model's losses so closely that they were likely computed from them.

    Parameters
    ----------
    numbers
        Columns of numbers that a user brought, each [sample].
    nll
        Losses in nats, [sample, lm].
    weights
        Weight of each sample, [sample]: where it differs, a length goes with losses closely and is none of them. What
        is looked at then is the loss per unit of weight, and the loss with what follows from the weight taken off both.
    names
        Names of the models, [lm].

    Returns
    -------
    list of Finding
        One for each such feature.
    """
    found = []
    lengths = weights.min() < weights.max()
    rates = nll / np.where(weights > 0, weights, 1.0)[:, None]
    for name, column in numbers.items():
        with_losses = np.abs(_correlations(column, rates))
        if lengths:
            partial = _correlations(_without(column[:, None], weights)[:, 0], _without(nll, weights))
            with_losses = np.maximum(with_losses, np.abs(partial))
        highest = int(with_losses.argmax())
        if with_losses[highest] > HIGHEST:
            message = (
                f"the feature {name!r} goes with the loss of {names[highest]} (correlation {with_losses[highest]:.4f}) "
                "and was likely computed from losses, which no router sees before a model has run: what is routed by "
                "it cannot be had"
            )
            found.append(Finding("loss-as-feature", "warning", message, "leave the column out"))
    return found


def _without(columns: np.ndarray, weights: np.ndarray) -> np.ndarray:
    basis = np.column_stack([np.ones(len(weights)), weights])
    left = columns - basis @ np.linalg.lstsq(basis, columns)[0]
    # What rounding leaves of a column that follows from the weights is nothing.
    return np.where(np.linalg.norm(left, axis=0) > NOTHING * np.linalg.norm(columns, axis=0), left, 0.0)


def _correlations(column: np.ndarray, others: np.ndarray) -> np.ndarray:
    column, others = column - column.mean(), others - others.mean(axis=0)
    spread = np.sqrt((column @ column) * (others**2).sum(axis=0))
    return np.divide(column @ others, spread, out=np.zeros(others.shape[1]), where=spread > 0)
