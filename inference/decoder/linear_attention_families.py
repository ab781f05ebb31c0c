"""Families whose layers, or some of them, have linear attention: a memory of keys and values, or averages of values."""

from typing import Any

from bayeslaw.errors import InputError
from inference.decoder import linear_attention_tensor_names as names
from inference.decoder.configuration_reading import Settings, activation
from inference.decoder.family import Family
from inference.decoder.family_settings import ATTENTION_BIASES, LAYER_NORM, join_settings
from inference.decoder.halving import Halving
from inference.decoder.linear_attention_settings import KimiDelta, MatrixMemory, TimeMixing
from inference.decoder.recurrent_settings import MIXERS_ALONE, layers_by_type
from inference.decoder.routed_settings import DEEPSEEK3, by_type, experts_where, latent_part, some_experts
from inference.decoder.tensor_names import TensorNames

KIMI_LAYERS = layers_by_type("layer_types", linear_attention="kimi_delta", full_attention="latent_attention")
# What configurations on the hub say of the routing and the attention, and transformers passes over.
KIMI_REQUIRED = {
    "tie_word_embeddings": (False,),
    "mla_use_nope": (None, True),
    "moe_layer_freq": (None, 1),
    "moe_router_activation_func": (None, "sigmoid"),
    "use_grouped_topk": (None, True),
}


def kimi_settings(hf: Any) -> Settings:
    """Read both kinds of attention of a Kimi Linear, neither of which rotates by position."""
    delta = KimiDelta(
        hf.linear_num_heads,
        hf.linear_head_dim,
        hf.linear_conv_kernel_dim,
        norm_epsilon=hf.rms_norm_eps,
        activation=activation(hf.hidden_act),
    )
    return {
        "parts": (latent_part(hf), delta),
        "position": "none",
        "key_value_heads": hf.num_attention_heads,
        "head_width": hf.qk_nope_head_dim + hf.qk_rope_head_dim,
    }


def rwkv_settings(hf: Any) -> Settings:
    """Read the parts of an RWKV 4, and how often it halves the residual stream."""
    halving = (Halving(hf.rescale_every),) if hf.rescale_every > 0 else ()
    return {
        "layer_mixer": ("time_mixing",) * hf.num_hidden_layers,
        "layer_feed_forward": ("channel_mixing",) * hf.num_hidden_layers,
        "parts": (TimeMixing(hf.attention_hidden_size), *halving),
        "mlp_width": hf.intermediate_size,
        "activation": "squared_relu",
        "embedding_norm": True,
    }


def xlstm_settings(hf: Any) -> Settings:
    """Read the sizes of an xLSTM, which are stated as factors of its width."""
    if hf.embedding_dim != hf.hidden_size or hf.num_blocks != hf.num_hidden_layers:
        problem = (
            f"embedding_dim is {hf.embedding_dim} beside a hidden_size of {hf.hidden_size}, "
            f"and num_blocks {hf.num_blocks} beside {hf.num_hidden_layers} num_hidden_layers"
        )
        raise InputError(problem, "one number for each of both", "correct config.json")
    keys, values = (int(hf.hidden_size * factor) for factor in (hf.qk_dim_factor, hf.v_dim_factor))
    memory = MatrixMemory(
        hf.num_heads,
        keys // hf.num_heads,
        values // hf.num_heads,
        gate_softcap=float(hf.gate_soft_cap),
        epsilon=hf.eps,
        norm_epsilon=hf.norm_eps,
    )
    step = hf.ffn_round_up_to_multiple_of
    return {
        "layer_mixer": ("mlstm",) * hf.num_hidden_layers,
        "parts": (memory,),
        "mlp_width": int((hf.hidden_size * hf.ffn_proj_factor + step - 1) // step * step),
        "activation": "silu",
        "logit_softcap": float(hf.output_logit_soft_cap),
    }


LINEAR_ATTENTION_FAMILIES: dict[str, Family] = {
    "kimi_linear": Family(
        join_settings(
            ATTENTION_BIASES,
            KIMI_LAYERS,
            kimi_settings,
            experts_where(by_type),
            some_experts(**DEEPSEEK3 | {"count": lambda hf: hf.num_local_experts}),
        ),
        TensorNames(names.KIMI_LINEAR),
        KIMI_REQUIRED,
        # No position is rotated, and older configurations say how far.
        unread=("rope_theta", "rope_scaling"),
    ),
    "rwkv": Family(
        join_settings(LAYER_NORM, MIXERS_ALONE, rwkv_settings),
        TensorNames(names.RWKV),
        # The last norm adds this whatever the configuration says.
        {"layer_norm_epsilon": (1e-5,)},
    ),
    "xlstm": Family(
        join_settings(MIXERS_ALONE, xlstm_settings),
        TensorNames(names.XLSTM),
        {
            "use_bias": (False,),
            "add_out_norm": (True,),
            "weight_mode": ("single",),
            "tie_word_embeddings": (False,),
        },
        # Which kernels compute it: without their package transformers takes no name of them.
        unread=("chunkwise_kernel", "sequence_kernel", "step_kernel", "mode", "autocast_kernel_dtype"),
    ),
}
