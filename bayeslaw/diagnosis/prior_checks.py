"""What a prior says of losses before a fit, beside those observed."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.fitting.fits import Fit
from bayeslaw.fitting.prior_simulation import PREDICTIVE, a_prior_tree, stands_for_fit, with_prior_predictive
from bayeslaw.inputs.arguments import a_level, accepts
from bayeslaw.inputs.foreign_text import printable
from bayeslaw.laws.kinds import kind_of
from bayeslaw.laws.observations import BUDGETS
from bayeslaw.likelihood.responses import RESPONSES
from bayeslaw.losses.loss_text import loss_text
from bayeslaw.losses.sizes import count_label
from bayeslaw.markup import Html, answer, element, folded, frame_table

BUDGET = "parameters"
COLUMNS = ("row", "group", BUDGET, "training_tokens", "lower", "median", "upper", "observed")
EQUAL_TAILED = "equal-tailed"
ROWS_AT_ONCE = 10_000
ALL_DRAWS = ("chain", "draw")


@dataclass(frozen=True)
class ExpectedLoss:
    """What the prior says of the law's own loss, without noise, for one of the rows.

    Parameters
    ----------
    row
        Name of the row: of a model, or of a pool.
    group
        Its family or regime; None where one law holds for all rows.
    parameters, training_tokens
        Its budgets; None where the law does not take them.
    lower, median, upper
        Quantiles of the expected loss, in the table's unit.
    observed
        The loss of the row.
    """

    row: str
    group: str | None
    parameters: float | None
    training_tokens: float | None
    lower: float
    median: float
    upper: float
    observed: float


@dataclass(frozen=True)
class PriorCheck:
    """What a prior says of losses, beside those observed.

    Parameters
    ----------
    law
        Name of the law.
    unit
        Unit of the loss.
    rows, draws
        Number of rows, and of draws of the prior.
    interval, interval_kind
        Level and kind of the intervals.
    inside, below, above
        Shares of the rows whose observed loss lies inside, below and above the interval of the prior predictive.
    expected
        The law's own loss at the lowest, a middle and the highest budget of each group.
    priors
        The law with every prior, a line each.
    """

    law: str
    unit: str
    rows: int
    draws: int
    interval: float
    interval_kind: str
    inside: float
    below: float
    above: float
    expected: tuple[ExpectedLoss, ...]
    priors: str

    @property
    def table(self) -> pd.DataFrame:
        """What the law itself expects, a row each of `expected` as a reader sees it; columns without values are out."""
        columns = [name for name in COLUMNS if any(getattr(each, name) is not None for each in self.expected)]
        return pd.DataFrame([{name: _cell(name, getattr(each, name)) for name in columns} for each in self.expected])

    @property
    def sentences(self) -> tuple[str, str]:
        """What the table is of, and how many of the observed losses the prior predictive holds."""
        level = f"{100 * self.interval:g} %"
        inside, below, above = (f"{100 * share:.0f} %" for share in (self.inside, self.below, self.above))
        return (
            f"Before a fit, {level} {self.interval_kind} intervals of {self.draws:,} draws of the prior, in "
            f"{self.unit}: expected loss (the law's own, without noise), and the loss observed.",
            f"{inside} of the {self.rows:,} observed losses lie inside the {level} interval of the prior predictive, "
            f"{below} below and {above} above.",
        )

    def __str__(self) -> str:
        first, last = self.sentences
        return printable("\n".join([self.priors, "", first, self.table.to_string(index=False), last]))

    def __repr__(self) -> str:
        share = f"{100 * self.inside:.0f} %"
        return f"<PriorCheck of the {self.law} law: {share} of {self.rows} rows inside the prior predictive>"

    def _repr_html_(self) -> Html:
        first, last = self.sentences
        return answer((first, last), frame_table(self.table), folded("Priors", element("pre", self.priors)))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as ``bayeslaw fit --prior-only --json`` prints them."""
        return asdict(self) | {"expected": [asdict(each) for each in self.expected]}


