"""Family, parameters and more of the models of a foreign source: what the source says, overridden by a models CSV."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bayeslaw.errors import InputError, nearest
from bayeslaw.losses.columns import NOT_GIVEN
from bayeslaw.losses.model_frames import MODEL_ALIASES
from bayeslaw.losses.model_names import check_family_names, check_model_names, family_of_name
from bayeslaw.losses.readers import read_csv, read_header


def facts_of_models(
    found: Mapping[str, Mapping[str, Any]], given: str | os.PathLike[str] | pd.DataFrame | None
) -> pd.DataFrame:
    """Return one row a model, as `losses_from_frames` takes it.

    Parameters
    ----------
    found
        What the source says of each model, by name; ``parameters`` where it knows them. The family is by default what
        the name suggests.
    given
        A CSV or frame with a column ``model`` and any of ``family``, ``parameters`` and the other columns of
        `losses_from_frames`; a field that is not empty overrides what the source says. Rows of other models are
        ignored.

    Returns
    -------
    pandas.DataFrame
        ``model``, ``family``, ``parameters`` and what else was given.

    Raises
    ------
    InputError
        If the CSV cannot be read or has no column ``model``, or if the parameters of a model are known from neither.
    """
    frame, source = _given_frame(given)
    overrides = {str(row["model"]).strip(): row for row in frame.to_dict("records")}
    if len(overrides) < len(frame):
        twice = frame["model"].astype(str).str.strip()
        problem = f"model {twice[twice.duplicated()].iloc[0]!r} is twice in {source}"
        raise InputError(problem, "one row a model", "remove the repeats")
    rows = []
    for name, facts in found.items():
        row = {"model": name, "family": family_of_name(name), **facts}
        row |= {str(key): value for key, value in overrides.get(name, {}).items() if not _is_empty(value)}
        rows.append(row | {"model": name})
    unknown = [row["model"] for row in rows if _is_empty(row.get("parameters"))]
    if unknown:
        close = nearest(unknown[0], overrides) if overrides else "give --models CSV with columns model, parameters"
        others = f", nor those of {len(unknown) - 1} others" if len(unknown) > 1 else ""
        problem = f"the parameters of {unknown[0]!r} are not known{others}"
        raise InputError(problem, "a row with its parameters in the --models CSV", close)
    # Before texts are scored, which may cost hours.
    check_model_names(str(row["model"]) for row in rows)
    check_family_names(str(row["family"]) for row in rows)
    models = pd.DataFrame(rows)
    models.attrs["source"] = source
    return models


def model_names(given: str | os.PathLike[str] | pd.DataFrame | None) -> list[str]:
    """Return the names in a models CSV or frame; none where nothing is given."""
    return [str(name).strip() for name in _given_frame(given)[0]["model"]]


def _given_frame(given: str | os.PathLike[str] | pd.DataFrame | None) -> tuple[pd.DataFrame, str]:
    if given is None:
        return pd.DataFrame({"model": []}), "the models"
    frame = given if isinstance(given, pd.DataFrame) else _read_models(Path(given))
    source = str(frame.attrs.get("source", "the table of models"))
    frame = frame.rename(columns={name: MODEL_ALIASES.get(str(name).strip(), str(name).strip()) for name in frame})
    if "model" not in frame:
        raise InputError(f"{source} has no column 'model'", "columns model, family, parameters", "add the column model")
    return frame, source


def _read_models(path: Path) -> pd.DataFrame:
    header = read_header(path)
    numeric = [name for name in header if name not in ("model", "family")]
    return read_csv(path, header, text=["model", "family"], filled=[*numeric, "family"])


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value) or str(value).strip() in NOT_GIVEN
