"""What a kind of law does: one entry each, looked up by what a law says of itself and never asked for elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from bayeslaw.errors import check_choice

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import xarray as xr

    from bayeslaw.findings import Finding
    from bayeslaw.laws.calibrated import Calibrated
    from bayeslaw.laws.pool_advantages import BudgetAdvantages, QuickComparison
    from bayeslaw.laws.results import Claim, Predicted, Refits


class LawKind(Protocol):
    """The verbs of a kind of law. Each is a function, or ``"module:function"``, which is imported when it is needed.

    A law belongs to a kind by its class attribute `kind`. Laws of rows, ``"rows"``, give a loss for each row of a table
    and need nothing but what `bayeslaw.laws.base.Law` asks of them.
    """

    def sample(self, checkpoint: Any, law: Any, data: xr.Dataset, *, noise: Any, **choices: Any) -> xr.DataTree:
        """Fit a law, keeping draws in a checkpoint that has begun; choices as of `bayeslaw.fit`."""
        ...

    def prior(self, law: Any, data: xr.Dataset, *, noise: Any, draws: int, seed: int, parameters: str) -> xr.DataTree:
        """Draw a law from its prior beside a table: a tree with the groups prior, observed_data and constant_data."""
        ...

    def expected_losses(self, fit: Any, rows: np.ndarray, *, group: str) -> np.ndarray:
        """Give the law's own losses of some rows, without noise, at the draws of a group of the tree, [draw, row]."""
        ...

    def model(self, fit: Any) -> Any:
        """Put the law of a fit and what it was fitted to together again."""
        ...

    def numpyro_model(self, law: Any, data: xr.Dataset, *, noise: Any, parameters: str) -> Callable[..., None]:
        """Write the law of a table as a NumPyro model, as `bayeslaw.numpyro_model`."""
        ...

    def maximum_likelihood(self, law: Any, data: xr.Dataset, *, noise: Any, parameters: str) -> dict[str, Any]:
        """Fit the law at a point under flat priors, as `bayeslaw.maximum_likelihood`."""
        ...

    def variables(self, model: Any) -> dict[str, dict[str, list[str]]]:
        """Name the variables of the posterior with the labels of their dimensions after chain and draw."""
        ...

    def reported(self, fit: Any) -> Mapping[str, str]:
        """Name the variables of the posterior that a reader wants, each with its unit, in the order to show them in."""
        ...

    def quick_comparison(self, fit: Any) -> QuickComparison | None:
        """Say how `advantages` answers soon for a fit; None where it does not answer."""
        ...

    def sampling_errors(self, fit: Any) -> list[Finding]:
        """Say why the draws of a fit are not to be used; empty where nothing forbids it."""
        ...

    def html(self, fit: Any) -> str:
        """Show a fit in a notebook."""
        ...

    def row_groups(self, fit: Any, names: Iterable[str]) -> Mapping[str, xr.DataTree]:
        """Make groups of the tree that have a number for each row and draw, from the draws of a fit."""
        ...

    def predicted(self, fit: Any, at: Any, *, kind: str, samples: str | None, rule: str | None, seed: int) -> Predicted:
        """Draw losses at targets; arguments as of `bayeslaw.predict`."""
        ...

    def advantages(
        self,
        fit: Any,
        *,
        budgets: tuple[float, ...] | None,
        beyond: float,
        sizes: tuple[int, ...] | None,
        rule: str | None,
        kind: str,
        seed: int,
    ) -> BudgetAdvantages:
        """Compare pools with one model of as many parameters along budgets; arguments as of `bayeslaw.when`."""
        ...

    def choices(self, fit: Any, candidates: Any, limits: Any, **choices: Any) -> Any:
        """Choose among pools, as `bayeslaw.choose`; refused where the law knows no losses on samples."""
        ...

    def next_scores(self, fit: Any, candidates: Any, **choices: Any) -> Any:
        """Value further scores, as `bayeslaw.next`; refused where the law knows no losses on samples."""
        ...

    def scored_losses(self, fit: Any) -> xr.Dataset:
        """Return the loss table that was fitted; refused where the law knows no losses on samples."""
        ...

    def columns(self, law: Any) -> tuple[str, ...]:
        """Name the columns that targets may have."""
        ...

    def takes_rule(self) -> bool:
        """Say whether predictions are of a rule that is asked for, not of that of the pools fitted."""
        ...

    def new_families(self, fit: Any, targets: pd.DataFrame) -> list[str]:
        """Name the families of targets that are drawn from the population without being asked for by name."""
        ...

    def claims(self, fit: Any, budgets: tuple[float, ...] | None, *, independent_rows: bool) -> tuple[Claim, ...]:
        """State what the law says of pools, as probabilities, as `bayeslaw.claims`."""
        ...

    def claim_differences(self, fit: Any, claim: Claim, *, group: str) -> np.ndarray:
        """Draw what a claim is about, [draw]; the claim holds where it is positive."""
        ...

    def findings(self, fit: Any) -> Iterator[Finding]:
        """Say where what was fitted cannot carry the law."""
        ...

    def log_likelihood(self, fit: Any) -> np.ndarray:
        """Log density of all that a fit is to, whether or not its parts depend on each other, [draw]."""
        ...

    def scalable(self, fit: Any) -> list[Any]:
        """Predict what the influence of the prior is judged by, as `bayeslaw.diagnosis.scaled_predictions` takes it."""
        ...

    def pool_check(self, fit: Any, **choices: Any) -> pd.DataFrame | None:
        """Compare pools of the table with replicates, as `bayeslaw.pool_check`; None where these have no pools."""
        ...

    def refits(self, fit: Any, *, draws: int, chains: int) -> Refits:
        """Return what refits the law without some rows."""
        ...

    def elpd_caveat(self) -> str:
        """Say why the densities of single rows, left out by weights, mislead; empty where they do not."""
        ...

    def curve(
        self, fit: Any, group: str, grid: np.ndarray, training_tokens: float | None, kinds: tuple[str, ...]
    ) -> Mapping[str, np.ndarray]:
        """Draw the law along a grid of budgets, by kind of band, each [draw, point]."""
        ...

    def floor(self, fit: Any, group: str) -> np.ndarray | None:
        """Draw the floor of a group, [draw]; None where the law has none."""
        ...

    def picture(self, fit: Any, choices: Any, *, ax: Any, figure: Any) -> Any:
        """Draw what the law says, as `bayeslaw.plot_law`.

        Parameters
        ----------
        fit
            The fit.
        choices
            A `bayeslaw.plotting.law_scene.LawChoices`.
        ax, figure
            Axes or figure of the caller, or None.

        Returns
        -------
        matplotlib.figure.Figure
            The figure that was drawn into.
        """
        ...

    def calibrated(self, law: Any, data: xr.Dataset | None, *, noise: Any, seed: int) -> Calibrated:
        """Return what draws tables from the law and fits them."""
        ...

    def at_truth(self, law: Any, truth: Any, data: xr.Dataset | None, *, noise: Any, seed: int) -> Any:
        """Return what draws tables from stated parameters of the law and fits them."""
        ...


