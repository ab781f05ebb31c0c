"""What each layer is given beside hidden states: rotary tables, window, bias of keys, scale of scores."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from inference.decoder.attention_chunks import AttentionChunks
from inference.decoder.causal_attention import alibi_bias
from inference.decoder.configuration import DecoderConfig
from inference.decoder.layers import LayerInputs
from inference.decoder.rope import rotation_tables


def layer_inputs(
    config: DecoderConfig, lengths: jax.Array, length: int, *, positions: jax.Array | None = None
) -> Callable[[jax.Array], LayerInputs]:
    """Make what the layers of a decoder are given for a batch.

    Parameters
    ----------
    config
        The decoder.
    lengths
        Number of ids of each row that are text, [row], or of the text that each position belongs to, [row, position].
    length
        Number of positions.
    positions
        Number of each position within its text, from 0, [row, position], where rows hold several texts; None where each
        begins with its row. No text sees another.

    Returns
    -------
    Callable
        From the number of a layer, from 0, to what it is given.
    """
    cosines = sines = key_bias = None
    if config.position == "rope":
        unrotated = -1 in config.layer_rope
        cosines, sines = rotation_tables(config.ropes, length, lengths, unrotated=unrotated, positions=positions)
    if config.position == "alibi":
        bias = alibi_bias(config.heads, length, rounded=config.alibi_rounded)
        shape = (config.key_value_heads, config.heads_per_group, length)
        key_bias = jnp.asarray(bias.reshape(shape) * np.float32(config.scale if config.alibi_scaled else 1.0))
        key_bias = key_bias if positions is None else jnp.moveaxis(key_bias[..., positions], 2, 0)
    windows, ropes, scales = _layer_numbers(config, length)
    chunks, rotated = _layer_chunks(config, length), jnp.asarray(config.layer_rope or (0,) * config.depth) >= 0
    places = jnp.arange(length)[None] if positions is None else positions

    def of_layer(layer: jax.Array) -> LayerInputs:
        turns = (None, None) if cosines is None or sines is None else (cosines[ropes[layer]], sines[ropes[layer]])
        window = windows[layer]
        if chunks is not None:
            window = jnp.minimum(window, places % chunks[layer] + 1)
        # A text sees no further back than to its beginning.
        window = window if positions is None else jnp.minimum(window, positions + 1)
        return LayerInputs(*turns, window, key_bias, scales[layer], layer, rotated[layer], positions)

    return of_layer


def _layer_numbers(config: DecoderConfig, length: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return each layer's window, rotary table and attention scale."""
    windows = np.asarray(config.layer_window or (0,) * config.depth)
    # The last table is the one that rotates nothing, which is what -1 names.
    ropes = np.asarray(config.layer_rope or (0,) * config.depth) % (len(config.ropes) + (-1 in config.layer_rope) or 1)
    scales = np.full(config.depth, config.scale, np.float32)
    if config.inverse_layer_scale:
        scales /= np.arange(1, config.depth + 1, dtype=np.float32)
    return jnp.asarray(np.where(windows == 0, length, windows)), jnp.asarray(ropes), jnp.asarray(scales)


def _layer_chunks(config: DecoderConfig, length: int) -> jax.Array | None:
    """Return the chunk that each layer attends within, the whole text where it has none."""
    part = config.optional_part(AttentionChunks)
    if part is None:
        return None
    return jnp.asarray(np.where(part.layers or (True,) * config.depth, min(part.size, length), length))
