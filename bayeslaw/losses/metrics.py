"""What the numbers of a table measure: losses in nats, or how often answers were right or wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayeslaw.errors import InputError, check_choice

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

USUAL_METRIC = "nll"


@dataclass(frozen=True)
class Metric:
    """Something that a table may hold of every model on every sample.

    Parameters
    ----------
    name
        What it is called in arguments and in the attribute ``metric`` of a table.
    description
        What the numbers are, in a few words.
    log_losses
        Whether losses are minus log-probabilities, in nats, of which mixtures can be made.
    losses
        From the numbers to losses, of which less is better.
    highest
        The largest number that there can be.
    """

    name: str
    description: str
    log_losses: bool
    losses: Callable[[np.ndarray], np.ndarray]
    highest: float


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(USUAL_METRIC, "losses in nats, each the sum over its sample", True, lambda values: values, math.inf),
        Metric(
            "accuracy", "1 for a right answer, 0 for a wrong one, or a share", False, lambda values: 1 - values, 1.0
        ),
        Metric("error_rate", "1 for a wrong answer, 0 for a right one, or a share", False, lambda values: values, 1.0),
    )
}
WRONG = "wrong answers a sample"
"""Unit of the losses of tables of right and wrong answers: one minus the accuracy."""


def are_votes(values: np.ndarray) -> bool:
    """Say whether numbers are answers that are right or wrong, 0 or 1, none a share."""
    return bool(((values == 0) | (values == 1)).all())


def metric_of(losses: xr.Dataset) -> Metric:
    """Return the metric of a table; InputError where its attribute names none."""
    return METRICS[check_choice("metric", str(losses.attrs.get("metric", USUAL_METRIC)), METRICS)]


def metric_attribute(metric: str) -> dict[str, str]:
    """Return the attribute by which a table tells its metric; none for losses in nats."""
    return {} if metric == USUAL_METRIC else {"metric": metric}


def describe_metrics() -> str:
    """Describe the metrics in one line, for help."""
    return ", ".join(f"{metric.name} ({metric.description})" for metric in METRICS.values())


def as_losses(values: np.ndarray, metric: str, where: Callable[[tuple[int, ...]], str]) -> np.ndarray:
    """Turn the numbers of a table into losses.

    Parameters
    ----------
    values
        The numbers, [sample, lm], NaN where there is none.
    metric
        Name of the metric.
    where
        Names the number at some index.

    Returns
    -------
    numpy.ndarray
        Losses, of which less is better, [sample, lm].

    Raises
    ------
    InputError
        If the metric is not known, or a number is outside its range.
    """
    chosen = METRICS[check_choice("metric", metric, METRICS)]
    wrong = (values < 0) | (values > chosen.highest)
    if math.isfinite(chosen.highest) and wrong.any():
        place = divmod(int(wrong.argmax()), wrong.shape[1])
        raise InputError(
            f"the {chosen.name.replace('_', ' ')} of {where(place)} is {float(values[place])}",
            f"numbers from 0 to 1: {chosen.description}",
            "divide percentages by 100; leave --metric out where these are losses in nats",
        )
    return chosen.losses(values)
