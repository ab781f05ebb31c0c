"""A whole layer of LongCat-Flash: two attentions and two MLPs in turn, and experts beside the second half."""

import jax
import jax.numpy as jnp
from flax import nnx

from inference.decoder.configuration import DecoderConfig
from inference.decoder.feed_forwards.experts import RoutedExperts
from inference.decoder.feed_forwards.mlp import MLP
from inference.decoder.layers import LayerInputs, Norm
from inference.decoder.mixers.latent_attention import LatentAttentionMixer


class ShortcutMixer(nnx.Module):
    """Two blocks of latent attention and an MLP, of which the first one's MLP has experts that read what it reads.

    What experts give is added behind the second block (LongCat team, LongCat-Flash, 2025, section 2.1.2), so that the
    layer is one part: it is given hidden states that are not normed, and has no feed-forward part behind it.

    Parameters
    ----------
    config
        The decoder, with what latent attention and experts need among its parts.
    """

    between_positions = "window"

    def __init__(self, config: DecoderConfig) -> None:
        self.first_attention, self.second_attention = LatentAttentionMixer(config), LatentAttentionMixer(config)
        self.first_mlp, self.second_mlp = MLP(config), MLP(config)
        self.experts = RoutedExperts(config)
        self.first_attention_norm, self.second_attention_norm, self.first_mlp_norm, self.second_mlp_norm = (
            Norm(config, (config.width,)) for _ in range(4)
        )

    def __call__(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Return what the layer adds to [row, position, width], float32."""
        added = self.first_attention(self.first_attention_norm(x), inputs).astype(jnp.float32)
        normed = self.first_mlp_norm(x + added)
        routed = self.experts(normed)
        added = added + self.first_mlp(normed).astype(jnp.float32)
        added = added + self.second_attention(self.second_attention_norm(x + added), inputs).astype(jnp.float32)
        return added + self.second_mlp(self.second_mlp_norm(x + added)).astype(jnp.float32) + routed
