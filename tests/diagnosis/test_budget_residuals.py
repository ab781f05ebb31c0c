"""Rows beside their law, by group and budget: a law that misses its own rows is said to, with where."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from bayeslaw.diagnosis.budget_residuals import FEWEST_ROWS, budget_findings, budget_residuals, cells_of
from bayeslaw.fitting.fits import Fit
from bayeslaw.losses.loss_text import loss_text


def moved(fitted: Fit, rows: np.ndarray, by: float) -> Fit:
    """Return a fit some of whose rows have another loss."""
    tree = fitted.tree.copy(deep=True)
    observed = tree["observed_data"].to_dataset()
    values = observed["loss"].to_numpy().copy()
    values[rows] += by
    tree["observed_data"] = xr.DataTree(observed.assign(loss=observed["loss"].copy(data=values)))
    return Fit(tree)


def test_cells_hold_rows_of_one_group_with_budgets_next_to_each_other(collaboration_fit):
    cells = cells_of(collaboration_fit)
    regimes, budgets = (
        collaboration_fit.observations.groups["regime"],
        collaboration_fit.observations.covariates["parameters"],
    )
    assert set(cells.groups) == set(collaboration_fit.model.groups)
    every = np.concatenate(cells.rows)
    assert len(set(every)) == len(every) > 0.7 * len(budgets)
    for name, own in zip(cells.groups, cells.rows, strict=True):
        assert len(own) >= FEWEST_ROWS
        assert (regimes[own] == name).all()
        inside = (regimes == name) & (budgets >= budgets[own].min()) & (budgets <= budgets[own].max())
        assert inside.sum() == len(own)


def test_figures_are_those_of_the_cells(collaboration_fit):
    table, cells = budget_residuals(collaboration_fit), cells_of(collaboration_fit)
    draws, size = collaboration_fit.values(), collaboration_fit.observations.covariates["parameters"]
    size = size / collaboration_fit.observations.reference["parameters"]
    for row, (name, own) in enumerate(zip(cells.groups, cells.rows, strict=True)):
        column = collaboration_fit.model.groups.index(name)
        floor, amplitude, exponent = (draws[key][:, [column]] for key in ("floor", "amplitude", "exponent"))
        law = (floor + amplitude * size[own] ** -exponent).mean(axis=1)
        assert table["observed"][row] == pytest.approx(collaboration_fit.observations.loss[own].mean())
        assert table["mean"][row] == pytest.approx(law.mean(), abs=4 * law.std() / 20)
        assert table["lower"][row] == pytest.approx(np.quantile(law, 0.05), abs=law.std())
        assert table["upper"][row] == pytest.approx(np.quantile(law, 0.95), abs=law.std())
    assert (table["adjusted"] >= table["p_value"] - 0.02).all()


def test_p_values_are_of_the_mean_with_what_rows_have_of_their_own(partial_fit):
    """For independent normal rows the replicated mean is the law's with the noise of a mean of that many rows."""
    table, cells, draws = budget_residuals(partial_fit), cells_of(partial_fit), partial_fit.values()
    size = partial_fit.observations.covariates["parameters"] / partial_fit.observations.reference["parameters"]
    for row, (name, own) in enumerate(zip(cells.groups, cells.rows, strict=True)):
        column = partial_fit.model.groups.index(name)
        floor, amplitude, exponent = (draws[key][:, column] for key in ("floor", "amplitude", "exponent"))
        scale = draws["noise_scale"] if draws["noise_scale"].ndim == 1 else draws["noise_scale"][:, column]
        law = floor + (amplitude[:, None] * size[own] ** -exponent[:, None]).mean(axis=1)
        below = stats.norm.cdf((table["observed"][row] - law) / (scale / np.sqrt(len(own)))).mean()
        assert table["p_value"][row] == pytest.approx(2 * min(below, 1 - below), abs=0.12)


def test_a_law_that_misses_its_rows_is_said_to_and_where(collaboration_fit):
    assert list(budget_findings(collaboration_fit)) == []
    cells = cells_of(collaboration_fit)
    chosen = cells.groups.index("heterogeneous")
    table = budget_residuals(collaboration_fit)
    by = 8 * (table["upper"][chosen] - table["lower"][chosen]) + 0.3
    (finding,) = budget_findings(moved(collaboration_fit, cells.rows[chosen], by))
    assert finding.code == "misses-rows"
    assert finding.severity == "warning"
    assert "in 1 of" in finding.message
    assert "heterogeneous, " in finding.message
    assert f"{len(cells.rows[chosen])} rows lose {loss_text(table['observed'][chosen] + by)}" in finding.message
    assert collaboration_fit.unit in finding.message


def test_cells_are_judged_together(collaboration_fit):
    """What is far for one cell looked at alone is not for the furthest of many."""
    table = budget_residuals(collaboration_fit)
    alone = table["p_value"].to_numpy()
    assert table["adjusted"].min() >= min(1.0, 2 * alone.min())
    assert table["adjusted"].max() <= 1


def test_laws_by_family_and_of_one_group_have_cells_too(partial_fit, power_fit):
    for fitted in (partial_fit, power_fit):
        table = budget_residuals(fitted)
        assert set(table["group"]) <= {*fitted.model.groups, ""}
        assert not len(table) or (table["lower"] <= table["upper"]).all()
