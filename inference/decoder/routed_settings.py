"""What families of routed experts set, as functions of a transformers configuration."""

from collections.abc import Callable
from typing import Any

from inference.decoder.configuration_reading import DEPTH, Settings
from inference.decoder.expert_settings import Experts


def _depth(hf: Any) -> int:
    return next(value for name in DEPTH if (value := getattr(hf, name, None)) is not None)


def experts_where(routed: Callable[[Any, int], bool]) -> Callable[[Any], Settings]:
    """Say which layers, by number from 0, have experts in place of an MLP."""
    return lambda hf: {"layer_feed_forward": tuple("experts" if routed(hf, i) else "mlp" for i in range(_depth(hf)))}


def some_experts(**settings: Any) -> Callable[[Any], Settings]:
    """Set what experts are made of; what is a function is asked of the configuration."""

    def read(hf: Any) -> Settings:
        read_settings = {name: value(hf) if callable(value) else value for name, value in settings.items()}
        return {"parts": (Experts(**read_settings),)}

    return read


def normalised(hf: Any) -> str:
    """Read whether scores of the chosen experts are divided by their sum."""
    return "normalised" if hf.norm_topk_prob else "scores"


def by_steps(hf: Any, layer: int) -> bool:
    """Say where a Qwen has experts: in every so manyth layer, but for some."""
    return layer not in hf.mlp_only_layers and hf.num_experts > 0 and (layer + 1) % hf.decoder_sparse_step == 0


def after_first(hf: Any, layer: int) -> bool:
    """Say where a DeepSeek has experts: in all layers but the first few."""
    return layer >= hf.first_k_dense_replace


def between(hf: Any, layer: int) -> bool:
    """Say where an Ernie has experts: in every so manyth layer from one to another."""
    inside = hf.moe_layer_start_index <= layer <= hf.moe_layer_end_index
    return inside and (layer + 1) % hf.moe_layer_interval == 0


EVERYWHERE = experts_where(lambda hf, layer: True)
LOCAL = {
    "count": lambda hf: hf.num_local_experts,
    "chosen": lambda hf: hf.num_experts_per_tok,
    "width": lambda hf: hf.intermediate_size,
}
QWEN = {
    "count": lambda hf: hf.num_experts,
    "chosen": lambda hf: hf.num_experts_per_tok,
    "width": lambda hf: hf.moe_intermediate_size,
    "shares": normalised,
}
# DeepSeek V3 and those after it: the logistic function, a correction, groups, an MLP beside the experts.
DEEPSEEK3 = {
    "count": lambda hf: hf.n_routed_experts,
    "chosen": lambda hf: hf.num_experts_per_tok,
    "width": lambda hf: hf.moe_intermediate_size,
    "scores": "sigmoid",
    "shares": normalised,
    # Added to the sum by the reference, of no effect on any sum that is not zero.
    "smallest_sum": 1e-20,
    "scale": lambda hf: float(hf.routed_scaling_factor),
    "corrected": True,
    "groups": lambda hf: hf.n_group or 1,
    "chosen_groups": lambda hf: hf.topk_group or 1,
    "shared_width": lambda hf: hf.moe_intermediate_size * (hf.n_shared_experts or 0),
}
