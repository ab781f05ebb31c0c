"""A short causal convolution of every channel for itself."""

import jax
import jax.numpy as jnp
from flax import nnx


class CausalConvolution(nnx.Module):
    """Mix each channel's last few positions.

    Parameters
    ----------
    channels
        Number of channels.
    taps
        Positions that reach a result, its own included.
    bias
        Whether there is a bias.
    """

    def __init__(self, channels: int, taps: int, *, bias: bool) -> None:
        # The shape of checkpoints, which is that of PyTorch for one input channel a group.
        self.weight = nnx.Param(jnp.zeros((channels, 1, taps)))
        self.bias = nnx.Param(jnp.zeros((channels,))) if bias else None

    def __call__(self, x: jax.Array) -> jax.Array:
        """Convolve [row, position, channel]; positions before the first are zero, the result is float32."""
        weight = self.weight[...].astype(jnp.float32)[:, 0]
        taps, length = weight.shape[1], x.shape[1]
        x = jnp.pad(x.astype(jnp.float32), ((0, 0), (taps - 1, 0), (0, 0)))
        y = sum((x[:, tap : tap + length] * weight[:, tap] for tap in range(1, taps)), x[:, :length] * weight[:, 0])
        return y if self.bias is None else y + self.bias[...].astype(jnp.float32)
