"""Families of the lineage of Llama: every layer is attention and one MLP, mostly gated, with root-mean-square norms."""

from inference.decoder import tensor_names
from inference.decoder.configuration_reading import activation, window_by_type
from inference.decoder.family import Family
from inference.decoder.family_settings import (
    ATTENTION_BIASES,
    BY_TYPE,
    COHERE,
    EVERYWHERE,
    GEMMA,
    GEMMA2,
    GLM,
    GRANITE,
    LAYER_NORM,
    LLAMA_BIASES,
    MLP,
    OLMO2,
    OUTPUT,
    QKV,
    USE_BIAS,
    biases,
    full_layers,
    growing_queries,
    head_transform,
    join_settings,
    no_rope_where,
    own_head_width,
    paired_heads,
    rope_by_layer,
    stretched_rope,
    whole_dynamic_mask,
)
from inference.decoder.routed_settings import latent_attention
from inference.decoder.routed_tensor_names import LATENT
from inference.decoder.tensor_names import TensorNames

LLAMA_TENSORS = TensorNames(tensor_names.LLAMA)
OUTPUT_NORM_TENSORS = TensorNames(tensor_names.OUTPUT_NORMS)
LATENT_TENSORS = TensorNames(LATENT)
CAUSAL = {"use_bidirectional_attention": (None, False)}

