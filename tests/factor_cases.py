"""A small table of losses, and values of the factor law's sites, that its tests share."""

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayeslaw.factor.model import FactorModel
from bayeslaw.factor.table import factor_table
from bayeslaw.laws.factor import FactorLaw
from bayeslaw.simulate import simulate_losses


def small_losses() -> xr.Dataset:
    """Return losses of eight models of two families on 240 samples in 60 clusters."""
    return simulate_losses(families=2, sizes=4, samples=240, clusters=60, seed=3)


def small_model(link: str | None = None) -> FactorModel:
    """Return the factor law with that table."""
    table = factor_table(small_losses(), link=link, parameters="total")
    return FactorModel(FactorLaw().resolved(table.link.name), table)


def some_values(model: FactorModel, seed: int = 0) -> dict[str, np.ndarray]:
    """Return one draw of every site, as floors below every loss and moderate scales allow it."""
    with jax.enable_x64(True):
        drawn = model.draw_prior(jax.random.PRNGKey(seed))
        fixed = {"floor_share": 0.6, "floor_spread": 0.1, "length": 5.0, "structure_freedom": 40.0}
        return {name: np.asarray(jnp.asarray(fixed.get(name, value))) for name, value in drawn.items()}
