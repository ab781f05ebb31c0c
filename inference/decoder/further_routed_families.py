"""Families whose attention is as unusual as their experts."""

from inference.decoder import further_routed_tensor_names as names
from inference.decoder.family import Family
from inference.decoder.family_settings import ATTENTION_BIASES, EVERYWHERE, join_settings
from inference.decoder.further_routed_settings import chunked_attention, final_norm, lightning_layers, shortcut_layers
from inference.decoder.routed_settings import EVERYWHERE as ALL_LAYERS
from inference.decoder.routed_settings import LOCAL, experts_where, some_experts
from inference.decoder.tensor_names import TensorNames

FURTHER_ROUTED_FAMILIES: dict[str, Family] = {
    "llama4_text": Family(
        join_settings(
            ATTENTION_BIASES,
            chunked_attention,
            experts_where(lambda hf, layer: layer in hf.moe_layers),
            some_experts(
                **LOCAL,
                scores="logits",
                shares="sigmoid",
                input_scaled=True,
                shared_width=lambda hf: hf.intermediate_size,
            ),
            mlp_width=lambda hf: hf.intermediate_size_mlp,
            rope_interleaved=True,
        ),
        TensorNames(names.LLAMA4),
    ),
    "jetmoe": Family(
        join_settings(
            final_norm,
            ALL_LAYERS,
            some_experts(**LOCAL, scores="logits", shares="softmax", sum_bias=True),
            layer_mixer=lambda hf: ("routed_attention",) * hf.num_hidden_layers,
        ),
        TensorNames(names.JETMOE),
    ),
    "longcat_flash": Family(
        join_settings(
            ATTENTION_BIASES,
            shortcut_layers,
            some_experts(
                count=lambda hf: hf.n_routed_experts,
                chosen=lambda hf: hf.moe_topk,
                width=lambda hf: hf.expert_ffn_hidden_size,
                identities=lambda hf: hf.zero_expert_num or 0,
                shares="scores",
                scale=lambda hf: float(hf.routed_scaling_factor),
                corrected=True,
            ),
        ),
        TensorNames(names.LONGCAT, ignored=("mtp.", *names.IDLE_EXPERTS)),
        # A bias that the reference stores and leaves out.
        {"router_bias": (False, None)},
    ),
    "minimax": Family(
        join_settings(EVERYWHERE, ALL_LAYERS, some_experts(**LOCAL), lightning_layers),
        TensorNames(names.MINIMAX),
    ),
}
