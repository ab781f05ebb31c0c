"""The frame that says which models there are, and tables of whole models."""

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.inputs.arguments import a_choice, accepts, optional
from bayeslaw.losses.columns import (
    check_losses,
    check_positive,
    check_unique,
    labels,
    numbers,
    series,
    sizes,
    source_of,
    tidy,
)
from bayeslaw.losses.dataset_arguments import a_frame, a_unit
from bayeslaw.losses.missing import MISSING_POLICIES, drop_missing
from bayeslaw.losses.model_names import check_family_names, check_model_names
from bayeslaw.losses.near_names import renaming
from bayeslaw.losses.warned_once import tell_errors

COUNTS = ("parameters", "active_parameters", "embedding_parameters", "non_embedding_parameters")
OPTIONAL_COLUMNS = (*COUNTS[1:], "training_tokens", "price")
MODEL_ALIASES = {
    "params": "parameters",
    "params_total": "parameters",
    "params_active": "active_parameters",
    "active_params": "active_parameters",
    "params_embedding": "embedding_parameters",
    "embedding_params": "embedding_parameters",
    "params_non_embedding": "non_embedding_parameters",
    "non_embedding_params": "non_embedding_parameters",
    "tokens": "training_tokens",
    "se": "standard_error",
}


@accepts(frame=a_frame, unit=optional(a_unit), missing=a_choice(MISSING_POLICIES))
def models_from_frame(frame: pd.DataFrame, *, unit: str | None = None, missing: str = "error") -> xr.Dataset:
    """Make a table of whole models of a pandas frame.

    Parameters
    ----------
    frame
        One row a model: ``family``, ``parameters`` (or ``params``), ``loss``, optionally ``model`` (else the row number
        from 0), ``training_tokens`` (or ``tokens``), ``se`` (or ``standard_error``). Other columns are ignored.
    unit
        What the losses are per, such as ``"token"``; unknown by default.
    missing
        ``"drop-models"`` leaves out rows without a loss; anything else refuses them.

    Returns
    -------
    xarray.Dataset
        ``loss``, ``family``, ``parameters`` and the optional columns on ``lm``; attributes ``kind``, ``unit``,
        ``loss_unit``, ``missing``, ``source``.

    Raises
    ------
    InputError
        If a column is missing, a model is there twice, or a value is not what its column needs.

    Examples
    --------
    >>> import pandas as pd, bayeslaw as bl
    >>> frame = pd.DataFrame({"model": ["s", "l"], "family": ["a", "a"], "parameters": [7e7, 7e9], "loss": [3.0, 2.2]})
    >>> bl.models_from_frame(frame, unit="token").attrs["loss_unit"]
    'nats per token'
    """
    source = source_of(frame, "the table of models")
    frame = tidy(frame, "the table of models")
    if "model" not in frame:
        frame = frame.assign(model=[str(row) for row in range(len(frame))])
    lms = model_frame(frame)
    frame = _without_aliases(frame, source)
    if "loss" not in frame:
        fix = renaming(["loss"], map(str, frame.columns)) or "add the loss of each model"
        raise InputError(f"{source} has no column 'loss'", "a column loss", fix)
    names = lms["model"].to_numpy(dtype=str)
    dataset = xr.Dataset(coords={"lm": ("lm", names)})
    loss = numbers(series(frame, "loss"), "loss", names)
    check_losses(loss, lambda index: f"model {str(names[index[0]])!r}")
    dataset["loss"] = ("lm", loss + 0.0)
    if "standard_error" in frame:
        error = numbers(series(frame, "standard_error"), "standard error", names)
        check_positive(error, "standard error", names)
        dataset["standard_error"] = ("lm", error)
    dataset = dataset.assign(model_variables(lms))
    loss_unit = "nats" if unit is None else f"nats per {unit}"
    dataset.attrs = {"kind": "models", "unit": unit or "sample", "loss_unit": loss_unit, "missing": "{}"}
    dataset.attrs["source"] = source
    return tell_errors(drop_missing(dataset, missing))


def model_frame(models: pd.DataFrame) -> pd.DataFrame:
    """Check the frame that says which models there are.

    Parameters
    ----------
    models
        As in `losses_from_frames`.

    Returns
    -------
    pandas.DataFrame
        ``model`` and ``family`` as text, ``parameters`` and the optional columns as float64 (NaN where not given),
        under their full names and in the order given.

    Raises
    ------
    InputError
        If a column is missing, a model is there twice or has no name or family, or a number is not positive.
    """
    source = source_of(models, "the table of models")
    frame = _without_aliases(tidy(models, "the table of models"), source)
    lacking = [name for name in ("model", "family", "parameters") if name not in frame]
    if lacking:
        accepted = "columns model, family, parameters (or params)"
        fix = renaming(lacking, map(str, frame.columns)) or f"add the column {lacking[0]}"
        raise InputError(f"{source} has no column {', nor '.join(map(repr, lacking))}", accepted, fix)
    if frame.empty:
        raise InputError(f"{source} has no rows", "one row a model", "add the models")
    checked = pd.DataFrame({name: labels(series(frame, name), name) for name in ("model", "family")})
    names = checked["model"].to_numpy(dtype=str)
    check_unique(names, "model", source)
    check_model_names(names.tolist())
    check_family_names(checked["family"])
    for name in ("parameters", *OPTIONAL_COLUMNS):
        if name in frame:
            read = numbers if name == "price" else sizes
            checked[name] = read(series(frame, name), name.replace("_", " "), names)
            check_positive(series(checked, name).to_numpy(), name.replace("_", " "), names, zero=name == "price")
    lacking = checked["parameters"].isna().to_numpy()
    if lacking.any():
        problem = f"model {str(names[lacking.argmax()])!r} has no parameters"
        raise InputError(problem, "a positive number of parameters for every model", f"fill it in in {source}")
    return checked


def _without_aliases(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    renamed = frame.rename(columns=MODEL_ALIASES)
    repeated = renamed.columns[renamed.columns.duplicated()]
    if len(repeated):
        twice = [column for column in frame.columns if MODEL_ALIASES.get(column, column) == repeated[0]]
        problem = f"{source} gives {repeated[0]} twice, as {' and '.join(twice)}"
        raise InputError(problem, "one column", f"keep the column {repeated[0]}")
    return renamed


def model_variables(lms: pd.DataFrame) -> dict[str, tuple[str, np.ndarray]]:
    """Return the dataset's variables on ``lm`` for a checked frame of models."""
    present = [name for name in ("parameters", *OPTIONAL_COLUMNS) if name in lms]
    variables = {name: ("lm", lms[name].to_numpy(dtype=np.float64)) for name in present}
    return {"family": ("lm", lms["family"].to_numpy(dtype=str)), **variables}
