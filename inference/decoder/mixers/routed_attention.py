"""Attention whose queries and outputs are those of experts, of which every position has a few."""

import jax
import jax.numpy as jnp
from flax import nnx

from inference.decoder.causal_attention import attend
from inference.decoder.configuration import DecoderConfig
from inference.decoder.expert_settings import Experts
from inference.decoder.feed_forwards.expert_products import APPLY, APPLY_ELSEWHERE, Multiply
from inference.decoder.feed_forwards.experts import StackedLinear
from inference.decoder.feed_forwards.routing import Assignment, assign, route
from inference.decoder.layers import LayerInputs, Linear
from inference.decoder.rope import rotate
from inference.decoder.setting_checks import refuse_setting


class RoutedAttention(nnx.Module):
    """Mixture of attention heads (Zhang et al., 2022), as JetMoE has it (Shen et al., JetMoE, 2024, section 2.2).

    Every chosen expert makes a query of each key and value head, and maps what these attend to back; its share weights
    the result. Keys and values are those of all experts.

    Parameters
    ----------
    config
        The decoder, with an `inference.decoder.expert_settings.Experts` among its parts, whose numbers and scores these
        experts have too. It has as many heads as key and value heads times experts of a token.
    """

    between_positions = "window"

    def __init__(self, config: DecoderConfig) -> None:
        self.config, self.experts = config, config.part(Experts)
        if config.heads_per_group != self.experts.chosen:
            accepted = f"{self.experts.chosen} times {config.key_value_heads}, a query of each expert for each key"
            raise refuse_setting("the number of heads", config.heads, accepted)
        inner = config.key_value_heads * config.head_width
        self.router = Linear(config.width, self.experts.count, bias=False)
        self.query = StackedLinear(config.width, inner, experts=self.experts)
        self.key, self.value = (Linear(config.width, inner, bias=False) for _ in range(2))
        self.output = StackedLinear(inner, config.width, experts=self.experts)
        self.sum_bias = nnx.Param(jnp.zeros(config.width)) if self.experts.sum_bias else None

    def __call__(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Attend: [row, position, width] to the same, float32."""
        config, (rows, length, width) = self.config, x.shape
        groups, size, chosen = config.key_value_heads, config.head_width, config.heads_per_group
        tokens = x.reshape(-1, width)
        logits = jnp.matmul(tokens, self.router.weight[...].astype(jnp.float32).T)
        numbers, shares = route(logits, self.experts, None)
        # One entry for each position and expert of it, which keep apart until they are mapped back.
        entries = assign(numbers.reshape(-1, 1), shares.reshape(-1, 1), self.experts.count)
        q = self._mapped(self.query, jnp.repeat(tokens, chosen, 0), entries, groups * size)
        q = jnp.swapaxes(q.reshape(rows, length, chosen, groups, size), 2, 3)
        k, v = (one(x).reshape(rows, length, groups, size) for one in (self.key, self.value))
        kind = v.dtype
        q = self._rotated(q.reshape(rows, length, -1, size), inputs).reshape(q.shape)
        mixed = attend(
            q.astype(kind), self._rotated(k, inputs).astype(kind), v, scale=inputs.scale, window=inputs.window
        )
        mixed = jnp.swapaxes(mixed, 2, 3).reshape(-1, groups * size)
        y = self._mapped(self.output, mixed, entries, width) * shares.reshape(-1, 1)
        y = y.reshape(rows, length, chosen, width).sum(2)
        return y if self.sum_bias is None else y + self.sum_bias[...].astype(jnp.float32)

    def _mapped(self, part: StackedLinear, x: jax.Array, entries: Assignment, width: int) -> jax.Array:
        """Return the map of its expert of every entry, [entry, width], float32."""

        def expert(x: jax.Array, _: jax.Array, multiply: Multiply) -> jax.Array:
            return multiply("map", x).astype(jnp.float32)

        weights = {"map": part.stacked()}
        apply = APPLY.get(jax.default_backend(), APPLY_ELSEWHERE)
        return apply(x.astype(weights["map"].weight.dtype), entries, weights, expert, width)

    def _rotated(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        if inputs.cosines is None or inputs.sines is None:
            return x
        return rotate(x, inputs.cosines, inputs.sines, interleaved=self.config.rope_interleaved)
