"""The posterior of the joint law: that of its curve and that of its dependence, which share no site."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bayeslaw.joint.joint_model import BY_FAMILY, BY_MODEL, JointModel
from bayeslaw.joint.law import CURVE_SITES, DEPENDENCE_SITES
from bayeslaw.posterior.coordinates import numbers_of
from bayeslaw.posterior.density import Block, Posterior, joined
from bayeslaw.posterior.sites import Sites, centres, sites_of

BLOCKS = {"curve": (*CURVE_SITES, *BY_FAMILY), "dependence": (*DEPENDENCE_SITES, *BY_MODEL)}
"""Sites of each block: mean losses depend on those of the curve alone, correlations and deviations on the others."""


class JointData(NamedTuple):
    """What the posterior takes from a table and the numbers of the priors, arrays all of them.

    Parameters
    ----------
    parts
        What has the density of each block: the curve and the dependence, as `bayeslaw.joint.joint_model.JointModel` has
        them.
    numbers
        Numbers of the priors of each block, in the order of its sites, shape ``[number]``.
    """

    parts: dict[str, Any]
    numbers: dict[str, Any]


@dataclass(frozen=True)
class BlockPrior:
    """From a flat position of one block's sites and `JointData` to minus their log prior density.

    Parameters
    ----------
    block
        Name of the block.
    sites
        Its sites.
    """

    block: str
    sites: Sites

    def __call__(self, position: Array, data: JointData) -> Array:
        """Evaluate at a flat position."""
        numbers = data.numbers[self.block]
        return self.sites.negative_log_prior(*self.sites.values(position, numbers), numbers)


@dataclass(frozen=True)
class BlockPotential:
    """From a flat position of one block's sites and `JointData` to minus their log posterior density.

    Parameters
    ----------
    block, sites
        As of `BlockPrior`.
    """

    block: str
    sites: Sites

    def __call__(self, position: Array, data: JointData) -> Array:
        """Evaluate at a flat position."""
        numbers = data.numbers[self.block]
        values, log_determinant = self.sites.values(position, numbers)
        prior = self.sites.negative_log_prior(values, log_determinant, numbers)
        return prior - data.parts[self.block].log_likelihood(values)


def block_sites(model: JointModel, block: str) -> Sites:
    """Return the sites of a block, in the order in which they are sampled."""
    return sites_of({name: model.sites[name] for name in BLOCKS[block]}, model.shapes)


def joint_posterior(model: JointModel) -> Posterior:
    """Write the posterior of the joint law over positions free of constraints.

    Parameters
    ----------
    model
        The model. Call under float64.

    Returns
    -------
    Posterior
        Of two blocks; its data are what `joint_data` takes from the model.
    """
    blocks, first = [], 0
    for name in BLOCKS:
        sites = block_sites(model, name)
        posterior = Posterior(BlockPotential(name, sites), centres(model.sites, sites), prior=BlockPrior(name, sites))
        blocks.append(Block(name, tuple(range(first, first + sites.size)), posterior))
        first += sites.size
    return joined(tuple(blocks))


def joint_data(model: JointModel) -> JointData:
    """Take from a model what its posterior needs."""
    numbers = {block: numbers_of(model.sites[name] for name in names) for block, names in BLOCKS.items()}
    data = JointData({"curve": model.curve, "dependence": model.dependence}, numbers)
    return jax.tree.map(np.asarray, data)


@dataclass(frozen=True)
class SiteValues:
    """From a flat position of all blocks and `JointData` to the value of every site and the map's log determinant.

    Parameters
    ----------
    names
        Names of the sites, in the order wanted.
    blocks
        Name and sites of each block, in the order of the position.
    """

    names: tuple[str, ...]
    blocks: tuple[tuple[str, Sites], ...]

    def __call__(self, position: Array, data: JointData) -> tuple[dict[str, Array], Array]:
        """Evaluate at a flat position."""
        found, total, first = dict[str, Array](), jnp.zeros(()), 0
        for block, sites in self.blocks:
            values, term = sites.values(position[first : first + sites.size], data.numbers[block])
            found, total, first = found | values, total + term, first + sites.size
        return {name: found[name] for name in self.names}, total


def site_values(model: JointModel) -> SiteValues:
    """Return the map from flat positions to the value of every site."""
    return SiteValues(tuple(model.sites), tuple((name, block_sites(model, name)) for name in BLOCKS))
