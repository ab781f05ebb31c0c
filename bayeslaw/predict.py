"""Bands of a fitted law at new budgets, for known and new groups."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.band_table import band_table
from bayeslaw.diversity_targets import law_targets, read_slates
from bayeslaw.errors import InputError, check_choice, check_whole
from bayeslaw.factor.bands import Predicted, predict_pools
from bayeslaw.fit import Fit
from bayeslaw.laws import DiversityLaw
from bayeslaw.laws.base import POPULATION, SPREAD, Parameter
from bayeslaw.laws.diversity import BEST_MEMBER_LOSS
from bayeslaw.new_pools import check_samples, pool_deviations
from bayeslaw.noise import DEGREES_OF_FREEDOM, NOISE_SCALE, check_interval, draw_losses
from bayeslaw.pooling.rules import USUAL_RULE
from bayeslaw.targets import NEW_FAMILY, read_frame, read_targets

KINDS = ("mean", "new")


def predict(
    fit: Fit,
    at: Mapping[str, Any] | pd.DataFrame,
    *,
    kind: str = "new",
    samples: str | None = None,
    rule: str | None = None,
    interval: float = 0.9,
    seed: int = 0,
) -> pd.DataFrame:
    """Predict losses with bands.

    Parameters
    ----------
    fit
        A fitted law.
    at
        Where to predict: columns of equal length, or single values. ``parameters`` (count, of the kind the fit uses),
        or ``members`` such as ``"70e9:llama,7e9:mistral"``; ``training_tokens`` where the law has them; ``regime`` or
        ``family`` where the law's parameters differ by it: without, every known group. ``family="new"`` is a family not
        seen, drawn from the population, and so is a regime of which no pool was seen. A diversity law takes ``members``
        also by name, and else ``parameters``, ``size``, ``best_member_loss`` and its diversity numbers; those that
        members do not tell are given beside them.
    kind
        ``"mean"``: the law itself, whatever the samples; ``"new"``: one new pool or model, with fresh noise for every
        draw. A new pool has members not seen, whose effects are drawn anew for every target. For the factor law the
        mean is the loss if new members follow the curves of their families, and a new pool has members with parts of
        their own, the same in all targets.
    samples
        On which samples a new pool is scored. ``"same"`` (None): those of the table, whose sampling error the rows
        fitted tell of; ``"new"``: as many new ones, with a sampling error of their own, where the fit knows it (pools
        that share errors). The sampling error is the same for all targets. See `bayeslaw.new_pools` for what stands in
        for the win shares of a pool that was not scored.
    rule
        How pools of a factor fit are combined: ``"oracle"`` (None), ``"mixture"`` or ``"best"``. Other laws predict the
        rule of the pools that they were fitted to.
    interval
        Level of the equal-tailed interval.
    seed
        Seed of the fresh draws.

    Returns
    -------
    pandas.DataFrame
        One row a target: ``parameters``, ``training_tokens``, ``regime`` or ``family``, ``members``, ``rule`` (those
        that apply), ``kind``, ``samples`` (``"all"`` for the law itself), ``interval`` (level), ``interval_kind``,
        ``unit``, ``mean``, ``median``, ``lower``, ``upper`` (loss in `unit`; a new pool's mean is infinite under
        Student-t noise on log losses: read the median), and ``extrapolation``: how far the budget lies outside the
        observed ones of its group, in units of their range of log budgets.

    Raises
    ------
    InputError
        If a target is not positive, a group, kind or samples unknown, the interval outside (0, 1), or the fit knows
        nothing of other samples.
    """
    level = check_interval(interval)
    drawn = predicted(fit, at, kind=kind, samples=samples, rule=rule, seed=seed)
    return band_table(drawn, kind=kind, level=level, unit=fit.unit, infinite_mean=mean_is_infinite(fit, kind))


def mean_is_infinite(fit: Fit, kind: str) -> bool:
    """Say whether new rows have no finite mean: those with Student-t noise on log losses have none."""
    return kind == "new" and fit.noise.family == "student_t" and fit.noise.response == "log_loss"


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
        Losses in the fit's unit on ``chain``, ``draw`` and ``target``; of a factor fit every so many draws, so that
        there are some `bayeslaw.factor.bands.MOST_DRAWS`.

    Raises
    ------
    InputError
        As `predict`.
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
    check_whole("seed", seed, lowest=0, suggested=0)
    if fit.factor is not None:
        return predict_pools(
            fit.factor,
            fit.tree["posterior"].dataset,
            read_frame(at),
            kind=kind,
            samples=samples,
            rule=rule or USUAL_RULE,
            seed=seed,
        )
    if rule is not None:
        raise InputError(
            f"the rule {rule!r} was given for the law {fit.law.name}",
            "a rule for fits of the factor law only",
            "leave out the rule: this law predicts the rule of the pools that it was fitted to",
        )
    if samples == "new" and isinstance(fit.law, DiversityLaw):
        raise InputError(
            "a diversity law was asked for new samples, on which its pools' best members have not been scored",
            "samples 'same' for this law",
            "leave out samples, or fit --law collaboration",
        )
    targets, posterior = read_targets(fit, at), fit.tree["posterior"]
    shape = (posterior.sizes["chain"], posterior.sizes["draw"], len(targets))
    draws = _draw(fit, targets, kind=kind, samples=samples, seed=seed).reshape(shape)
    which, numbers = check_samples(fit, samples, kind), posterior["draw"].to_numpy()
    return Predicted(targets, draws, numbers, which, extrapolation(fit, targets))


def extrapolation(fit: Fit, targets: pd.DataFrame) -> np.ndarray:
    """Distance of budgets from the observed ones of their group, in units of the observed range of log budgets.

    Parameters
    ----------
    fit
        A fitted law.
    targets
        Targets as `read_targets` returns them.

    Returns
    -------
    np.ndarray
        Zero inside the observed range, positive on either side of it, shape ``[target]``; the largest over the
        covariates.
    """
    model, result = fit.model, np.zeros(len(targets))
    group = targets[fit.law.group].to_numpy() if fit.law.group in targets else np.full(len(targets), "")
    for name in fit.law.covariates:
        observed = np.log(fit.observations.covariates[name])
        for row, value in enumerate(np.log(targets[name].to_numpy(dtype=float))):
            own = (
                observed[model.group_index == model.groups.index(group[row])]
                if group[row] in model.groups
                else observed
            )
            own = own if np.ptp(own) > 0 else observed
            outside = max(own.min() - value, value - own.max(), 0.0)
            # Of what never varied, such as the size of pools where all are pairs, any other value is out of reach.
            result[row] = max(result[row], outside / np.ptp(own) if np.ptp(own) else np.inf if outside else 0.0)
    return result


def _draw(fit: Fit, targets: pd.DataFrame, *, kind: str, samples: str | None, seed: int) -> np.ndarray:
    which = check_samples(fit, samples, kind)
    with jax.enable_x64(True):
        fresh = jax.random.PRNGKey(seed)
        mean, scale = law_draws(fit, targets, seed=seed, given=_best_members(fit, targets, kind=kind, seed=seed))
        if kind == "mean":
            return mean
        if fit.model.dependence is not None:
            return deviate(fit, mean, pool_deviations(fit, targets, scale, samples=which, seed=seed))
        freedom = fit.values().get(DEGREES_OF_FREEDOM)
        freedom = None if freedom is None else jnp.asarray(freedom)[:, None]
        return np.asarray(draw_losses(fresh, fit.noise, jnp.asarray(mean), jnp.asarray(scale), freedom))


def _best_members(fit: Fit, targets: pd.DataFrame, *, kind: str, seed: int) -> dict[str, np.ndarray]:
    """Draw the loss of the best member, [draw, target], where a diversity law is given members; else nothing."""
    if not isinstance(fit.law, DiversityLaw) or fit.members is None or "members" not in targets:
        return {}
    slates = read_slates(fit, targets["members"])
    new = law_targets(fit, slates)
    drawn = np.zeros((len(fit.values()[NOISE_SCALE]), 0))
    if len(new):
        drawn = _draw(fit.members, new, kind=kind, samples=None, seed=seed)
    return {BEST_MEMBER_LOSS: slates.best(drawn)}


def deviate(fit: Fit, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Move losses by deviations in the unit of the fit's response."""
    return mean * np.exp(deviation) if fit.noise.response == "log_loss" else mean + deviation


