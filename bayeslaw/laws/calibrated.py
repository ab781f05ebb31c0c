"""What a law must offer to be calibrated."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

KINDS = ("mean", "new")


@dataclass(frozen=True)
class Simulated:
    """A table drawn from a law whose parameters were drawn from the prior.

    Parameters
    ----------
    data
        What `Calibrated.fit` is given; nothing but the law itself looks into it.
    truth
        The true value of every quantity that is ranked, each a scalar or of the shape of one draw. Beside the
        parameters this should hold the log likelihood of the data, whose rank shows a fit that does not look at them
        (Modrák et al. 2023).
    outcomes
        What is to be predicted, by kind (`KINDS`), each of shape ``[target]`` in the loss unit: the law's own loss, and
        the loss of one new row.
    """

    data: Any
    truth: Mapping[str, np.ndarray]
    outcomes: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class FittedDraws:
    """What a fit to a simulated table says.

    Parameters
    ----------
    draws
        Draws of every quantity of `Simulated.truth`, each of shape ``[draw, ...]``, from one chain and in its order.
    predictions
        Draws of what is predicted, by kind, each of shape ``[draw, target]``.
    divergences
        Number of divergent trajectories.
    """

    draws: Mapping[str, np.ndarray]
    predictions: Mapping[str, np.ndarray]
    divergences: int = 0


class Calibrated(Protocol):
    """A law that can draw tables from itself and fit them.

    ``simulate`` and ``fit`` are called from several threads at once, and must depend on their arguments alone. Whether
    a fit is accepted may depend on the data, never on the truth, or ranks would no longer be uniform.
    """

    @property
    def name(self) -> str:
        """Name of the law."""
        ...

    @property
    def unit(self) -> str:
        """Unit of the losses."""
        ...

    @property
    def identity(self) -> Mapping[str, Any]:
        """What simulated tables and fits depend on besides seeds, as plain values: a journal is of one identity."""
        ...

    @property
    def targets(self) -> pd.DataFrame:
        """Where bands are held to the truth, one row a target; the column ``where`` puts them into classes."""
        ...

    def labels(self, quantity: str) -> tuple[str, ...]:
        """Names of the elements of a quantity, one for a scalar."""
        ...

    def simulate(self, seed: int) -> Simulated:
        """Draw parameters from the prior, a table from the law, and what is to be predicted."""
        ...

    def fit(self, data: Any, seed: int) -> FittedDraws | None:
        """Draw from the posterior given a simulated table; None where that fails."""
        ...
