"""What a file has to hold for its fit to be used: attributes that can be read, and numbers that go with them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.fitting.fits import Fit
from bayeslaw.laws.kinds import kind_of
from bayeslaw.losses.parameter_counts import PARAMETER_COUNTS
from bayeslaw.pools.regimes import REGIMES

ROW_DIMENSIONS = ("lm", "pool")
COUNTS = ("samples", "clusters", "families")
TEXTS = ("table", "rule", "largest_winner")
DRAWS = ("posterior", "prior", "log_prior", "log_likelihood")
"""Groups of which not one number may be missing."""
RELATIVE_ERROR = 1e-6


def check_fit(fit: Fit, path: str) -> None:
    """Refuse a fit of which anything could not be used, or not for what it says it is.

    Parameters
    ----------
    fit
        The fit, as it was read.
    path
        Its file, for the message.

    Raises
    ------
    InputError
        If an attribute is garbled, the law or noise is not known, a number is missing, not finite or outside of its
        prior's support, or sizes and names do not go together.
    """
    for look in (_check_attributes, _check_rows, _check_posterior, _check_numbers):
        try:
            look(fit)
        except Exception as error:
            lines = (error.problem if isinstance(error, InputError) else str(error)).strip().splitlines()
            why = lines[0] if lines else type(error).__name__
            raise InputError(
                f"{path!r} cannot be used as a fit: {why}",
                "a fit as bayeslaw fit wrote it",
                "fit again, or undo what was changed in the file",
            ) from error
    if fit.members is not None:
        check_fit(fit.members, path)


def _refuse(wrong: bool, what: str) -> None:
    if wrong:
        raise ValueError(what)


def _check_attributes(fit: Fit) -> None:
    attrs = fit.tree.attrs
    for name, value in attrs.items():
        kind = Real if name in ("format_version", "loss_scale", "design_effect") else str
        _refuse(not isinstance(value, kind), f"its attribute {name} is {value!r}")
    for name, accepted in (("parameters_kind", PARAMETER_COUNTS), ("row_dimension", ROW_DIMENSIONS)):
        _refuse(attrs[name] not in accepted, f"its attribute {name} is {attrs[name]!r}")
    read = {name: _mapping(attrs, name) for name in ("law", "noise", "reference", "facts", "families", "settings")}
    for name in ("law", "noise"):
        _named(f"its attribute {name}", lambda name=name: getattr(fit, name))
    _check_facts(read["facts"])
    for name, number in read["reference"].items():
        _refuse(not _positive(number), f"its attribute reference has the {name} {number!r}")
    for model, family in read["families"].items():
        _refuse(not isinstance(family, str), f"its attribute families has the family {family!r} for {model!r}")
    for name in {"loss_scale", "design_effect"} & attrs.keys():
        _refuse(not _positive(attrs[name]), f"its attribute {name} is {attrs[name]!r}")


def _mapping(attrs: Mapping[Any, Any], name: str) -> dict[str, Any]:
    try:
        read = json.loads(attrs.get(name, "{}"))
    except ValueError as error:
        raise ValueError(f"its attribute {name} is not JSON: {error}") from error
    _refuse(not isinstance(read, dict), f"its attribute {name} is not a JSON object but {type(read).__name__}")
    return read


def _named(what: str, read: Callable[[], Any]) -> Any:
    """Read something, and name it where that fails."""
    try:
        return read()
    except InputError as error:
        raise ValueError(f"{what}: {error.problem}") from error
    except Exception as error:
        raise ValueError(f"{what} cannot be read ({type(error).__name__}: {error})") from error


def _positive(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value) and float(value) > 0


def _check_facts(facts: Mapping[str, Any]) -> None:
    for name in ("overlapping", "table"):
        _refuse(name not in facts, f"its attribute facts lacks {name}")
    for name, value in facts.items():
        if name == "overlapping":
            right = isinstance(value, bool)
        elif name in COUNTS:
            right = isinstance(value, Integral) and _positive(value)
        else:
            right = isinstance(value, str) == (name in TEXTS) and isinstance(value, str | Real)
        _refuse(not right, f"its attribute facts has the {name} {value!r}")


def _check_rows(fit: Fit) -> None:
    rows, row = _named("its rows", lambda: fit.observations), fit.tree.attrs["row_dimension"]
    _refuse(len(rows.loss) == 0, "it has no rows")
    _refuse(len(set(map(str, rows.labels))) < len(rows.labels), "two of its rows have one name")
    observed = fit.tree["observed_data"].dataset
    for name in ("observed_data", "log_likelihood", "posterior_predictive"):
        if name in fit.tree.children:
            other = fit.tree[name].dataset
            same = row in other.coords and np.array_equal(other[row].to_numpy(), rows.labels)
            _refuse(not same, f"the rows of {name} are not those of constant_data")
    for name, array in fit.tree["constant_data"].data_vars.items():
        numbers = array.to_numpy()
        wrong = numbers.dtype.kind == "f" and not np.isfinite(numbers).all() and name != "standard_error"
        _refuse(wrong, f"{name} in constant_data has numbers that are not finite")
    for name, array in observed.data_vars.items():
        numbers = array.to_numpy()
        _refuse(array.dims != (row,) or numbers.dtype.kind != "f", f"{name} in observed_data is not a number a row")
        _refuse(not np.isfinite(numbers).all(), f"{name} in observed_data has numbers that are not finite")
    for name, values in rows.covariates.items():
        right = values.shape == rows.loss.shape and values.dtype.kind in "fiu" and (values > 0).all()
        _refuse(not right, f"{name} in constant_data is not a positive number a row")
    for name in set(map(str, rows.groups.get("regime", ()))):
        _refuse(name not in REGIMES, f"it has rows of the regime {name!r}")
    _check_names(fit)


def _check_names(fit: Fit) -> None:
    """Check that references and families are those of the rows."""
    rows, attrs = fit.observations, fit.tree.attrs
    stated = json.loads(attrs["reference"])
    _refuse(stated.keys() != rows.reference.keys(), "its attribute reference is not of its covariates")
    for name, value in rows.reference.items():
        same = math.isclose(stated[name], value, rel_tol=RELATIVE_ERROR)
        _refuse(not same, f"its attribute reference has the {name} {stated[name]!r}, and its rows {value!r}")
    if "families" not in attrs:
        return
    families = json.loads(attrs["families"])
    names = rows.members if rows.row_dimension == "pool" else tuple(map(str, rows.labels))
    lacking = [name for name in names if name not in families]
    _refuse(bool(lacking), f"its attribute families does not tell the family of {lacking[0] if lacking else ''!r}")
    if rows.row_dimension == "lm":
        wrong = [n for n, f in zip(names, rows.groups.get("family", ()), strict=False) if families[n] != str(f)]
        _refuse(bool(wrong), f"its attribute families has another family for {wrong[0] if wrong else ''!r}")


def _check_posterior(fit: Fit) -> None:
    model = _named("its law with its rows", lambda: fit.model)
    variables = _named("its law with its rows", lambda: kind_of(fit.law).variables(model))
    posterior = fit.tree["posterior"].dataset
    draws = tuple(posterior.sizes.get(name, 0) for name in ("chain", "draw"))
    _refuse(0 in draws, "its posterior has no chains of draws")
    for name, after in variables.items():
        _refuse(name not in posterior, f"its posterior lacks {name}")
        dims = posterior[name].dims
        _refuse(dims != ("chain", "draw", *after), f"{name} in its posterior has the dimensions {', '.join(dims)}")
        for dimension, known in after.items():
            found = posterior[dimension].to_numpy().astype(str).tolist() if dimension in posterior.coords else None
            _refuse(found != known, f"its posterior does not have the {dimension}s of its rows")
    supports = {p.name: p.support for p in model.parameters} | {n: p.support for n, p in model.sites.items()}
    for name, (low, high) in supports.items():
        values = posterior[name].to_numpy()
        right = values.dtype.kind == "f" and np.isfinite(values).all()
        _refuse(not right, f"{name} in its posterior has draws that are not finite")
        outside = (values < low) | (values > high)
        _refuse(bool(outside.any()), f"{name} in its posterior has draws outside of ({low:g}, {high:g})")
    _refuse("diverging" not in fit.tree["sample_stats"], "its sample_stats lacks diverging")
    for name, array in fit.tree["sample_stats"].data_vars.items():
        sizes = tuple(array.sizes.get(dimension, 0) for dimension in ("chain", "draw"))
        _refuse(sizes != draws, f"{name} in its sample_stats is not of its draws")


def _check_numbers(fit: Fit) -> None:
    for group in DRAWS:
        dataset = fit.tree[group].dataset if group in fit.tree.children else xr.Dataset()
        for name, array in dataset.data_vars.items():
            numbers = array.to_numpy()
            finite = np.isfinite(numbers) if group == "posterior" else ~np.isnan(numbers)
            _refuse(not finite.all(), f"{name} in its {group} has numbers that are missing or not finite")
