"""Maps that go one by one give what the batched ones do."""

import jax
import jax.numpy as jnp
import numpy as np

from bayeslaw.likelihood.compiled import hessian_one_by_one, one_by_one


def density(position, scale):
    matrix = jnp.eye(3) * scale + jnp.outer(position, position)
    factor = jnp.linalg.cholesky(matrix)
    return jnp.log(jnp.diag(factor)).sum() + jnp.sin(position).sum()


def test_second_derivatives_are_those_of_the_batch():
    with jax.enable_x64(True):
        position = jnp.array([0.3, -1.2, 2.0])
        found = jax.jit(hessian_one_by_one(density))(position, 1.5)
        np.testing.assert_allclose(found, jax.hessian(density)(position, 1.5), rtol=1e-10)


def test_values_are_those_of_the_batch():
    with jax.enable_x64(True):
        positions = jnp.asarray(np.random.default_rng(0).normal(size=(5, 3)))
        scales = jnp.linspace(1, 2, 5)
        np.testing.assert_allclose(
            jax.jit(one_by_one(density))(positions, scales), jax.vmap(density)(positions, scales), rtol=1e-12
        )
