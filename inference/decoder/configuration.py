"""What a decoder is made of: one frozen, checked description for every family."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Literal, get_args

from bayeslaw.errors import InputError
from inference.decoder.layer_plan import BlockKind, LayerRun, plan_layers
from inference.decoder.rope_settings import Rope
from inference.decoder.setting_checks import check_finite, refuse_setting

NormKind = Literal["rms", "layer"]
Placement = Literal["pre", "sandwich", "branch", "post", "shared"]
Residual = Literal["sequential", "parallel", "parallel_shared"]
QueryKeyNorm = Literal["none", "head", "per_head", "flat", "rotated"]
Position = Literal["rope", "learned", "sinusoidal", "alibi", "none"]
Activation = Literal["silu", "relu", "squared_relu", "gelu", "gelu_tanh", "gelu_sigmoid", "xielu"]

# Positions are 32-bit numbers.
MOST_POSITIONS = (1 << 31) - 1
ENUMERATIONS = {
    "norm": NormKind,
    "placement": Placement,
    "residual": Residual,
    "query_key_norm": QueryKeyNorm,
    "position": Position,
    "activation": Activation,
}
SIZES = ("vocabulary", "width", "depth", "heads", "key_value_heads", "head_width", "mlp_width")


@dataclass(frozen=True)
class DecoderConfig:
    """A decoder-only transformer.

    Attributes
    ----------
    vocabulary, width, depth, heads, key_value_heads, head_width, mlp_width
        Sizes: rows of the embedding, width of the residual stream, blocks, query heads, key and value heads, dimensions
        of a head, width inside the MLP.
    norm, norm_epsilon, norm_offset, norm_weight, norm_bias
        Root-mean-square or layer norm; what is added to the variance; what is added to the stored weight (some families
        store weight minus one); whether there is a weight, and a bias.
    bare_layers
        Numbers of layers, from 0, whose mixer is given hidden states that are not normed.
    output_biased_layers
        Numbers of layers, from 0, whose mixer's output has a bias where `output_bias` says that others have none.
    residual_weights
        Whether what a branch adds to is multiplied by a weight of each dimension.
    placement
        Of the norms of a block: before each branch; before and after (``"sandwich"``); on the branch's output only
        (``"branch"``); after the residual addition (``"post"``); before each branch and of what it is added to
        (``"shared"``).
    residual
        Attention then MLP; both from the same input with a norm each (``"parallel"``) or one for both
        (``"parallel_shared"``).
    query_key_norm, query_key_norm_bias, query_key_norm_late
        Norm on queries and keys: one weight for all heads, one per head, over all heads at once (``"flat"``, before
        they are split), or without weights and after the rotation, in layers that have one (``"rotated"``); whether it
        has a bias; whether it comes after the rotation by positions rather than before.
    value_norm, values_from_keys
        Whether values have a norm of each head, without weight; whether they are the keys as these were before their
        norm and rotation.
    activation, gated, activation_sparsity
        Of the MLP; gated: activation(gate) * up; which share of the gates is closed before the activation, as if they
        were normally distributed.
    query_bias, key_value_bias, output_bias, mlp_bias, head_bias
        Which linear maps have a bias.
    tied
        Whether the output head is the embedding.
    position, max_length, position_offset, sinusoid_steps
        Kind of position; most input positions, 0 where unbounded; first row used of learned or sinusoidal positions; in
        how many equal steps of its logarithm the period of sinusoids grows from 2 pi to 10,000 times that.
    ropes, rope_interleaved, layer_rope
        Rotary embeddings; whether neighbouring dimensions are paired rather than halves; which of them each layer uses,
        -1 for none.
    layer_window
        How many positions each layer attends to, its own included; 0 for all.
    attention_scale, inverse_layer_scale
        Factor on attention scores, None for 1 / sqrt(head_width); whether layer i (from 0) divides it by i + 1.
    attention_sinks
        Whether each head has a learnt score beside those of the keys, which takes a share of its attention and adds no
        value.
    value_bias
        Whether scores of keys have a bias that is read from their values.
    attention_softcap, logit_softcap
        Bounds c of ``c tanh(x / c)`` on attention scores and on logits.
    logit_scale, embedding_scale, residual_scale
        Factors on logits, embeddings and on what each branch adds.
    qkv_clip
        Bound on queries, keys and values.
    embedding_norm, embedding_width
        Whether embeddings are normed; their width where projections lead in and out of the blocks, else 0.
    final_norm
        Whether hidden states are normed before the head.
    layer_mixer, layer_feed_forward
        Kind of the mixer and of the feed-forward part of each layer, names in `inference.decoder.mixers.MIXERS` and
        `inference.decoder.feed_forwards.FEED_FORWARDS` or ``"none"``; empty for attention and an MLP in all.
    mixer_placement
        Kinds of mixers and the placement of norms in their blocks, where that is another.
    layer_memory
        Number of what each layer's mixer hands on to later layers beside hidden states, or reads of an earlier one, by
        its kind; -1 for none. Empty for none in all.
    layer_settings
        Fields, and their values, in which each layer differs from what is said here; empty for none. Where rotary
        embeddings differ in width, every layer gives its ``rotated_width``, or its ``head_width`` if all is rotated.
    rotated_width
        How many of a head's dimensions are rotated; 0 for as many as the widest rotary embedding has.
    layer_scaled
        Whether a stored number of each layer multiplies what it gives.
    parts
        What one kind alone needs: a frozen, checked dataclass of that kind each.
    alibi_scaled, alibi_rounded
        Whether the linear bias on attention scores is multiplied by the attention scale as well; whether it is rounded
        to bfloat16.
    """

    vocabulary: int
    width: int
    depth: int
    heads: int
    key_value_heads: int
    head_width: int
    mlp_width: int
    norm: NormKind = "rms"
    norm_epsilon: float = 1e-6
    norm_offset: float = 0.0
    norm_weight: bool = True
    norm_bias: bool = False
    bare_layers: tuple[int, ...] = ()
    output_biased_layers: tuple[int, ...] = ()
    residual_weights: bool = False
    placement: Placement = "pre"
    residual: Residual = "sequential"
    query_key_norm: QueryKeyNorm = "none"
    query_key_norm_bias: bool = False
    query_key_norm_late: bool = False
    value_norm: bool = False
    values_from_keys: bool = False
    activation: Activation = "silu"
    gated: bool = True
    activation_sparsity: float = 0.0
    query_bias: bool = False
    key_value_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    head_bias: bool = False
    tied: bool = False
    position: Position = "rope"
    max_length: int = 0
    position_offset: int = 0
    sinusoid_steps: int = 0
    ropes: tuple[Rope, ...] = ()
    rope_interleaved: bool = False
    layer_rope: tuple[int, ...] = ()
    layer_window: tuple[int, ...] = ()
    attention_scale: float | None = None
    inverse_layer_scale: bool = False
    attention_sinks: bool = False
    value_bias: bool = False
    attention_softcap: float | None = None
    logit_softcap: float | None = None
    logit_scale: float = 1.0
    embedding_scale: float = 1.0
    residual_scale: float = 1.0
    qkv_clip: float | None = None
    embedding_norm: bool = False
    embedding_width: int = 0
    final_norm: bool = True
    alibi_scaled: bool = False
    alibi_rounded: bool = False
    layer_mixer: tuple[str, ...] = ()
    layer_feed_forward: tuple[str, ...] = ()
    mixer_placement: tuple[tuple[str, Placement], ...] = ()
    layer_memory: tuple[int, ...] = ()
    layer_settings: tuple[tuple[tuple[str, Any], ...], ...] = ()
    rotated_width: int = 0
    layer_scaled: bool = False
    parts: tuple[object, ...] = ()

    def __post_init__(self) -> None:
        check_finite(self)
        for name in SIZES:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise refuse_setting(name.replace("_", " "), value, "a whole number of at least 1")
        for name, kind in ENUMERATIONS.items():
            if getattr(self, name) not in get_args(kind):
                raise refuse_setting(name.replace("_", " "), getattr(self, name), f"one of {', '.join(get_args(kind))}")
        if self.heads % self.key_value_heads:
            problem = f"{self.heads} heads cannot share {self.key_value_heads} key and value heads evenly"
            raise InputError(problem, "a multiple of the key and value heads", "correct config.json")
        if not self.norm_epsilon > 0:
            raise refuse_setting("the norm's epsilon", self.norm_epsilon, "a number above 0")
        if self.query_key_norm_late and self.query_key_norm not in ("head", "per_head"):
            raise refuse_setting("the late norm of queries and keys", self.query_key_norm, "head or per_head")
        if self.residual != "sequential" and (self.placement in ("post", "shared") or self.residual_weights):
            what = "a block with weights on it" if self.residual_weights else f"a block with {self.placement} norms"
            raise refuse_setting(f"the residual of {what}", self.residual, "sequential")
        for name in ("bare_layers", "output_biased_layers"):
            if any(not 0 <= layer < self.depth for layer in getattr(self, name)):
                raise refuse_setting(name.replace("_", " "), getattr(self, name), f"numbers from 0 to {self.depth - 1}")
        self._check_scalars()
        self._check_positions()

    def _check_scalars(self) -> None:
        for name in ("attention_softcap", "logit_softcap", "qkv_clip", "attention_scale"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise refuse_setting(name.replace("_", " "), value, "a number above 0, or none")
        if not 0 <= self.max_length <= MOST_POSITIONS:
            raise refuse_setting("max length", self.max_length, f"a whole number up to {MOST_POSITIONS:,}")
        for name in ("logit_scale", "embedding_scale", "residual_scale"):
            if not getattr(self, name) > 0:
                raise refuse_setting(name.replace("_", " "), getattr(self, name), "a number above 0")

    def _check_positions(self) -> None:
        if self.position == "learned" and self.max_length < 1:
            raise refuse_setting("the number of learned positions", self.max_length, "1 or more")
        if (self.position == "sinusoidal") != (self.sinusoid_steps > 0):
            wanted = "1 or more" if self.position == "sinusoidal" else f"0 for {self.position} positions"
            raise refuse_setting("the number of sinusoid steps", self.sinusoid_steps, wanted)
        if (self.position == "rope") != bool(self.ropes):
            raise refuse_setting(
                "ropes", self.ropes, f"{'some' if self.position == 'rope' else 'none'} for {self.position}"
            )
        self._check_rotated_widths()
        for name in ("layer_mixer", "layer_feed_forward", "layer_memory", "layer_settings"):
            if (kinds := getattr(self, name)) and len(kinds) != self.depth:
                raise refuse_setting(name.replace("_", " "), kinds, f"one kind for each of {self.depth} layers")
        for name, lowest, highest in (("layer_rope", -1, len(self.ropes) - 1), ("layer_window", 0, MOST_POSITIONS)):
            values = getattr(self, name)
            if values and len(values) != self.depth:
                raise refuse_setting(name.replace("_", " "), values, f"one number for each of {self.depth} layers")
            if values and (min(values) < lowest or max(values) > highest):
                raise refuse_setting(name.replace("_", " "), values, f"numbers from {lowest} to {highest}")

    def _check_rotated_widths(self) -> None:
        widths = tuple(rope.width for rope in self.ropes)
        stated = [dict(settings) for settings in self.layer_settings]
        heads = [settings.get("head_width", self.head_width) for settings in stated]
        rotated = [settings.get("rotated_width", settings.get("head_width")) for settings in stated]
        if max(widths, default=0) > max([self.head_width, *heads]):
            raise refuse_setting("the rotated dimensions", widths, f"one number of at most {self.head_width}")
        if len({*widths}) > 1 and [widths[rope] for rope in self.layer_rope] != rotated:
            accepted = "one number, or the whole head width of each layer, or the rotated width that it states"
            raise refuse_setting("the rotated dimensions", widths, accepted)

    @property
    def scale(self) -> float:
        """Factor on attention scores."""
        return self.head_width**-0.5 if self.attention_scale is None else self.attention_scale

    @property
    def heads_per_group(self) -> int:
        """Query heads that share a key and value head."""
        return self.heads // self.key_value_heads

    @cached_property
    def layer_plan(self) -> tuple[LayerRun, ...]:
        """Runs of layers that are stacked and compiled once."""
        mixers: Sequence[str] = self.layer_mixer or ("attention",) * self.depth
        feed_forwards: Sequence[str] = self.layer_feed_forward or ("mlp",) * self.depth
        special = [(layer in self.bare_layers, layer in self.output_biased_layers) for layer in range(self.depth)]
        memories = self.layer_memory or (-1,) * self.depth
        settings = self.layer_settings or ((),) * self.depth
        kinds = zip(mixers, feed_forwards, special, memories, settings, strict=True)
        return plan_layers(
            [BlockKind(mixer, feed, *special, memory, changed) for mixer, feed, special, memory, changed in kinds]
        )

    def of_kind(self, kind: BlockKind) -> "DecoderConfig":
        """Return the configuration of the blocks of one kind."""
        changed = {
            "output_bias": self.output_bias or kind.output_biased,
            "placement": dict(self.mixer_placement).get(kind.mixer, self.placement),
        }
        return replace(self, **changed | dict(kind.settings))

    def part[Part](self, kind: type[Part]) -> Part:
        """Return the settings of one kind of part.

        Parameters
        ----------
        kind
            Their class.

        Returns
        -------
        object
            The first of that class in `parts`.

        Raises
        ------
        InputError
            If there is none.
        """
        found = self.optional_part(kind)
        if found is None:
            problem = f"the decoder has layers that need {kind.__name__}, and its parts are {self.parts!r}"
            raise InputError(problem, f"one {kind.__name__} among them", "give it in parts")
        return found

    def optional_part[Part](self, kind: type[Part]) -> Part | None:
        """Return the settings of one kind of part, or None where there are none."""
        return next((part for part in self.parts if isinstance(part, kind)), None)

    def as_dict(self) -> dict[str, object]:
        """Return what differs from the defaults, for a manifest."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name)) != field.default}
