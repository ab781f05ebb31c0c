"""The file of a fit: netCDF or Zarr, whole or not there, refused in a sentence where it cannot be read."""

import json
import warnings
from collections.abc import Iterable, Mapping, Set
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import Any

import h5py
import xarray as xr

from bayeslaw.errors import InputError, check_choice
from bayeslaw.fitting.fit_seal import ATTRIBUTE, ZARR_ROOT, check_sealed_file, check_sealed_folder, seal_folder, sealed
from bayeslaw.inputs.arguments import texts
from bayeslaw.inputs.input_paths import ACCEPTED_FIT, check_fit_there
from bayeslaw.inputs.output_paths import Inputs, check_output_file, check_output_folder
from bayeslaw.storage import atomic_file, atomic_folder

ZARR = ".zarr"
OPTIONAL_GROUPS: tuple[str, ...] = ("prior", "prior_predictive", "posterior_predictive", "log_likelihood", "log_prior")
ROW_GROUPS: tuple[str, ...] = ("prior_predictive", "posterior_predictive", "log_likelihood")
"""Those of them that have a number for each row and draw, and are made of the draws when they are asked for."""
SMALL_BYTES = 5_000_000
"""Up to which size, all together, groups by row are held without being asked for."""
FIT_FORMAT = "bayeslaw fit"
KEPT: Mapping[str, tuple[str, ...] | None] = {"small": None, "all": OPTIONAL_GROUPS, "none": ()}
"""Groups that are kept, by what stands for them on the command line."""
FIT_FORMAT_VERSION = 1
MEMBERS = "members"
"""Group that holds the fit of a diversity law's single models."""
NEEDED_GROUPS = ("posterior", "sample_stats", "observed_data", "constant_data")
NEEDED_ATTRS = ("law", "noise", "unit", "parameters_kind", "row_dimension", "reference", "facts")


def optional_groups(name: str, value: object) -> tuple[str, ...]:
    """Accept names of `OPTIONAL_GROUPS`."""
    return tuple(
        check_choice("group", each, OPTIONAL_GROUPS)
        for each in texts(name, list(value) if isinstance(value, Set) else value)
    )


def write_fit(tree: xr.DataTree, path: str | PathLike[str]) -> None:
    """Write the tree of a fit.

    Parameters
    ----------
    tree
        The tree.
    path
        A netCDF file, or a Zarr folder where the path ends in ``.zarr``.

    Raises
    ------
    InputError
        If the output cannot be written.
    """
    path = check_fit_output(path)
    if path.suffix == ZARR:
        with atomic_folder(path, FIT_FORMAT, replaceable=_is_own_zarr) as temporary, warnings.catch_warnings():
            # Zarr has not yet settled how it stores text; the version written is the version read.
            warnings.simplefilter("ignore")
            tree.to_zarr(temporary, mode="w", consolidated=False)
            seal_folder(temporary)
        return
    # HDF5 ends the process where the disk is full: it writes to memory, and what it wrote goes to disk in one piece.
    content = sealed(tree.to_netcdf(None, engine="h5netcdf"))
    with atomic_file(path, replaceable=_is_own_file) as temporary:
        temporary.write_bytes(content)


def read_fit(path: str | PathLike[str], *, keep: Iterable[str] = OPTIONAL_GROUPS) -> xr.DataTree:
    """Read the tree of a fit into memory.

    Parameters
    ----------
    path
        A netCDF file, or a Zarr folder.
    keep
        Which of `OPTIONAL_GROUPS` to read; the others may be large.

    Returns
    -------
    xarray.DataTree
        The tree.

    Raises
    ------
    InputError
        If the file is missing, truncated, damaged, not a fit, or of another format version.
    """
    path = check_fit_there(path)
    left_out = set(OPTIONAL_GROUPS) - set(keep)
    try:
        if path.is_dir():
            check_sealed_folder(path, left_out)
            tree = _without(xr.open_datatree(path, engine="zarr", consolidated=False), left_out).load()
            tree.attrs.pop(ATTRIBUTE, None)
        else:
            check_sealed_file(path)
            with xr.open_datatree(path, engine="h5netcdf") as opened:
                tree = _without(opened, left_out).load()
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{str(path)!r} cannot be read as a fit: {_first_line(error)}", ACCEPTED_FIT, "fit again"
        ) from error
    _check_format(tree, path)
    return tree


