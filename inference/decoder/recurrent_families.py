"""Families whose layers, or some of them, are recurrences."""

from inference.decoder import recurrent_tensor_names as names
from inference.decoder.family import Family
from inference.decoder.family_settings import ATTENTION_BIASES, LLAMA_BIASES, join_settings
from inference.decoder.recurrent_settings import (
    MIXERS_ALONE,
    all_layers,
    falcon_h1_settings,
    gated_delta_part,
    granite_hybrid_settings,
    hybrid_mamba2,
    jamba_settings,
    layers_by_type,
    lfm2_moe_settings,
    lfm2_width,
    lfm3_settings,
    mamba2_part,
    mamba_part,
    nemotron_h_settings,
    olmo_hybrid_settings,
    one_part,
    qwen3_5_moe_settings,
    qwen3_next_settings,
    recurrent_gemma_settings,
    rope_of_text,
    short_convolution_part,
    zamba2_settings,
)
from inference.decoder.tensor_names import TensorNames

HYBRID_LAYERS = layers_by_type("layers_block_type", linear_attention="mamba2", full_attention="attention")
LFM2 = join_settings(
    layers_by_type("layer_types", conv="short_convolution", full_attention="attention"),
    query_key_norm="head",
    activation="silu",
)
DELTA = join_settings(
    ATTENTION_BIASES,
    layers_by_type("layer_types", linear_attention="gated_delta", full_attention="gated_attention"),
    query_key_norm="head",
    norm_offset=1.0,
    partial_rotary=True,
)
# Layers that predict tokens further on, which no score needs.
FURTHER_TOKENS = ("mtp.",)

RECURRENT_FAMILIES: dict[str, Family] = {
    "mamba": Family(
        join_settings(MIXERS_ALONE, all_layers("mamba", "none"), one_part(lambda hf: mamba_part(hf))),
        TensorNames(names.MAMBA),
    ),
    "falcon_mamba": Family(
        join_settings(
            MIXERS_ALONE,
            all_layers("mamba", "none"),
            one_part(lambda hf: mamba_part(hf, selection_norm=hf.mixer_rms_eps)),
        ),
        TensorNames(names.MAMBA),
    ),
    "mamba2": Family(
        join_settings(MIXERS_ALONE, all_layers("mamba2", "none"), one_part(lambda hf: mamba2_part(hf))),
        TensorNames(names.MAMBA2),
    ),
    "bamba": Family(
        join_settings(*LLAMA_BIASES, HYBRID_LAYERS, one_part(lambda hf: hybrid_mamba2(hf)), partial_rotary=True),
        TensorNames(names.BAMBA),
    ),
    "falcon_h1": Family(
        join_settings(*LLAMA_BIASES, all_layers("attention_mamba2", "scaled_mlp"), falcon_h1_settings),
        TensorNames(names.FALCON_H1),
    ),
    "granitemoehybrid": Family(
        join_settings(ATTENTION_BIASES, HYBRID_LAYERS, granite_hybrid_settings),
        TensorNames(names.GRANITE_HYBRID),
    ),
    "nemotron_h": Family(
        nemotron_h_settings, TensorNames(names.NEMOTRON_H, ignored=FURTHER_TOKENS), {"moe_latent_size": (None,)}
    ),
    # What the reference makes of a longer context differs between its versions; where the head is not the embedding, it
    # shares no block either.
    "zamba2": Family(
        zamba2_settings,
        TensorNames(names.ZAMBA2),
        {"use_long_context": (False,), "tie_word_embeddings": (True,)},
    ),
    "jamba": Family(jamba_settings, TensorNames(names.JAMBA)),
    "lfm2": Family(
        join_settings(LFM2, one_part(lambda hf: short_convolution_part(hf)), mlp_width=lfm2_width),
        TensorNames(names.LFM2),
    ),
    "lfm2_moe": Family(join_settings(LFM2, lfm2_moe_settings), TensorNames(names.LFM2_MOE)),
    "lfm3": Family(
        join_settings(
            ATTENTION_BIASES,
            lfm3_settings,
            one_part(lambda hf: short_convolution_part(hf)),
            query_key_norm="head",
            activation="silu",
        ),
        TensorNames(names.LFM3),
    ),
    "recurrent_gemma": Family(
        join_settings(
            ATTENTION_BIASES,
            recurrent_gemma_settings,
            norm_offset=1.0,
            mlp_bias=True,
            output_bias=True,
            partial_rotary=True,
        ),
        TensorNames(names.RECURRENT_GEMMA),
    ),
    "olmo_hybrid": Family(
        join_settings(ATTENTION_BIASES, olmo_hybrid_settings, query_key_norm="flat"),
        TensorNames(names.OLMO_HYBRID, ignored=FURTHER_TOKENS),
    ),
    "qwen3_next": Family(
        join_settings(DELTA, qwen3_next_settings), TensorNames(names.QWEN3_NEXT, ignored=FURTHER_TOKENS)
    ),
    "qwen3_5_text": Family(
        join_settings(DELTA, rope_of_text, one_part(lambda hf: gated_delta_part(hf))),
        TensorNames(names.QWEN3_5, ignored=FURTHER_TOKENS),
    ),
    "qwen3_5_moe_text": Family(
        join_settings(DELTA, rope_of_text, qwen3_5_moe_settings),
        TensorNames(names.QWEN3_5, ignored=FURTHER_TOKENS),
    ),
}
