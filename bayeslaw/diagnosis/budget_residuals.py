"""Rows of a law beside the law, by group and budget: where its mean lies off the losses that it was fitted to."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from bayeslaw.findings import Finding
from bayeslaw.fitting.fits import Fit
from bayeslaw.likelihood.noise import MEMBER_SCALE, combined_scale, draw_losses
from bayeslaw.likelihood.noise_distributions import DISTRIBUTIONS
from bayeslaw.likelihood.responses import RESPONSES
from bayeslaw.losses.loss_text import loss_text
from bayeslaw.losses.sizes import count_label

MOST_CELLS = 6
GAP = 0.25
FEWEST_ROWS = 3
DRAWS = 400
LEVEL = 0.9
SIMULTANEOUS = 0.05
MOST_NAMED = 4


@dataclass(frozen=True)
class Cells:
    """Rows of a group with budgets next to each other.

    Parameters
    ----------
    groups
        Name of the group of each cell, empty where there are none.
    rows
        Positions of the rows of each cell.
    """

    groups: list[str]
    rows: list[np.ndarray]

    def add(self, group: str, cell: list[int]) -> None:
        """Add a cell of a group, unless its rows are too few."""
        if len(cell) >= FEWEST_ROWS:
            self.groups.append(group)
            self.rows.append(np.array(cell))

    @property
    def averages(self) -> np.ndarray:
        """What takes rows to means of cells, shape ``[row, cell]``, for rows up to the last one in a cell."""
        means = np.zeros((max((int(own.max()) + 1 for own in self.rows), default=0), len(self.rows)))
        for cell, own in enumerate(self.rows):
            means[own, cell] = 1 / len(own)
        return means


def cells_of(fit: Fit) -> Cells:
    """Cut the rows of each group where their log budgets leave a gap, and else into cells of one width.

    Parameters
    ----------
    fit
        A fit of a law of rows.

    Returns
    -------
    Cells
        About `MOST_CELLS` a group, each of `FEWEST_ROWS` rows or more.
    """
    logs = np.log(fit.observations.covariates[fit.law.covariates[0]])
    found = Cells([], [])
    for index, name in enumerate(fit.model.groups or ("",)):
        of_group = np.flatnonzero(fit.model.group_index == index)
        order = of_group[np.argsort(logs[of_group], kind="stable")]
        width = np.ptp(logs[order]) / MOST_CELLS
        cell: list[int] = []
        for row in order.tolist():
            if cell and _ends(logs[cell[0]], logs[cell[-1]], float(logs[row]), width):
                found.add(name, cell)
                cell = []
            cell.append(row)
        found.add(name, cell)
    return found


def _ends(first: float, last: float, log: float, width: float) -> bool:
    """Whether a cell that begins and ends at two log budgets is not to take up the next one."""
    return log - first > width or log - last > GAP * width


def budget_residuals(fit: Fit, *, seed: int = 0) -> pd.DataFrame:
    """Compare mean losses by group and budget with the law's.

    Replicates of a cell's mean have the law at a posterior draw, and about it what rows have of their own and by their
    members. What moves all rows smoothly, the texts and the choice of models, is not drawn anew: it is part of what the
    posterior of the law does not know, and would explain whatever the law misses.

    Parameters
    ----------
    fit
        A fit of a law of rows.
    seed
        Seed of the replicates.

    Returns
    -------
    pandas.DataFrame
        One row a cell: ``group``, ``lowest`` and ``largest`` budget, number of ``rows``, ``observed`` mean, the law's
        ``mean`` with its equal-tailed 90 % interval ``lower`` to ``upper``, the two-sided posterior predictive
        ``p_value`` of the mean, and ``adjusted``, the probability that the largest deviation of any cell, in units of
        its standard deviation, is as large. Losses are in the fit's unit, geometric means where noise is on their logs.
    """
    cells = cells_of(fit)
    budgets = fit.observations.covariates[fit.law.covariates[0]]
    law, noise = _means_of_cells(fit, cells, seed)
    averages, tails = cells.averages, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    observed = fit.model.response[: len(averages)] @ averages
    replicates = law + noise
    off = np.abs(observed - replicates.mean(axis=0)) / replicates.std(axis=0)
    largest = (np.abs(replicates - replicates.mean(axis=0)) / replicates.std(axis=0)).max(axis=1, initial=0)
    below = (np.sum(replicates <= observed, axis=0) + 0.5) / (len(replicates) + 1)
    to_loss = RESPONSES[fit.noise.response].to_loss
    lower, upper = (to_loss(each) for each in np.quantile(law, tails, axis=0))
    return pd.DataFrame(
        {
            "group": cells.groups,
            "lowest": [float(budgets[own].min()) for own in cells.rows],
            "largest": [float(budgets[own].max()) for own in cells.rows],
            "rows": [len(own) for own in cells.rows],
            "observed": to_loss(observed),
            "mean": to_loss(law.mean(axis=0)),
            "lower": lower,
            "upper": upper,
            "p_value": 2 * np.minimum(below, 1 - below),
            "adjusted": [float((np.sum(largest >= each) + 1) / (len(largest) + 1)) for each in off],
        }
    )


def _means_of_cells(fit: Fit, cells: Cells, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the law's means over cells, and what rows add to them, on the scale of the response; [draw, cell] each."""
    every, model, averages = fit.values(), fit.model, cells.averages
    total = len(next(iter(every.values())))
    which = np.unique(np.linspace(0, total - 1, min(DRAWS, total)).astype(int))
    values = {name: array[which] for name, array in every.items()}
    rows = np.arange(len(averages))
    group = model.group_index[rows]
    chosen = {p.name: values[p.name][:, group] if p.grouped else values[p.name][:, None] for p in model.parameters}
    with jax.enable_x64(True):
        law = np.broadcast_to(np.asarray(model.located(chosen, rows), dtype=float), (len(which), len(rows)))
        added = (
            _with_shared(fit, values, rows, seed) if model.dependence is not None else _alone(fit, values, rows, seed)
        )
    return law @ averages, added @ averages


