"""The mixer of Zamba 2: a transformer block that layers share, and a Mamba 2 that reads what it gives as well."""

from dataclasses import replace

import jax
import jax.numpy as jnp
from flax import nnx

from inference.decoder.configuration import DecoderConfig
from inference.decoder.feed_forwards.mlp import MLP
from inference.decoder.layers import FIRST_STATES, LayerInputs, Linear, Norm
from inference.decoder.mixer_settings import SharedBlock
from inference.decoder.mixers.attention import AttentionParts
from inference.decoder.mixers.mamba2 import Mamba2Mixer


class LowRankMap(nnx.Module):
    """A map through few dimensions, added to a shared one.

    Parameters
    ----------
    inputs, rank, outputs
        Widths.
    """

    def __init__(self, inputs: int, rank: int, outputs: int) -> None:
        self.down, self.up = Linear(inputs, rank, bias=False), Linear(rank, outputs, bias=False)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map [..., inputs] to [..., outputs]."""
        return self.up(self.down(x))


class BlockAdapters(nnx.Module):
    """What one layer adds to the maps of a block that it shares with others (Glorioso et al., Zamba2, 2024, section 2).

    Parameters
    ----------
    config
        The decoder; `SharedBlock` is among its parts.
    """

    def __init__(self, config: DecoderConfig) -> None:
        part, keys = config.part(SharedBlock), config.key_value_heads * config.head_width

        def beside(width: int) -> LowRankMap | None:
            return LowRankMap(2 * config.width, part.rank, width) if part.attention_adapters else None

        self.query, self.key, self.value = beside(config.heads * config.head_width), beside(keys), beside(keys)
        self.inside_down = Linear(config.width, part.rank, bias=False)
        self.gate, self.up = (Linear(part.rank, config.mlp_width, bias=False) for _ in range(2))


class TransformerBlock(nnx.Module):
    """Attention to hidden states beside those that the first layer was given, and an MLP; no residual additions.

    Parameters
    ----------
    config
        The decoder; `SharedBlock` is among its parts.
    """

    def __init__(self, config: DecoderConfig) -> None:
        self.norm = Norm(config, (2 * config.width,))
        self.attention = AttentionParts(replace(config, width=2 * config.width))
        self.attention.output = Linear(config.heads * config.head_width, config.width, bias=False)
        self.mlp_norm, self.mlp = Norm(config, (config.width,)), MLP(config)

    def __call__(self, x: jax.Array, inputs: LayerInputs, adapters: BlockAdapters) -> jax.Array:
        """Map [row, position, width] to the same."""
        read = self.norm(jnp.concatenate([x, inputs.kept[FIRST_STATES]], -1))
        mlp, attended = self.mlp, self.attention.output(self._attended(read, inputs, adapters))
        normed = self.mlp_norm(attended)
        assert mlp.gate is not None
        inside = adapters.inside_down(normed)
        return mlp.from_inside(mlp.gate(normed) + adapters.gate(inside), mlp.up(normed) + adapters.up(inside))

    def _attended(self, x: jax.Array, inputs: LayerInputs, adapters: BlockAdapters) -> jax.Array:
        attention = self.attention
        assert attention.value is not None
        parts = ((attention.query, adapters.query), (attention.key, adapters.key), (attention.value, adapters.value))
        q, k, v = (shared(x) if adapter is None else shared(x) + adapter(x) for shared, adapter in parts)
        return attention.mixed_by(q, *attention.placed_keys(k, v, inputs), inputs)


class SharedBlockMamba2Mixer(nnx.Module):
    """A Mamba 2 to whose input a shared block adds; it is given hidden states that are not normed.

    Parameters
    ----------
    config
        The decoder; `SharedBlock` and `inference.decoder.mixer_settings.Mamba2` are among its parts.
    """

    between_positions = "state"
    reads_first_states = True
    shared_part = TransformerBlock

    def __init__(self, config: DecoderConfig) -> None:
        self.adapters = BlockAdapters(config)
        self.linear = Linear(config.width, config.width, bias=False)
        self.norm, self.mamba2 = Norm(config, (config.width,)), Mamba2Mixer(config)

    def __call__(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Mix [row, position, width]."""
        block = inputs.shared(x, inputs, self.adapters)
        return self.mamba2(self.norm(x + self.linear(block).astype(jnp.float32)), inputs)
