"""Datasets that users hand in, made by this package or by hand: held to what files of losses are held to."""

import json
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.losses.by_model import BY_MODEL
from bayeslaw.losses.columns import check_losses, check_positive
from bayeslaw.losses.model_names import check_family_names, check_model_names, check_unit

FACTS = ("active_parameters", "embedding_parameters", "non_embedding_parameters", "training_tokens", "price")
MAY_BE_ZERO = ("price", "embedding_parameters", "non_embedding_parameters")
ON_SAMPLES = ("counts on sample, or on sample and lm", "count them for each sample")
JSON_ATTRIBUTES: Mapping[str, type] = {"missing": dict, "rebuilt_tokenizers": list}
# Nats; a loss of a trillion tokens is below, and sums of squares of what is accepted stay finite.
LOSSES, MODELS, POOLS = "losses", "models", "pools"
ACCEPTED: Mapping[str, str] = {
    LOSSES: "a table of losses on samples: nll on sample and lm, family and parameters on lm",
    MODELS: "a table of whole models: loss, family and parameters on lm",
    POOLS: "pools: loss, parameters and regime on pool, member on pool and slot, family on lm",
}
HELD: Mapping[str, str] = {
    LOSSES: "holds losses on samples",
    MODELS: "holds one loss per model, as tables of whole models do",
    POOLS: "holds pools",
}
FIX: Mapping[str, str] = {
    LOSSES: "read it with bayeslaw.read_losses, or make it with bayeslaw.losses_from_frames",
    MODELS: "read it with bayeslaw.read_losses, or make it with bayeslaw.models_from_frame",
    POOLS: "make them with bayeslaw.make_pools, or read them with bayeslaw.read_pools",
}
VARIABLES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    LOSSES: {"nll": ("sample", "lm"), "family": ("lm",), "parameters": ("lm",)},
    MODELS: {"loss": ("lm",), "family": ("lm",), "parameters": ("lm",)},
    POOLS: {
        "loss": ("pool",),
        "parameters": ("pool",),
        "regime": ("pool",),
        "size": ("pool",),
        "member": ("pool", "slot"),
        "family": ("lm",),
    },
}
"""What each kind of table has to hold, on which dimensions."""
POOL_RANGES: Mapping[str, tuple[float, float, str]] = {
    "size": (1, np.inf, "one member or more"),
    "standard_error": (0, np.inf, "standard errors of zero or more"),
    "sampling_factor": (-np.inf, np.inf, "finite numbers"),
    # Shares are sums that are rounded.
    "win_share": (-1e-6, 1 + 1e-6, "shares from 0 to 1"),
}
"""Least, most and a name of the numbers that may be known of pools; a standard error is missing for one cluster."""


def checked_table(table: xr.Dataset, kinds: Sequence[str], *, whole: bool = True) -> xr.Dataset:
    """Hold a dataset to what a table of its kind is.

    Parameters
    ----------
    table
        The dataset.
    kinds
        The kinds accepted, of `VARIABLES`.
    whole
        Whether what is known of the models has to be there; the losses alone otherwise.

    Returns
    -------
    xarray.Dataset
        The dataset, with the attribute ``kind`` where it has none.

    Raises
    ------
    InputError
        If it is of no such kind; lacks a variable, or has one on other dimensions or of another type; is empty; names a
        model, family or sample that cannot be called so, or twice; or holds a loss or number of parameters that none
        can be.
    """
    kind = _kind(table, kinds)
    for name, dims in VARIABLES[kind].items():
        if whole or name in table.variables or name in ("nll", "loss"):
            _check_variable(table, kind, name, dims)
    CHECKS[kind](table)
    if kind == LOSSES:
        table = _usual(table)
    return table if table.attrs.get("kind") == kind else table.assign_attrs(kind=kind)


def _usual(table: xr.Dataset) -> xr.Dataset:
    """Order losses by sample and model, in a precision in which they add up."""
    nll = table["nll"]
    if nll.dims != ("sample", "lm"):
        table = table.assign(nll=nll.transpose("sample", "lm"))
    return table.assign(nll=table["nll"].astype(np.float64)) if nll.dtype.itemsize < 4 else table


