"""Pictures of decisions by a loss table, or by that which a joint fit was made of."""

from collections.abc import Sequence
from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from bayeslaw.decision.choices import choose
from bayeslaw.errors import InputError
from bayeslaw.fitting.fits import Fit
from bayeslaw.laws.kinds import kind_of
from bayeslaw.plotting.attainability_plot import plot_attainability
from bayeslaw.plotting.pareto_plot import plot_pareto
from bayeslaw.pools.attainabilities import attainability

PARETO_SIZE = 3


def pareto_figure(losses: xr.Dataset | Fit, *, interval: float, max_size: int | None = None, **limits: Any) -> Figure:
    """Draw the Pareto front of cost against loss.

    Parameters
    ----------
    losses
        A loss table, or a joint fit.
    interval
        Level of the intervals.
    max_size
        Largest number of members; None: 3.
    **limits
        Other limits, the rule and the cost, as of `bayeslaw.choose`.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.
    """
    return plot_pareto(choose(losses, interval=interval, max_size=max_size or PARETO_SIZE, **limits))


def attainability_figure(losses: xr.Dataset | Fit, members: Sequence[str] | None, *, interval: float) -> Figure:
    """Draw what rules gain over the best member of a pool.

    Parameters
    ----------
    losses
        A loss table, or a joint fit, of whose table the members are.
    members
        Their names.
    interval
        Level of the intervals.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    InputError
        If no members are named, or the fit holds no losses of models.
    """
    if not members:
        raise InputError(
            "a picture of attainability needs the members of a pool",
            "bl.save_attainability(bl.attainability(losses, members), path)",
            "name them; on the command line: --members NAME,NAME,...",
        )
    table = kind_of(losses.law).scored_losses(losses) if isinstance(losses, Fit) else losses
    return plot_attainability(attainability(table, members, interval=interval))
