"""The file of a fit: netCDF or Zarr, whole or not there, refused in a sentence where it cannot be read."""

import shutil
from contextlib import suppress
from pathlib import Path

import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.storage import atomic_file

FIT_FORMAT = "bayeslaw fit"
FIT_FORMAT_VERSION = 1
ACCEPTED = "a netCDF file or a Zarr folder written by bayeslaw fit"
NEEDED_GROUPS = ("posterior", "sample_stats", "observed_data", "constant_data")
NEEDED_ATTRS = ("law", "noise", "unit", "parameters_kind", "row_dimension", "reference", "facts")


def write_fit(tree: xr.DataTree, path: str | Path) -> None:
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
    path = Path(path)
    with atomic_file(path) as temporary:
        tree.to_netcdf(temporary, engine="h5netcdf")


def read_fit(path: str | Path) -> xr.DataTree:
    """Read the tree of a fit into memory.

    Parameters
    ----------
    path
        A netCDF file, or a Zarr folder.

    Returns
    -------
    xarray.DataTree
        The tree.

    Raises
    ------
    InputError
        If the file is missing, truncated, not a fit, or of another format version.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"there is no fit {str(path)!r}", ACCEPTED, "check the path, or make one: bayeslaw fit TABLE --out f.nc")
    try:
        with xr.open_datatree(path, engine="zarr" if path.is_dir() else "h5netcdf") as opened:
            tree = opened.load()
    except Exception as error:
        raise InputError(f"{str(path)!r} cannot be read as a fit: {_first_line(error)}", ACCEPTED, "fit again") from error
    if tree.attrs.get("format") != FIT_FORMAT:
        raise InputError(f"{str(path)!r} is not a fit of bayeslaw", ACCEPTED, "name a file written by bayeslaw fit")
    found = tree.attrs.get("format_version")
    if found != FIT_FORMAT_VERSION:
        raise InputError(
            f"{str(path)!r} has fit format version {found}",
            f"format version {FIT_FORMAT_VERSION}",
            "fit again with this version of bayeslaw, or install the version that wrote it",
        )
    missing = [n for n in NEEDED_GROUPS if n not in tree.children] + [n for n in NEEDED_ATTRS if n not in tree.attrs]
    if missing:
        raise InputError(f"{str(path)!r} lacks {missing[0]}", ACCEPTED, "fit again")
    return tree


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


shutil, suppress  # noqa: B018
