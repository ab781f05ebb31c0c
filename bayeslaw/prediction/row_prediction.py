"""Draws of a law of rows at new budgets, for known and new groups."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from bayeslaw.errors import InputError
from bayeslaw.fitting.fits import Fit
from bayeslaw.laws.base import POPULATION, SPREAD, Law, Parameter
from bayeslaw.laws.results import Predicted
from bayeslaw.likelihood.noise import NOISE_SCALE, draw_losses
from bayeslaw.likelihood.noise_distributions import DISTRIBUTIONS
from bayeslaw.likelihood.responses import RESPONSES
from bayeslaw.prediction.new_pools import check_samples, pool_deviations
from bayeslaw.prediction.targets import NOT_SEEN, read_targets


def columns(law: Law) -> tuple[str, ...]:
    """Name the columns that targets may have."""
    return (*law.covariates, law.group, "members")


def predicted(fit: Fit, at: Any, *, kind: str, samples: str | None, rule: str | None, seed: int) -> Predicted:
    """Draw losses of rows at targets.

    Parameters
    ----------
    fit, at, kind, samples, seed
        As in `bayeslaw.predict`.
    rule
        None: rows are of one rule.

    Returns
    -------
    Predicted
        Targets, draws and how far they extrapolate.
    """
    targets = read_targets(fit, at)
    return at_targets(fit, targets, draw_rows(fit, targets, kind=kind, samples=samples, seed=seed), kind, samples)


def at_targets(fit: Fit, targets: pd.DataFrame, draws: np.ndarray, kind: str, samples: str | None) -> Predicted:
    """Put draws [draw, target] together with all that a table of bands says of their targets."""
    posterior = fit.tree["posterior"]
    shape = (posterior.sizes["chain"], posterior.sizes["draw"], len(targets))
    which, numbers = check_samples(fit, samples, kind), posterior["draw"].to_numpy()
    return Predicted(targets, draws.reshape(shape), numbers, which, extrapolation(fit, targets))


def mean_is_infinite(fit: Fit, kind: str) -> bool:
    """Say whether new rows have no finite mean: those with Student-t noise on log losses have none."""
    light = DISTRIBUTIONS[fit.noise.distribution].light_tails
    return kind == "new" and RESPONSES[fit.noise.response].needs_light_tails and not light


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
        covariates. A group that was not seen is measured by all rows, and lies one range further.
    """
    model, result = fit.model, np.zeros(len(targets))
    group = targets[fit.law.group].to_numpy() if fit.law.group in targets else np.full(len(targets), "")
    for name in fit.law.covariates:
        observed = np.log(fit.observations.covariates[name])
        for row, value in enumerate(np.log(targets[name].to_numpy(dtype=float))):
            of_group = (
                observed[model.group_index == model.groups.index(group[row])]
                if group[row] in model.groups
                else observed
            )
            of_group = of_group if np.ptp(of_group) > 0 else observed
            outside = max(of_group.min() - value, value - of_group.max(), 0.0)
            # Of what never varied, such as the size of pools where all are pairs, any other value is out of reach.
            result[row] = max(
                result[row], outside / np.ptp(of_group) if np.ptp(of_group) else np.inf if outside else 0.0
            )
    unseen = ~np.isin(group, model.groups) & (fit.law.group in targets)
    return result + NOT_SEEN * unseen


def draw_rows(
    fit: Fit,
    targets: pd.DataFrame,
    *,
    kind: str,
    samples: str | None,
    seed: int,
    given: Mapping[str, np.ndarray] | None = None,
) -> np.ndarray:
    """Draw losses of rows at targets.

    Parameters
    ----------
    fit
        A fit of a law of rows.
    targets
        Targets as `bayeslaw.prediction.targets.read_targets` returns them.
    kind, samples, seed
        As in `bayeslaw.predict`.
    given
        As in `law_draws`.

    Returns
    -------
    np.ndarray
        In the loss unit, shape ``[draw, target]``.

    Raises
    ------
    InputError
        If a draw gives no finite loss at a target.
    """
    which = check_samples(fit, samples, kind)
    with jax.enable_x64(True):
        fresh = jax.random.PRNGKey(seed)
        mean, scale = law_draws(fit, targets, seed=seed, given=given)
        # Draws that nobody sampled, or targets beyond all sizes: powers of them overflow.
        if not (np.isfinite(mean).all() and np.isfinite(scale).all()):
            accepted = "draws as they were sampled, and targets whose losses are numbers"
            fix = "fit again if the file was changed, or choose targets nearer to the rows fitted"
            raise InputError("the draws of the fit give losses that are not finite", accepted, fix)
        if kind == "mean":
            return mean
        if fit.model.dependence is not None:
            return deviate(fit, mean, pool_deviations(fit, targets, scale, samples=which, seed=seed))
        shape = DISTRIBUTIONS[fit.noise.distribution].values(fit.values())
        shape = {site: jnp.asarray(values)[:, None] for site, values in shape.items()}
        return np.asarray(draw_losses(fresh, fit.noise, jnp.asarray(mean), jnp.asarray(scale), shape))


def deviate(fit: Fit, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Move losses by deviations in the unit of the fit's response."""
    return RESPONSES[fit.noise.response].moved(mean, deviation)


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
