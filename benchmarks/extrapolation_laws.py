"""The laws of the extrapolation benchmark: each turns a task into a prediction, and is one entry of `LAWS`."""

import numpy as np
import xarray as xr
from extrapolation_protocol import Law, Task, regimes, total_parameters
from extrapolation_scores import DrawnPrediction, NormalPrediction
from scipy import optimize

import bayeslaw as bl
from bayeslaw.diagnosis.checks import errors
from bayeslaw.errors import InputError
from bayeslaw.prediction.targets import NEW_FAMILY

REFERENCE = 1e9
FEWEST_POOLS = 4
SMALLEST_DEVIATION = 1e-6


def power_curve(logarithms: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    """Evaluate a power law at budgets.

    Parameters
    ----------
    logarithms
        Natural logarithms of floor, amplitude at a billion parameters, and exponent.
    parameters
        Budgets, [pool].

    Returns
    -------
    np.ndarray
        Losses, [pool].
    """
    floor, amplitude, exponent = logarithms
    return np.exp(floor) + np.exp(amplitude - np.exp(exponent) * np.log(parameters / REFERENCE))


def fit_power_curve(parameters: np.ndarray, losses: np.ndarray) -> tuple[np.ndarray, float]:
    """Fit a power law by least squares on the loss, from nine starts.

    Parameters
    ----------
    parameters, losses
        Budgets and losses of the pools, each [pool].

    Returns
    -------
    logarithms : np.ndarray
        As `power_curve` takes them.
    deviation : float
        Standard deviation of the residuals.
    """

    def residuals(logarithms: np.ndarray) -> np.ndarray:
        return power_curve(logarithms, parameters) - losses

    mean = losses.mean()
    starts = [np.log([share * mean, 0.4 * mean, rate]) for share in (0.2, 0.5, 0.8) for rate in (0.1, 0.3, 0.6)]
    # A step too far overflows, is seen to be worse than any other, and is shortened.
    with np.errstate(over="ignore"):
        fits = [optimize.least_squares(residuals, start, max_nfev=2000) for start in starts]
    best = min(fits, key=lambda fit: fit.cost)
    return best.x, max(float(residuals(best.x).std()), SMALLEST_DEVIATION)


def least_squares(task: Task) -> NormalPrediction:
    """Predict by a power law in the total parameters of each regime, with normal bands as wide as its residuals.

    A regime with fewer than four training pools takes the curve of all training pools.
    """
    train, budgets, regime = task.pools, total_parameters(task.targets), regimes(task.targets)
    mean, deviation = np.empty(len(budgets)), np.empty(len(budgets))
    for name in np.unique(regime):
        own = train["regime"].to_numpy() == name
        fitted = train.isel(pool=own) if own.sum() >= FEWEST_POOLS else train
        logarithms, spread = fit_power_curve(fitted["parameters"].to_numpy(), fitted["loss"].to_numpy())
        rows = regime == name
        mean[rows], deviation[rows] = power_curve(logarithms, budgets[rows]), spread
    return NormalPrediction(mean, deviation)


def collaboration(task: Task) -> DrawnPrediction:
    """Predict by the collaboration law fitted to the training pools, as new pools of their budget and regime."""
    fitted = bl.fit(bl.CollaborationLaw(), task.pools, seed=task.seed)
    at = {"parameters": total_parameters(task.targets), "regime": regimes(task.targets)}
    draws = bl.predict_draws(fitted, at, kind="new", seed=task.seed).to_numpy()
    return DrawnPrediction(draws.reshape(-1, len(task.targets)), _errors(fitted))


def diversity(task: Task) -> DrawnPrediction:
    """Predict pools by the diversity law fitted to the training pools, and single models by its law of members."""
    fitted = bl.fit(bl.DiversityLaw(), task.pools, seed=task.seed)
    members = fitted.members
    if members is None:
        raise InputError("there are fewer than three sizes below the cut", "three sizes or more", "raise the cut")
    single = np.array([len(pool) == 1 for pool in task.targets])
    draws = np.empty((fitted.values()["growth"].size, len(single)))
    alone = [pool[0] for pool in task.targets if len(pool) == 1]
    families = [model.family if model.family in members.model.groups else NEW_FAMILY for model in alone]
    parts = (
        (members, single, {"parameters": [model.parameters for model in alone], "family": families}),
        (fitted, ~single, {"members": [text for text, one in zip(members_of(task), single, strict=True) if not one]}),
    )
    for fit, rows, at in parts:
        if rows.any():
            draws[:, rows] = bl.predict_draws(fit, at, seed=task.seed).to_numpy().reshape(len(draws), -1)
    return DrawnPrediction(draws, _errors(fitted))


def joint(task: Task) -> DrawnPrediction:
    """Predict by the joint law fitted to the losses of the training models."""
    fitted = bl.fit(bl.JointLaw(), task.losses, seed=task.seed)
    draws = bl.predict_draws(fitted, {"members": members_of(task)}, samples="same", seed=task.seed).to_numpy()
    return DrawnPrediction(draws.reshape(-1, len(task.targets)), _errors(fitted))


def members_of(task: Task) -> list[str]:
    """Name the members of each target: models that were seen by name, others by parameters and family."""
    known = set(task.losses["lm"].to_numpy().tolist())
    return [
        ",".join(
            member.name if member.name in known else f"{member.parameters:.17g}:{member.family}" for member in pool
        )
        for pool in task.targets
    ]


def _errors(fitted: bl.Fit) -> tuple[str, ...]:
    return tuple(f"{finding.code}: {finding.message}" for finding in errors(fitted))


LAWS: dict[str, Law] = {
    "least_squares": least_squares,
    "collaboration": collaboration,
    "diversity": diversity,
    "joint": joint,
}


def recommended(losses: xr.Dataset) -> str:
    """Name the law that the package itself would choose for a table, which knows nothing of targets.

    Parameters
    ----------
    losses
        The loss table of the training models.

    Returns
    -------
    str
        One of `LAWS`: the package's own choice where that predicts pools, and else what it would fit to their pools.
    """
    name = bl.recommend(losses).law.name
    return name if name in LAWS else "collaboration"