def _kind(table: xr.Dataset, kinds: Sequence[str]) -> str:
    kind = str(table.attrs.get("kind", ""))
    if not kind:
        likely = {LOSSES: "nll" in table, POOLS: "member" in table, MODELS: "loss" in table}
        kind = next((name for name, seen in likely.items() if seen), "")
    accepted = "; or ".join(ACCEPTED[name] for name in kinds)
    if kind not in kinds:
        held = HELD.get(kind, f"is of the kind {kind!r}" if kind else "is no table of losses")
        raise InputError(f"this dataset {held}, and does not hold {' or '.join(kinds)}", accepted, FIX[kinds[0]])
    return kind


def _check_variable(table: xr.Dataset, kind: str, name: str, dims: tuple[str, ...]) -> None:
    if name not in table.variables:
        raise InputError(f"the table has no {name}", ACCEPTED[kind], FIX[kind])
    held = table[name].dims
    if set(held) != set(dims) or len(held) != len(dims):
        problem = f"{name} is on {', '.join(map(str, held)) or 'no dimension'}"
        raise InputError(problem, f"{name} on {' and '.join(dims)}", FIX[kind])
    if 0 in table[name].shape:
        empty = next(str(dim) for dim in held if table.sizes[dim] == 0)
        raise InputError(
            f"the loss table is empty: its {empty} has size 0", f"at least one {empty}", "check what was dropped"
        )


def _numbers(table: xr.Dataset, name: str, *, losses: bool = False) -> np.ndarray:
    values = table[name].to_numpy()
    if values.dtype.kind not in "iuf":
        what = {"b": "true and false", "c": "complex numbers"}.get(values.dtype.kind, f"values of type {values.dtype}")
        accepted = "losses in nats" if losses else "numbers"
        raise InputError(f"{name} holds {what}", f"{accepted}, integers or floating-point", f"give {name} as float64")
    return values


def _check_losses(table: xr.Dataset, name: str, where: Callable[[tuple[int, ...]], str]) -> None:
    values = _numbers(table, name, losses=True)
    if np.isnan(values).any():
        index = tuple(int(i) for i in np.unravel_index(int(np.isnan(values).argmax()), values.shape))
        fix = "leave it out, as missing='drop-models' or missing='drop-samples' do where tables are read"
        problem = f"the table holds losses that are missing or infinite: the first is of {where(index)}"
        raise InputError(problem, "finite losses of zero or more", fix)
    check_losses(values, where)


def _names(table: xr.Dataset, dim: str) -> pd.Index:
    # As an index: millions of names of samples would take their time and room as objects.
    names = table.indexes[dim] if dim in table.coords else pd.RangeIndex(table.sizes[dim])
    if not names.is_unique:
        twice = names[names.duplicated()][0]
        raise InputError(f"{dim} {str(twice)!r} is there twice", f"every {dim} once", "rename or remove the repeats")
    return names


def _check_facts(table: xr.Dataset) -> None:
    """Check what may be known of the models and samples of a table."""
    names = table["lm"].to_numpy()
    for name in FACTS:
        if name in table:
            _check_variable(table, str(table.attrs.get("kind", LOSSES)), name, ("lm",))
            values = _numbers(table, name).astype(np.float64)
            check_positive(values, name.replace("_", " "), names, zero=name in MAY_BE_ZERO)
    for name in BY_MODEL:
        if name in table:
            if "sample" not in table[name].dims:
                raise InputError(f"{name} is on {', '.join(map(str, table[name].dims)) or 'no dimension'}", *ON_SAMPLES)
            counts = _numbers(table, name)
            wrong = ~(counts >= 0)
            if wrong.any():
                problem = f"{name} holds {counts[wrong].flat[0]:g}"
                raise InputError(problem, "numbers of zero or more", f"correct or remove {name}")


def _check_attributes(table: xr.Dataset) -> None:
    """Check the attributes that hold JSON."""
    for name, kind in JSON_ATTRIBUTES.items():
        try:
            held = json.loads(table.attrs.get(name, json.dumps(kind())))
        except (TypeError, ValueError):
            held = None
        if not isinstance(held, kind):
            problem = f"the attribute {name!r} of the table is {str(table.attrs[name])[:80]!r}"
            raise InputError(problem, "JSON as this package wrote it", f"remove the attribute {name!r}")
    if not isinstance(table.attrs.get("cluster", ""), str):
        problem = f"the attribute 'cluster' of the table is {table.attrs['cluster']!r}"
        raise InputError(problem, "names of columns with commas between, as text", "correct or remove it")


