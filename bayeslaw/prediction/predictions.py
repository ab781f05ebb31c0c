"""Bands of a fitted law at new budgets, for known and new groups."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import xarray as xr

from bayeslaw.errors import InputError, check_choice
from bayeslaw.fitting.fit_argument import a_fit
from bayeslaw.fitting.fits import Fit
from bayeslaw.inputs.arguments import Converter, a_choice, a_level, a_seed, accepts, optional
from bayeslaw.laws.kinds import kind_of
from bayeslaw.laws.results import Predicted
from bayeslaw.pools.rules import a_rule, sample_rules
from bayeslaw.prediction.band_table import a_row, band_table
from bayeslaw.prediction.row_prediction import mean_is_infinite
from bayeslaw.prediction.targets import some_targets

KINDS = ("mean", "new")
CHOICES: Mapping[str, Converter] = {
    "at": some_targets,
    "kind": a_choice(KINDS),
    "samples": optional(a_choice(("same", "new"))),
    "rule": optional(a_rule(sample_rules)),
    "seed": a_seed,
}
"""What functions that predict are given."""


@accepts(fit=a_fit, interval=a_level, versus=a_row, **CHOICES)
def predict(
    fit: Fit,
    at: Mapping[str, Any] | pd.DataFrame,
    *,
    kind: str = "new",
    samples: str | None = None,
    rule: str | None = None,
    interval: float = 0.9,
    seed: int = 0,
    versus: int | None = None,
) -> pd.DataFrame:
    """Predict losses with bands.

    Parameters
    ----------
    fit
        A fitted law, or the path of its file.
    at
        Where to predict: columns of equal length, or single values; a number or a list of numbers alone are
        ``parameters``, and a path is that of a CSV of columns. ``parameters`` (count, of the kind the fit uses),
        or ``members`` such as ``"70e9:llama,7e9:mistral"`` or ``["70e9:llama", "7e9:mistral"]`` for each pool;
        ``training_tokens`` where the law has them; ``regime`` or ``family`` where the law's parameters differ by it:
        without, every known group. ``family="new"`` is a family not seen, drawn from the population, and so is a regime
        of which no pool was seen. A diversity law takes ``members`` also by name, and else ``parameters``, ``size``,
        ``best_member_loss`` and its diversity numbers; those that members do not tell are given beside them.
    kind
        ``"mean"``: the law itself, whatever the samples; ``"new"``: one new pool or model, with fresh noise for every
        draw. A new pool has members not seen, whose effects are drawn anew for every target. For the joint law the
        mean is the loss if new members follow the curves of their families, and a new pool has members with parts of
        their own, the same in all targets.
    samples
        On which samples a new pool is scored. ``"same"``: those of the table, whose sampling error the rows fitted tell
        of; ``"new"``: as many new ones, with a sampling error of their own, where the fit knows it (pools that share
        errors). The sampling error is the same for all targets. None is ``"new"`` for the joint law, which draws the
        clusters of its table again, and ``"same"`` for other laws. See `bayeslaw.prediction.new_pools` for what stands
        in for the win shares of a pool that was not scored.
    rule
        How pools of a joint fit are combined: ``"oracle"`` (None), ``"mixture"``, ``"stacked"`` or ``"best"``. Other
        laws predict the rule of the pools that they were fitted to.
    interval
        Level of the equal-tailed interval.
    seed
        Seed of the fresh draws.
    versus
        A row, from 0, beside which the others are put: by how much each loses more than it, and with which probability
        less. Errors that rows share go out of the difference, which two bands side by side do not show. None: no row.

    Returns
    -------
    pandas.DataFrame
        One row a target: ``parameters``, ``training_tokens``, ``regime`` or ``family``, ``members``, ``rule`` (those
        that apply), ``kind`` (``"observed"`` for models of the table on its own samples, which have no band: its ends
        are NaN), ``samples`` (``"all"`` for the law itself), ``interval`` (level), ``interval_kind``,
        ``unit``, ``mean``, ``median``, ``lower``, ``upper`` (loss in `unit`; a new pool's mean is infinite under
        Student-t noise on log losses: read the median), and ``extrapolation``: how far the budget lies outside the
        observed ones of its group, in units of their range of log budgets; one range more where nothing of the family
        was observed. With `versus` also ``difference`` (median, in `unit`; negative where the row loses less),
        ``difference_lower``, ``difference_upper`` (the interval of that level) and ``probability_better``.

    Raises
    ------
    InputError
        If a target is not positive, a group, kind, samples or row unknown, the interval outside (0, 1), or the fit
        knows nothing of other samples.

    Examples
    --------
    With a fit of the collaboration law:

    >>> import bayeslaw as bl
    >>> at = {"parameters": ["7B", "7B"], "regime": ["single", "heterogeneous"]}
    >>> bands = bl.predict(pools_fit, at, interval=0.9)
    >>> bands[["regime", "kind", "interval"]].values.tolist()
    [['single', 'new', 0.9], ['heterogeneous', 'new', 0.9]]
    >>> bool((bands["lower"] < bands["mean"]).all())
    True
    """
    drawn = predicted(fit, at, kind=kind, samples=samples, rule=rule, seed=seed)
    infinite = mean_is_infinite(fit, kind)
    return band_table(drawn, kind=kind, level=interval, unit=fit.unit, infinite_mean=infinite, versus=versus)


@accepts(fit=a_fit, **CHOICES)
def predict_draws(
    fit: Fit,
    at: Mapping[str, Any] | pd.DataFrame,
    *,
    kind: str = "new",
    samples: str | None = None,
    rule: str | None = None,
    seed: int = 0,
) -> xr.DataArray:
    """Draw losses from the posterior predictive distribution.

    Parameters
    ----------
    fit, at, kind, samples, rule, seed
        As in `predict`.

    Returns
    -------
    xarray.DataArray
        Losses in the fit's unit on ``chain``, ``draw`` and ``target``; of a joint fit every so many draws, so that
        there are some `bayeslaw.prediction.joint_bands.MOST_DRAWS`.

    Raises
    ------
    InputError
        As `predict`.

    Examples
    --------
    With a fit of the collaboration law:

    >>> import bayeslaw as bl
    >>> draws = bl.predict_draws(pools_fit, {"parameters": [7e9], "regime": ["single"]})
    >>> dict(draws.sizes)["target"], draws.attrs["unit"]
    (1, 'nats per sample')
    """
    drawn = predicted(fit, at, kind=kind, samples=samples, rule=rule, seed=seed)
    coords = {"chain": fit.tree["posterior"]["chain"].to_numpy(), "draw": drawn.numbers}
    coords |= {name: ("target", drawn.targets[name].to_numpy()) for name in drawn.targets}
    attrs = {"unit": fit.unit, "kind": kind, "samples": drawn.samples}
    return xr.DataArray(drawn.draws, dims=("chain", "draw", "target"), coords=coords, name="loss", attrs=attrs)


def predicted(
    fit: Fit, at: Mapping[str, Any] | pd.DataFrame, *, kind: str, samples: str | None, rule: str | None, seed: int
) -> Predicted:
    """Draw losses at targets, with all that a table of bands says of these.

    Parameters
    ----------
    fit, at, kind, samples, rule, seed
        As in `predict`.

    Returns
    -------
    Predicted
        Targets, draws and how far they extrapolate.

    Raises
    ------
    InputError
        As `predict`.
    """
    check_choice("kind", kind, KINDS)
    if rule is not None and not kind_of(fit.law).takes_rule():
        raise InputError(
            f"the rule {rule!r} was given for the law {fit.law.name}",
            "a rule for fits of the joint law only",
            "leave out the rule: this law predicts the rule of the pools that it was fitted to",
        )
    return kind_of(fit.law).predicted(fit, at, kind=kind, samples=samples, rule=rule, seed=seed)
