"""A block: a mixer and a feed-forward part with their norms and residual additions."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bayeslaw.errors import check_choice
from inference.decoder.configuration import DecoderConfig
from inference.decoder.feed_forwards import FEED_FORWARDS
from inference.decoder.halving import Halving
from inference.decoder.layer_plan import BlockKind
from inference.decoder.layers import LayerInputs, Norm
from inference.decoder.mixers import MIXERS
from inference.decoder.residual_factors import ResidualFactors

NONE = "none"
Factors = tuple[float | jax.Array, float | jax.Array]


class Block(nnx.Module):
    """A mixer and a feed-forward part, of which one may be none; the residual stream is float32.

    Parameters
    ----------
    config
        The decoder.
    kind
        Names of the two parts, ``"none"`` for none. Each is a module of its name in the block.
    """

    def __init__(self, config: DecoderConfig, kind: BlockKind) -> None:
        self.config = config = replace(
            config,
            output_bias=config.output_bias or kind.output_biased,
            placement=dict(config.mixer_placement).get(kind.mixer, config.placement),
        )
        self.mixer, self.feed_forward = kind.mixer, kind.feed_forward
        self.halving = next((part for part in config.parts if isinstance(part, Halving)), None)
        self._add("mixer", kind.mixer, MIXERS)
        self._add("feed-forward part", kind.feed_forward, FEED_FORWARDS)
        before, after = config.placement != "branch", config.placement in ("sandwich", "branch")
        mixes, feeds = kind.mixer != NONE, kind.feed_forward != NONE

        def norm(wanted: bool) -> Norm | None:
            return Norm(config, (config.width,)) if wanted else None

        self.attention_norm = norm(before and mixes and not kind.bare)
        self.mlp_norm = norm(before and feeds and config.residual != "parallel_shared")
        self.attention_output_norm = norm(after and mixes)
        self.mlp_output_norm = norm(after and feeds)
        stated = (part for part in config.parts if isinstance(part, ResidualFactors))
        self.residual_factors = next(stated, ResidualFactors())
        self.attention_residual = Weights(config.width) if config.residual_weights and mixes else None
        self.mlp_residual = Weights(config.width) if config.residual_weights and feeds else None

    def _add(self, what: str, name: str, table: Mapping[str, Any]) -> None:
        if check_choice(what, name, (*table, NONE)) != NONE:
            setattr(self, name, table[name](self.config))

    def __call__(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Transform hidden states [row, position, width], float32."""
        scale, (mixes, feeds) = self.config.residual_scale, self._factors(inputs)
        if self.config.placement == "post":
            x = _through(self.attention_norm, x + scale * self._mix(x, inputs))
            return _through(self.mlp_norm, x + scale * self._feed(x))
        normed = _through(self.attention_norm, self._seen(x, inputs))
        mixed = _through(self.attention_output_norm, self._mix(normed, inputs))
        if self.config.placement == "shared":
            x = _through(self.mlp_norm, mixes[0] * normed + mixes[1] * mixed)
            return feeds[0] * x + feeds[1] * self._feed(x)
        if self.config.residual == "sequential":
            x = mixes[0] * _through(self.attention_residual, x) + mixes[1] * scale * mixed
            changed = _through(self.mlp_output_norm, self._feed(_through(self.mlp_norm, self._seen(x, inputs))))
            return feeds[0] * _through(self.mlp_residual, x) + feeds[1] * scale * changed
        shared = self.config.residual == "parallel_shared"
        changed = self._feed(normed if shared else _through(self.mlp_norm, self._seen(x, inputs)))
        return x + scale * (mixed + _through(self.mlp_output_norm, changed))

    def _factors(self, inputs: LayerInputs) -> tuple[Factors, Factors]:
        """Return the factors on what the mixer and the feed-forward part add to, and on what they add."""
        found = self.residual_factors
        if not found.by_depth:
            return dict(found.mixers).get(self.mixer, (1.0, 1.0)), found.feed_forward
        before = 2 * jnp.asarray(inputs.layer, jnp.float32) + 1
        of_mixer, of_feed = ((jnp.sqrt(n / (n + 1)), jax.lax.rsqrt(n + 1)) for n in (before, before + 1))
        return of_mixer, of_feed

    def _seen(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Return what norms before the parts are given of the residual stream."""
        return x if self.halving is None else self.halving.after(x, inputs.layer)

    def _mix(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Return what the mixer adds, float32."""
        return getattr(self, self.mixer)(x, inputs).astype(jnp.float32) if self.mixer != NONE else jnp.zeros_like(x)

    def _feed(self, x: jax.Array) -> jax.Array:
        """Return what the feed-forward part adds, float32."""
        if self.feed_forward == NONE:
            return jnp.zeros_like(x)
        return getattr(self, self.feed_forward)(x).astype(jnp.float32)


class Weights(nnx.Module):
    """A weight of each dimension, on hidden states that a branch adds to.

    Parameters
    ----------
    width
        How many.
    """

    def __init__(self, width: int) -> None:
        self.weight = nnx.Param(jnp.zeros((width,)))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Multiply [..., width], float32."""
        return x * self.weight[...].astype(jnp.float32)


def _through(part: Norm | Weights | None, x: jax.Array) -> jax.Array:
    return x if part is None else part(x)
