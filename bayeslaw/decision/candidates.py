"""Models that could be had and are not scored yet: who they are, and what scoring them costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.errors import InputError
from bayeslaw.inputs.arguments import a_path
from bayeslaw.joint.hypothetical import NewModel
from bayeslaw.losses.model_frames import model_frame
from bayeslaw.losses.readers import read_csv, read_header

NAME_COLUMNS = ("name", "model")
TEXT = ("name", "model", "family")
ACCEPTED = "columns name, family, parameters and, where scoring costs other than by size, cost"


@dataclass(frozen=True)
class Candidate:
    """A model that could be had.

    Parameters
    ----------
    name
        Its name.
    family
        Its family; one that the table does not hold is a new family.
    parameters
        Number of parameters, of the kind that the law was fitted with.
    cost
        What scoring it costs; None where that goes by its size.
    price
        What running it costs; None where that is not known.
    """

    name: str
    family: str
    parameters: float
    cost: float | None
    price: float | None = None

    @property
    def model(self) -> NewModel:
        """The model as pools have it."""
        return NewModel(self.parameters, self.family, self.name)


def some_candidates(name: str, value: Any) -> tuple[Candidate, ...]:
    """Accept candidates as a frame, a mapping of columns, or the path of a CSV."""
    if isinstance(value, str | PathLike):
        path = a_path(name, value)
        header = read_header(path)
        text = [column for column in header if column in TEXT]
        value = read_csv(path, header, text=text, filled=[column for column in header if column not in text])
    if isinstance(value, Mapping):
        value = pd.DataFrame({str(column): np.atleast_1d(np.asarray(entries)) for column, entries in value.items()})
    if not isinstance(value, pd.DataFrame):
        raise InputError(f"{name} is {value!r}", f"a frame or the path of a CSV with {ACCEPTED}", "give one")
    return _read(value)


def _read(frame: pd.DataFrame) -> tuple[Candidate, ...]:
    named = [column for column in NAME_COLUMNS if column in frame]
    if not named:
        raise InputError("the table of candidates has no column 'name'", ACCEPTED, "add the name of each candidate")
    models = model_frame(frame.rename(columns={named[0]: "model"}))
    names = [str(name) for name in models["model"]]
    costs: Sequence[float | None] = [None] * len(names)
    if "cost" in frame:
        costs = [_cost(name, value) for name, value in zip(names, frame["cost"], strict=True)]
    prices = [None] * len(names) if "price" not in models else [_known(price) for price in models["price"]]
    columns = zip(names, models["family"], models["parameters"], costs, prices, strict=True)
    return tuple(Candidate(name, str(family), float(size), *rest) for name, family, size, *rest in columns)


def _known(price: float) -> float | None:
    return float(price) if np.isfinite(price) else None


def _cost(name: str, value: Any) -> float:
    try:
        cost = float(value)
    except (TypeError, ValueError):
        cost = np.nan
    if not (np.isfinite(cost) and cost > 0):
        raise InputError(f"the candidate {name} has the cost {value!r}", "a positive number", "correct it")
    return cost


def check_candidates(candidates: Sequence[Candidate], scored: Sequence[str]) -> None:
    """Refuse candidates that are scored already.

    Parameters
    ----------
    candidates
        The candidates.
    scored
        Names of the models of the table.

    Raises
    ------
    InputError
        If one is in the table.
    """
    known = [candidate.name for candidate in candidates if candidate.name in scored]
    if known:
        raise InputError(
            f"the candidate {known[0]} is scored already",
            "models that the table does not hold",
            f"leave out {known[0]}",
        )
