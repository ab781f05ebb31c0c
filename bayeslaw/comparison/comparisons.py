"""Which of several laws predicts the rows best."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from arviz_stats.loo import compare as rank_by_elpd
from arviz_stats.loo import loo

from bayeslaw.comparison.averages import error_of_sum
from bayeslaw.comparison.left_out import REFITS, LeftOut, leave_out
from bayeslaw.comparison.left_out_folds import LEFT_OUT
from bayeslaw.comparison.same_rows import check_same_rows
from bayeslaw.comparison.stacking_weights import fold_weights
from bayeslaw.fitting.fit_argument import fits_by_name
from bayeslaw.fitting.fits import Fit
from bayeslaw.inputs.arguments import a_choice, accepts, optional, shown
from bayeslaw.laws.kinds import kind_of
from bayeslaw.likelihood.responses import RESPONSES
from bayeslaw.markup import Html, answer, frame_table

PARETO_LIMIT = 0.7
OVERLAP_WARNING = (
    "The rows are pools that share models and samples. Leaving out one pool leaves its near copies in, so this "
    "comparison is too optimistic, and favours laws that follow the pools seen closely; it does not tell which law "
    "predicts pools of other models: leave out whole models for that."
)


@dataclass(frozen=True)
class Comparison:
    """Fits ranked by expected log predictive density.

    Parameters
    ----------
    table
        One row a fit, best first. Of single rows as `arviz_stats.compare` gives it: rank, elpd, p, elpd_diff, weight,
        se, dse and diagnostics. Of models or families left out see `compare_left_out`. Densities are of the loss in
        `unit`, whatever the response fitted.
    unit
        Unit of the loss.
    warnings
        Sentences to read before the table.
    left_out
        What each fit predicted of the models or families left out, by name; empty where single rows were.
    """

    table: pd.DataFrame
    unit: str
    warnings: tuple[str, ...]
    left_out: Mapping[str, LeftOut] = field(default_factory=dict)

    @property
    def _of_what(self) -> str:
        """What was left out, and of which unit densities are."""
        by = next((left_out.by for left_out in self.left_out.values()), "row")
        return f"expected log predictive density of the loss in {self.unit}, each {by} left out"

    def __str__(self) -> str:
        return "\n".join([*self.warnings, f"{self._of_what}:", self.table.to_string()])

    def __repr__(self) -> str:
        return f"<Comparison of {len(self.table)} fits, {shown(str(self.table.index[0]))} first>"

    def _repr_html_(self) -> Html:
        return answer(self.warnings, frame_table(self.table, caption=self._of_what))


@accepts(fits=fits_by_name, by=optional(a_choice(LEFT_OUT)), **REFITS)
def compare(
    fits: Mapping[str, Fit],
    *,
    by: str | None = None,
    method: str = "exact",
    draws: int = 500,
    chains: int = 4,
    seed: int = 0,
    progress: bool | None = None,
) -> Comparison:
    """Compare fits of the same rows by what they predict of rows left out.

    Without `by` single rows are left out, by PSIS-LOO (Vehtari, Gelman and Gabry 2017); with it whole models or
    families, see `bayeslaw.leave_out`. Fits on losses and on log losses are compared on the loss: the latter's
    densities are corrected by the Jacobian.

    Parameters
    ----------
    fits
        Two or more fits, or paths of fits, by name; or a list of paths.
    by
        ``"model"`` or ``"family"`` to leave out whole ones.
    method, draws, chains, seed, progress
        As in `bayeslaw.leave_out`; of no use without `by`.

    Returns
    -------
    Comparison
        The ranking, with warnings where rows overlap or densities are unreliable.

    Raises
    ------
    InputError
        If there are fewer than two fits, if they are not of the same rows, one was saved without its log likelihood, or
        as `bayeslaw.leave_out`.

    Examples
    --------
    With fits of the same 40 models:

    >>> import bayeslaw as bl
    >>> found = bl.compare({"power": fit, "same": fit})
    >>> found.table["weight"].sum().round(6).item(), found.table["elpd_diff"].tolist()
    (1.0, [0.0, 0.0])
    """
    if by is None:
        return _compare_rows(fits)
    check_same_rows(fits)
    left_out = {
        name: leave_out(fit, by=by, method=method, draws=draws, chains=chains, seed=seed, progress=progress)
        for name, fit in fits.items()
    }
    return compare_left_out(left_out)


def compare_left_out(left_out: Mapping[str, LeftOut]) -> Comparison:
    """Rank laws by what they predicted of the models or families left out.

    Parameters
    ----------
    left_out
        Of each law, over the same folds.

    Returns
    -------
    Comparison
        Its table has ``rank``, ``elpd`` and ``se`` over folds, ``elpd_diff`` to the best and ``dse`` over folds,
        ``joint``, ``joint_diff`` to the best by `elpd` and ``joint_dse``, ``weight`` in a stack, and ``folds``.

    Raises
    ------
    InputError
        If other rows were left out of one of them.
    """
    weights = dict(zip(left_out, fold_weights(list(left_out.values())), strict=True))
    order = sorted(left_out, key=lambda name: -left_out[name].elpd)
    best, records = left_out[order[0]], []
    for rank, name in enumerate(order):
        held_out = left_out[name]
        with np.errstate(invalid="ignore"):
            sums, joint = held_out.scores() - best.scores(), held_out.scores(joint=True) - best.scores(joint=True)
        records.append(
            {
                "fit": name,
                "rank": rank,
                "elpd": held_out.elpd,
                "se": held_out.standard_error,
                "elpd_diff": float(sums.sum()),
                "dse": error_of_sum(sums),
                "joint": held_out.joint,
                "joint_diff": float(joint.sum()),
                "joint_dse": error_of_sum(joint),
                "weight": weights[name],
                "folds": len(held_out.folds),
            }
        )
    table = pd.DataFrame(records).set_index("fit").rename_axis(None)
    notes = tuple(f"{name}: {note}" for name in order for note in left_out[name].warnings)
    return Comparison(table, best.unit, notes, dict(left_out))


def _compare_rows(fits: Mapping[str, Fit]) -> Comparison:
    check_same_rows(fits)
    notes, densities = [], {}
    for name, fit in fits.items():
        densities[name] = _loo(fit)
        unreliable = int((densities[name].pareto_k > PARETO_LIMIT).sum())
        if unreliable:
            notes.append(
                f"{name}: {unreliable} rows have a Pareto k above {PARETO_LIMIT}; their share of elpd is unreliable."
            )
    caveats = {name: kind_of(fit.law).elpd_caveat() for name, fit in fits.items()}
    notes += [f"{name}: {caveat}" for name, caveat in caveats.items() if caveat]
    if any(fit.observations.facts.get("overlapping") for fit in fits.values()):
        notes.insert(0, OVERLAP_WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        table = rank_by_elpd(densities, round_to="none")
    return Comparison(table, next(iter(fits.values())).unit, tuple(notes))


def _loo(fit: Fit) -> Any:
    rows, response = fit.observations, RESPONSES[fit.noise.response]
    jacobian = xr.DataArray(
        response.log_jacobian(response.of_loss(rows.loss)),
        dims=[rows.row_dimension],
        coords={rows.row_dimension: rows.labels},
    )
    with warnings.catch_warnings():
        # Reliability is reported in our own words, with the fit's name.
        warnings.simplefilter("ignore", UserWarning)
        return loo(fit.with_groups(["log_likelihood"]).tree, pointwise=True, log_jacobian=jacobian)
