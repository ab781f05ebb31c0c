r"""The density of a correlation matrix whose covariance matrix is Wishart, with the scales integrated out.

A Wishart matrix :math:`W` with :math:`\nu` degrees of freedom and mean :math:`S` has scales of its own,
:math:`W = D R D` with :math:`D` diagonal. Where only the correlations :math:`R` are seen their density is

.. math:: p(R) \propto |S|^{-\nu/2} |R|^{(\nu - p - 1)/2}
    \int \prod_i d_i^{\nu - 1}\, e^{-\frac{\nu}{2} d' Q d}\, \mathrm{d}d, \qquad Q = S^{-1} \circ R.

The Wishart density at :math:`R` itself would take the scales as seen, all one, and :math:`R` as more certain than it
is: with few models the degrees of freedom then come out far too many. The integrand is log-concave; the integral is
Laplace's in :math:`\log d`, with Stirling's error taken out, so that it is exact for uncorrelated models. Its maximum
solves :math:`d_i (Q d)_i = 1`: the scaling of a positive definite matrix to unit row sums (Marshall and Olkin 1968).
"""

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import gammaln, multigammaln

MOST_STEPS = 60
SMALL_DECREMENT = 1e-7


def correlation_log_density(correlation: Array, structure: Array, freedom: Array) -> Array:
    """Evaluate the log density of a correlation matrix.

    Parameters
    ----------
    correlation
        The correlations seen, positive definite, [lm, lm].
    structure
        Mean of the Wishart matrix, positive definite, [lm, lm]; its scales do not matter.
    freedom
        Degrees of freedom, above the number of models minus one.

    Returns
    -------
    Array
        Scalar. Differentiable in all arguments; second derivatives leave out how the best scales bend.
    """
    count = len(structure)
    factor = jnp.linalg.cholesky(structure)
    product = jax.scipy.linalg.cho_solve((factor, True), jnp.eye(count)) * correlation
    scale = _step(product, _best_scale(jax.lax.stop_gradient(product)))[0]
    balanced = product * scale[:, None] * scale[None, :]
    curvature = jnp.linalg.slogdet(balanced + jnp.eye(count))[1] - count * jnp.log(2.0)
    log_determinant = 2 * jnp.log(jnp.diag(factor)).sum()
    # Zero at the best scales; keeps the value right to second order where they are not found exactly.
    remainder = (count - balanced.sum()) / 2
    profile = freedom * (jnp.log(scale).sum() + remainder - log_determinant / 2)
    normaliser = count * gammaln(freedom / 2) - multigammaln(freedom / 2, count)
    seen = (freedom - count - 1) / 2 * jnp.linalg.slogdet(correlation)[1]
    return normaliser + seen + profile - curvature / 2


def _best_scale(product: Array) -> Array:
    """Minimise ``d' Q d / 2 - sum(log d)``, which is convex and self-concordant, by damped Newton steps, [lm]."""

    def unfinished(state: tuple[Array, Array, Array]) -> Array:
        _, decrement, steps = state
        return (decrement > SMALL_DECREMENT) & (steps < MOST_STEPS)

    def step(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        scale, decrement = _step(product, state[0])
        return scale, decrement, state[2] + 1

    start = jnp.full(len(product), jnp.sqrt(len(product) / product.sum()))
    return jax.lax.while_loop(unfinished, step, (start, jnp.asarray(jnp.inf, product.dtype), jnp.zeros((), int)))[0]


def _step(product: Array, scale: Array) -> tuple[Array, Array]:
    """Take a damped Newton step; returns scales and the Newton decrement before it."""
    balanced = product * scale[:, None] * scale[None, :]
    slope = 1 - balanced.sum(axis=1)
    factor = jnp.linalg.cholesky(balanced + jnp.eye(len(scale)))
    direction = jax.scipy.linalg.cho_solve((factor, True), slope)
    # The slope of a root at zero is not finite, and of no use here.
    decrement = jnp.sqrt(jnp.maximum(jax.lax.stop_gradient(slope @ direction), 0.0))
    return scale * (1 + direction / (1 + decrement)), decrement
