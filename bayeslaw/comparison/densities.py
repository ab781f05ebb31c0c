"""Densities of rows left out, given the rows kept and one draw of a law's parameters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.linalg import solve_triangular

from bayeslaw.fitting.given_rows import Outline, Rows, given_rows, outline_of, rows_of
from bayeslaw.laws.results import Densities
from bayeslaw.likelihood.compiled import compile_once, one_by_one
from bayeslaw.likelihood.law_model import LawModel
from bayeslaw.likelihood.noise import MEMBER_SCALE
from bayeslaw.likelihood.responses import RESPONSES
from bayeslaw.likelihood.row_model import RowModel

CELLS_AT_ONCE = 2_000_000
LOG_TWO_PI = float(np.log(2 * np.pi))


class Kept(NamedTuple):
    """Which rows are kept, and what a likelihood of them alone needs.

    Parameters
    ----------
    rows
        Whether each row is kept, shape ``[row]``.
    number
        Number of rows kept, shape ``[group]``.
    products
        Inner products of the loadings of the rows kept, shape ``[group, effect, effect]``; no effects where rows are
        independent.
    """

    rows: np.ndarray | Array
    number: np.ndarray | Array
    products: np.ndarray | Array


def keep_rows(model: LawModel, held: np.ndarray) -> Kept:
    """Leave rows out of a model.

    Parameters
    ----------
    model
        The model of all rows.
    held
        Whether each row is left out, shape ``[row]``.

    Returns
    -------
    Kept
        The others, in arrays whose shapes do not depend on which they are.
    """
    groups = max(len(model.groups), 1)
    count = np.bincount(model.group_index[~held], minlength=groups).astype(float)
    if model.dependence is None:
        return Kept(~held, count, np.zeros((groups, 0, 0)))
    parts = [model.dependence.loadings[~held & (model.group_index == group)] for group in range(groups)]
    return Kept(~held, count, np.stack([part.T @ part for part in parts]))


def kept_log_likelihood(model: RowModel, values: Mapping[str, Any], kept: Kept) -> Array:
    """Log density of the rows kept, those left out integrated out.

    Parameters
    ----------
    model
        The model of all rows.
    values
        Constrained value of every site.
    kept
        The rows kept.

    Returns
    -------
    Array
        Scalar, of the response.
    """
    if model.dependence is None:
        return jnp.where(kept.rows, model.log_likelihood(values), 0.0).sum()
    variance = model.variance(values)
    residual = jnp.where(kept.rows, model.response - model.location(values), 0.0)
    _, lower, explained = _effects(model, values, kept, residual)
    scatter = (residual**2 / variance[model.group_index]).sum() - explained @ explained
    log_determinant = (kept.number * jnp.log(variance)).sum() + 2 * jnp.log(jnp.diagonal(lower)).sum()
    return -0.5 * (scatter + log_determinant + kept.number.sum() * LOG_TWO_PI)


def held_log_densities(model: RowModel, values: Mapping[str, Any], kept: Kept, everything: Kept) -> tuple[Array, Array]:
    """Log densities of the rows left out given those kept.

    Rows that share errors are normal given those kept: what they share is known from these as far as it can be, and a
    member of which no pool is kept has the effect of a new one.

    Parameters
    ----------
    model, values, kept
        As in `kept_log_likelihood`.
    everything
        All rows, as `keep_rows` gives them.

    Returns
    -------
    rows : Array
        Log density of each row's response given those kept, shape ``[row]``; of use where rows are left out.
    joint : Array
        Log density of all rows left out together, scalar.
    """
    if model.dependence is None:
        each = jnp.asarray(model.log_likelihood(values))
        return each, jnp.where(kept.rows, 0.0, each).sum()
    residual = jnp.asarray(model.response) - model.location(values)
    scale, lower, explained = _effects(model, values, kept, jnp.where(kept.rows, residual, 0.0))
    loadings = solve_triangular(lower, (model.dependence.loadings * scale).T, lower=True)
    variance = model.variance(values)[model.group_index] + (loadings**2).sum(axis=0)
    each = -0.5 * ((residual - explained @ loadings) ** 2 / variance + jnp.log(variance) + LOG_TWO_PI)
    return jnp.asarray(each), kept_log_likelihood(model, values, everything) - kept_log_likelihood(model, values, kept)


def _effects(model: RowModel, values: Mapping[str, Any], kept: Kept, residual: Array) -> tuple[Array, Array, Array]:
    """Scales of what rows share, Cholesky factor ``C`` of its precision given the kept, and ``C'`` times its mean."""
    assert model.dependence is not None
    scale, variance = model.dependence.effect_scale(values[MEMBER_SCALE]), model.variance(values)
    products = scale[:, None] * scale * jnp.tensordot(1 / variance, kept.products, 1)
    lower = jnp.linalg.cholesky(jnp.eye(len(scale)) + products)
    weighted = scale * ((residual / variance[model.group_index]) @ model.dependence.loadings)
    return scale, lower, solve_triangular(lower, weighted, lower=True)


@dataclass(frozen=True)
class _HeldDensities:
    """From draws, rows kept, all rows as if kept, and `Rows` to `held_log_densities` at each draw."""

    outline: Outline

    def __call__(self, values: Mapping[str, Array], kept: Kept, everything: Kept, rows: Rows) -> tuple[Array, Array]:
        model = given_rows(self.outline, rows)
        return one_by_one(lambda one: held_log_densities(model, one, kept, everything))(values)


def compile_densities(model: LawModel) -> Callable[[Mapping[str, np.ndarray], np.ndarray], Densities]:
    """Build a function that evaluates the rows left out at many draws, compiled once for all folds.

    Parameters
    ----------
    model
        The model of all rows. Call under float64.

    Returns
    -------
    Callable
        From constrained values with a leading axis of draws, and from whether each row is left out, to the densities of
        the loss, whatever the response.
    """
    jacobian = RESPONSES[model.noise.response].log_jacobian(model.response)
    everything = keep_rows(model, np.zeros(len(model.response), dtype=bool))

    program, table = _HeldDensities(outline_of(model)), (everything, rows_of(model))

    def evaluated(*draws: Any) -> tuple[Array, Array]:
        return compile_once(program, *draws, *table)(*draws, *table)

    effects = 0 if model.dependence is None else model.dependence.loadings.shape[1]
    step = max(1, CELLS_AT_ONCE // (len(model.response) * (1 + effects)))

    def densities(values: Mapping[str, np.ndarray], held: np.ndarray) -> Densities:
        total, kept = len(next(iter(values.values()))), keep_rows(model, held)
        parts = [
            evaluated({name: array[first : first + step] for name, array in values.items()}, kept)
            for first in range(0, total, step)
        ]
        rows = np.concatenate([np.asarray(part[0])[:, held] for part in parts])
        joint = np.concatenate([np.asarray(part[1]) for part in parts])
        return Densities(rows + jacobian[held], joint + jacobian[held].sum())

    return densities
