"""Where to predict: budgets and groups, checked and completed."""

import os
from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.errors import InputError, nearest
from bayeslaw.fitting.fits import Fit
from bayeslaw.inputs.arguments import a_path, plain, shown
from bayeslaw.laws.observations import BUDGETS
from bayeslaw.losses.model_names import NEW_FAMILY
from bayeslaw.losses.readers import read_csv, read_header
from bayeslaw.losses.sizes import is_size, read_counts
from bayeslaw.pools.member_text import read_member, split_members
from bayeslaw.pools.regimes import REGIMES, regime_of

NOT_SEEN = 1.0
"""By how much further a group lies of which nothing was seen, in ranges of log budgets."""
TEXT_COLUMNS = ("members", "regime", "family")
"""Columns of targets that are text, whatever they look like."""
_WAYS = "a mapping or frame of columns such as parameters, a list of budgets, or the path of a CSV of columns"
_FIX = 'write at={"parameters": [7e9, 70e9]}'


def some_targets(name: str, value: Any) -> dict[str, Any]:
    """Accept columns of targets, budgets alone, or the path of a CSV."""
    if isinstance(value, str) and is_size(value):
        value = [value]
    if isinstance(value, str | os.PathLike):
        value = read_target_file(a_path(name, value))
    if isinstance(value, pd.DataFrame):
        if not value.columns.is_unique:
            twice = value.columns[value.columns.duplicated()][0]
            raise InputError(f"{name} has the column {twice!r} twice", "every column once", "leave one of them out")
        value = {column: value[column] for column in value}
    if not isinstance(value, Mapping):
        alone = plain(value)
        listed = isinstance(value, list | tuple | range | np.ndarray | pd.Series)
        if not listed and (isinstance(alone, bool) or not isinstance(alone, Real)):
            raise InputError(f"{name} is {shown(value)}", _WAYS, _FIX)
        value = {"parameters": value if listed else [alone]}
    return {str(column): _entries(str(column), entries) for column, entries in value.items()}


def _entries(column: str, given: Any) -> list[Any]:
    """Read the entries of a column: text, counts, or other numbers."""
    listed = isinstance(given, list | tuple | range | np.ndarray | pd.Series | pd.Index | xr.DataArray)
    entries = [plain(entry) for entry in (list(given) if listed and getattr(given, "ndim", 1) else [given])]
    if column in BUDGETS:
        return read_counts(column, entries)
    if column == "members":
        entries = [_joined(entry) for entry in entries]
    text = column in TEXT_COLUMNS
    for entry in entries:
        if isinstance(entry, bool) or not isinstance(entry, str if text else Real | str):
            accepted = "text for every target" if text else "a number for every target"
            raise InputError(f"{column} is {shown(entry)}", accepted, f"correct {column}")
    return entries


def _joined(members: Any) -> Any:
    """Write the members of a pool that are given one by one as they are in a file."""
    listed = isinstance(members, list | tuple) and all(isinstance(member, str) for member in members)
    return ",".join(members) if listed else members


