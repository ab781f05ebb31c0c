"""Ranks of true values among posterior draws, held to a simultaneous envelope."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from arviz_stats.ecdf_utils import compute_ecdf, get_pointwise_confidence_band, simulate_confidence_bands

RANKED_DRAWS = 99
LEVEL = 0.95
ENVELOPE_TRIALS = 10_000
ENVELOPE_SEED = 20220622
TILTED = 2.5


@dataclass(frozen=True)
class Envelope:
    """Where the empirical distribution function of uniform values stays as a whole.

    Parameters
    ----------
    points
        Evaluation points in (0, 1), shape ``[point]``.
    lower, upper
        Ends of the envelope of the distribution function there, each of shape ``[point]``.
    level
        Probability that it stays inside at all points at once.
    """

    points: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    level: float


@lru_cache(maxsize=32)
def envelope(simulations: int, level: float) -> Envelope:
    """Find the simultaneous envelope of Säilynoja, Bürkner and Vehtari (2022), as ArviZ computes it.

    Parameters
    ----------
    simulations
        How many uniform values there are.
    level
        Simultaneous level, in (0, 1).

    Returns
    -------
    Envelope
        The envelope.
    """
    points = np.arange(1, simulations) / simulations
    rng = np.random.default_rng(ENVELOPE_SEED)
    pointwise = simulate_confidence_bands(simulations, 1, points, level, ENVELOPE_TRIALS, rng)
    lower, upper = get_pointwise_confidence_band(pointwise, simulations, points)
    return Envelope(points, lower, upper, level)


def rank(truth: np.ndarray, draws: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rank true values among draws.

    Parameters
    ----------
    truth
        True values, shape ``[element]``.
    draws
        Draws of one chain in their order, shape ``[draw, element]``; at least `RANKED_DRAWS`, to which they are thinned
        evenly, so that they are nearly independent.
    rng
        Breaks ties, as of a truth and draws at a bound.

    Returns
    -------
    np.ndarray
        How many of the thinned draws lie below, from 0 to `RANKED_DRAWS`, shape ``[element]``.
    """
    thinned = draws[np.linspace(0, len(draws) - 1, RANKED_DRAWS).round().astype(int)]
    ties = (thinned == truth).sum(axis=0)
    return (thinned < truth).sum(axis=0) + rng.integers(ties + 1)


def uniform_values(ranks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Spread each rank evenly over its share of (0, 1): exactly uniform where the ranks are.

    Parameters
    ----------
    ranks
        Whole numbers from 0 to `RANKED_DRAWS`, any shape.
    rng
        Source of the spread.

    Returns
    -------
    np.ndarray
        Values in (0, 1), of the same shape.
    """
    return (ranks + rng.uniform(size=np.shape(ranks))) / (RANKED_DRAWS + 1)


def rank_table(values: Mapping[str, np.ndarray], bounds: Envelope) -> pd.DataFrame:
    """Say of every quantity whether its ranks stay in the envelope.

    Parameters
    ----------
    values
        Uniform values by quantity, each of shape ``[simulation]``.
    bounds
        The envelope for as many simulations.

    Returns
    -------
    pandas.DataFrame
        One row a quantity: ``quantity``; ``mean``, of the uniform values, 0.5 where calibrated; ``spread``, their
        standard deviation relative to that of uniform values; ``reach``, the largest deviation from uniform in units of
        the envelope, at most one inside; ``inside``; and ``verdict`` in words.
    """
    rows = []
    for name, uniform in values.items():
        deviation = compute_ecdf(uniform, bounds.points) - bounds.points
        # An end of the envelope at 0 or 1 cannot be left, and to touch it says nothing.
        above = np.where(bounds.upper < 1, bounds.upper - bounds.points, np.inf)
        below = np.where(bounds.lower > 0, bounds.points - bounds.lower, np.inf)
        reach = float(np.max(np.abs(deviation) / np.where(deviation > 0, above, below)))
        inside = reach <= 1 + 1e-9
        rows.append(
            {
                "quantity": name,
                "mean": float(uniform.mean()),
                "spread": float(uniform.std() * np.sqrt(12)),
                "reach": reach,
                "inside": inside,
                "verdict": "inside" if inside else _what_is_wrong(uniform),
            }
        )
    return pd.DataFrame(rows)


def _what_is_wrong(uniform: np.ndarray) -> str:
    """Read the shape of ranks that are not uniform (Talts et al. 2018, section 4.2)."""
    tilt = (uniform.mean() - 0.5) * np.sqrt(12 * len(uniform))
    # The variance of a squared deviation of a uniform value is 1/180.
    spread = (np.square(uniform - 0.5).mean() - 1 / 12) * np.sqrt(180 * len(uniform))
    if abs(tilt) > max(TILTED, abs(spread)):
        return "outside: draws too low" if tilt > 0 else "outside: draws too high"
    if abs(spread) > TILTED:
        return "outside: posterior too narrow" if spread > 0 else "outside: posterior too wide"
    return "outside: ranks not uniform"
