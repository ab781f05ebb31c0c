"""Which kinds of layers families have, for the list of them.

A family sets its layers from a configuration; a test holds this table to those of all cases.
"""

from typing import NamedTuple


class Kinds(NamedTuple):
    """Kinds of the layers of a family.

    Attributes
    ----------
    mixers, feed_forwards
        Names in `inference.decoder.mixers.MIXERS` and in `inference.decoder.feed_forwards.FEED_FORWARDS`.
    """

    mixers: tuple[str, ...] = ("attention",)
    feed_forwards: tuple[str, ...] = ("mlp",)


# Of families that have other layers than attention and an MLP.
OTHER_KINDS: dict[str, Kinds] = {
    "afmoe": Kinds(mixers=("gated_attention",), feed_forwards=("experts", "mlp")),
    "aria_text": Kinds(feed_forwards=("experts",)),
    "axk1": Kinds(mixers=("latent_attention",), feed_forwards=("experts", "mlp")),
    "bailing_hybrid": Kinds(mixers=("head_gated_latent_attention", "kimi_delta"), feed_forwards=("experts", "mlp")),
    "bamba": Kinds(mixers=("attention", "mamba2")),
    "beam": Kinds(mixers=("gated_attention",), feed_forwards=("experts", "mlp")),
    "cohere2_moe": Kinds(feed_forwards=("experts", "mlp")),
    "dbrx": Kinds(feed_forwards=("experts",)),
    "deepseek_v2": Kinds(mixers=("latent_attention",), feed_forwards=("experts", "mlp")),
    "deepseek_v3": Kinds(mixers=("latent_attention",), feed_forwards=("experts", "mlp")),
    "diffllama": Kinds(mixers=("differential_attention",)),
    "dots1": Kinds(feed_forwards=("experts", "mlp")),
    "ernie4_5_moe": Kinds(feed_forwards=("experts", "mlp")),
    "exaone_moe": Kinds(feed_forwards=("experts", "mlp")),
    "falcon_h1": Kinds(mixers=("attention_mamba2",), feed_forwards=("scaled_mlp",)),
    "falcon_mamba": Kinds(mixers=("mamba",), feed_forwards=()),
    "flex_olmo": Kinds(feed_forwards=("experts",)),
    "flint": Kinds(feed_forwards=("experts", "mlp")),
    "gemma3n_text": Kinds(mixers=("attention", "kept_attention", "reused_attention")),
    "gemma4_text": Kinds(
        mixers=("attention", "kept_attention", "reused_attention"), feed_forwards=("experts_beside_mlp", "mlp")
    ),
    "gemma4_unified_text": Kinds(mixers=("attention", "kept_attention", "reused_attention")),
    "glm4_moe": Kinds(feed_forwards=("experts", "mlp")),
    "glm4_moe_lite": Kinds(mixers=("latent_attention",), feed_forwards=("experts", "mlp")),
    "gpt_oss": Kinds(feed_forwards=("experts",)),
    "granitemoe": Kinds(feed_forwards=("experts",)),
    "granitemoe_swa": Kinds(feed_forwards=("experts",)),
    "granitemoehybrid": Kinds(mixers=("attention", "mamba2"), feed_forwards=("experts", "mlp")),
    "granitemoeshared": Kinds(feed_forwards=("experts",)),
    "hunyuan_v1_moe": Kinds(feed_forwards=("experts",)),
    "hy_v3": Kinds(feed_forwards=("experts", "mlp")),
    "jamba": Kinds(mixers=("attention", "mamba"), feed_forwards=("experts", "mlp")),
    "jetmoe": Kinds(mixers=("routed_attention",), feed_forwards=("experts",)),
    "kimi_linear": Kinds(mixers=("kimi_delta", "latent_attention"), feed_forwards=("experts", "mlp")),
    "kolibri1": Kinds(feed_forwards=("experts",)),
    "laguna": Kinds(mixers=("gated_attention",), feed_forwards=("experts", "mlp")),
    "lfm2": Kinds(mixers=("attention", "short_convolution")),
    "lfm2_moe": Kinds(mixers=("attention", "short_convolution"), feed_forwards=("experts", "mlp")),
    "lfm3": Kinds(mixers=("attention", "head_gated_attention", "short_convolution")),
    "llama4_text": Kinds(feed_forwards=("experts", "mlp")),
    "longcat_flash": Kinds(mixers=("shortcut",), feed_forwards=()),
    "mamba": Kinds(mixers=("mamba",), feed_forwards=()),
    "mamba2": Kinds(mixers=("mamba2",), feed_forwards=()),
    "mellum": Kinds(feed_forwards=("experts", "mlp")),
    "mimo_v2_flash": Kinds(mixers=("attention", "windowed_attention"), feed_forwards=("experts", "mlp")),
    "minicpm3": Kinds(mixers=("latent_attention",)),
    "minimax": Kinds(mixers=("attention", "lightning"), feed_forwards=("experts",)),
    "minimax_m2": Kinds(feed_forwards=("experts",)),
    "mixtral": Kinds(feed_forwards=("experts",)),
    "nemotron_h": Kinds(mixers=("attention", "mamba2"), feed_forwards=("experts", "mlp")),
    "olmo_hybrid": Kinds(mixers=("attention", "gated_delta")),
    "olmoe": Kinds(feed_forwards=("experts",)),
    "phimoe": Kinds(feed_forwards=("experts",)),
    "qwen2_moe": Kinds(feed_forwards=("experts", "mlp")),
    "qwen3_5_moe_text": Kinds(mixers=("gated_attention", "gated_delta"), feed_forwards=("experts",)),
    "qwen3_5_text": Kinds(mixers=("gated_attention", "gated_delta")),
    "qwen3_moe": Kinds(feed_forwards=("experts", "mlp")),
    "qwen3_next": Kinds(mixers=("gated_attention", "gated_delta"), feed_forwards=("experts", "mlp")),
    "recurrent_gemma": Kinds(mixers=("attention", "rglru")),
    "rwkv": Kinds(mixers=("time_mixing",), feed_forwards=("channel_mixing",)),
    "sarvam_mla": Kinds(mixers=("latent_attention",), feed_forwards=("experts", "mlp")),
    "sarvam_moe": Kinds(feed_forwards=("experts", "mlp")),
    "solar_open": Kinds(feed_forwards=("experts",)),
    "xlstm": Kinds(mixers=("mlstm",)),
    "youtu": Kinds(mixers=("latent_attention",)),
    "zamba2": Kinds(mixers=("mamba2", "shared_block_mamba2"), feed_forwards=()),
}
