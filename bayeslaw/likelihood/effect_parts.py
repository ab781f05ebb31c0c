"""What rows share, cut into parts that tell nothing of each other, since a factorisation costs the cube of its size."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.linalg import solve_triangular
from jax.typing import ArrayLike

APART = 1e-10
"""Up to which cosine loadings are taken as orthogonal, and beyond which share of the largest a direction counts."""


@partial(jax.tree_util.register_dataclass, data_fields=["turn", "products"], meta_fields=["first_member"])
@dataclass(frozen=True)
class EffectPart:
    """Directions of the effects whose loadings are orthogonal, within each group, to those of other parts.

    Parameters
    ----------
    turn
        Orthonormal columns: the loadings times these are the loadings on the directions, shape ``[effect, direction]``.
    products
        Inner products of the loadings on the directions in each group, shape ``[group, direction, direction]``.
    first_member
        Position of the first direction that is an effect of a member, in units of the scale of these.
    """

    turn: np.ndarray
    products: np.ndarray
    first_member: int

    def log_density(self, weighted: Array, variance: Array, member_scale: ArrayLike) -> Array:
        """Evaluate what the part adds to the joint log density; arguments as of `Dependence.log_density_of_sums`."""
        members = self.products.shape[1] - self.first_member
        scale = jnp.concatenate([jnp.ones(self.first_member), jnp.ones(members) * member_scale])
        products = jnp.tensordot(1 / variance, self.products, 1)
        return _explained(scale * (weighted @ self.turn), scale[:, None] * scale * products)


@jax.custom_jvp
def _explained(weighted: Array, products: Array) -> Array:
    """Half of ``v' C^-1 v - log |C|`` with ``C = I + A``, from v [direction] and A [direction, direction]."""
    lower = jnp.linalg.cholesky(jnp.eye(len(weighted)) + products, symmetrize_input=False)
    explained = solve_triangular(lower, weighted, lower=True)
    return 0.5 * (explained @ explained) - jnp.log(jnp.diagonal(lower)).sum()


@_explained.defjvp
def _explained_derivative(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    # Written out, since one inverse serves all; the derivative of a Cholesky factor costs several times that.
    weighted, products = primals
    by_weighted, by_products = tangents
    lower = jnp.linalg.cholesky(jnp.eye(len(weighted)) + products, symmetrize_input=False)
    root = solve_triangular(lower, jnp.eye(len(weighted)), lower=True)
    explained = root @ weighted
    effects = explained @ root
    value = 0.5 * (explained @ explained) - jnp.log(jnp.diagonal(lower)).sum()
    moment = effects[:, None] * effects + root.T @ root
    return value, effects @ by_weighted - 0.5 * (moment * by_products).sum()


def effect_parts(parts: Sequence[np.ndarray], on_course: np.ndarray, by_member: np.ndarray) -> tuple[EffectPart, ...]:
    """Cut effects where their loadings allow it.

    Effects on the trends of the rows are orthogonal to those on their course beside it and to those of the members, and
    of no more directions than trends have terms.

    Parameters
    ----------
    parts
        Loadings of the rows of each group, each of shape ``[group row, effect]``.
    on_course
        Whether each effect is on the course of the rows beside the trend, shape ``[effect]``.
    by_member
        Whether each effect is that of a member, shape ``[effect]``.

    Returns
    -------
    tuple of EffectPart
        Effects on trends, on courses and of members, in the fewest directions; all of them together where they are not
        orthogonal.
    """
    products, every = np.stack([part.T @ part for part in parts]), np.eye(len(by_member))
    kinds = (~on_course & ~by_member, on_course, by_member)
    turns = [every[:, kind] for kind in kinds]
    if not all(_orthogonal(products, kind) for kind in kinds[1:]):
        turn = np.concatenate(turns, axis=1)
        return (EffectPart(turn, turn.T @ products @ turn, int((~by_member).sum())),)
    turns = [turn @ _directions(turn.T @ products.sum(axis=0) @ turn) for turn in turns]
    firsts = (turns[0].shape[1], turns[1].shape[1], 0)
    return tuple(
        EffectPart(turn, turn.T @ products @ turn, first)
        for turn, first in zip(turns, firsts, strict=True)
        if turn.size
    )


def _orthogonal(products: np.ndarray, kind: np.ndarray) -> bool:
    """Whether some effects have loadings orthogonal to those of all others in every group."""
    limits = APART * np.diagonal(products, axis1=1, axis2=2).max(axis=1, initial=0)[:, None, None]
    return bool((np.abs(products[:, ~kind][:, :, kind]) <= limits).all())


def _directions(products: np.ndarray) -> np.ndarray:
    """Find the directions that have loadings, shape ``[effect, direction]``, from all products of the loadings."""
    if not len(products):
        return products
    values, vectors = np.linalg.eigh(products)
    # Products are squares: half of the digits are left for loadings.
    return vectors[:, values > APART * values.max(initial=0)]
