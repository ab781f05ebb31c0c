"""A fit that ends in a file, with its draws kept beside the file until it is there."""

import tempfile
from collections.abc import Callable, Iterable
from os import PathLike
from pathlib import Path
from typing import Any

import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.fitting.fit_file import OPTIONAL_GROUPS, ROW_GROUPS, check_fit_output
from bayeslaw.fitting.fits import Fit, fit_with
from bayeslaw.laws.protocol import AnyLaw
from bayeslaw.likelihood.noise import Noise
from bayeslaw.posterior.kept_draws import Checkpoint


def checkpoint_beside(path: str | PathLike[str]) -> Path:
    """Return the folder in which the draws of a fit are kept until its file is written."""
    return Path(path).with_name(f".{Path(path).name}.partial")


def fit_to_file(
    law: AnyLaw,
    data: xr.Dataset,
    path: str | PathLike[str],
    *,
    keep: Iterable[str] | None = None,
    noise: Noise | None = None,
    say: Callable[[str], object] = lambda text: None,
    **choices: Any,
) -> Fit:
    """Fit a law and save the fit; where that is interrupted, the same call goes on to the very same draws.

    Parameters
    ----------
    law, data, noise
        As in `bayeslaw.fit`.
    path
        A netCDF file, or a Zarr folder where the path ends in ``.zarr``.
    keep
        Which optional groups to save, as in `bayeslaw.fit`.
    say
        Told in a sentence when draws that were kept are gone on from, are of something else, or cannot be kept.
    **choices
        ``draws``, ``chains``, ``seed``, ``parameters``, ``progress`` and the like, as in `bayeslaw.fit`.

    Returns
    -------
    Fit
        The fit, with its prior and what was saved.

    Raises
    ------
    InputError
        If the law cannot be fitted to this table, another process is at work on the same file, or the fit cannot be
        written; in the last case the message says where it is.
    """
    check_fit_output(path)
    checkpoint = Checkpoint(checkpoint_beside(path), say)
    with checkpoint.locked():
        # What looks at the fit needs its prior, whatever is saved.
        held = None if keep is None else {*keep, *OPTIONAL_GROUPS} - (set(ROW_GROUPS) - set(keep))
        fit = fit_with(checkpoint, law, data, noise=noise, keep=held, **choices)
        saved = fit if keep is None else fit.keep(keep)
        try:
            saved.save(path)
        except InputError as error:
            raise InputError(error.problem, error.accepted, _way_out(saved, Path(path), checkpoint)) from error
        checkpoint.remove()
    return fit


def _way_out(fit: Fit, path: Path, checkpoint: Checkpoint) -> str:
    """Say how a fit that could not be written is still had."""
    if checkpoint.whole:
        return f"make room, and give the same command again: its draws are kept in {str(checkpoint.path)!r}"
    elsewhere = Path(tempfile.mkdtemp(prefix="bayeslaw-")) / path.name
    try:
        fit.save(elsewhere)
    except InputError:
        elsewhere.parent.rmdir()
        return "make room, and fit again: there was no room for its draws either"
    return f"make room, and move it there: the fit is in {str(elsewhere)!r}"