def read_target_file(path: Path) -> pd.DataFrame:
    """Read targets from a CSV.

    Parameters
    ----------
    path
        The file, with the columns of `bayeslaw.predict`.

    Returns
    -------
    pandas.DataFrame
        One row a target.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    header = read_header(path)
    text = [name for name in header if name in TEXT_COLUMNS]
    return read_csv(path, header, text=text, filled=[name for name in header if name not in text])


def read_targets(fit: Fit, at: Mapping[str, Any] | pd.DataFrame) -> pd.DataFrame:
    """Check where to predict, and complete it.

    Parameters
    ----------
    fit
        The fitted law that will predict.
    at
        Columns as described in `bayeslaw.predict`.

    Returns
    -------
    pandas.DataFrame
        One row a target: the law's covariates, its grouping variable where it has one, and ``members`` where given.

    Raises
    ------
    InputError
        If a column is missing, unknown or of the wrong length, a number not positive, or a group unknown.
    """
    targets, known = read_frame(at), (*fit.law.covariates, fit.law.group, "members")
    for name in at:
        if name not in known:
            raise InputError(
                f"there is no prediction at {name!r}", f"columns {', '.join(known)}", nearest(str(name), known)
            )
    if "members" in targets:
        targets = _with_members(fit, targets)
    return complete_targets(fit, targets)


def complete_targets(fit: Fit, targets: pd.DataFrame) -> pd.DataFrame:
    """Check the law's covariates, and add its groups where they are not named.

    Parameters
    ----------
    fit
        The fitted law that will predict.
    targets
        One row a target, with the law's covariates.

    Returns
    -------
    pandas.DataFrame
        One row a target and group.

    Raises
    ------
    InputError
        If a covariate is missing or not positive, or a group unknown.
    """
    for name in fit.law.covariates:
        targets[name] = _positive(targets, name)
    if not fit.model.groups:
        return targets.drop(columns=fit.law.group, errors="ignore")
    return _with_groups(fit, targets)


def read_frame(at: Mapping[str, Any] | pd.DataFrame) -> pd.DataFrame:
    """Turn columns or single values into a frame of one row a target.

    Parameters
    ----------
    at
        Columns of equal length, or single values.

    Returns
    -------
    pandas.DataFrame
        The columns as given.

    Raises
    ------
    InputError
        If there are no rows, or columns differ in length.
    """
    columns = {str(name): list(values) if np.ndim(values) else [values] for name, values in at.items()}
    lengths = {len(values) for values in columns.values()}
    rows = max(lengths, default=0)
    if lengths == {0}:
        raise InputError(f"{', '.join(columns)} have no rows", "one row a target", "add the budgets to predict at")
    if not rows or lengths - {1, rows}:
        counts = ", ".join(f"{name}: {len(values)}" for name, values in columns.items()) or "no columns"
        raise InputError(
            f"the targets have {counts}", "columns of one length, or single values", "give each column as many values"
        )
    return pd.DataFrame({name: values * (rows // len(values)) for name, values in columns.items()})


def _positive(targets: pd.DataFrame, name: str) -> np.ndarray:
    if name not in targets:
        raise InputError(f"{name} is not given", f"the law's {name} at every target", f"add {name}")
    numbers = pd.Series(pd.to_numeric(targets[name], errors="coerce"))
    values: np.ndarray = np.asarray(numbers, dtype=float)
    wrong = ~(np.isfinite(values) & (values > 0))
    if wrong.any():
        raise InputError(
            f"{name} is {targets[name].tolist()[int(wrong.argmax())]!r}", "positive numbers", f"use {name} such as 7e9"
        )
    return values


def _with_groups(fit: Fit, targets: pd.DataFrame) -> pd.DataFrame:
    group, model = fit.law.group, fit.model
    partial = all(p.pooling != "separate" for p in model.parameters)
    if group not in targets:
        names = [*model.groups, *([NEW_FAMILY] if group == "family" and partial else [])]
        return targets.merge(pd.DataFrame({group: names}), how="cross")
    accepted = [*(REGIMES if group == "regime" else model.groups), *([NEW_FAMILY] if group == "family" else [])]
    for name in targets[group].unique():
        if name not in accepted:
            hint = f", or {NEW_FAMILY!r} for a family not seen" if group == "family" else ""
            raise InputError(
                f"{group} {name!r} is not known", f"one of {', '.join(accepted)}", nearest(str(name), accepted) + hint
            )
    return targets


def _with_members(fit: Fit, targets: pd.DataFrame) -> pd.DataFrame:
    parsed = [parse_members(str(text)) for text in targets["members"]]
    totals = [sum(parameters for parameters, _ in members) for members in parsed]
    if "parameters" in targets:
        raise InputError(
            "both parameters and members are given", "one of them", "leave out parameters: members have their own"
        )
    result = targets.assign(parameters=totals)
    if fit.law.group == "regime":
        regimes = [regime_of([family for _, family in members]) for members in parsed]
        named = list(targets["regime"]) if "regime" in targets else regimes
        for text, other, regime in zip(targets["members"], named, regimes, strict=True):
            if other != regime:
                raise InputError(
                    f"the members {text!r} make a {regime} pool, not {other!r}",
                    "members of the regime named",
                    "leave out the regime",
                )
        return result.assign(regime=regimes)
    if any(len(members) > 1 for members in parsed):
        raise InputError(
            f"the law {fit.law.name} predicts single models", "one member", "fit the collaboration law to predict pools"
        )
    families = [members[0][1] for members in parsed]
    known = {*fit.model.groups, NEW_FAMILY}
    return result.assign(family=[name if name in known or not fit.model.groups else NEW_FAMILY for name in families])


def parse_members(text: str) -> list[tuple[float, str]]:
    """Read the members of a pool.

    Parameters
    ----------
    text
        ``"parameters:family"`` for each member, with commas between, such as ``"70e9:llama,7e9:mistral"``.

    Returns
    -------
    list of tuple
        Parameters and family of each member.

    Raises
    ------
    InputError
        If the text is not of that form.
    """
    return [read_member(part) for part in split_members(text)]
