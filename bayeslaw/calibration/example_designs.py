"""The rows that laws are calibrated on where no table is given."""

from collections.abc import Callable

import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.laws import Law
from bayeslaw.losses.model_frames import models_from_frame
from bayeslaw.pools.pool_losses import make_pools
from bayeslaw.simulation.tables import simulate_chinchilla, simulate_losses

POOLS = 90


def _single_models() -> xr.Dataset:
    """Twenty-four models of three families."""
    return simulate_losses(families=3, sizes=8, samples=400, clusters=50)


def _training_runs() -> xr.Dataset:
    """Sixty training runs of many sizes and lengths."""
    return models_from_frame(simulate_chinchilla(points=60))


def _pools() -> xr.Dataset:
    """Ninety pools of up to three of eighteen models that share their samples."""
    losses = simulate_losses(families=3, sizes=6, samples=400, clusters=50)
    return make_pools(losses, max_size=3, limit=POOLS)


DESIGNS: tuple[Callable[[], xr.Dataset], ...] = (_single_models, _training_runs, _pools)


def default_design(law: Law) -> xr.Dataset:
    """Make a small table that a law can be fitted to.

    Parameters
    ----------
    law
        The law.

    Returns
    -------
    xarray.Dataset
        The first of `DESIGNS` that the law takes.

    Raises
    ------
    InputError
        If it takes none of them.
    """
    for design in DESIGNS:
        table = design()
        try:
            law.observe(table)
        except InputError:
            continue
        return table
    raise InputError(
        f"there is no simulated table for the law {law.name}", "a table that the law can be fitted to", "give --table"
    )