def _cell(name: str, value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return count_label(value) if name in BUDGETS else loss_text(value)


@accepts(tree=a_prior_tree, interval=a_level)
def prior_check(tree: xr.DataTree, *, interval: float = 0.9) -> PriorCheck:
    """Say what a prior expects of losses, beside those observed.

    Parameters
    ----------
    tree
        What `bayeslaw.prior_predictive` made.
    interval
        Level of the equal-tailed intervals.

    Returns
    -------
    PriorCheck
        Quantiles of the expected loss along budgets, and how many of the observed rows the prior predictive holds in
        its interval. That few lie inside says that prior and data disagree; that all do, only that the prior is wide.

    Raises
    ------
    InputError
        If the tree is none of a prior.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> tree = bl.prior_predictive("power", bl.load_dataset("zoo", unit="document"), draws=200)
    >>> found = bl.prior_check(tree)
    >>> found.rows, found.inside
    (24, 1.0)
    """
    fit = stands_for_fit(tree if PREDICTIVE in tree.children else with_prior_predictive(tree))
    tails = (1 - interval) / 2, (1 + interval) / 2
    response = fit.noise.response
    lower, upper = _bounds(fit.tree[PREDICTIVE].dataset[response], tails)
    observed = fit.tree["observed_data"][response].to_numpy()
    below, above = float((observed < lower).mean()), float((observed > upper).mean())
    return PriorCheck(
        law=fit.law.name,
        unit=fit.unit,
        rows=len(observed),
        draws=int(np.prod([fit.tree["prior"].sizes[name] for name in ALL_DRAWS])),
        interval=interval,
        interval_kind=EQUAL_TAILED,
        inside=float(((observed >= lower) & (observed <= upper)).mean()),
        below=below,
        above=above,
        expected=tuple(_expected(fit, tails)),
        priors=str(fit.model),
    )


def _bounds(predictive: xr.DataArray, tails: tuple[float, float]) -> np.ndarray:
    """Quantiles of the losses of each row, [tail, row]; a bounded number of rows at once."""
    draws = predictive.to_numpy().reshape(-1, predictive.shape[-1])
    parts = range(0, draws.shape[1], ROWS_AT_ONCE)
    return np.concatenate([np.quantile(draws[:, first : first + ROWS_AT_ONCE], tails, axis=0) for first in parts], 1)


def shown_rows(fit: Fit) -> np.ndarray:
    """Choose rows by number: of each group one of the lowest, of a middle and of the highest budget.

    Parameters
    ----------
    fit
        A fit, or what stands for one.

    Returns
    -------
    np.ndarray
        Numbers of rows, by group and budget; by loss where the law takes no budget.
    """
    observations, groups = fit.observations, fit.model.groups
    along = observations.covariates.get(BUDGET, observations.loss)
    index = fit.model.group_index if groups else np.zeros(len(along), dtype=int)
    chosen = list[int]()
    for number in range(max(len(groups), 1)):
        rows = np.flatnonzero(index == number)
        if not len(rows):
            continue
        budgets, first = np.unique(along[rows], return_index=True)
        chosen += [int(rows[first[place]]) for place in sorted({0, len(budgets) // 2, len(budgets) - 1})]
    return np.array(chosen, dtype=int)


def _expected(fit: Fit, tails: tuple[float, float]) -> Iterator[ExpectedLoss]:
    rows, observations, groups = shown_rows(fit), fit.observations, fit.model.groups
    draws = kind_of(fit.law).expected_losses(fit, rows, group="prior")
    lower, median, upper = np.quantile(draws, (tails[0], 0.5, tails[1]), axis=0)
    observed = RESPONSES[fit.noise.response].to_loss(fit.tree["observed_data"][fit.noise.response].to_numpy())
    for place, row in enumerate(rows):
        budgets = {
            name: float(observations.covariates[name][row]) if name in observations.covariates else None
            for name in (BUDGET, "training_tokens")
        }
        yield ExpectedLoss(
            row=str(observations.labels[row]),
            group=groups[fit.model.group_index[row]] if groups else None,
            lower=float(lower[place]),
            median=float(median[place]),
            upper=float(upper[place]),
            observed=float(observed[row]),
            **budgets,
        )