def _check_format(tree: xr.DataTree, path: Path) -> None:
    """Refuse a tree that is no fit, or of another format, or lacks a part; also where it is a part of another."""
    if not _is_fit(tree.attrs):
        raise InputError(f"{str(path)!r} is not a fit of bayeslaw", ACCEPTED_FIT, "name a file written by bayeslaw fit")
    found = tree.attrs.get("format_version")
    if not isinstance(found, Integral) or found != FIT_FORMAT_VERSION:
        raise InputError(
            f"{str(path)!r} has fit format version {found}",
            f"format version {FIT_FORMAT_VERSION}",
            "fit again with this version of bayeslaw, or install the version that wrote it",
        )
    missing = [n for n in NEEDED_GROUPS if n not in tree.children] + [n for n in NEEDED_ATTRS if n not in tree.attrs]
    if missing:
        raise InputError(f"{str(path)!r} lacks {missing[0]}", ACCEPTED_FIT, "fit again")
    if MEMBERS in tree.children:
        _check_format(tree.children[MEMBERS], path)


def _is_fit(attrs: Mapping[Any, Any]) -> bool:
    found = attrs.get("format")
    return isinstance(found, str) and found == FIT_FORMAT


def _without(tree: xr.DataTree, left_out: set[str]) -> xr.DataTree:
    return tree.filter(lambda node: node.name not in left_out)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def kept_groups(text: str) -> tuple[str, ...] | None:
    """Read which optional groups of a fit to keep.

    Parameters
    ----------
    text
        ``"small"``, ``"all"``, ``"none"``, or names of `OPTIONAL_GROUPS` with commas between.

    Returns
    -------
    tuple of str, or None
        The names; None for all but `ROW_GROUPS` where these exceed `SMALL_BYTES`.

    Raises
    ------
    InputError
        If a name is not known.
    """
    if text in KEPT:
        return KEPT[text]
    names = [name.strip() for name in text.split(",")]
    for name in names:
        check_choice("group", name, (*KEPT, *OPTIONAL_GROUPS))
        if name in KEPT:
            accepted = f"{name} alone, or names of groups: {', '.join(OPTIONAL_GROUPS)}"
            raise InputError(f"{name!r} stands beside other groups", accepted, "leave it out, or the others")
    return tuple(names)


def check_fit_output(path: str | PathLike[str], *, inputs: Inputs = ()) -> Path:
    """Refuse early an output that could not be written; nothing is created.

    Parameters
    ----------
    path
        A netCDF file, or a Zarr folder where the path ends in ``.zarr``; one that holds a fit may be replaced.
    inputs
        What is fitted, which the fit may not replace.

    Returns
    -------
    pathlib.Path
        The path.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    path = Path(path)
    if path.suffix == ZARR:
        return check_output_folder(path, FIT_FORMAT, replaceable=_is_own_zarr, inputs=inputs)
    return check_output_file(path, replaceable=_is_own_file, inputs=inputs)


def _is_own_file(path: Path) -> bool:
    try:
        with h5py.File(path) as file:
            return file.attrs.get("format") == FIT_FORMAT
    except (OSError, RuntimeError, KeyError, ValueError, TypeError):
        return False


def _is_own_zarr(path: Path) -> bool:
    try:
        attributes = json.loads((path / "zarr.json").read_text(encoding="utf-8"))["attributes"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    groups = {ZARR_ROOT, MEMBERS, *NEEDED_GROUPS, *OPTIONAL_GROUPS}
    is_fit = isinstance(attributes, dict) and _is_fit(attributes)
    return is_fit and {entry.name for entry in path.iterdir()} <= groups
