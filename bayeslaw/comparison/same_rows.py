"""Whether fits are of the same rows, without which no comparison of them means anything."""

from collections.abc import Mapping

import numpy as np

from bayeslaw.errors import InputError
from bayeslaw.fitting.fits import Fit


def check_same_rows(fits: Mapping[str, Fit]) -> None:
    """Refuse fits that cannot be compared.

    Parameters
    ----------
    fits
        Fits by name.

    Raises
    ------
    InputError
        If there are fewer than two, or they are not of the same rows, losses and unit.
    """
    if len(fits) < 2:
        raise InputError(f"{len(fits)} fit was given", "two or more fits of the same rows", "name another fit")
    (first_name, first), *others = fits.items()
    for name, fit in others:
        same_rows = np.array_equal(fit.observations.labels, first.observations.labels)
        same = (
            same_rows
            and fit.unit == first.unit
            and np.allclose(fit.observations.loss, first.observations.loss, rtol=1e-9)
        )
        if not same:
            raise InputError(
                f"{name} and {first_name} were fitted to different rows",
                "fits of the same table",
                "fit both laws to one table",
            )
