"""A map of low rank beside the mixer of a block."""

import jax
from flax import nnx

from inference.decoder.configuration import DecoderConfig
from inference.decoder.layers import Linear, Norm
from inference.decoder.stream_settings import LowRankResidual


class LowRankBranch(nnx.Module):
    """What is added beside the mixer: its input and a map of low rank of it (Menghani et al., LAuReL, 2024).

    Parameters
    ----------
    config
        The decoder; `LowRankResidual` is among its parts.
    """

    def __init__(self, config: DecoderConfig) -> None:
        rank = config.part(LowRankResidual).rank
        self.down, self.up = Linear(config.width, rank, bias=False), Linear(rank, config.width, bias=False)
        self.norm = Norm(config, (config.width,))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map what the mixer is given, [row, position, width], to the same."""
        return x + self.norm(self.up(self.down(x)))
