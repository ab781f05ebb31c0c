"""What the Gemmas after the third set, as functions of a transformers configuration."""

from typing import Any

from bayeslaw.errors import InputError
from inference.decoder.configuration_reading import Settings, read_rope
from inference.decoder.expert_settings import Experts
from inference.decoder.stream_settings import AlternatingUpdates, LayerEmbeddings, LowRankResidual

WHOLE = ("default", "proportional")


def shared_keys(hf: Any) -> Settings:
    """Say which layers attend to the keys and values of an earlier one: the last of their type that has its own."""
    depth, kinds = hf.num_hidden_layers, list(hf.layer_types)
    first = depth - hf.num_kv_shared_layers
    last = {kind: layer for layer, kind in enumerate(kinds[: max(first, 0)])}
    if first < 1 or not set(kinds[first:]) <= set(last):
        problem = f"num_kv_shared_layers is {hf.num_kv_shared_layers} of {depth} layers of the types {kinds!r}"
        raise InputError(problem, "an earlier layer of its type for each of these", "correct config.json")
    # Memories are numbered in the order of the layers that make them.
    makers = sorted({last[kind] for kind in kinds[first:]})
    shares = [layer in makers or layer >= first for layer in range(depth)]
    memories = [makers.index(last[kind]) if share else -1 for kind, share in zip(kinds, shares, strict=True)]
    before = ["kept_attention" if layer in makers else "attention" for layer in range(first)]
    return {
        "layer_mixer": (*before, *("reused_attention",) * (depth - first)),
        "layer_memory": tuple(memories),
    }


def shared_layers(hf: Any) -> range:
    """Return the numbers of the layers that attend to the keys and values of an earlier one."""
    return range(hf.num_hidden_layers - hf.num_kv_shared_layers, hf.num_hidden_layers)


def gemma3n_parts(hf: Any) -> Settings:
    """Read what the blocks of a Gemma 3n have beside attention and an MLP."""
    return {
        "parts": (
            AlternatingUpdates(hf.altup_num_inputs, scaled=bool(hf.altup_correct_scale)),
            LayerEmbeddings(hf.vocab_size_per_layer_input, hf.hidden_size_per_layer_input),
            LowRankResidual(hf.laurel_rank),
        )
    }


def gemma3n_layers(hf: Any) -> Settings:
    """Read the width of each layer's MLP, and which share of its gates is closed."""
    widths, shares = hf.intermediate_size, hf.activation_sparsity_pattern
    by_layer = []
    for width, share in zip(widths, shares, strict=True):
        if not 0 <= share < 1:
            problem = f"activation_sparsity_pattern has {share!r}"
            raise InputError(problem, "numbers of at least 0 and below 1", "correct config.json")
        wide = (("mlp_width", width),) if width != widths[0] else ()
        by_layer.append((*wide, *((("activation_sparsity", float(share)),) if share else ())))
    return {"mlp_width": widths[0], "layer_settings": tuple(by_layer) if any(by_layer) else ()}


def gemma4_layers(hf: Any) -> Settings:
    """Read the heads and the MLP of each layer of a Gemma 4, and its rotary embeddings, which turn whole heads."""
    shared, by_layer, widths = shared_layers(hf), [], {}
    for layer, kind in enumerate(hf.layer_types):
        stated = hf.per_layer_config[layer]
        if widths.setdefault(kind, stated.head_dim) != stated.head_dim:
            problem = (
                f"per_layer_config has layers of the type {kind} with heads of {widths[kind]} and {stated.head_dim}"
            )
            raise InputError(problem, "heads of one width for each type of layer", "correct config.json")
        settings: Settings = {"head_width": stated.head_dim, "key_value_heads": stated.num_key_value_heads}
        if hf.attention_k_eq_v and kind == "full_attention":
            settings["values_from_keys"] = True
        if hf.use_double_wide_mlp and layer in shared:
            settings["mlp_width"] = 2 * hf.intermediate_size
        by_layer.append(tuple(settings.items()))
    kinds = sorted(widths)
    ropes = [_whole_rope(hf, kind, widths[kind]) for kind in kinds]
    return {
        **dict(by_layer[0]),
        "layer_settings": tuple(by_layer),
        "ropes": tuple(ropes),
        "layer_rope": tuple(kinds.index(kind) for kind in hf.layer_types),
    }


def _whole_rope(hf: Any, kind: str, width: int) -> Any:
    stated = hf.rope_parameters[kind]
    if stated.get("rope_type") not in WHOLE:
        problem = f"the rope_type of {kind} is {stated.get('rope_type')!r}"
        raise InputError(problem, f"one of {', '.join(WHOLE)}", "use another checkpoint")
    if stated["rope_type"] == "default" and stated.get("partial_rotary_factor") not in (None, 1):
        problem = f"partial_rotary_factor of {kind} is {stated['partial_rotary_factor']}, which is not heeded"
        raise InputError(problem, "1, or none", "remove it from config.json if the model was made without it")
    return read_rope(stated, width=width, length=hf.max_position_embeddings, kinds=WHOLE)


def gemma4_embeddings(hf: Any) -> Settings:
    """Read whether the layers of a Gemma 4 have embeddings besides."""
    width = hf.hidden_size_per_layer_input
    return {"parts": (LayerEmbeddings(hf.vocab_size_per_layer_input, width),) if width else ()}


def gemma4_experts(hf: Any) -> Settings:
    """Read whether a Gemma 4 has experts beside its MLPs."""
    if not hf.enable_moe_block:
        return {}
    experts = Experts(count=hf.num_experts, chosen=hf.top_k_experts, width=hf.moe_intermediate_size)
    return {"layer_feed_forward": ("experts_beside_mlp",) * hf.num_hidden_layers, "parts": (experts,)}
