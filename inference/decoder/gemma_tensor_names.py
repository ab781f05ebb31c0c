"""Where the parameters of the Gemmas after the third lie; the form of the tables is that of `tensor_names`."""

from inference.decoder.routed_tensor_names import Table
from inference.decoder.stored_layouts import StackedTensor
from inference.decoder.tensor_names import OUTPUT_NORMS

LAYER, ATTENTION = "layers.{}.", "layers.{}.self_attn."
KEYS = tuple(f"{ATTENTION}{name}." for name in ("k_proj", "v_proj", "k_norm", "v_norm"))
"""How names begin of what layers have in vain that attend to the keys and values of another."""

_SHARED: Table = {**OUTPUT_NORMS} | {
    name.replace("attention.", f"{kind}_attention."): place
    for kind in ("kept", "reused")
    for name, place in OUTPUT_NORMS.items()
    if name.startswith("attention.")
}
_EMBEDDINGS: Table = {
    "layer_table.table": "embed_tokens_per_layer",
    "layer_table.project": "per_layer_model_projection",
    "layer_table.norm": "per_layer_projection_norm",
    "embedding.gate": LAYER + "per_layer_input_gate",
    "embedding.project": LAYER + "per_layer_projection",
    "embedding.norm": LAYER + "post_per_layer_input_norm",
}
GEMMA3N: Table = (
    _SHARED
    | _EMBEDDINGS
    | {
        "streams": "altup_projections.*",
        "streams_back": "altup_unembed_projections.*",
        "updates.router_norm": LAYER + "altup.router_norm",
        "updates.router": LAYER + "altup.modality_router",
        "updates.prediction": LAYER + "altup.prediction_coefs",
        "updates.correction": LAYER + "altup.correction_coefs",
        "updates.output_scale": LAYER + "altup.correct_output_scale",
        "low_rank.down": LAYER + "laurel.linear_left",
        "low_rank.up": LAYER + "laurel.linear_right",
        "low_rank.norm": LAYER + "laurel.post_laurel_norm",
    }
)
_BESIDE = "experts_beside_mlp."
GEMMA4: Table = (
    _SHARED
    | _EMBEDDINGS
    | {
        "layer_scale.weight": LAYER + "layer_scalar",
        **{f"{_BESIDE}mlp.{part}": f"{LAYER}mlp.{part}_proj" for part in ("gate", "up", "down")},
        _BESIDE + "mlp_norm": LAYER + "pre_feedforward_layernorm",
        _BESIDE + "mlp_output_norm": LAYER + "post_feedforward_layernorm_1",
        _BESIDE + "experts_norm": LAYER + "pre_feedforward_layernorm_2",
        _BESIDE + "experts_output_norm": LAYER + "post_feedforward_layernorm_2",
        _BESIDE + "experts.router": LAYER + "router.proj",
        _BESIDE + "experts.router_scale": LAYER + "router.scale",
        _BESIDE + "experts.share_scale": LAYER + "router.per_expert_scale",
        _BESIDE + "experts.gate.weight": StackedTensor(LAYER + "experts.gate_up_proj", 0, 2),
        _BESIDE + "experts.up.weight": StackedTensor(LAYER + "experts.gate_up_proj", 1, 2),
        _BESIDE + "experts.down.weight": StackedTensor(LAYER + "experts.down_proj"),
    }
)
