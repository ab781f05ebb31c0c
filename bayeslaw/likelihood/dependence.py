"""Rows that share sampling error and members: a covariance of low rank beside a diagonal."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.linalg import cho_solve, solve_triangular
from jax.typing import ArrayLike

from bayeslaw.likelihood.effect_parts import EffectPart, effect_parts

ROUND = 4
LOG_TWO_PI = float(np.log(2 * np.pi))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Dependence:
    """What the rows share.

    The rows' deviations from the law have the covariance ``diag(variance[group]) + L L' + M M' + C C' + tau**2 W W'``
    with tau the `member_scale`: the sampling error over clusters of samples, what the choice of models does to the
    trend of each group and to its course beside the trend, and the effects of the members. All are effects with a
    standard normal distribution, ``sum_k loadings[row, k] scale[k] effect[k]``, the scale being 1 or `member_scale`.
    All densities cost ``rows * effects + effects ** 3`` by the identity of Woodbury, those over nodes nothing per row.
    `bayeslaw.likelihood.loadings` tells how the loadings are found.

    It is a container of arrays to JAX, so that a compiled density may take it as an argument; `share` makes one.

    Parameters
    ----------
    loadings
        ``[L, M, C, W]`` in the response's unit, shape ``[row, effect]``: of the sampling error, of the choice of models
        on the trend of the law and beside it, and the share of each member in each row less what rows of its budget
        have; then zeros, so that tables with a few directions of the sampling error more or less have arrays of one
        shape and share what is compiled.
    remainder
        Sampling variance of each row outside of ``L``, in the response's unit squared, shape ``[row]``. Its mean over
        a group is part of the group's variance.
    inflation
        By how much `contrasts` times effects fall short in mean square of what other members would have, shape
        ``[group]``.
    group
        Index of each row's group of variance, shape ``[row]``.
    count
        Number of rows, shape ``[group]``.
    mean_remainder
        Mean of `remainder`, shape ``[group]``.
    products
        ``[L, M, C, W]' [L, M, C, W]`` of each group, shape ``[group, effect, effect]``.
    parts
        The effects cut into parts that the rows tell of apart.
    by_member
        Whether each effect is that of a member, shape ``[effect]``.
    sizes
        Number of columns of ``L``, ``M``, ``C`` and ``W``. Compiled functions do not look at them.
    """

    loadings: np.ndarray
    remainder: np.ndarray
    inflation: np.ndarray
    group: np.ndarray
    count: np.ndarray
    mean_remainder: np.ndarray
    products: np.ndarray
    parts: tuple[EffectPart, ...]
    by_member: np.ndarray
    sizes: np.ndarray

    @property
    def directions(self) -> int:
        """Number of directions of the sampling error, the columns of ``L``."""
        return int(self.sizes[0])

    @property
    def first_member(self) -> int:
        """Position of the first member among the effects: the columns of ``L``, ``M`` and ``C``."""
        return int(self.sizes[:3].sum())

    @property
    def effects(self) -> int:
        """Number of effects: the columns of ``L``, ``M``, ``C`` and ``W``."""
        return int(self.sizes.sum())

    @property
    def groups(self) -> int:
        """Number of groups."""
        return len(self.count)

    @property
    def sampling_factor(self) -> np.ndarray:
        """``L``, shape ``[row, direction]``."""
        return self.loadings[:, : self.directions]

    @property
    def model_factor(self) -> np.ndarray:
        """``M``, shape ``[row, direction]``."""
        return self.loadings[:, self.directions : int(self.sizes[:2].sum())]

    @property
    def course_factor(self) -> np.ndarray:
        """``C``, shape ``[row, direction]``."""
        return self.loadings[:, int(self.sizes[:2].sum()) : self.first_member]

    @property
    def contrasts(self) -> np.ndarray:
        """``W``, shape ``[row, member]``."""
        return self.loadings[:, self.first_member : self.effects]

    @property
    def words(self) -> str:
        """What is known of the sampling error."""
        if self.directions == 0:
            return "none: the table does not say how the pools' sampling errors go together"
        return f"sampling error over clusters of samples, on the trend of the law, in {self.directions} directions"

    @property
    def lines(self) -> tuple[str, ...]:
        """What the rows share, a line each."""
        return (
            f"L, r: {self.words}",
            f"M: choice of models, on the trend of the law, in {self.model_factor.shape[1]} directions",
            f"C: choice of models and form of the law, beside that trend, in {self.course_factor.shape[1]} directions",
            f"W: shares of {self.contrasts.shape[1]} members, less those in pools of like budgets",
        )

    def variance(self, scale: ArrayLike) -> Array:
        """Add what the rows of a group have of their own, shape ``[group]``, from the noise scale of each group."""
        return jnp.broadcast_to(jnp.asarray(scale) ** 2, (self.groups,)) + self.mean_remainder

    def effect_scale(self, member_scale: ArrayLike) -> Array:
        """Scale of each effect, shape ``[effect]``."""
        return jnp.where(jnp.asarray(self.by_member), member_scale, 1.0)

    def scaled_loadings(self, member_scale: ArrayLike) -> Array:
        """Multiply loadings with scales: a factor of what the rows share, shape ``[row, effect]``."""
        return jnp.asarray(self.loadings) * self.effect_scale(member_scale)

    def log_density(self, residual: Array, variance: Array, member_scale: ArrayLike) -> Array:
        """Evaluate the joint log density of the rows.

        Parameters
        ----------
        residual
            Response minus location, shape ``[row]``.
        variance
            As `variance` gives it, shape ``[group]``.
        member_scale
            Standard deviation of the member effects, in the response's unit.

        Returns
        -------
        Array
            Scalar.
        """
        return self.log_density_of_sums(*self.sums(residual, variance), variance, member_scale)

    def sums(self, residual: Array, variance: Array) -> tuple[Array, Array]:
        """Sum over rows what the joint density depends on; arguments as of `log_density`, result of the next."""
        row_variance = variance[self.group]
        return (residual / row_variance) @ jnp.asarray(self.loadings), (residual**2 / row_variance).sum()

    def log_density_of_sums(self, weighted: Array, squares: Array, variance: Array, member_scale: ArrayLike) -> Array:
        """Evaluate the joint log density from sums over rows.

        Parameters
        ----------
        weighted
            ``[L, M, C, W]' D^-1 r``, shape ``[effect]``.
        squares
            ``r' D^-1 r``, scalar.
        variance, member_scale
            As in `log_density`.

        Returns
        -------
        Array
            Scalar.
        """
        diagonal = squares + (self.count * jnp.log(variance)).sum() + len(self.group) * LOG_TWO_PI
        return sum((part.log_density(weighted, variance, member_scale) for part in self.parts), -0.5 * diagonal)

    def conditional_log_density(self, residual: Array, variance: Array, member_scale: ArrayLike) -> Array:
        """Evaluate the log density of each row given all others.

        With ``g = Sigma^-1 r`` and ``c`` the diagonal of ``Sigma^-1``, row i given the others is normal around
        ``y_i - g_i / c_i`` with variance ``1 / c_i`` (Sundararajan and Keerthi 2001; Buerkner, Gabry and Vehtari 2021).

        Parameters
        ----------
        residual, variance, member_scale
            As in `log_density`.

        Returns
        -------
        Array
            Shape ``[row]``.
        """
        scale, lower = self._core(variance, member_scale)
        row_variance = variance[self.group]
        scaled = self.loadings * scale
        whitened = solve_triangular(lower, scaled.T, lower=True)
        solved = (residual - scaled @ cho_solve((lower, True), scaled.T @ (residual / row_variance))) / row_variance
        precision = 1 / row_variance - (whitened**2).sum(axis=0) / row_variance**2
        return 0.5 * (jnp.log(precision) - LOG_TWO_PI - solved**2 / precision)

    def draw_effects(self, weighted: Array, variance: Array, member_scale: ArrayLike, standard: Array) -> Array:
        """Draw the effects from their distribution given the rows.

        Parameters
        ----------
        weighted, variance, member_scale
            As in `log_density_of_sums`.
        standard
            Standard normal numbers, shape ``[effect]``.

        Returns
        -------
        Array
            Effects in units of their scales, shape ``[effect]``.
        """
        scale, lower = self._core(variance, member_scale)
        return cho_solve((lower, True), scale * weighted) + solve_triangular(lower, standard, lower=True, trans=1)

    def information(self, location: Array, variance: Array, member_scale: ArrayLike) -> tuple[Array, Array]:
        """Evaluate the Fisher information of the rows.

        Parameters
        ----------
        location
            Derivative of the rows' locations by each coordinate, shape ``[row, coordinate]``.
        variance, member_scale
            As in `log_density`.

        Returns
        -------
        of_location : Array
            ``location' Sigma^-1 location``, shape ``[coordinate, coordinate]``.
        of_covariance : Array
            ``tr(Sigma^-1 dSigma_i Sigma^-1 dSigma_j) / 2`` for the variance of each group and the member scale, shape
            ``[group + 1, group + 1]``.
        """
        scale, lower = self._core(variance, member_scale)
        row_variance = variance[self.group][:, None]
        projected = solve_triangular(lower, scale[:, None] * (self.loadings.T @ (location / row_variance)), lower=True)
        of_location = location.T @ (location / row_variance) - projected.T @ projected
        inverse = cho_solve((lower, True), jnp.eye(len(scale)))
        # With S the scaled products of a group over its variance, Sigma^-1 within and between groups is made of C^-1 S.
        parts = jnp.einsum("ij,gjk->gik", inverse, self.products * scale[:, None] * scale / variance[:, None, None])
        between = jnp.einsum("gij,hji->gh", parts, parts)
        alone = jnp.diag(self.count - 2 * jnp.trace(parts, axis1=1, axis2=2))
        groups = (between + alone) / variance[:, None] / variance
        members = jnp.asarray(self.by_member)
        shared = jnp.where(members[:, None] & members, jnp.eye(len(scale)) - inverse, 0.0)
        with_groups = jnp.einsum("gij,ji,i->g", parts, inverse, members.astype(float))
        # dSigma / d member_scale = 2 / member_scale times the members' part of Sigma.
        cross = 2 / member_scale * with_groups / variance
        own_scale = (2 / member_scale) ** 2 * (shared**2).sum()
        covariance = jnp.block([[groups, cross[:, None]], [cross[None, :], own_scale[None, None]]])
        return of_location, covariance / 2

    def _core(self, variance: Array, member_scale: ArrayLike) -> tuple[Array, Array]:
        """Scales of the effects, and with loadings ``F`` in them the lower Cholesky factor of ``I + F' D^-1 F``."""
        scale = self.effect_scale(member_scale)
        products = jnp.tensordot(1 / variance, self.products, 1)
        return scale, jnp.linalg.cholesky(jnp.eye(len(scale)) + scale[:, None] * scale * products)


