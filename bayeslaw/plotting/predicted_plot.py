"""The picture of observed against predicted losses by how far rows lie from the data, with the coverage of bands."""

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from bayeslaw.errors import InputError
from bayeslaw.fitting.fit_argument import a_fit
from bayeslaw.fitting.fits import Fit
from bayeslaw.inputs.arguments import a_level, accepts, optional
from bayeslaw.laws.kinds import kind_of
from bayeslaw.laws.observations import observe
from bayeslaw.losses.loss_text import loss_text
from bayeslaw.losses.table_arguments import any_table
from bayeslaw.plotting.canvas import Canvas, Heading, a_figure, body_below, panels_beside, root_of, width_of
from bayeslaw.plotting.plot_style import GROUP_STYLES, house_style
from bayeslaw.plotting.predicted_panels import draw_predicted, predicted_handles

CLASSES = (
    ("inside the data", -np.inf, 0.0),
    ("up to one range beyond", 0.0, 1.0),
    ("over one range beyond", 1.0, np.inf),
)
"""How far rows lie from the data fitted, in ranges of their log budgets: over the first number, up to the second."""
HEIGHT = 0.86
WIDEST = 3.6


@accepts(fit=a_fit, data=optional(any_table), interval=a_level, figure=a_figure)
def plot_predicted(
    fit: Fit, data: xr.Dataset | None = None, *, interval: float = 0.9, figure: Canvas | None = None
) -> Figure:
    """Draw observed against predicted losses, a panel for each class of extrapolation, with the coverage of intervals.

    Parameters
    ----------
    fit
        A fitted law.
    data
        Rows that the fit may not have seen, such as larger models scored later: a table of the kind fitted. By default
        the rows fitted, whose coverage shows that bands fit, and nothing of how they extrapolate.
    interval
        Level of the equal-tailed intervals of a new row.
    figure
        Figure or SubFigure to draw into; a new one by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn into. Each panel says how many of its rows lie inside of their intervals.

    Raises
    ------
    InputError
        If the table is of another kind or unit than the one fitted.

    Examples
    --------
    With a fit of models of five families:

    >>> import bayeslaw as bl
    >>> bl.plot_predicted(fit).savefig("predicted.png")

    Larger models in a table that was not fitted show how the law extrapolates:

    >>> larger = bl.read_losses("large_models.csv", models="models.csv")  # doctest: +SKIP
    >>> bl.plot_predicted(fit, larger).savefig("predicted.png")  # doctest: +SKIP
    """
    rows = predicted_rows(fit, data, interval)
    if len(set(rows["group"])) > len(GROUP_STYLES):
        # More marks than can be told apart tell nothing.
        rows["group"] = ""
    panels = []
    for title, over, up_to in CLASSES:
        of_class = rows[(rows["extrapolation"] > over) & (rows["extrapolation"] <= up_to)]
        if len(of_class):
            panels.append((title, of_class))
    groups, width = list(dict.fromkeys(rows["group"])), width_of(figure)
    error = float(np.abs(rows["observed"].to_numpy() - rows["median"].to_numpy()).mean())
    whose = "rows that the fit has seen" if data is None else "rows given"
    with house_style(width):
        told = Heading(
            f"Observed against predicted: {fit.law.name.replace('_', ' ')} law",
            (
                f"{len(rows):,} {whose}; {100 * interval:g} % equal-tailed intervals of a new row; "
                f"mean absolute error {loss_text(error)} {fit.unit}",
            ),
            predicted_handles(groups),
        )
        columns = panels_beside(len(panels), width)
        lines = -(-len(panels) // columns)
        height = lines * (HEIGHT * min(width / columns, WIDEST) + 0.4) + 0.2
        body = body_below(figure, told, width=width, height=height)
        draw_predicted(body, panels, groups, columns=columns, unit=fit.unit)
    return root_of(body)


def predicted_rows(fit: Fit, data: xr.Dataset | None, interval: float) -> pd.DataFrame:
    """Predict rows of a table.

    Parameters
    ----------
    fit
        A fitted law.
    data
        The table, or None for the rows fitted.
    interval
        Level of the equal-tailed intervals.

    Returns
    -------
    pandas.DataFrame
        One row a row of the table: ``group``, ``observed``, ``median``, ``lower``, ``upper`` (in the fit's unit) and
        ``extrapolation``, in ranges of the log budgets fitted.

    Raises
    ------
    InputError
        If the table is of another kind or unit.
    """
    law = fit.law
    rows = fit.observations
    if data is not None:
        read = getattr(law, "observe", None)
        parameters = fit.parameters_kind
        rows = (
            observe(data, law.covariates, parameters=parameters) if read is None else read(data, parameters=parameters)
        )
    if (rows.unit, rows.row_dimension) != (fit.unit, fit.observations.row_dimension):
        raise InputError(
            f"the table has losses of {_words(rows.row_dimension)} in {rows.unit}",
            f"losses of {_words(fit.observations.row_dimension)} in {fit.unit}, as fitted",
            "score the same unit of text, and form pools where pools were fitted",
        )
    at = {name: rows.covariates[name].tolist() for name in law.covariates}
    group = np.asarray(rows.groups.get(law.group, np.full(len(rows.loss), ""))).astype(str)
    if fit.model.groups:
        at[law.group] = [name if name in fit.model.groups else "new" for name in group]
    found = kind_of(law).predicted(fit, at, kind="new", samples=None, rule=None, seed=0)
    draws = found.draws.reshape(-1, len(rows.loss))
    lower, median, upper = np.quantile(draws, [(1 - interval) / 2, 0.5, (1 + interval) / 2], axis=0)
    columns = {"group": group, "observed": rows.loss, "median": median, "lower": lower, "upper": upper}
    return pd.DataFrame({**columns, "extrapolation": found.extrapolation})


def _words(dimension: str) -> str:
    return "pools" if dimension == "pool" else "models"
