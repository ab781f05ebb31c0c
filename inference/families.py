"""Which families of models there are: how each ``config.json`` is read and where its tensors lie."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bayeslaw.errors import InputError
from inference import tensor_names
from inference.checkpoint import Checkpoint
from inference.config import DecoderConfig
from inference.config_reading import Settings, activation, read_settings, uniform_window, window_by_type
from inference.quiet import quiet_transformers
from inference.tensor_names import TensorNames

LAYER_NORM = {"norm": "layer", "norm_bias": True}
BIASED = {"query_bias": True, "key_value_bias": True, "output_bias": True, "mlp_bias": True}
GPT = LAYER_NORM | BIASED | {"gated": False}


@dataclass(frozen=True)
class Family:
    """How one ``model_type`` maps onto the decoder.

    Attributes
    ----------
    settings
        What it sets in `DecoderConfig`, from its configuration.
    tensors
        Where its tensors lie.
    required
        Fields of its configuration and the values that are covered; ``a.b`` is a field of a part.
    """

    settings: Callable[[Any], Settings]
    tensors: TensorNames
    required: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


def _settings(*parts: Callable[[Any], Settings] | Settings, **settings: Any) -> Callable[[Any], Settings]:
    """Join settings; what is a function is asked of the configuration."""

    def read(hf: Any) -> Settings:
        joined: Settings = {}
        for part in (*parts, settings):
            joined |= part(hf) if callable(part) else part
        return {name: value(hf) if callable(value) else value for name, value in joined.items()}

    return read


def _biases(field: str, *names: str) -> Callable[[Any], Settings]:
    """Read one field that says whether the linear maps named have a bias."""
    return lambda hf: dict.fromkeys(names, bool(getattr(hf, field, False)))


def _no_rope_where(full: Callable[[Any], list[bool]]) -> Callable[[Any], tuple[int, ...]]:
    return lambda hf: tuple(-1 if bare else 0 for bare in full(hf))


def _full_layers(hf: Any) -> list[bool]:
    """Say which layers attend to everything, where others have a window."""
    return [bool(hf.sliding_window) and kind == "full_attention" for kind in hf.layer_types]


def _rotary_width(hf: Any) -> int:
    if not hf.rotary_dim:
        raise InputError(
            f"rotary_dim is {hf.rotary_dim!r}", "the number of rotated dimensions", "set it in config.json"
        )
    return hf.rotary_dim


def _falcon(hf: Any) -> Settings:
    grouped, parallel, norms = bool(hf.new_decoder_architecture), bool(hf.parallel_attn), hf.num_ln_in_parallel_attn
    if (grouped and not parallel) or (not grouped and norms == 2):
        problem = f"new_decoder_architecture {grouped} goes with neither parallel_attn {parallel} nor {norms} norms"
        raise InputError(problem, "what Falcon 7B, 40B or RW state", "use another checkpoint")
    residual = "sequential" if not parallel else "parallel" if grouped and norms != 1 else "parallel_shared"
    key_value_heads = hf.num_kv_heads if grouped else 1 if hf.multi_query else hf.num_attention_heads
    alibi = {"position": "alibi", "alibi_scaled": True, "alibi_rounded": True} if hf.alibi else {}
    return {"residual": residual, "key_value_heads": key_value_heads, **alibi}


def _opt(hf: Any) -> Settings:
    before, width = bool(hf.do_layer_norm_before), hf.word_embed_proj_dim
    return {
        # The family's norms add this whatever its configuration says.
        "norm_epsilon": 1e-5,
        "norm_weight": bool(hf.layer_norm_elementwise_affine),
        "position": "learned",
        "position_offset": 2,
        "placement": "pre" if before else "post",
        "final_norm": before and not getattr(hf, "_remove_final_layer_norm", False),
        "embedding_width": 0 if width in (None, hf.hidden_size) else width,
    }


def _own_head_width(hf: Any) -> Settings:
    """Take the width over the heads, and refuse a configuration that states another."""
    width, stated = hf.hidden_size // hf.num_attention_heads, getattr(hf, "head_dim", None)
    if stated not in (None, width):
        problem = f"head_dim is {stated} in the configuration of a {hf.model_type}, whose heads are {width} wide"
        raise InputError(problem, f"{width}, or none", "remove head_dim from config.json")
    return {"head_width": width}


def _query_key_layer_norm(hf: Any) -> Settings:
    return {"query_key_norm": "head" if hf.qk_layernorm else "none", "query_key_norm_bias": bool(hf.qk_layernorm)}


QKV, OUTPUT, MLP = ("query_bias", "key_value_bias"), ("output_bias",), ("mlp_bias",)
LLAMA_BIASES = (_biases("attention_bias", *QKV, *OUTPUT), _biases("mlp_bias", *MLP))
ATTENTION_BIASES = _biases("attention_bias", *QKV, *OUTPUT)
USE_BIAS = _biases("use_bias", *QKV, *OUTPUT, *MLP)
UNBIASED_QKV = dict.fromkeys(QKV, False)
BY_TYPE = {"layer_window": window_by_type}
EVERYWHERE = {"layer_window": uniform_window}
GEMMA = {
    "norm_offset": 1.0,
    "embedding_scale": lambda hf: hf.hidden_size**0.5,
}
GEMMA2 = (
    GEMMA
    | BY_TYPE
    | {
        "placement": "sandwich",
        "activation": lambda hf: activation(hf.hidden_activation),
        "attention_scale": lambda hf: hf.query_pre_attn_scalar**-0.5,
        "logit_softcap": lambda hf: hf.final_logit_softcapping,
    }
)
COHERE = {
    "norm": "layer",
    "residual": "parallel_shared",
    "rope_interleaved": True,
    "logit_scale": lambda hf: float(hf.logit_scale),
}
OLMO2 = _settings(ATTENTION_BIASES, placement="branch", query_key_norm="flat")
GLM = _settings(_biases("attention_bias", *QKV), rope_interleaved=True, partial_rotary=True)
LLAMA_TENSORS = TensorNames(tensor_names.LLAMA)
OUTPUT_NORM_TENSORS = TensorNames(tensor_names.OUTPUT_NORMS)
CAUSAL = {"use_bidirectional_attention": (None, False)}
NO_CROSS_ATTENTION = {"add_cross_attention": (False,)}

FAMILIES: dict[str, Family] = {
    "llama": Family(_settings(*LLAMA_BIASES), LLAMA_TENSORS),
    "mistral": Family(_settings(**EVERYWHERE), LLAMA_TENSORS),
    "ministral": Family(_settings(**BY_TYPE), LLAMA_TENSORS),
    "arcee": Family(_settings(*LLAMA_BIASES, gated=False), LLAMA_TENSORS),
    "seed_oss": Family(
        _settings(*LLAMA_BIASES, _biases("attention_out_bias", *OUTPUT)),
        LLAMA_TENSORS,
    ),
    "helium": Family(_settings(*LLAMA_BIASES, output_bias=False, rope_interleaved=True), LLAMA_TENSORS),
    "ernie4_5": Family(_settings(USE_BIAS, rope_interleaved=True), LLAMA_TENSORS),
    "smollm3": Family(
        _settings(*LLAMA_BIASES, BY_TYPE, layer_rope=_no_rope_where(lambda hf: [not on for on in hf.no_rope_layers])),
        LLAMA_TENSORS,
    ),
    "granite": Family(
        _settings(
            *LLAMA_BIASES,
            attention_scale=lambda hf: hf.attention_multiplier,
            residual_scale=lambda hf: hf.residual_multiplier,
            embedding_scale=lambda hf: hf.embedding_multiplier,
            logit_scale=lambda hf: 1 / hf.logits_scaling,
        ),
        LLAMA_TENSORS,
    ),
    "qwen2": Family(_settings(BY_TYPE, query_bias=True, key_value_bias=True), LLAMA_TENSORS),
    "qwen3": Family(_settings(ATTENTION_BIASES, BY_TYPE, query_key_norm="head"), LLAMA_TENSORS),
    "olmo": Family(
        _settings(
            ATTENTION_BIASES, norm="layer", norm_weight=False, norm_epsilon=1e-5, qkv_clip=lambda hf: hf.clip_qkv
        ),
        LLAMA_TENSORS,
    ),
    "olmo2": Family(OLMO2, OUTPUT_NORM_TENSORS),
    "olmo3": Family(_settings(OLMO2, BY_TYPE), OUTPUT_NORM_TENSORS),
    "exaone4": Family(
        _settings(BY_TYPE, placement="branch", query_key_norm="head", layer_rope=_no_rope_where(_full_layers)),
        OUTPUT_NORM_TENSORS,
    ),
    "gemma": Family(_settings(ATTENTION_BIASES, GEMMA), LLAMA_TENSORS, CAUSAL),
    "gemma2": Family(
        _settings(ATTENTION_BIASES, GEMMA2, attention_softcap=lambda hf: hf.attn_logit_softcapping),
        OUTPUT_NORM_TENSORS,
        CAUSAL,
    ),
    "gemma3_text": Family(
        _settings(ATTENTION_BIASES, GEMMA2, query_key_norm="head"),
        OUTPUT_NORM_TENSORS,
        CAUSAL | {"attn_logit_softcapping": (None,)},
    ),
    "phi3": Family(_settings(EVERYWHERE, partial_rotary=True), TensorNames(tensor_names.FUSED)),
    "glm": Family(GLM, TensorNames(tensor_names.FUSED_GATE)),
    "glm4": Family(_settings(GLM, placement="sandwich"), TensorNames(tensor_names.GLM4)),
    "nemotron": Family(
        _settings(*LLAMA_BIASES, LAYER_NORM, gated=False, norm_offset=1.0, partial_rotary=True), LLAMA_TENSORS
    ),
    "starcoder2": Family(
        _settings(USE_BIAS, LAYER_NORM, EVERYWHERE, gated=False), TensorNames(tensor_names.STARCODER2)
    ),
    "cohere": Family(
        _settings(ATTENTION_BIASES, COHERE, query_key_norm=lambda hf: "per_head" if hf.use_qk_norm else "none"),
        LLAMA_TENSORS,
    ),
    "cohere2": Family(
        _settings(
            ATTENTION_BIASES,
            COHERE,
            head_width=lambda hf: hf.hidden_size // hf.num_attention_heads,
            layer_window=window_by_type,
            layer_rope=_no_rope_where(lambda hf: [kind == "full_attention" for kind in hf.layer_types]),
        ),
        LLAMA_TENSORS,
    ),
    "stablelm": Family(
        _settings(
            LAYER_NORM,
            _own_head_width,
            _biases("use_qkv_bias", *QKV),
            residual=lambda hf: "parallel_shared" if hf.use_parallel_residual else "sequential",
            query_key_norm=lambda hf: "per_head" if hf.qk_layernorm else "none",
            partial_rotary=True,
        ),
        TensorNames(tensor_names.STABLELM),
    ),
    "phi": Family(
        _settings(GPT, _query_key_layer_norm, residual="parallel_shared", head_bias=True, partial_rotary=True),
        TensorNames(tensor_names.PHI),
    ),
    "persimmon": Family(
        _settings(GPT, _own_head_width, _query_key_layer_norm, partial_rotary=True),
        TensorNames(tensor_names.PERSIMMON, fused="grouped"),
    ),
    "gpt2": Family(
        _settings(
            GPT,
            position="learned",
            attention_scale=lambda hf: None if hf.scale_attn_weights else 1.0,
            inverse_layer_scale=lambda hf: bool(hf.scale_attn_by_inverse_layer_idx),
        ),
        TensorNames(tensor_names.GPT2, transposed=True),
        NO_CROSS_ATTENTION,
    ),
    "gpt_bigcode": Family(
        _settings(
            GPT,
            position="learned",
            key_value_heads=lambda hf: 1 if hf.multi_query else hf.n_head,
            attention_scale=lambda hf: None if hf.scale_attn_weights else 1.0,
        ),
        # With one key and value head for all, grouped rows are queries, key, value.
        TensorNames(tensor_names.GPT2, fused="grouped"),
        NO_CROSS_ATTENTION,
    ),
    "gpt_neo": Family(
        _settings(
            GPT,
            UNBIASED_QKV,
            position="learned",
            attention_scale=1.0,
            layer_window=lambda hf: tuple(hf.window_size if kind == "local" else 0 for kind in hf.attention_layers),
        ),
        TensorNames(tensor_names.GPT_NEO),
    ),
    "gptj": Family(
        _settings(
            GPT,
            UNBIASED_QKV,
            output_bias=False,
            residual="parallel_shared",
            rope_interleaved=True,
            rope_width=_rotary_width,
            head_bias=True,
        ),
        TensorNames(tensor_names.GPTJ),
    ),
    "gpt_neox": Family(
        _settings(
            GPT,
            ATTENTION_BIASES,
            _own_head_width,
            residual=lambda hf: "parallel" if hf.use_parallel_residual else "sequential",
            partial_rotary=True,
        ),
        TensorNames(tensor_names.GPT_NEOX, fused="grouped"),
    ),
    "opt": Family(
        _settings(GPT, _biases("enable_bias", *QKV, *OUTPUT, *MLP), _opt),
        TensorNames(tensor_names.OPT),
    ),
    "bloom": Family(
        _settings(
            GPT,
            position="alibi",
            embedding_norm=True,
            activation="gelu_tanh",
            mlp_width=lambda hf: 4 * hf.hidden_size,
        ),
        TensorNames(tensor_names.BLOOM, fused="grouped"),
        {"apply_residual_connection_post_layernorm": (False,)},
    ),
    "falcon": Family(
        _settings(GPT, _biases("bias", *QKV, *OUTPUT, *MLP), _falcon),
        TensorNames(tensor_names.FALCON, fused="grouped"),
    ),
    "mpt": Family(
        _settings(
            norm="layer",
            gated=False,
            activation="gelu",
            mlp_width=lambda hf: 4 * hf.d_model,
            position="alibi",
            qkv_clip=lambda hf: hf.attn_config.clip_qkv or None,
            attention_scale=lambda hf: hf.attn_config.softmax_scale,
            max_length=lambda hf: hf.max_seq_len,
        ),
        TensorNames(tensor_names.MPT),
        {
            "attn_config.attn_type": ("multihead_attention",),
            "attn_config.alibi": (True,),
            "attn_config.alibi_bias_max": (8,),
            "attn_config.prefix_lm": (False,),
            "attn_config.qk_ln": (False,),
            "expansion_ratio": (4,),
            "no_bias": (True,),
            "logit_scale": (None,),
        },
    ),
}
SUPPORTED = tuple(sorted(FAMILIES))
# Models of text and images whose text part is a family of its own.
MULTIMODAL = {"gemma3": "gemma3_text"}


def check_model_type(config: Mapping[str, Any]) -> str:
    """Return the family that a ``config.json`` names.

    Parameters
    ----------
    config
        The content of ``config.json``.

    Returns
    -------
    str
        The ``model_type``; that of the text part for a supported model of text and images.

    Raises
    ------
    InputError
        If there is none, or it is not supported.
    """
    name = config.get("model_type")
    accepted = f"one of the families {', '.join(SUPPORTED)}"
    if not isinstance(name, str) or not name:
        problem = (
            f"config.json has the model_type {name!r}" if "model_type" in config else "config.json names no model_type"
        )
        raise InputError(problem, accepted, "use a checkpoint in the format of transformers")
    name = MULTIMODAL.get(name, name)
    if name not in FAMILIES:
        fix = "use another checkpoint; mixtures of experts, state-space and encoder-decoder models are not covered"
        raise InputError(f"the model_type {name!r} is not supported", accepted, fix)
    return name


def read_decoder_config(checkpoint: Checkpoint) -> DecoderConfig:
    """Read what a decoder is made of from a checkpoint's ``config.json``.

    Parameters
    ----------
    checkpoint
        An opened checkpoint.

    Returns
    -------
    DecoderConfig
        The decoder.

    Raises
    ------
    InputError
        If the family is not supported, a field has a value that is not covered, or the weights are quantised.
    """
    model_type = check_model_type(checkpoint.config)
    if "quantization_config" in checkpoint.config:
        problem = f"the weights of {checkpoint.name!r} are quantised"
        raise InputError(problem, "weights in float32, bfloat16 or float16", "use the checkpoint it was made from")
    from huggingface_hub.errors import StrictDataclassError

    with quiet_transformers():
        from transformers import AutoConfig

    try:
        with quiet_transformers():
            # transformers normalises what versions and families write differently, such as rope settings.
            hf = AutoConfig.from_pretrained(checkpoint.folder, local_files_only=True, trust_remote_code=False)
        hf = getattr(hf, "text_config", None) or hf
        return decoder_config(hf)
    except InputError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, ZeroDivisionError, OSError, StrictDataclassError) as error:
        why = " ".join(str(error).split())
        problem = f"config.json of {checkpoint.name!r} cannot be used: {type(error).__name__}: {why}"
        raise InputError(problem, f"the configuration of a {model_type}", "correct config.json") from error


def decoder_config(hf: Any) -> DecoderConfig:
    """Read what a decoder is made of from a transformers configuration.

    Parameters
    ----------
    hf
        The configuration. Its ``model_type`` counts, which may differ from the one in the file: a Mistral with types of
        layers is read as a Ministral.

    Returns
    -------
    DecoderConfig
        The decoder.

    Raises
    ------
    InputError
        If the family is not supported, or a field has a value that is not covered.
    """
    family = FAMILIES[check_model_type({"model_type": hf.model_type})]
    return read_settings(hf, family.settings(hf), family.required)