def share(
    sampling_factor: np.ndarray,
    model_factor: np.ndarray,
    course_factor: np.ndarray,
    contrasts: np.ndarray,
    *,
    remainder: np.ndarray,
    inflation: np.ndarray,
    group: np.ndarray,
    groups: int,
) -> Dependence:
    """Work out once what the densities of rows that share errors need.

    Parameters
    ----------
    sampling_factor
        ``L``, in the response's unit, shape ``[row, direction]``.
    model_factor
        ``M``, in the response's unit, shape ``[row, direction]``.
    course_factor
        ``C``, in the response's unit, shape ``[row, direction]``.
    contrasts
        ``W``, shape ``[row, member]``.
    remainder, inflation, group
        As in `Dependence`.
    groups
        Number of groups.

    Returns
    -------
    Dependence
        What the rows share.
    """
    sizes = np.array([factor.shape[1] for factor in (sampling_factor, model_factor, course_factor, contrasts)])
    spare = np.zeros((len(group), -sizes[0] % ROUND))
    loadings = np.concatenate([sampling_factor, model_factor, course_factor, contrasts, spare], axis=1)
    count = np.bincount(group, minlength=groups).astype(float)
    parts = [loadings[group == index] for index in range(groups)]
    effect = np.arange(loadings.shape[1])
    by_member = (effect >= sizes[:3].sum()) & (effect < sizes.sum())
    on_course = (effect >= sizes[:2].sum()) & (effect < sizes[:3].sum())
    return Dependence(
        loadings=loadings,
        remainder=remainder,
        inflation=inflation,
        group=group,
        count=count,
        mean_remainder=np.bincount(group, remainder, groups) / np.maximum(count, 1),
        products=np.stack([part.T @ part for part in parts]),
        parts=effect_parts(parts, on_course, by_member),
        by_member=by_member,
        sizes=sizes,
    )