def law_draws(
    fit: Fit,
    targets: pd.DataFrame,
    *,
    seed: int,
    group: str = "posterior",
    given: Mapping[str, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Evaluate the law at every draw.

    Parameters
    ----------
    fit
        A fitted law.
    targets
        Targets as `read_targets` returns them.
    seed
        Seed of the groups drawn from the population.
    group
        ``"posterior"`` or ``"prior"``.
    given
        Draws of covariates that are not known, [draw, target], in place of those of `targets`.

    Returns
    -------
    mean, scale : np.ndarray
        The law's value in the loss unit, and the noise scale in the response's unit, each of shape ``[draw, target]``.
    """
    values, model, rng = fit.values(group), fit.model, np.random.default_rng(seed)
    names = targets[fit.law.group].astype(str).to_numpy() if fit.law.group in targets else np.full(len(targets), "")
    known, which = np.unique(names, return_inverse=True)
    indices = [model.groups.index(name) if name in model.groups else None for name in known]
    chosen = {}
    for parameter in model.parameters:
        array = values[parameter.name]
        if not parameter.grouped:
            chosen[parameter.name] = array[:, None]
            continue
        columns = [
            array[:, index] if index is not None else new_group_draws(values, parameter, rng) for index in indices
        ]
        chosen[parameter.name] = np.stack(columns, axis=1)[:, which]
    values_at = {name: targets[name].to_numpy(dtype=float) for name in fit.law.covariates} | dict(given or {})
    covariates = [values_at[name] / fit.observations.reference[name] for name in fit.law.covariates]
    with jax.enable_x64(True):
        mean = np.asarray(
            type(model.law).function(*map(jnp.asarray, covariates), **{k: jnp.asarray(v) for k, v in chosen.items()})
        )
    return np.broadcast_to(mean, (len(mean), len(targets))), _scale(values[NOISE_SCALE], indices, which, rng)


def new_group_draws(values: Mapping[str, np.ndarray], parameter: Parameter, rng: np.random.Generator) -> np.ndarray:
    """Draw a parameter of a group that was not seen from the population, afresh for every draw.

    Parameters
    ----------
    values
        Draws of every variable, as `Fit.values` gives them.
    parameter
        The parameter.
    rng
        Source of the fresh draws.

    Returns
    -------
    np.ndarray
        Shape ``[draw]``, in the parameter's unit.

    Raises
    ------
    InputError
        If the parameter's groups share nothing.
    """
    if parameter.pooling == "separate":
        raise InputError(
            f"{parameter.name} is separate in every group, which says nothing of a group not seen",
            "a known group",
            "fit with partial pooling to predict new groups",
        )
    population, spread = values[parameter.name + POPULATION], values[parameter.name + SPREAD]
    deviation = spread * rng.standard_normal(len(spread))
    return population * np.exp(deviation) if parameter.positive else population + deviation


def _scale(scale: np.ndarray, indices: list[int | None], which: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if scale.ndim == 1:
        return np.broadcast_to(scale[:, None], (len(scale), len(which)))
    rows = np.arange(len(scale))
    # A group that was not seen scatters like one of the known groups, which one is drawn anew each time.
    columns = [
        scale[:, i] if i is not None else scale[rows, rng.integers(scale.shape[1], size=len(scale))] for i in indices
    ]
    return np.stack(columns, axis=1)[:, which]


__all__ = [
    "KINDS",
    "NEW_FAMILY",
    "deviate",
    "extrapolation",
    "law_draws",
    "mean_is_infinite",
    "new_group_draws",
    "predict",
    "predict_draws",
    "predicted",
]
