"""Which rows go when a model, or a family of models, is left out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bayeslaw.errors import InputError, check_choice
from bayeslaw.fitting.fits import Fit
from bayeslaw.laws.observations import BUDGETS, MINIMUM_SIZES, Observations

LEFT_OUT = ("model", "family")
JOINT = " + "


@dataclass(frozen=True)
class Fold:
    """Rows that are left out together.

    Parameters
    ----------
    name
        The model or family left out.
    held
        Whether each row is left out, shape ``[row]``.
    """

    name: str
    held: np.ndarray


def make_folds(fit: Fit, by: str) -> tuple[Fold, ...]:
    """Find the rows of every model or family.

    Of a table of models these are the model's own row, or the rows of its family. Of pools they are all that hold the
    model, or any model of the family, so that a pool is in as many folds as it has members or families.

    Parameters
    ----------
    fit
        A fit, which holds its rows.
    by
        ``"model"`` or ``"family"``.

    Returns
    -------
    tuple of Fold
        One fold a model or family, in the order of their names.

    Raises
    ------
    InputError
        If `by` is something else, the fit does not tell the families of its pools' members, there are fewer than two
        folds, or too little is left when one is held out.
    """
    check_choice("what is left out", by, LEFT_OUT)
    rows = fit.observations
    families = model_families(fit)
    members = row_members(rows, families)
    if by == "family" and families is None:
        raise InputError(
            "this fit does not tell the families of its pools' members",
            "a fit that holds them",
            "fit again with this version of bayeslaw, or leave out by model",
        )
    units = members if by == "model" else tuple({(families or {})[name] for name in row} for row in members)
    names = sorted(set().union(*units))
    folds = tuple(Fold(name, np.array([name in row for row in units])) for name in names)
    if len(folds) < 2:
        raise InputError(
            f"every row is of the {by} {names[0]!r}", f"rows of two or more {_plural(by)}", "leave out by model"
        )
    for fold in folds:
        _check_what_is_left(rows, fold, by)
    return folds


def model_families(fit: Fit) -> dict[str, str] | None:
    """Family of every model that a fit's rows are made of, or None where the fit does not tell."""
    rows = fit.observations
    if rows.row_dimension == "lm":
        return dict(zip(map(str, rows.labels), map(str, rows.groups["family"]), strict=True))
    families = json.loads(fit.tree.attrs.get("families", "{}"))
    return {str(name): str(family) for name, family in families.items()} or None


def row_families(fit: Fit) -> np.ndarray:
    """Family of each row of a table of models, shape ``[row]``."""
    return np.asarray(fit.observations.groups["family"]).astype(str)


def row_members(rows: Observations, known: Mapping[str, str] | None = None) -> tuple[set[str], ...]:
    """Read the models of each row off its label.

    Parameters
    ----------
    rows
        The rows; the label of a pool is its members' names with `JOINT` between.
    known
        Models by name, where known.

    Returns
    -------
    tuple of set
        Names of the models of each row.

    Raises
    ------
    InputError
        If a label cannot be told apart into known models.
    """
    labels = [str(label) for label in rows.labels]
    if rows.row_dimension == "lm":
        return tuple({label} for label in labels)
    members = tuple({label} if label in (known or ()) else set(label.split(JOINT)) for label in labels)
    for label, names in zip(labels, members, strict=True):
        unknown = sorted(names - set(known)) if known is not None else []
        if unknown:
            raise InputError(
                f"the pool {label!r} has a member {unknown[0]!r}, which is no model of its table",
                f"pools named by their members with {JOINT.strip()!r} between, and models without it in their names",
                "make the pools with bayeslaw pools, of models whose names have no ' + '",
            )
    return members


def _check_what_is_left(rows: Observations, fold: Fold, by: str) -> None:
    budgets = {name: values for name, values in rows.covariates.items() if name in BUDGETS}
    for name, values in budgets.items():
        left = len(np.unique(values[~fold.held]))
        if left < MINIMUM_SIZES:
            raise InputError(
                f"without the {by} {fold.name!r} the rows have {left} different values of {name}",
                f"{MINIMUM_SIZES} or more different values of {name} when a {by} is left out",
                "fit a table with more models" + (", or leave out by model" if by == "family" else ""),
            )


def _plural(by: str) -> str:
    return {"model": "models", "family": "families"}[by]
