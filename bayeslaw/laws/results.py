"""What laws return to those who ask: draws at targets, claims, and densities of what was left out."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Predicted:
    """Draws of losses at targets.

    Parameters
    ----------
    targets
        One row a target.
    draws
        Losses in the fit's unit, [chain, draw, target].
    numbers
        Which draws of each chain they are from, [draw].
    samples
        On which samples: ``"same"``, ``"new"``, or ``"all"`` for a law itself.
    extrapolation
        Distance from what was seen, [target].
    observed
        Whether a target is not predicted but was observed: a pool of models of the table on the samples of the table,
        whose draws are all that loss, [target]. None where no target was.
    """

    targets: pd.DataFrame
    draws: np.ndarray
    numbers: np.ndarray
    samples: str
    extrapolation: np.ndarray
    observed: np.ndarray | None = None


@dataclass(frozen=True)
class Claim:
    """A claim about a law, with its probability before and after the data.

    Parameters
    ----------
    claim
        The claim in words.
    quantity
        What is compared: ``"exponent"``, ``"slope"`` (by how much the loss falls per unit of log parameters, at a
        budget), ``"loss"`` (the law's, at a budget), ``"floor"``, or ``"log gain"``.
    larger, smaller
        The groups of which the claim says that the first has the larger value.
    probability, prior_probability
        Posterior and prior probability of the claim: shares of draws.
    unit
        Unit of the quantity.
    budget
        Number of parameters of either side, for a slope or a loss; else None.
    extrapolation
        How far that budget lies beyond those of either group, in units of the range of their logarithms; 0 inside.
    least_squares, jackknife_deviation
        Difference of the quantity, first group less second, by least squares of the law in each group, and its standard
        error by leaving out one family at a time; None where families are fewer than three, or not known.
    families_probability
        The posterior probability were families draws of a population: where the jackknife's error exceeds the
        posterior's deviation, the difference is as uncertain as that.
    independent_probability
        Posterior probability with all rows taken as independent; None where it was not asked for.
    """

    claim: str
    quantity: str
    larger: str
    smaller: str
    probability: float
    prior_probability: float
    unit: str
    budget: float | None = None
    extrapolation: float = 0.0
    least_squares: float | None = None
    jackknife_deviation: float | None = None
    families_probability: float | None = None
    independent_probability: float | None = None


@dataclass(frozen=True)
class Densities:
    """Log densities of the losses left out, at draws of a posterior.

    Parameters
    ----------
    rows
        Log density of each row left out, given the rows kept, shape ``[draw, held row]``.
    joint
        Log density of all rows left out together, given the rows kept, shape ``[draw]``.
    rhat
        Largest R-hat of the draws; NaN where not known.
    divergences
        Number of divergences among the draws.
    copies
        How many successive draws were made of each independent one.
    """

    rows: np.ndarray
    joint: np.ndarray
    rhat: float = float("nan")
    divergences: int = 0
    copies: int = 1


class Refits(Protocol):
    """What a fitted law offers so that rows can be left out of it: `LawRefits` for rows, `JointRefits` for models."""

    def left_out(self, held: np.ndarray, *, seed: int) -> Densities:
        """Fit again without the rows `held`, of shape ``[row]``, and give their densities at the new draws."""
        ...

    def all_rows(self, held: np.ndarray) -> Densities | None:
        """Give the densities of the rows `held` given the others at draws of the posterior of all rows.

        None where these draws cannot stand for those without the rows.
        """
        ...
