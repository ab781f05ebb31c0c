"""A mixture of each position with the one before it, as the parts of RWKV begin with."""

import jax
import jax.numpy as jnp
from flax import nnx


class TokenShift(nnx.Module):
    """Weigh each channel of a position against the same one of the position before (Peng et al., RWKV, 2023).

    Parameters
    ----------
    width
        Number of channels.
    """

    def __init__(self, width: int) -> None:
        # The shape of checkpoints.
        self.share = nnx.Param(jnp.zeros((1, 1, width)))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Mix [row, position, width]; what stands before the first position is zero."""
        share = self.share[...].astype(jnp.float32)
        before = jnp.pad(x[:, :-1], ((0, 0), (1, 0), (0, 0)))
        return x * share + before * (1 - share)
