"""Models that could be had and are not scored yet: who they are, and what scoring them costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.errors import InputError
from bayeslaw.inputs.arguments import a_path, shown
from bayeslaw.joint.hypothetical import NewModel
from bayeslaw.joint.joint_model import JointModel
from bayeslaw.losses.model_frames import model_frame
from bayeslaw.losses.readers import read_csv, read_header
from bayeslaw.losses.sizes import ROUNDED, count_label
from bayeslaw.prediction.joint_targets import pool_extrapolation
from bayeslaw.prediction.targets import NOT_SEEN

FAR = 1.0
"""Ranges of log parameters beyond which it is said that an answer rests on the law's form."""
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
    price, active_parameters
        What running it costs, and how many parameters run for a token; None where that is not known.
    """

    name: str
    family: str
    parameters: float
    cost: float | None
    price: float | None = None
    active_parameters: float | None = None

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
        value = _frame_of(name, value)
    if not isinstance(value, pd.DataFrame):
        raise InputError(f"{name} is {shown(value)}", f"a frame or the path of a CSV with {ACCEPTED}", "give one")
    return _read(value)


def _frame_of(name: str, columns: Mapping[Any, Any]) -> pd.DataFrame:
    """Make a frame of columns of one length, or of single values."""
    entries = {str(column): np.atleast_1d(np.asarray(each)) for column, each in columns.items()}
    lengths = {each.shape for each in entries.values()}
    if len(lengths) != 1 or len(next(iter(lengths))) != 1:
        raise InputError(f"the columns of {name} differ in length", "one entry a candidate in each", "correct them")
    return pd.DataFrame(entries)


def _read(frame: pd.DataFrame) -> tuple[Candidate, ...]:
    named = [column for column in NAME_COLUMNS if column in frame]
    if not named:
        raise InputError("the table of candidates has no column 'name'", ACCEPTED, "add the name of each candidate")
    models = model_frame(frame.rename(columns={named[0]: "model"}))
    names = [str(name) for name in models["model"]]
    costs: Sequence[float | None] = [None] * len(names)
    if "cost" in frame:
        costs = [_cost(name, value) for name, value in zip(names, frame["cost"], strict=True)]
    prices, active = (_known(models, column) for column in ("price", "active_parameters"))
    columns = zip(names, models["family"], models["parameters"], costs, prices, active, strict=True)
    return tuple(Candidate(name, str(family), float(size), *rest) for name, family, size, *rest in columns)


def check_parts(candidates: Sequence[Candidate], kind: str) -> None:
    """Refuse candidates of which more runs for a token than there is.

    Parameters
    ----------
    candidates
        The candidates.
    kind
        Which count of parameters their sizes are; nothing is said where it is not the total.

    Raises
    ------
    InputError
        If one has more active parameters than parameters, beyond rounding.
    """
    for candidate in candidates if kind == "total" else ():
        active, total = candidate.active_parameters, candidate.parameters
        if active is not None and active > ROUNDED * total:
            raise InputError(
                f"the candidate {candidate.name} has {count_label(active)} active parameters, and {count_label(total)} "
                "in all",
                "active parameters of at most the parameters",
                "check the units of both",
            )


def _known(models: pd.DataFrame, column: str) -> list[float | None]:
    if column not in models:
        return [None] * len(models)
    return [float(each) if np.isfinite(each) else None for each in models[column]]


def _cost(name: str, value: Any) -> float:
    try:
        cost = np.nan if isinstance(value, bool | np.bool_) else float(value)
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


def check_as_scored(candidates: Mapping[str, Candidate], scored: Mapping[str, tuple[float, str]]) -> None:
    """Refuse a row of a scored model that states another size or family: it may be another model.

    Parameters
    ----------
    candidates
        Rows of scored models, by name.
    scored
        Sizes and families of the models of the table, by name.

    Raises
    ------
    InputError
        If the sizes of one differ by more than rounding, or its families.
    """
    for name, candidate in candidates.items():
        size, family = scored[name]
        sizes = sorted((candidate.parameters, size))
        if sizes[1] > ROUNDED * sizes[0]:
            raise InputError(
                f"the candidate {name} has {count_label(candidate.parameters)} parameters, and the model of that name "
                f"that was scored has {count_label(size)}",
                "for a scored model its own size, beside what it costs",
                "correct the size, or give the candidate another name",
            )
        if candidate.family != family:
            raise InputError(
                f"the candidate {name} is of the family {candidate.family!r}, and the model of that name that was "
                f"scored of {family!r}",
                "for a scored model its own family, beside what it costs",
                "correct the family, or give the candidate another name",
            )


def doubts(candidates: Sequence[Candidate], model: JointModel) -> list[str]:
    """Say which candidates the fit knows little of.

    Parameters
    ----------
    candidates
        The candidates.
    model
        The joint law with its table.

    Returns
    -------
    list of str
        One sentence for candidates far outside the sizes seen, one for those of families not seen; none where there are
        no such.
    """
    found = []
    new = [each for each in candidates if each.family not in model.groups]
    far = []
    for each in candidates:
        distance = float(pool_extrapolation(model, [[each.model]])[0]) - NOT_SEEN * (each in new)
        far += [f"{each.name} ({distance:.1f} ranges of log parameters)"] if distance > FAR else []
    if far:
        found.append(
            f"Far beyond the sizes seen: {', '.join(far)}; there the answer rests on the law's form, and is not to be "
            "relied on."
        )
    if new:
        named = ", ".join(f"{each.name} ({each.family})" for each in new)
        found.append(
            f"Of families that the fit has not seen, taken as new ones: {named}; seen are {', '.join(model.groups)}."
        )
    return found
