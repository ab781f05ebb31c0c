"""Which pool to take: pools within limits, by what they are expected to lose on new samples."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from bayeslaw.decision.candidates import some_candidates
from bayeslaw.decision.choice_rows import Choices
from bayeslaw.decision.limits import COSTS, Limits, a_most
from bayeslaw.decision.table_decision import decide
from bayeslaw.errors import InputError
from bayeslaw.fitting.fit_argument import a_fit
from bayeslaw.fitting.fits import Fit
from bayeslaw.inputs.arguments import a_choice, a_level, a_seed, a_whole_number, accepts, optional, texts
from bayeslaw.inputs.former_names import say_former
from bayeslaw.inputs.input_paths import FIT_ENDINGS
from bayeslaw.laws.kinds import kind_of
from bayeslaw.losses.table_arguments import loss_table
from bayeslaw.pools.rules import a_rule, sample_rules

USUAL_SIZE = 4
FEWEST_DRAWS, USUAL_DRAWS, FIT_DRAWS = 20, 2000, 300
MOST_DRAWS = 100_000
MOST_ROWS = 200


def _table_or_fit(name: str, value: Any) -> xr.Dataset | Fit:
    """Accept a loss table or a fit, or the path of either."""
    ending = Path(value).suffix if isinstance(value, str | PathLike) else ""
    return a_fit(name, value) if isinstance(value, Fit) or ending in FIT_ENDINGS else loss_table(name, value)


@accepts(
    losses=_table_or_fit,
    candidates=optional(some_candidates),
    max_parameters=optional(a_most),
    max_price=optional(a_most),
    max_active=optional(a_most),
    max_size=a_whole_number(lowest=1, suggested=USUAL_SIZE),
    require=texts,
    exclude=texts,
    rule=optional(a_rule(sample_rules)),
    cost=a_choice(lambda: COSTS),
    top=a_whole_number(lowest=1, highest=MOST_ROWS, suggested=10),
    interval=a_level,
    draws=optional(a_whole_number(lowest=FEWEST_DRAWS, highest=MOST_DRAWS, suggested=USUAL_DRAWS)),
    seed=a_seed,
    level=optional(a_level),
)
def choose(
    losses: xr.Dataset | Fit | str | PathLike[str],
    candidates: str | PathLike[str] | pd.DataFrame | Mapping[str, Any] | None = None,
    *,
    max_parameters: float | str | None = None,
    max_price: float | None = None,
    max_active: float | str | None = None,
    max_size: int = USUAL_SIZE,
    require: Sequence[str] = (),
    exclude: Sequence[str] = (),
    rule: str | None = None,
    cost: str = "parameters",
    top: int = 10,
    interval: float = 0.9,
    draws: int | None = None,
    seed: int = 0,
    level: float | None = None,
) -> Choices:
    r"""Choose a pool within limits, by its expected loss on new samples.

    Parameters
    ----------
    losses
        A loss table with losses on samples of two clusters or more: pools of its models are chosen from. Or a fit of
        the joint law: pools may then hold candidates too.
    candidates
        Models that could be had, for a fit: a frame, a mapping of columns or a CSV with ``name``, ``family``,
        ``parameters`` and optionally ``price``.
    max_parameters, max_price, max_active
        The most total parameters, price and active parameters that members may add up to; sizes as in ``"20B"``.
    max_size
        Largest number of members.
    require, exclude
        Names of models that a pool must have, and must not have.
    rule
        How members combine; see `bayeslaw.combine`. Rules of tokens are not among them. None: ``"mixture"``, or
        ``"best"`` of right and wrong answers.
    cost
        What the Pareto front is of: ``"parameters"``, ``"active_parameters"`` or ``"price"``.
    top
        How many pools to tell of.
    interval
        Level of the equal-tailed intervals.
    draws
        Bootstrap samples of clusters, for the intervals and for the probabilities; of a fit draws of the posterior,
        each on clusters drawn again. None: 2,000, and 300 of a fit.
    seed
        Seed of the folds and of the bootstrap.
    level
        Former name of `interval`.

    Returns
    -------
    Choices
        The pools, best first, the Pareto front, and what was done. Losses are in `bayeslaw.loss_unit`.

    Raises
    ------
    InputError
        If the table has no losses on samples or one cluster, a name is not in it, a limit needs a cost that is not
        known, no pool is within the limits, candidates are given for a table, or the fit is of another law.

    Notes
    -----
    Pools are ordered by what they are expected to lose in truth: models, and what pools gain over their members, are
    drawn to their means as far as they differ by chance, by normal priors whose spread the table tells (see
    `bayeslaw.decision.model_shrinkage` and `bayeslaw.decision.gain_shrinkage`). Where they differ by more that is their
    loss on all samples. What is told of a rank is cross-fitted over folds of whole clusters: on each fold that pool is
    judged which has the rank on the others, and so with the best single model, on the same clusters. The loss promised
    for the first is thereby that of the choice, not that of the luckiest pool. Where members are required, the single
    models compared to need not be these: they are those within the limits of cost that are not excluded. Intervals are
    as in `bayeslaw.advantage`; they hold for new samples of this kind and for these models.
    Probabilities and regret are means over draws of that posterior; see `bayeslaw.decision.cluster_draws`. Of a fit
    losses, intervals and probabilities are those of draws of its posterior, and nothing is cross-fitted: of scored
    models alone, choose from their table.

    Where there are more than two million pools, or pools times samples are more than forty billion, not all are looked
    at; how much less the others can lose is then bounded (see `bayeslaw.decision.pool_search`). Of rules that are
    themselves cross-fitted the best pools by other rules are looked at (see `bayeslaw.decision.preselection`).

    Examples
    --------
    >>> import bayeslaw as bl
    >>> choices = bl.choose(bl.load_dataset("zoo", unit="document"), max_parameters="3M", max_size=2)
    >>> choices.rows[0].parameters <= 3e6, len(choices.table)
    (True, 10)
    >>> print(choices)  # doctest: +ELLIPSIS
    Of pools of ...
    """
    if level is not None:
        say_former("choose: level", "interval", stacklevel=3)
        interval = level
    most = {"parameters": max_parameters, "active_parameters": max_active, "price": max_price}
    limits = Limits(
        max_size,
        {name: float(value) for name, value in most.items() if value is not None},
        (*dict.fromkeys(require),),
        (*dict.fromkeys(exclude),),
    )
    table: Any = losses
    if isinstance(losses, Fit):
        choices = {
            "rule": rule,
            "cost": cost,
            "top": top,
            "interval": interval,
            "draws": draws or FIT_DRAWS,
            "seed": seed,
        }
        return kind_of(losses.law).choices(losses, () if candidates is None else candidates, limits, **choices)
    if candidates is not None:
        raise InputError(
            "candidates are given with a table, which tells nothing of models that were not scored",
            "candidates with a fit of the joint law",
            "fit the table (bayeslaw fit TABLE --law joint --out f.nc) and choose by the fit",
        )
    found = decide(table, limits, rule=rule, cost=cost, top=top, seed=seed)
    return found.choices(interval, draws or USUAL_DRAWS, seed)