def _check_models(table: xr.Dataset) -> None:
    """Check what is known of the models of a table."""
    names, families = _names(table, "lm"), table["family"].to_numpy() if "family" in table else np.array([])
    for what, values in (("lm", names), ("family", families)):
        wrong = [value for value in values.tolist() if not isinstance(value, str)]
        if wrong and not (what == "lm" and "lm" not in table.coords):
            raise InputError(f"{what} holds {wrong[0]!r}", "text for every model", f"name the {what} of every model")
    if "lm" in table.coords:
        check_model_names(names.tolist(), as_given=True)
    check_family_names(families.tolist(), as_given=True)
    check_unit(table.attrs.get("unit", "sample"))
    _check_facts(table)
    _check_attributes(table)


def _check_parameters(table: xr.Dataset, name: str, dim: str) -> None:
    values, names = _numbers(table, name).astype(np.float64), table[dim].to_numpy()
    if np.isnan(values).any():
        problem = f"the {name} of {str(names[np.isnan(values).argmax()])!r} are missing"
        raise InputError(problem, f"a positive number of {name} for every {dim}", "fill it in")
    check_positive(values, name, names)


def _check_loss_table(table: xr.Dataset) -> None:
    _check_models(table)
    if "parameters" in table:
        _check_parameters(table, "parameters", "lm")
    samples, names = _names(table, "sample"), table["lm"].to_numpy()
    dims = table["nll"].dims

    def where(index: tuple[int, ...]) -> str:
        at = dict(zip(dims, index, strict=True))
        return f"sample {str(samples[at['sample']])!r} by model {str(names[at['lm']])!r}"

    _check_losses(table, "nll", where)
    # Some tokens have no bytes.
    if "bytes" in table:
        _check_variable(table, LOSSES, "bytes", ("sample",))
        sizes = _numbers(table, "bytes").astype(np.float64)
        check_positive(sizes, "bytes", samples, zero=True)
        if np.isnan(sizes).any():
            raise InputError("the bytes of some samples are missing", "bytes for every sample", "fill them in")
    if "cluster" in table:
        _check_variable(table, LOSSES, "cluster", ("sample",))
        lacking = pd.isna(table["cluster"].to_numpy())
        if lacking.any():
            problem = f"sample {str(samples[int(lacking.argmax())])!r} has no cluster"
            raise InputError(problem, "a cluster for every sample", "fill it in, or drop the variable cluster")


def _check_model_table(table: xr.Dataset) -> None:
    _check_models(table)
    if "parameters" in table:
        _check_parameters(table, "parameters", "lm")
    _check_losses(table, "loss", lambda index: f"model {str(table['lm'].to_numpy()[index[0]])!r}")
    if "standard_error" in table:
        _check_variable(table, MODELS, "standard_error", ("lm",))
        check_positive(_numbers(table, "standard_error").astype(np.float64), "standard error", table["lm"].to_numpy())


def _check_pools(table: xr.Dataset) -> None:
    _check_models(table)
    _names(table, "pool")
    _check_parameters(table, "parameters", "pool")
    _check_losses(table, "loss", lambda index: f"pool {str(table['pool'].to_numpy()[index[0]])!r}")
    member = _numbers(table, "member")
    if member.dtype.kind == "f" or member.min() < -1 or member.max() >= table.sizes["lm"]:
        accepted = f"positions of models, from 0 to {table.sizes['lm'] - 1}, and -1 where there is none"
        raise InputError(f"member holds {member.min()} to {member.max()}", accepted, FIX[POOLS])
    for name, (least, most, accepted) in POOL_RANGES.items():
        if name in table:
            values = _numbers(table, name).astype(np.float64)
            inside = (values >= least) & (values <= most) & ~np.isinf(values)
            wrong = ~(inside | np.isnan(values)) if name == "standard_error" else ~inside
            if wrong.any():
                raise InputError(f"{name} holds {values[wrong].flat[0]:g}", accepted, FIX[POOLS])


CHECKS: Mapping[str, Callable[[xr.Dataset], None]] = {
    LOSSES: _check_loss_table,
    MODELS: _check_model_table,
    POOLS: _check_pools,
}
