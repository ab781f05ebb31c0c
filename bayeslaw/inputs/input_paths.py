"""Whether what a command reads is there: asked before anything heavy is imported, in the words of those who read."""

from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from bayeslaw.errors import InputError

FIT_ENDINGS = (".nc", ".zarr")
ACCEPTED_FIT = "a netCDF file or a Zarr folder written by bayeslaw fit"
ACCEPTED_CSV = "a CSV file in UTF-8, or a folder that bayeslaw wrote"


def check_fit_there(path: str | PathLike[str]) -> Path:
    """Return the path of a fit, which is there.

    Parameters
    ----------
    path
        A file or folder.

    Returns
    -------
    pathlib.Path
        The path.

    Raises
    ------
    InputError
        If there is nothing.
    """
    path = Path(path)
    if not path.exists():
        fix = "check the path, or make one: bayeslaw fit TABLE --out f.nc"
        raise InputError(f"there is no fit {str(path)!r}", ACCEPTED_FIT, fix)
    return path


def check_different(paths: Iterable[str | PathLike[str]]) -> None:
    """Refuse fits of which one is named twice, be it by another path.

    Parameters
    ----------
    paths
        Files or folders of fits.

    Raises
    ------
    InputError
        If two lead to the same.
    """
    seen: set[Path] = set()
    for path in map(Path, paths):
        if path.resolve() in seen:
            raise InputError(f"the fit {str(path)!r} is named twice", "different fits", "name each fit once")
        seen.add(path.resolve())


def check_file_there(path: str | PathLike[str]) -> None:
    """Refuse the path of a CSV, folder or other file at which there is nothing, where it can be no other name.

    Parameters
    ----------
    path
        A path; a bare name may be one of the package's datasets, and is left to those who know these.

    Raises
    ------
    InputError
        If there is nothing.
    """
    path = Path(path)
    if not path.exists() and (path.suffix or len(path.parts) > 1):
        raise unreadable(path, "there is no such file", "check the path")


def unreadable(path: Path, why: str, fix: str) -> InputError:
    """Say why a table cannot be read."""
    return InputError(f"cannot read {str(path)!r}: {why}", ACCEPTED_CSV, fix)
