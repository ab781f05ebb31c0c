"""A small table of losses, and values of the joint law's sites, that its tests share."""

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayeslaw.joint.joint_model import JointModel
from bayeslaw.joint.joint_table import joint_table
from bayeslaw.joint.law import JointLaw
from bayeslaw.simulation.tables import simulate_losses


def small_losses() -> xr.Dataset:
    """Return losses of eight models of two families on 240 samples in 60 clusters."""
    return simulate_losses(families=2, sizes=4, samples=240, clusters=60, seed=3)


def small_model(link: str | None = None) -> JointModel:
    """Return the joint law with that table."""
    table = joint_table(small_losses(), link=link, parameters="total")
    return JointModel(JointLaw().resolved(table.link.name), table)


def some_values(model: JointModel, seed: int = 0) -> dict[str, np.ndarray]:
    """Return one draw of every site, as floors below every loss and moderate scales allow it."""
    with jax.enable_x64(True):
        drawn = model.draw_prior(jax.random.PRNGKey(seed))
        fixed = {"floor_share": 0.6, "floor_spread": 0.1, "length": 5.0, "structure_freedom": 40.0}
        return {name: np.asarray(jnp.asarray(fixed.get(name, value))) for name, value in drawn.items()}
