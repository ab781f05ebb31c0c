"""Datasets, frames and units as arguments; see `bayeslaw.losses.table_arguments` for what reads paths too."""

import os
from typing import Any

import pandas as pd
import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.inputs.arguments import Converter, a_path, called_by_user, shown
from bayeslaw.losses.dataset_checks import ACCEPTED, FIX, POOLS, checked_table
from bayeslaw.losses.model_names import check_unit
from bayeslaw.losses.warned_once import tell_errors

FRAME_FIX = "turn it into a table with bayeslaw.models_from_frame or bayeslaw.losses_from_frames"


def a_dataset(*kinds: str, tell: bool = True) -> Converter:
    """Accept tables of some kinds.

    Parameters
    ----------
    *kinds
        Of `bayeslaw.losses.dataset_checks.VARIABLES`.
    tell
        Whether to warn of what is likely wrong in a table of losses, which takes what is known of its models.

    Returns
    -------
    Converter
        Returns the dataset, held to what a table of its kind is.
    """
    accepted = "; or ".join(ACCEPTED[kind] for kind in kinds)

    def convert(name: str, value: Any) -> xr.Dataset:
        if not isinstance(value, xr.Dataset):
            fix = FRAME_FIX if isinstance(value, pd.DataFrame) else FIX[kinds[0]]
            raise InputError(f"{name} is {shown(value)}", f"{accepted}; or its path", fix)
        # What one public function hands to another was checked when it came in.
        if not called_by_user():
            return value
        table = checked_table(value, kinds, whole=tell)
        return tell_errors(table) if tell and table.attrs["kind"] != POOLS else table

    return convert


def a_frame(name: str, value: Any) -> pd.DataFrame:
    """Accept a pandas frame."""
    if not isinstance(value, pd.DataFrame):
        is_path = isinstance(value, str | os.PathLike)
        fix = "read a file with bayeslaw.read_losses" if is_path else "make a DataFrame of it"
        raise InputError(f"{name} is {shown(value)}", "a pandas DataFrame", fix)
    return value


def a_frame_or_path(name: str, value: Any) -> Any:
    """Accept a pandas frame, or the path of a CSV."""
    return a_path(name, value) if isinstance(value, str | os.PathLike) else a_frame(name, value)


def a_unit(name: str, value: Any) -> str:
    """Accept what a sample is."""
    return check_unit(value)
