"""Routed experts, with or without an MLP that every token goes through beside them."""

import jax
import jax.numpy as jnp
from flax import nnx

from inference.decoder.configuration import DecoderConfig
from inference.decoder.expert_settings import Experts
from inference.decoder.feed_forwards.expert_products import APPLY, APPLY_ELSEWHERE, Multiply, StackedWeight
from inference.decoder.feed_forwards.mlp import MLP
from inference.decoder.feed_forwards.routing import assign, route
from inference.decoder.layers import ACTIVATIONS, Linear, Norm


class StackedLinear(nnx.Module):
    """The same linear map of every expert.

    Parameters
    ----------
    inputs, outputs
        Widths.
    experts
        How many there are, how many of them a token goes through, and whether they have biases.
    """

    def __init__(self, inputs: int, outputs: int, *, experts: Experts) -> None:
        # What of the parameters takes part in a token, for `inference.decoder.parameter_totals`.
        chosen = min(experts.chosen, experts.count), experts.count
        self.weight = nnx.Param(jnp.zeros((experts.count, outputs, inputs)), chosen=chosen)
        self.bias = nnx.Param(jnp.zeros((experts.count, outputs)), chosen=chosen) if experts.bias else None

    def stacked(self) -> StackedWeight:
        """Return the arrays."""
        return StackedWeight(self.weight[...], None if self.bias is None else self.bias[...])


class RoutedExperts(nnx.Module):
    """Small MLPs of which every token goes through a few, weighted by a router.

    Parameters
    ----------
    config
        The decoder, with an `inference.decoder.expert_settings.Experts` among its parts.
    """

    def __init__(self, config: DecoderConfig) -> None:
        self.experts = experts = config.part(Experts)
        self.activation, width = config.activation, config.width
        choices = experts.count + experts.identities
        self.router = Linear(width, choices, bias=experts.router_bias)
        self.correction = nnx.Param(jnp.zeros(choices)) if experts.corrected else None
        self.gate = StackedLinear(width, experts.width, experts=experts) if config.gated else None
        self.up = StackedLinear(width, experts.width, experts=experts)
        self.down = StackedLinear(experts.width, width, experts=experts)
        self.sum_bias = nnx.Param(jnp.zeros(width)) if experts.sum_bias else None
        self.shared = MLP(config, experts.shared_width) if experts.shared_width else None
        self.shared_gate = Linear(width, 1, bias=False) if experts.shared_gated else None
        self.output_norm = Norm(config, (width,)) if experts.output_norm else None

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map [row, position, width] to the same, float32."""
        tokens = x.reshape(-1, x.shape[-1])
        y = self.mixed(tokens, *self.chosen(tokens)).reshape(x.shape)
        y = y if self.shared is None else y + self._shared(x, self.shared)
        return y if self.output_norm is None else self.output_norm(y)

    def chosen(self, tokens: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return numbers and shares of each token's experts, [token, chosen], of hidden states [token, width]."""
        correction = None if self.correction is None else self.correction[...].astype(jnp.float32)
        return route(self._logits(tokens), self.experts, correction)

    def mixed(self, tokens: jax.Array, numbers: jax.Array, shares: jax.Array) -> jax.Array:
        """Return what experts add to tokens [token, width], float32, by their numbers and shares [token, chosen]."""
        maps = {"gate": self.gate, "up": self.up, "down": self.down}
        weights = {name: one.stacked() for name, one in maps.items() if one is not None}
        apply = APPLY.get(jax.default_backend(), APPLY_ELSEWHERE)
        kind = weights["up"].weight.dtype
        mixed = apply(tokens.astype(kind), assign(numbers, shares, self.experts.count), weights, self._expert)
        if self.experts.identities:
            mixed = mixed + jnp.where(numbers < self.experts.count, 0, shares).sum(-1, keepdims=True) * tokens
        return mixed if self.sum_bias is None else mixed + self.sum_bias[...].astype(jnp.float32)

    def _logits(self, tokens: jax.Array) -> jax.Array:
        """Return the router's logits in float32, whatever the type of the weights: rounding them would move choices."""
        weight, bias = self.router.weight[...], self.router.bias
        y = jnp.matmul(tokens, weight.astype(jnp.float32).T)
        return y if bias is None else y + bias[...].astype(jnp.float32)

    def _expert(self, x: jax.Array, shares: jax.Array, multiply: Multiply) -> jax.Array:
        if self.experts.input_scaled:
            return multiply("down", self._inner(shares[:, None] * x.astype(jnp.float32), multiply)).astype(jnp.float32)
        return shares[:, None] * multiply("down", self._inner(x, multiply)).astype(jnp.float32)

    def _inner(self, x: jax.Array, multiply: Multiply) -> jax.Array:
        activation, up = ACTIVATIONS[self.activation], multiply("up", x).astype(jnp.float32)
        if self.gate is None:
            return activation(up)
        gate, bound = multiply("gate", x).astype(jnp.float32), self.experts.gate_bound
        if bound is None:
            return activation(gate) * up
        gate = jnp.minimum(gate, bound)
        return gate * jax.nn.sigmoid(self.experts.gate_slope * gate) * (jnp.clip(up, -bound, bound) + 1)

    def _shared(self, x: jax.Array, shared: MLP) -> jax.Array:
        y = self.experts.shared_scale * shared(x).astype(jnp.float32)
        return y if self.shared_gate is None else jax.nn.sigmoid(self.shared_gate(x).astype(jnp.float32)) * y