DENSE_FAMILIES: dict[str, Family] = {
    "llama": Family(join_settings(*LLAMA_BIASES), LLAMA_TENSORS),
    "mistral": Family(join_settings(**EVERYWHERE), LLAMA_TENSORS),
    "ministral": Family(join_settings(**BY_TYPE), LLAMA_TENSORS),
    "ministral3": Family(join_settings(EVERYWHERE, growing_queries), LLAMA_TENSORS),
    "hunyuan_v1_dense": Family(
        join_settings(ATTENTION_BIASES, stretched_rope, query_key_norm="head", query_key_norm_late=True),
        TensorNames(tensor_names.HUNYUAN),
    ),
    "nanochat": Family(
        join_settings(
            ATTENTION_BIASES,
            norm_weight=False,
            embedding_norm=True,
            # After the rotation, which a norm without weights does not see.
            query_key_norm="head",
            gated=False,
            rope_backward=True,
            logit_softcap=lambda hf: hf.final_logit_softcapping,
        ),
        TensorNames(tensor_names.NANOCHAT),
    ),
    "apertus": Family(
        join_settings(ATTENTION_BIASES, query_key_norm="head", gated=False), TensorNames(tensor_names.APERTUS)
    ),
    "apertus1p5_text": Family(
        join_settings(
            ATTENTION_BIASES,
            query_key_norm="head",
            gated=False,
            vocabulary=lambda hf: hf.output_vocab_size or hf.vocab_size,
        ),
        TensorNames(tensor_names.APERTUS1P5),
    ),
    "granite_swa": Family(
        join_settings(GRANITE, BY_TYPE, rope_by_layer, attention_sinks=True), TensorNames(tensor_names.SINKS)
    ),
    "doge": Family(
        join_settings(
            *LLAMA_BIASES,
            EVERYWHERE,
            whole_dynamic_mask,
            query_key_norm="head",
            value_bias=True,
            residual_weights=True,
        ),
        TensorNames(tensor_names.DOGE),
        {"is_moe": (False,)},
    ),
    "modernbert-decoder": Family(
        join_settings(
            ATTENTION_BIASES,
            biases("mlp_bias", *MLP),
            BY_TYPE,
            own_head_width,
            head_transform,
            biases("norm_bias", "norm_bias"),
            biases("decoder_bias", "head_bias"),
            norm="layer",
            embedding_norm=True,
            # Embeddings are normed already.
            bare_layers=(0,),
            activation=lambda hf: activation(hf.hidden_activation),
        ),
        TensorNames(tensor_names.MODERNBERT_DECODER),
    ),
    "diffllama": Family(
        join_settings(
            ATTENTION_BIASES, paired_heads, layer_mixer=lambda hf: ("differential_attention",) * hf.num_hidden_layers
        ),
        TensorNames(tensor_names.DIFFLLAMA),
    ),
    "youtu": Family(join_settings(ATTENTION_BIASES, latent_attention), LATENT_TENSORS),
    "minicpm3": Family(
        join_settings(
            *LLAMA_BIASES,
            latent_attention,
            rope_interleaved=False,
            embedding_scale=lambda hf: hf.scale_emb,
            residual_scale=lambda hf: hf.scale_depth / hf.num_hidden_layers**0.5,
            logit_scale=lambda hf: hf.dim_model_base / hf.hidden_size,
        ),
        LATENT_TENSORS,
    ),
    "internlm3": Family(join_settings(*LLAMA_BIASES), LLAMA_TENSORS),
    "iquestcoder": Family(join_settings(*LLAMA_BIASES), LLAMA_TENSORS),
    "exaone": Family(join_settings(*LLAMA_BIASES), TensorNames(tensor_names.EXAONE)),
    "cwm": Family(join_settings(biases("mlp_bias", *MLP), BY_TYPE), LLAMA_TENSORS),
    "jais2": Family(join_settings(*LLAMA_BIASES, LAYER_NORM, gated=False), LLAMA_TENSORS),
    "arcee": Family(join_settings(*LLAMA_BIASES, gated=False), LLAMA_TENSORS),
    "seed_oss": Family(
        join_settings(*LLAMA_BIASES, biases("attention_out_bias", *OUTPUT)),
        LLAMA_TENSORS,
    ),
    "helium": Family(join_settings(*LLAMA_BIASES, output_bias=False, rope_interleaved=True), LLAMA_TENSORS),
    "ernie4_5": Family(join_settings(USE_BIAS, rope_interleaved=True), LLAMA_TENSORS),
    "smollm3": Family(
        join_settings(
            *LLAMA_BIASES, BY_TYPE, layer_rope=no_rope_where(lambda hf: [not on for on in hf.no_rope_layers])
        ),
        LLAMA_TENSORS,
    ),
    "granite": Family(GRANITE, LLAMA_TENSORS),
    "hyperclovax": Family(
        join_settings(
            GRANITE,
            placement=lambda hf: "sandwich" if hf.use_post_norm else "pre",
            logit_scale=lambda hf: float(hf.logits_scaling),
        ),
        TensorNames(tensor_names.HYPERCLOVAX),
    ),
    "qwen2": Family(join_settings(BY_TYPE, query_bias=True, key_value_bias=True), LLAMA_TENSORS),
    "qwen3": Family(join_settings(ATTENTION_BIASES, BY_TYPE, query_key_norm="head"), LLAMA_TENSORS),
    "olmo": Family(
        join_settings(
            ATTENTION_BIASES, norm="layer", norm_weight=False, norm_epsilon=1e-5, qkv_clip=lambda hf: hf.clip_qkv
        ),
        LLAMA_TENSORS,
    ),
    "olmo2": Family(OLMO2, OUTPUT_NORM_TENSORS),
    "olmo3": Family(join_settings(OLMO2, BY_TYPE), OUTPUT_NORM_TENSORS),
    "exaone4": Family(
        join_settings(BY_TYPE, placement="branch", query_key_norm="head", layer_rope=no_rope_where(full_layers)),
        OUTPUT_NORM_TENSORS,
    ),
    "gemma": Family(join_settings(ATTENTION_BIASES, GEMMA), LLAMA_TENSORS, CAUSAL),
    "gemma2": Family(
        join_settings(ATTENTION_BIASES, GEMMA2, attention_softcap=lambda hf: hf.attn_logit_softcapping),
        OUTPUT_NORM_TENSORS,
        CAUSAL,
    ),
    "vaultgemma": Family(
        join_settings(
            ATTENTION_BIASES,
            GEMMA2,
            placement="pre",
            attention_softcap=lambda hf: hf.attn_logit_softcapping,
        ),
        OUTPUT_NORM_TENSORS,
        CAUSAL,
    ),
    "gemma3_text": Family(
        join_settings(ATTENTION_BIASES, GEMMA2, query_key_norm="head"),
        OUTPUT_NORM_TENSORS,
        CAUSAL | {"attn_logit_softcapping": (None,)},
    ),
    "phi3": Family(join_settings(EVERYWHERE, partial_rotary=True), TensorNames(tensor_names.FUSED)),
    "glm": Family(GLM, TensorNames(tensor_names.FUSED_GATE)),
    "glm4": Family(join_settings(GLM, placement="sandwich"), TensorNames(tensor_names.GLM4)),
    "nemotron": Family(
        join_settings(*LLAMA_BIASES, LAYER_NORM, gated=False, norm_offset=1.0, partial_rotary=True), LLAMA_TENSORS
    ),
    "starcoder2": Family(
        join_settings(USE_BIAS, LAYER_NORM, EVERYWHERE, gated=False), TensorNames(tensor_names.STARCODER2)
    ),
    "cohere": Family(
        join_settings(ATTENTION_BIASES, COHERE, query_key_norm=lambda hf: "per_head" if hf.use_qk_norm else "none"),
        LLAMA_TENSORS,
    ),
    "cohere2": Family(
        join_settings(
            ATTENTION_BIASES,
            COHERE,
            head_width=lambda hf: hf.hidden_size // hf.num_attention_heads,
            layer_window=window_by_type,
            layer_rope=no_rope_where(lambda hf: [kind == "full_attention" for kind in hf.layer_types]),
        ),
        LLAMA_TENSORS,
    ),
    "stablelm": Family(
        join_settings(
            LAYER_NORM,
            own_head_width,
            biases("use_qkv_bias", *QKV),
            residual=lambda hf: "parallel_shared" if hf.use_parallel_residual else "sequential",
            query_key_norm=lambda hf: "per_head" if hf.qk_layernorm else "none",
            partial_rotary=True,
        ),
        TensorNames(tensor_names.STABLELM),
    ),
}
