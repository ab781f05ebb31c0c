"""The posterior of the joint law: those of its curve, its correlations and its deviations, which share no site."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bayeslaw.joint.curve import Curve
from bayeslaw.joint.curve_gradient import CurveGradient
from bayeslaw.joint.dependence_gradients import CorrelationGradient, DeviationGradient
from bayeslaw.joint.joint_model import BY_FAMILY, BY_MODEL, JointModel
from bayeslaw.joint.law import CORRELATION_SITES, CURVE_SITES, DEVIATION_SITES
from bayeslaw.joint.model_dependence import ModelDependence
from bayeslaw.posterior.coordinates import all_with_numbers, numbers_of
from bayeslaw.posterior.density import Block, Posterior, joined
from bayeslaw.posterior.free_coordinates import Likelihood, ManyPositions, free_sites
from bayeslaw.posterior.sites import Sites, centres, sites_of

CELLS_AT_ONCE = 2_000_000


class JointData(NamedTuple):
    """What the posterior takes from a table and the numbers of the priors, arrays all of them.

    Parameters
    ----------
    curve, dependence
        As `bayeslaw.joint.joint_model.JointModel` has them.
    numbers
        Numbers of the priors of each block, in the order of its sites, shape ``[number]``.
    """

    curve: Curve
    dependence: ModelDependence
    numbers: dict[str, Any]


@dataclass(frozen=True)
class Part:
    """A part of the likelihood, and the sites that it alone depends on.

    Parameters
    ----------
    sites
        Names of the sites.
    log_likelihood
        From data and the value of every site to the log likelihood, in JAX.
    by_hand
        From data to the same at many draws, with slopes, in NumPy.
    funnel
        Name of a scale whose offsets are among the sites; see `bayeslaw.posterior.density.Posterior`.
    """

    sites: tuple[str, ...]
    log_likelihood: Callable[[JointData, Mapping[str, Any]], Array]
    by_hand: Callable[[JointData], Likelihood]
    funnel: str | None = None


BLOCKS: Mapping[str, Part] = {
    "curve": Part(
        (*CURVE_SITES, *BY_FAMILY),
        lambda data, values: data.curve.log_likelihood(values),
        lambda data: CurveGradient(data.curve).log_likelihood,
    ),
    "correlations": Part(
        (*CORRELATION_SITES, *BY_MODEL),
        lambda data, values: data.dependence.log_likelihood_of_correlations(values),
        lambda data: CorrelationGradient(data.dependence).log_likelihood,
        funnel="own_spread",
    ),
    "deviations": Part(
        DEVIATION_SITES,
        lambda data, values: data.dependence.log_likelihood_of_deviations(values),
        lambda data: DeviationGradient(data.dependence).log_likelihood,
    ),
}
"""Blocks by name: mean losses depend on the sites of the curve alone, correlations and deviations on others."""


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
        return prior - BLOCKS[self.block].log_likelihood(data, values)


@dataclass(frozen=True)
class BlockByHand:
    """From `JointData` to the log posterior density of one block at many positions, with its gradient.

    Parameters
    ----------
    block, sites
        As of `BlockPrior`.
    """

    block: str
    sites: Sites

    def __call__(self, data: JointData) -> ManyPositions:
        """Take up the data."""
        priors = all_with_numbers(dict(self.sites.priors), data.numbers[self.block])
        return ManyPositions(free_sites(priors, self.sites.shapes), BLOCKS[self.block].by_hand(data))


def block_sites(model: JointModel, block: str) -> Sites:
    """Return the sites of a block, in the order in which they are sampled."""
    return sites_of({name: model.sites[name] for name in sampled_sites(model, block)}, model.shapes)


def sampled_sites(model: JointModel, block: str) -> tuple[str, ...]:
    """Name the sites of a block that this law has: a setting may hold one of them at a value."""
    return tuple(name for name in BLOCKS[block].sites if name in model.sites)


def joint_posterior(model: JointModel) -> Posterior:
    """Write the posterior of the joint law over positions free of constraints.

    Parameters
    ----------
    model
        The model. Call under float64.

    Returns
    -------
    Posterior
        Of three blocks; its data are what `joint_data` takes from the model.
    """
    blocks, first = [], 0
    for name, part in BLOCKS.items():
        sites = block_sites(model, name)
        posterior = Posterior(
            BlockPotential(name, sites),
            centres(model.sites, sites),
            prior=BlockPrior(name, sites),
            by_hand=BlockByHand(name, sites),
            funnel=None if part.funnel is None else place_of(part.funnel, sites),
        )
        blocks.append(Block(name, tuple(range(first, first + sites.size)), posterior))
        first += sites.size
    return joined(tuple(blocks))


def place_of(name: str, sites: Sites) -> int:
    """Return the first coordinate of a site in a flat position of a block."""
    names = [site for site, _ in sites.shapes]
    return sum(int(np.prod(shape)) for _, shape in sites.shapes[: names.index(name)])


def joint_data(model: JointModel) -> JointData:
    """Take from a model what its posterior needs."""
    numbers = {block: numbers_of(model.sites[name] for name in sampled_sites(model, block)) for block in BLOCKS}
    data = JointData(model.curve, model.dependence, numbers)
    return jax.tree.map(np.asarray, data)


def log_likelihood_at(model: JointModel, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """Log density of the mean losses, correlations and deviations of a table.

    Parameters
    ----------
    model
        The joint law with its table.
    values
        Draws of every site, each ``[draw, ...]``.

    Returns
    -------
    np.ndarray
        Shape ``[draw]``.
    """
    return np.sum([log_likelihood_of_block(model, name, values) for name in BLOCKS], axis=0)


def log_likelihood_of_block(model: JointModel, block: str, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """Log density of what one block of sites alone tells of, [draw]; arguments as of `log_likelihood_at`."""
    part, count = BLOCKS[block], len(next(iter(values.values())))
    likelihood, total = part.by_hand(joint_data(model)), np.zeros(count)
    step = max(1, CELLS_AT_ONCE // len(model.table.mean) ** 2)
    for first in range(0, count, step):
        rows = slice(first, first + step)
        total[rows] = likelihood({name: values[name][rows] for name in sampled_sites(model, block)}, None)[0]
    return total


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
