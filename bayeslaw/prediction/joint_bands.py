"""Draws of pools' losses at what a user asks for."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.errors import InputError, check_choice
from bayeslaw.joint.drawn_pools import SAMPLES, draw_pools
from bayeslaw.joint.hypothetical import NewModel
from bayeslaw.joint.joint_model import JointModel
from bayeslaw.laws.results import Predicted
from bayeslaw.pools.rules import USUAL_RULE, find_rule
from bayeslaw.pools.rules_by_unit import check_combines
from bayeslaw.prediction.joint_targets import pool_extrapolation, read_pool_targets
from bayeslaw.prediction.targets import read_frame

if TYPE_CHECKING:
    from bayeslaw.fitting.fits import Fit

MOST_DRAWS = 1000


def predicted(fit: "Fit", at: Any, *, kind: str, samples: str | None, rule: str | None, seed: int) -> Predicted:
    """Draw losses of pools at targets by a fit of the joint law; arguments as of `bayeslaw.predict`."""
    choices = {"kind": kind, "samples": samples, "rule": rule or USUAL_RULE, "seed": seed}
    return predict_pools(fit.model, fit.tree["posterior"].dataset, read_frame(at), **choices)


def predict_pools(
    model: JointModel, posterior: xr.Dataset, at: pd.DataFrame, *, kind: str, samples: str | None, rule: str, seed: int
) -> Predicted:
    """Draw losses of pools from the predictive distribution of a fitted joint law.

    Parameters
    ----------
    model
        The joint law with its table.
    posterior
        Its draws.
    at
        Columns as `bayeslaw.prediction.joint_targets.read_pool_targets` takes them.
    kind
        ``"mean"``: new members follow the curve of their family; ``"new"``: each has a part of its own.
    samples
        ``"new"`` (None) or ``"same"``, as in `bayeslaw.joint.drawn_pools.draw_pools`; the law's mean is that on the
        samples of the table.
    rule
        ``"oracle"``, ``"mixture"``, ``"stacked"`` or ``"best"``.
    seed
        Seed.

    Returns
    -------
    Predicted
        At every so many draws of each chain, so that there are `MOST_DRAWS` at most.

    Raises
    ------
    InputError
        If a target or choice is not usable.
    """
    check_combines(find_rule(rule, on_tokens=False, of_losses=True), model.table.answer_unit, votes=model.table.votes)
    if samples is not None:
        check_choice("samples", samples, SAMPLES)
    if kind == "mean" and samples is not None:
        raise InputError(
            f"samples {samples!r} were given for the law's mean",
            "samples with the kind 'new'",
            "leave out samples, or use kind='new' (--kind new)",
        )
    targets, pools = read_pool_targets(model, at)
    targets["rule"] = rule
    chains, length = posterior.sizes["chain"], posterior.sizes["draw"]
    every = -(-chains * length // MOST_DRAWS)
    kept = posterior.isel(draw=slice(None, None, every))
    values = {
        name: array.reshape(-1, *array.shape[2:])
        for name, array in ((name, kept[name].transpose("chain", "draw", ...).to_numpy()) for name in model.sites)
    }
    samples = samples or ("new" if kind == "new" else "same")
    draws = draw_pools(model, values, pools, rule=rule, samples=samples, own_part=kind == "new", seed=seed)
    draws = draws.reshape(chains, -1, len(pools))
    known = np.array([not any(isinstance(member, NewModel) for member in pool) for pool in pools])
    observed = known if samples == "same" else None
    return Predicted(targets, draws, kept["draw"].to_numpy(), samples, pool_extrapolation(model, pools), observed)
