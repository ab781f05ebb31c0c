"""A block: a mixer and a feed-forward part with their norms and residual additions, and what families add to them."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bayeslaw.errors import check_choice
from inference.decoder.alternating_updates import StreamUpdates
from inference.decoder.configuration import DecoderConfig
from inference.decoder.feed_forwards import FEED_FORWARDS
from inference.decoder.halving import Halving
from inference.decoder.handed_on import EMBEDDINGS, Handed, memory_name
from inference.decoder.layer_embeddings import LayerGate
from inference.decoder.layer_plan import BlockKind
from inference.decoder.layers import FIRST_STATES, LayerInputs, Norm
from inference.decoder.low_rank_residual import LowRankBranch
from inference.decoder.mixers import MIXERS
from inference.decoder.residual_factors import ResidualFactors
from inference.decoder.setting_checks import refuse_setting
from inference.decoder.stream_settings import AlternatingUpdates, LayerEmbeddings, LowRankResidual

NONE = "none"
HALF_POWER = 2**-0.5
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
        self.config = config = config.of_kind(kind)
        self.mixer, self.feed_forward, self.memory = kind.mixer, kind.feed_forward, kind.memory
        self.halving = config.optional_part(Halving)
        self._add("mixer", kind.mixer, MIXERS)
        self._add("feed-forward part", kind.feed_forward, FEED_FORWARDS)
        before, after = config.placement != "branch", config.placement in ("sandwich", "branch")
        mixes, feeds = kind.mixer != NONE, kind.feed_forward != NONE

        def norm(wanted: bool) -> Norm | None:
            return Norm(config, (config.width,)) if wanted else None

        self.attention_norm = norm(before and mixes and not kind.bare)
        normed_inside = getattr(FEED_FORWARDS.get(kind.feed_forward), "normed_inside", False)
        self.mlp_norm = norm(before and feeds and config.residual != "parallel_shared" and not normed_inside)
        self.attention_output_norm = norm(after and mixes)
        self.mlp_output_norm = norm(after and feeds)
        self.residual_factors = config.optional_part(ResidualFactors) or ResidualFactors()
        self.attention_residual = Weights(config.width) if config.residual_weights and mixes else None
        self.mlp_residual = Weights(config.width) if config.residual_weights and feeds else None
        self._add_what_families_have()
        self._check_residual()

    def _add_what_families_have(self) -> None:
        config = self.config
        self.low_rank = LowRankBranch(config) if config.optional_part(LowRankResidual) else None
        self.updates = StreamUpdates(config) if config.optional_part(AlternatingUpdates) else None
        self.embedding = LayerGate(config) if config.optional_part(LayerEmbeddings) else None
        self.layer_scale = Weights(1) if config.layer_scaled else None

    def _check_residual(self) -> None:
        """Refuse what the residual additions of these blocks would pass over."""
        config, sequential = self.config, self.config.residual == "sequential"
        if self.residual_factors != ResidualFactors() and (config.placement == "post" or not sequential):
            raise refuse_setting("factors on residual additions", self.residual_factors, "none in blocks such as these")
        if self.low_rank is not None and (config.placement in ("post", "shared") or not sequential):
            raise refuse_setting("placement beside a map of low rank", config.placement, "sequential branches")
        if config.residual_scale != 1 and config.placement == "shared":
            raise refuse_setting("the scale of residual additions", config.residual_scale, "1 where norms are shared")

    def _add(self, what: str, name: str, table: Mapping[str, Any]) -> None:
        if check_choice(what, name, (*table, NONE)) != NONE:
            setattr(self, name, table[name](self.config))

    def __call__(self, handed: Handed, inputs: LayerInputs) -> Handed:
        """Transform what the block before hands on; the hidden states are float32."""
        read = self._memory(handed.beside)
        if read:
            inputs = inputs._replace(kept=read)
        before = handed if self.updates is None else self.updates.predicted(handed)
        x, kept = self._branches(before.x, inputs)
        after = Handed(x, before.beside) if self.updates is None else self.updates.corrected(before, x)
        if self.embedding is not None:
            gating = after.x if self.updates is None else self.updates.gating(after)
            change = self.embedding(gating, after.beside[EMBEDDINGS], inputs.layer)
            after = after._replace(x=after.x + change) if self.updates is None else self.updates.added(after, change)
        return Handed(_through(self.layer_scale, after.x), {**after.beside, **kept})

    def _memory(self, beside: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        """Return what the mixer reads of an earlier one, and of what the first block was given."""
        mixer = MIXERS.get(self.mixer)
        declared = getattr(mixer, "read_widths", None)
        parts = () if declared is None else declared(self.config)
        first = (FIRST_STATES,) if getattr(mixer, "reads_first_states", False) else ()
        return {name: beside[name] for name in first} | {part: beside[memory_name(part, self.memory)] for part in parts}

    def _branches(self, x: jax.Array, inputs: LayerInputs) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Add both branches to hidden states; return what the mixer hands on as well."""
        scale, (mixes, feeds) = self.config.residual_scale, self._factors(inputs)
        if self.config.placement == "post":
            mixed, kept = self._mix(x, inputs)
            x = _through(self.attention_norm, x + scale * mixed)
            return _through(self.mlp_norm, x + scale * self._feed(x)), kept
        normed = _through(self.attention_norm, self._seen(x, inputs))
        mixed, kept = self._mix(normed, inputs)
        mixed = _through(self.attention_output_norm, mixed)
        if self.config.placement == "shared":
            x = _through(self.mlp_norm, mixes[0] * normed + mixes[1] * mixed)
            return feeds[0] * x + feeds[1] * self._feed(x), kept
        if self.config.residual == "sequential":
            x = mixes[0] * _through(self.attention_residual, x) + mixes[1] * scale * mixed
            x = x if self.low_rank is None else (x + self.low_rank(normed)) * HALF_POWER
            changed = _through(self.mlp_output_norm, self._feed(_through(self.mlp_norm, self._seen(x, inputs))))
            return feeds[0] * _through(self.mlp_residual, x) + feeds[1] * scale * changed, kept
        shared = self.config.residual == "parallel_shared"
        changed = self._feed(normed if shared else _through(self.mlp_norm, self._seen(x, inputs)))
        return x + scale * (mixed + _through(self.mlp_output_norm, changed)), kept

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

    def _mix(self, x: jax.Array, inputs: LayerInputs) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return what the mixer adds, float32, and what it hands on."""
        if self.mixer == NONE:
            return jnp.zeros_like(x), {}
        found = getattr(self, self.mixer)(x, inputs)
        if not hasattr(MIXERS[self.mixer], "kept_widths"):
            return found.astype(jnp.float32), {}
        mixed, kept = found
        return mixed.astype(jnp.float32), {memory_name(part, self.memory): array for part, array in kept.items()}

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
