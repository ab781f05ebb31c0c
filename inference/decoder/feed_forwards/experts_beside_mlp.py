"""Routed experts beside an MLP, each with its norms, whose router reads hidden states that are not normed otherwise."""

import jax
import jax.numpy as jnp
from flax import nnx

from inference.decoder.configuration import DecoderConfig
from inference.decoder.feed_forwards.experts import RoutedExperts
from inference.decoder.feed_forwards.mlp import MLP
from inference.decoder.layers import Norm


class ScaledChoice(RoutedExperts):
    """Experts whose router norms and scales what it reads, and whose shares have a stored factor each.

    Parameters
    ----------
    config
        The decoder, with an `inference.decoder.expert_settings.Experts` among its parts.
    """

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__(config)
        self.router_norm = Norm(config, (config.width,), bias=False, weight=False)
        self.router_scale = nnx.Param(jnp.zeros((config.width,)))
        self.share_scale = nnx.Param(jnp.zeros((self.experts.count,)))

    def chosen(self, tokens: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return numbers and shares of each token's experts, [token, chosen], of hidden states [token, width]."""
        scale = self.router_scale[...].astype(jnp.float32) * tokens.shape[-1] ** -0.5
        numbers, shares = super().chosen(self.router_norm(tokens) * scale)
        return numbers, shares * self.share_scale[...].astype(jnp.float32)[numbers]


class ExpertsBesideMLP(nnx.Module):
    """An MLP and routed experts that read the same hidden states.

    Parameters
    ----------
    config
        The decoder, with an `inference.decoder.expert_settings.Experts` among its parts.
    """

    normed_inside = True

    def __init__(self, config: DecoderConfig) -> None:
        def norm() -> Norm:
            return Norm(config, (config.width,))

        self.mlp_norm, self.mlp, self.mlp_output_norm = norm(), MLP(config), norm()
        self.experts_norm, self.experts, self.experts_output_norm = norm(), ScaledChoice(config), norm()

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map hidden states that are not normed, [row, position, width], to the same, float32."""
        normed = self.experts_norm(x).reshape(-1, x.shape[-1])
        mixed = self.experts.mixed(normed, *self.experts.chosen(x.reshape(-1, x.shape[-1]))).reshape(x.shape)
        return self.mlp_output_norm(self.mlp(self.mlp_norm(x))) + self.experts_output_norm(mixed)