@dataclass(frozen=True)
class _Verbs:
    """Verbs that are imported when they are asked for."""

    found_at: Mapping[str, str | Callable[..., Any]]

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        if verb.startswith("__") or verb not in self.found_at:
            raise AttributeError(verb)
        found = self.found_at[verb]
        if not isinstance(found, str):
            return found
        module, _, name = found.partition(":")
        return getattr(import_module(module), name)


_ALL: Mapping[str, str | Callable[..., Any]] = {
    "sampling_errors": "bayeslaw.diagnosis.sampling_diagnostics:errors",
    "html": "bayeslaw.reporting.fit_html:fit_html",
}
"""What is the same for every kind, and lies in rooms behind those that ask for it."""
_ROWS: Mapping[str, str | Callable[..., Any]] = {
    **_ALL,
    "sample": "bayeslaw.fitting.row_fitting:fit_rows",
    "prior": "bayeslaw.fitting.row_fitting:prior_of_rows",
    "expected_losses": "bayeslaw.fitting.expected_losses:expected_of_rows",
    "model": "bayeslaw.fitting.fits:model_of_rows",
    "numpyro_model": "bayeslaw.fitting.row_fitting:numpyro_model",
    "maximum_likelihood": "bayeslaw.fitting.point_fit:maximum_likelihood_of_rows",
    "variables": "bayeslaw.fitting.tree:variables",
    "reported": "bayeslaw.reporting.reported_variables:reported_of_rows",
    "quick_comparison": "bayeslaw.decision.regime_advantages:quick_comparison",
    "row_groups": "bayeslaw.fitting.row_groups:groups_of_rows",
    "predicted": "bayeslaw.prediction.row_prediction:predicted",
    "advantages": "bayeslaw.decision.regime_advantages:regime_advantages",
    "choices": "bayeslaw.decision.joint_choices:no_choices",
    "next_scores": "bayeslaw.decision.score_values:no_next_scores",
    "scored_losses": "bayeslaw.joint.scored_losses:no_losses",
    "columns": "bayeslaw.prediction.row_prediction:columns",
    "takes_rule": lambda: False,
    "new_families": lambda fit, targets: [],
    "claims": "bayeslaw.diagnosis.claim_probabilities:regime_claims",
    "claim_differences": "bayeslaw.diagnosis.claim_probabilities:group_differences",
    "findings": "bayeslaw.diagnosis.shape_findings:findings_of_rows",
    "log_likelihood": "bayeslaw.diagnosis.row_likelihood:log_likelihood",
    "scalable": "bayeslaw.diagnosis.row_scaling:scalable_rows",
    "pool_check": lambda fit, **choices: None,
    "refits": "bayeslaw.comparison.refits:refits_of_rows",
    "elpd_caveat": lambda: "",
    "curve": "bayeslaw.plotting.row_curves:curve_gradient",
    "floor": "bayeslaw.plotting.row_curves:floor_draws",
    "picture": "bayeslaw.plotting.curve_picture:draw_curves",
    "calibrated": "bayeslaw.calibration.row_calibration:calibrated_rows",
    "at_truth": "bayeslaw.calibration.stated_truth:law_at_truth",
}
_GAINS: Mapping[str, str | Callable[..., Any]] = {
    **_ROWS,
    "sample": "bayeslaw.fitting.row_fitting:fit_gains",
    "predicted": "bayeslaw.prediction.gain_prediction:predicted",
    "advantages": "bayeslaw.decision.regime_advantages:no_advantages",
    "quick_comparison": lambda fit: None,
    "columns": "bayeslaw.prediction.diversity_targets:columns",
    "claims": "bayeslaw.diagnosis.gain_claims:gain_claims",
    "claim_differences": "bayeslaw.diagnosis.gain_claims:gain_differences",
    "at_truth": "bayeslaw.calibration.stated_truth:no_truth",
    "findings": "bayeslaw.diagnosis.gain_findings:gain_findings",
    "picture": "bayeslaw.plotting.gain_picture:draw_gains",
}
_JOINT: Mapping[str, str | Callable[..., Any]] = {
    **_ALL,
    "sample": "bayeslaw.fitting.joint_fitting:fit_joint",
    "prior": "bayeslaw.fitting.joint_fitting:prior_of_models",
    "expected_losses": "bayeslaw.fitting.expected_losses:expected_of_models",
    "model": "bayeslaw.fitting.joint_tree:model_of_fit",
    "numpyro_model": "bayeslaw.fitting.joint_fitting:numpyro_model",
    "maximum_likelihood": "bayeslaw.fitting.joint_fitting:no_maximum_likelihood",
    "variables": "bayeslaw.fitting.joint_tree:variables",
    "reported": "bayeslaw.reporting.reported_variables:reported_of_joint",
    "quick_comparison": "bayeslaw.decision.joint_advantages:quick_comparison",
    "row_groups": "bayeslaw.fitting.joint_row_groups:groups_of_models",
    "predicted": "bayeslaw.prediction.joint_bands:predicted",
    "advantages": "bayeslaw.decision.joint_advantages:joint_advantages",
    "choices": "bayeslaw.decision.joint_choices:joint_choices",
    "next_scores": "bayeslaw.decision.joint_scores:joint_next_scores",
    "scored_losses": "bayeslaw.joint.scored_losses:scored_losses",
    "columns": "bayeslaw.prediction.joint_targets:columns",
    "takes_rule": lambda: True,
    "new_families": "bayeslaw.prediction.joint_targets:new_families_of",
    "claims": lambda fit, budgets, independent_rows: (),
    "claim_differences": "bayeslaw.diagnosis.claim_probabilities:group_differences",
    "findings": "bayeslaw.diagnosis.row_findings:fact_findings",
    "log_likelihood": "bayeslaw.diagnosis.joint_likelihood:log_likelihood",
    "scalable": "bayeslaw.diagnosis.joint_scaling:scalable_blocks",
    "pool_check": "bayeslaw.diagnosis.joint_pool_check:check_fit",
    "refits": "bayeslaw.comparison.joint_refits:refits_of_models",
    "elpd_caveat": "bayeslaw.comparison.joint_refits:elpd_caveat",
    "curve": "bayeslaw.plotting.joint_curves:curve_gradient",
    "floor": "bayeslaw.plotting.joint_curves:floor_draws",
    "picture": "bayeslaw.plotting.joint_picture:draw_pools",
    "calibrated": "bayeslaw.calibration.joint_calibration:calibrated_joint",
    "at_truth": "bayeslaw.calibration.stated_truth:no_truth",
}
KINDS: dict[str, Any] = {"rows": _Verbs(_ROWS), "gains": _Verbs(_GAINS), "joint": _Verbs(_JOINT)}


def kind_of(law: Any) -> LawKind:
    """Return the verbs of a law.

    Parameters
    ----------
    law
        The law.

    Returns
    -------
    LawKind
        The entry of `KINDS` that the law's `kind` names.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    return KINDS[check_choice("kind of law", law.kind, KINDS)]
