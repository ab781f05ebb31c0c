"""The joint law's curve of one family, for pictures."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bayeslaw.joint.curve import TAIL, Models
from bayeslaw.joint.joint_model import JointModel
from bayeslaw.likelihood.compiled import one_by_one

if TYPE_CHECKING:
    from bayeslaw.fitting.fits import Fit

CURVE_DRAWS = 1000


def family_curve(
    model: JointModel, values: Mapping[str, np.ndarray], family: str, parameters: np.ndarray, *, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the curve of a family, jointly over sizes.

    Parameters
    ----------
    model
        The joint law with its table.
    values
        Draws of every site, each [draw, ...].
    family
        Name of a family; one that the table does not hold is a new one.
    parameters
        Sizes, [point].
    seed
        Seed.

    Returns
    -------
    curve, new : np.ndarray
        Mean loss of models that follow the curve, and of models with a part of their own, which is the same at all
        sizes of a draw so that bands are smooth; in the reported unit, [draw, point].
    """
    families, log_size = len(model.groups), np.log(parameters / model.table.reference)
    known = family in model.groups
    number = model.groups.index(family) if known else families
    first = model.models.first_size
    models = Models(
        log_size, np.full(len(log_size), number), first if known else np.concatenate([first, [log_size.min()]])
    )

    def one(site: Mapping[str, Array], key: Array) -> tuple[Array, Array]:
        keys = jax.random.split(key, 4)
        noise = {
            "model": jax.random.normal(keys[0], (len(log_size),)),
            "floor": jax.random.normal(keys[1], (int(not known),)),
            "scale": TAIL / 2 / jax.random.gamma(keys[2], TAIL / 2, (int(not known),)),
        }
        loss = model.curve.draw(site, models, noise, own_part=False)
        floor = model.curve.floors(site)[0][number] if known else model.curve.new_floor(site, noise["floor"])[0]
        deviation = site["model_spread"] * jax.random.normal(keys[3])
        return loss, floor + (loss - floor) * jnp.exp(deviation)

    with jax.enable_x64(True):
        sites = {name: jnp.asarray(values[name]) for name in model.sites}
        keys = jax.random.split(jax.random.PRNGKey(seed), len(sites["model_spread"]))
        curve, new = jax.jit(one_by_one(one))(sites, keys)
        return np.asarray(curve), np.asarray(new)


def family_floor(model: JointModel, values: Mapping[str, np.ndarray], family: str, *, seed: int) -> np.ndarray:
    """Draw the floor of a family, known or new, in the reported unit, [draw]; ``values`` as `Fit.values` gives them."""
    if family in model.groups:
        return values["floor"][:, model.groups.index(family)]
    noise = np.random.default_rng(seed).standard_normal(len(values["floor"]))
    return np.asarray(model.curve.new_floor(values, noise))


def curve_gradient(
    fit: "Fit", group: str, grid: np.ndarray, training_tokens: float | None, kinds: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """Draw the curve of a family of a fit along a grid of sizes, by kind of band, [draw, point]."""
    values = fit.values()
    every = -(-len(values["floor"]) // CURVE_DRAWS)
    mean, new = family_curve(fit.model, {name: draws[::every] for name, draws in values.items()}, group, grid, seed=0)
    return {"mean": mean, "new": new}


def floor_draws(fit: "Fit", group: str) -> np.ndarray:
    """Draw the floor of a family of a fit, known or new, in the reported unit, [draw]."""
    return family_floor(fit.model, fit.values(), group, seed=0)