def _with_shared(fit: Fit, values: dict[str, np.ndarray], rows: np.ndarray, seed: int) -> np.ndarray:
    """Draw what rows that share errors have of their own and by their members, shape ``[draw, row]``."""
    shared, rng = fit.model.dependence, np.random.default_rng([seed, 2])
    variance = np.stack(
        [np.asarray(fit.model.variance(_at(values, draw))) for draw in range(len(values[MEMBER_SCALE]))]
    )
    alone = np.sqrt(variance[:, shared.group[rows]]) * rng.standard_normal((len(variance), len(rows)))
    effects = rng.standard_normal((len(variance), shared.contrasts.shape[1])) * values[MEMBER_SCALE][:, None]
    return alone + effects @ shared.contrasts[rows].T


def _alone(fit: Fit, values: dict[str, np.ndarray], rows: np.ndarray, seed: int) -> np.ndarray:
    """Draw the noise of independent rows on the scale of the response, shape ``[draw, row]``."""
    model = fit.model
    count = len(next(iter(values.values())))
    scale = np.stack(
        [np.broadcast_to(model.scale(_at(values, draw), model.group_index[rows]), len(rows)) for draw in range(count)]
    )
    error = None if model.standard_error is None else model.standard_error[rows]
    shape = DISTRIBUTIONS[fit.noise.distribution].values(values)
    shape = {site: jnp.asarray(array)[:, None] for site, array in shape.items()}
    response = RESPONSES[fit.noise.response]
    zero = response.to_loss(np.zeros(scale.shape))
    drawn = draw_losses(
        jax.random.PRNGKey(seed), fit.noise, jnp.asarray(zero), combined_scale(jnp.asarray(scale), error), shape
    )
    return response.of_loss(np.asarray(drawn))


def _at(values: dict[str, np.ndarray], draw: int) -> dict[str, np.ndarray]:
    return {name: array[draw] for name, array in values.items()}


def budget_findings(fit: Fit) -> Iterator[Finding]:
    """Say at which budgets of which groups the law's mean lies off the losses of the rows.

    Parameters
    ----------
    fit
        A fit of a law of rows.

    Yields
    ------
    Finding
        One, which names the cells that are further off than the furthest of all cells is in one of twenty replicates.
    """
    table = budget_residuals(fit)
    missed = pd.DataFrame(table[table["adjusted"] < SIMULTANEOUS])
    if missed.empty:
        return
    named = "; ".join(
        _in_words(row) for row in missed.sort_values(by="p_value").head(MOST_NAMED).to_dict(orient="records")
    )
    more = f"; and {len(missed) - MOST_NAMED} more" if len(missed) > MOST_NAMED else ""
    message = (
        f"The law's mean lies off its own rows in {len(missed)} of {len(table)} cells of {fit.law.covariates[0]} "
        f"(90 % intervals, {fit.unit}; p-values of two sides, counted where any of all cells would be as far off in "
        f"under {SIMULTANEOUS:.0%} of replicates): {named}{more}."
    )
    remedy = (
        "look at bayeslaw plot; fit a law of another form (--law broken_power), and do not read claims at these budgets"
    )
    yield Finding("misses-rows", "warning", message, remedy)


def _in_words(row: Mapping[str, Any]) -> str:
    """Write a row of `budget_residuals` out."""
    group = f"{row['group']}, " if row["group"] else ""
    budgets = f"{count_label(row['lowest'])} to {count_label(row['largest'])}"
    law = f"the law {loss_text(row['mean'])} ({loss_text(row['lower'])} to {loss_text(row['upper'])})"
    return f"{group}{budgets}: {row['rows']} rows lose {loss_text(row['observed'])}, {law}, p = {row['p_value']:.2g}"
