"""The joint law's curve of one family, for pictures."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayeslaw.joint.curve import Models
from bayeslaw.joint.curve_at_draws import CurveAtDraws
from bayeslaw.joint.draw_blocks import map_draws
from bayeslaw.joint.joint_model import JointModel

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
    models = Models(log_size, np.full(len(log_size), number))

    def draw(sites: Mapping[str, np.ndarray], generator: np.random.Generator) -> np.ndarray:
        curve = CurveAtDraws(model.curve, sites)
        noise = curve.draw_noise(len(log_size), int(not known), generator)
        loss = curve.draw(models, noise, own_part=False)
        floor = curve.floors[:, [number]] if known else curve.new_floors(noise["floor"])
        deviation = sites["model_spread"] * generator.standard_normal(len(loss))
        return np.stack([loss, floor + (loss - floor) * np.exp(deviation)[:, None]], axis=1)

    sites = {name: np.asarray(values[name]) for name in model.sites}
    numbers = (len(model.table.names) + len(log_size)) ** 2
    curve, new = map_draws(draw, sites, numbers=numbers, seed=seed).swapaxes(0, 1)
    return curve, new


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
