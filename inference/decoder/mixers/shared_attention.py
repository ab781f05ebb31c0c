"""Attention whose keys and values serve later layers too, and attention to those of an earlier layer."""

import jax
import jax.numpy as jnp

from inference.decoder.configuration import DecoderConfig
from inference.decoder.layers import LayerInputs
from inference.decoder.mixers.attention import Attention, AttentionParts

KEYS, VALUES = "keys", "values"


def _widths(config: DecoderConfig) -> dict[str, int]:
    """Return the widths of keys and of values of one layer, by the name of either."""
    return dict.fromkeys((KEYS, VALUES), config.key_value_heads * config.head_width)


class KeptAttention(AttentionParts):
    """Attention that hands its keys and values on.

    Parameters
    ----------
    config
        The decoder.
    """

    kept_widths = staticmethod(_widths)

    def __call__(self, x: jax.Array, inputs: LayerInputs) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Attend: [row, position, width] to the same, and keys and values [row, position, width of all], float32."""
        k, v = self.keys_and_values(x, inputs)
        kept = {name: one.reshape(*x.shape[:2], -1).astype(jnp.float32) for name, one in ((KEYS, k), (VALUES, v))}
        return self.output(self.mixed(x, k, v, inputs)), kept


class ReusedAttention(Attention):
    """Attention to the keys and values of an earlier layer, which are rotated already (Brandon et al., 2024).

    Parameters
    ----------
    config
        The decoder.
    """

    read_widths = staticmethod(_widths)

    def _add_keys(self) -> None:
        """Make nothing: there are keys and values."""

    def keys_and_values(self, x: jax.Array, inputs: LayerInputs) -> tuple[jax.Array, jax.Array]:
        """Return what is attended to, [row, position, group, width of a head] both, in the type of the weights."""
        kind, shape = self.query.weight[...].dtype, (*x.shape[:2], self.config.key_value_heads, self.config.head_width)
        k, v = (inputs.kept[name].astype(kind).reshape(shape) for name in (KEYS, VALUES))
        return k, v
