"""Predictions of the joint law by which the influence of its priors is judged, block by block."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.diagnosis.scaled_predictions import BEYOND, Scalable
from bayeslaw.fitting.joint_posterior import BLOCKS, log_likelihood_of_block
from bayeslaw.joint.curve import Models
from bayeslaw.joint.curve_at_draws import CurveAtDraws
from bayeslaw.joint.joint_model import JointModel
from bayeslaw.losses.sizes import count_label
from bayeslaw.pools.rules import USUAL_RULE
from bayeslaw.prediction.joint_bands import predict_pools

if TYPE_CHECKING:
    from bayeslaw.fitting.fits import Fit

SINGLE_DRAWS, POOL_DRAWS = 1000, 400
OF_MODELS = "curve"
"""The block that decides the losses of single models; the others have a say in those of pools alone."""


def scalable_blocks(fit: "Fit") -> list[Scalable]:
    """Predict new models at sizes seen of each family and at `BEYOND` times the largest, and a pool of two of these.

    Each block is one part for the pool, and the curve one more for the models.
    """
    model, posterior = fit.model, fit.tree["posterior"].dataset
    thinned = _thinned(posterior, SINGLE_DRAWS)
    where, beyond, draws = _single_models(model, _values(model, thinned))
    parts = [_part(fit, OF_MODELS, thinned, where, beyond, draws)]
    thinned, pool = _thinned(posterior, POOL_DRAWS), _pool_beyond(model)
    choices: dict[str, Any] = {"kind": "new", "samples": "same", "rule": USUAL_RULE, "seed": 0}
    # Members are read back from plain numbers: of sizes in words readers would be told how they were read.
    members = ",".join(f"{size!r}:{family}" for family, size in pool)
    drawn = predict_pools(model, thinned, pd.DataFrame({"members": [members]}), **choices).draws.reshape(-1, 1)
    named = f"the pool {','.join(f'{count_label(size)}:{family}' for family, size in pool)}"
    return parts + [_part(fit, block, thinned, [named], np.array([True]), drawn) for block in BLOCKS]


def _part(
    fit: "Fit", block: str, thinned: xr.Dataset, where: Sequence[str], beyond: np.ndarray, draws: np.ndarray
) -> Scalable:
    # What scatters families and models around their population has no prior of its own.
    sites = [site for site in BLOCKS[block].sites if site in fit.law.priors]
    log_prior = fit.tree["log_prior"].dataset.sel(chain=thinned["chain"], draw=thinned["draw"])
    priors = np.sum([_joined(log_prior[site]).reshape(len(draws), -1).sum(axis=1) for site in sites], axis=0)
    likelihood = log_likelihood_of_block(fit.model, block, _values(fit.model, thinned))
    return Scalable(block, where, beyond, draws, priors, likelihood)


def _thinned(posterior: xr.Dataset, most: int) -> xr.Dataset:
    every = -(-posterior.sizes["chain"] * posterior.sizes["draw"] // most)
    return posterior.isel(draw=slice(None, None, every))


def _joined(array: xr.DataArray) -> np.ndarray:
    """Join the draws of all chains, one chain after the other, [draw, ...]."""
    values = array.transpose("chain", "draw", ...).to_numpy()
    return values.reshape(-1, *values.shape[2:])


def _values(model: JointModel, posterior: xr.Dataset) -> dict[str, np.ndarray]:
    return {name: _joined(posterior[name]) for name in model.sites}


def _single_models(model: JointModel, values: dict[str, np.ndarray]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Say what new models are, which lie beyond the sizes of their families, and draw their losses, [draw, model]."""
    where, beyond, sizes, numbers = [], [], [], []
    for number, family in enumerate(model.groups):
        seen = np.unique(model.table.parameters[model.table.families == family])
        chosen = {float(seen[0]): False, float(seen[-1]): False, float(BEYOND * seen[-1]): True}
        where += [f"a new model {count_label(size)}:{family}" for size in chosen]
        beyond += list(chosen.values())
        sizes += list(chosen)
        numbers += [number] * len(chosen)
    new = Models(np.log(np.array(sizes) / model.table.reference), np.array(numbers))
    curve = CurveAtDraws(model.curve, values)
    noise = curve.draw_noise(len(sizes), 0, np.random.default_rng(0))
    return where, np.array(beyond), curve.draw(new, noise, own_part=True)


def _pool_beyond(model: JointModel) -> list[tuple[str, float]]:
    """Choose a pool of two models beyond those seen, of the families with the largest ones: family and size of each."""
    largest = {family: float(model.table.parameters[model.table.families == family].max()) for family in model.groups}
    chosen = sorted(largest, key=lambda family: -largest[family])[:2]
    families = chosen if len(chosen) > 1 else chosen * 2
    return [(family, BEYOND * largest[family]) for family in families]
