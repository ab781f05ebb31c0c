"""Saved fits, read back and looked at."""

from collections.abc import Iterable
from os import PathLike

from bayeslaw.fitting.fit_checks import check_fit
from bayeslaw.fitting.fit_file import OPTIONAL_GROUPS, optional_groups, read_fit
from bayeslaw.fitting.fit_law import with_current_names
from bayeslaw.fitting.fits import Fit
from bayeslaw.inputs.arguments import a_path, accepts


@accepts(path=a_path, keep=optional_groups)
def load_fit(path: str | PathLike[str], *, keep: Iterable[str] = OPTIONAL_GROUPS) -> Fit:
    """Read a saved fit.

    Parameters
    ----------
    path
        A netCDF file or Zarr folder written by `Fit.save`.
    keep
        Which of the optional groups to read; predictions need none of them.

    Returns
    -------
    Fit
        The fit; its predictions are those of the fit that was saved.

    Raises
    ------
    InputError
        If the file is missing, truncated, damaged, not a fit, or of a format version that cannot be read, if its law is
        not registered here (see `bayeslaw.register_law`), or if what it holds does not go together.

    Examples
    --------
    With a fit of 40 models:

    >>> import bayeslaw as bl
    >>> fit.save("fit.nc")
    >>> bl.load_fit("fit.nc", keep=()).law == fit.law
    True
    """
    loaded = Fit(with_current_names(read_fit(path, keep=keep), str(path)))
    check_fit(loaded, str(path))
    return loaded
