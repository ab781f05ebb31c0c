"""Draws of a diversity law at new pools, whose best members may be new models."""

from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.errors import InputError
from bayeslaw.fitting.fits import Fit
from bayeslaw.laws.diversity import BEST_MEMBER_LOSS
from bayeslaw.laws.results import Predicted
from bayeslaw.likelihood.noise import NOISE_SCALE
from bayeslaw.prediction.diversity_targets import law_targets, read_pool_members, read_targets
from bayeslaw.prediction.row_prediction import at_targets, draw_rows


def predicted(fit: Fit, at: Any, *, kind: str, samples: str | None, rule: str | None, seed: int) -> Predicted:
    """Draw losses of pools at targets; as `bayeslaw.prediction.row_prediction.predicted`.

    Raises
    ------
    InputError
        If new samples are asked for, or a target cannot be used.
    """
    if samples == "new":
        raise InputError(
            "a diversity law was asked for new samples, on which its pools' best members have not been scored",
            "samples 'same' for this law",
            "leave out samples, or fit --law collaboration",
        )
    targets = read_targets(fit, at)
    given = _best_members(fit, targets, kind=kind, seed=seed)
    draws = draw_rows(fit, targets, kind=kind, samples=samples, seed=seed, given=given)
    return at_targets(fit, targets, draws, kind, samples)


def _best_members(fit: Fit, targets: pd.DataFrame, *, kind: str, seed: int) -> dict[str, np.ndarray]:
    """Draw the loss of the best member, [draw, target], where members are given; else nothing."""
    if fit.members is None or "members" not in targets:
        return {}
    pool_members = read_pool_members(fit, targets["members"])
    new = law_targets(fit, pool_members)
    drawn = np.zeros((len(fit.values()[NOISE_SCALE]), 0))
    if len(new):
        drawn = draw_rows(fit.members, new, kind=kind, samples=None, seed=seed)
    return {BEST_MEMBER_LOSS: pool_members.best(drawn)}
