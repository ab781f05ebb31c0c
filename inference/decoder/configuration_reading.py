"""Settings that families share: sizes, norms, positions and windows of a transformers configuration."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, cast, get_args

from bayeslaw.errors import InputError
from inference.decoder.configuration import Activation, DecoderConfig
from inference.decoder.rope_settings import Rope, RopeKind

Settings = dict[str, Any]

WIDTH = ("hidden_size", "n_embd", "d_model")
DEPTH = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads")
MLP_WIDTH = ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size")
EPSILON = ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_eps", "norm_epsilon")
ACTIVATION = ("hidden_act", "activation_function", "activation")
LENGTH = ("max_position_embeddings", "n_positions")
ACTIVATIONS: dict[str, Activation] = {
    **dict.fromkeys(("silu", "swish"), "silu"),
    "relu": "relu",
    "relu2": "squared_relu",
    **dict.fromkeys(("gelu", "gelu_python"), "gelu"),
    **dict.fromkeys(("gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_accurate"), "gelu_tanh"),
    "quick_gelu": "gelu_sigmoid",
    "xielu": "xielu",
}
ROPE_KINDS: tuple[str, ...] = get_args(RopeKind)
# What a configuration may say of its rotary embedding.
ROPE_FIELDS = {
    "rope_type", "type", "rope_theta", "partial_rotary_factor", "factor", "original_max_position_embeddings",
    "low_freq_factor", "high_freq_factor", "beta_fast", "beta_slow", "truncate", "attention_factor", "mscale",
    "mscale_all_dim", "short_factor", "long_factor",
}  # fmt: skip


def _first(hf: Any, names: tuple[str, ...], default: Any = None) -> Any:
    return next((value for name in names if (value := getattr(hf, name, None)) is not None), default)


def _needed(hf: Any, names: tuple[str, ...], what: str) -> Any:
    value = _first(hf, names)
    if value is None:
        raise InputError(
            f"config.json gives no {what}", f"one of the fields {', '.join(names)}", "complete config.json"
        )
    return value


def read_settings(hf: Any, settings: Settings, required: Mapping[str, tuple[Any, ...]]) -> DecoderConfig:
    """Complete what a family sets by what all families state alike.

    Parameters
    ----------
    hf
        A transformers configuration.
    settings
        What the family sets; beside fields of `DecoderConfig`, ``rope_width`` is the number of rotated dimensions,
        ``partial_rotary`` says whether the family heeds the share of them that a configuration states,
        ``rope_parameters`` stands for those of the configuration where the family reads them otherwise, ``rope_types``
        for its types of layers, and ``rope_backward`` says that it rotates by minus the angles.
    required
        Fields and the values that are covered; ``a.b`` names a field of a part.

    Returns
    -------
    DecoderConfig
        The decoder.

    Raises
    ------
    InputError
        If a field is missing, or has a value that is not covered.
    """
    for name, value in required.items():
        _check_required(hf, name, value)
    width, depth = (_needed(hf, *what) for what in ((WIDTH, "width"), (DEPTH, "depth")))
    heads = settings.get("heads") or _needed(hf, HEADS, "heads")
    head_width = settings.get("head_width") or getattr(hf, "head_dim", None) or width // heads
    length = _first(hf, LENGTH, 0)
    given = {
        "vocabulary": hf.vocab_size,
        "width": width,
        "depth": depth,
        "heads": heads,
        # A configuration whose layers differ does not let its field be asked for.
        "key_value_heads": settings.get("key_value_heads") or _first(hf, ("num_key_value_heads",), heads),
        "head_width": head_width,
        "mlp_width": _first(hf, MLP_WIDTH, 4 * width),
        "norm_epsilon": _first(hf, EPSILON, 1e-5),
        "tied": bool(hf.tie_word_embeddings),
        "max_length": 0 if settings.get("position") == "alibi" else length,
    }
    if "activation" not in settings:
        given["activation"] = activation(_first(hf, ACTIVATION))
    rope_width, partial = settings.pop("rope_width", None), settings.pop("partial_rotary", False)
    rope_types, backward = settings.pop("rope_types", ()), settings.pop("rope_backward", False)
    stated = settings.pop("rope_parameters", None) or getattr(hf, "rope_parameters", None) or {}
    if settings.get("position", "rope") == "rope" and "ropes" not in settings:
        share = _rotated_share if partial else _whole_heads
        types = rope_types or (tuple(hf.layer_types) if _by_type(stated) else ("",) * depth)
        given |= _ropes(stated, types, length=length, width=lambda rope: rope_width or int(head_width * share(rope)))
        given["ropes"] = tuple(replace(rope, backward=backward) for rope in given["ropes"])
    chosen = given | settings
    if not any(chosen.get("layer_window", ())):
        chosen["layer_window"] = ()
    if set(chosen.get("layer_rope", ())) == {0}:
        chosen["layer_rope"] = ()
    unknown = set(chosen) - {known.name for known in fields(DecoderConfig)}
    assert not unknown, f"a family sets {unknown}, which no decoder has"
    return DecoderConfig(**chosen)


def _check_required(hf: Any, name: str, accepted: tuple[Any, ...]) -> None:
    part: Any = hf
    for step in name.split("."):
        part = getattr(part, step, None)
    if part not in accepted:
        problem = f"{name} is {part!r} in the configuration of a {hf.model_type}, which is not covered"
        raise InputError(problem, f"{name} = {accepted[0]!r}", "use another checkpoint")


def activation(name: str | None) -> Activation:
    """Return the activation of `DecoderConfig` by the name that transformers gives it.

    Parameters
    ----------
    name
        The name in a configuration.

    Returns
    -------
    Activation
        The activation.

    Raises
    ------
    InputError
        If it is not covered.
    """
    if name not in ACTIVATIONS:
        raise InputError(f"the activation {name!r} is not covered", f"one of {', '.join(ACTIVATIONS)}", "use another")
    return cast(Activation, ACTIVATIONS[name])


def uniform_window(hf: Any) -> tuple[int, ...]:
    """Return one window for all layers, whatever types of layers a configuration lists.

    Parameters
    ----------
    hf
        A transformers configuration.

    Returns
    -------
    tuple of int
        The window of each layer, 0 for none.
    """
    return (int(getattr(hf, "sliding_window", None) or 0),) * _needed(hf, DEPTH, "depth")


def window_by_type(hf: Any) -> tuple[int, ...]:
    """Return the window of each layer by its type.

    Parameters
    ----------
    hf
        A transformers configuration.

    Returns
    -------
    tuple of int
        The window of each layer, 0 for none.

    Raises
    ------
    InputError
        If a type of layer is not covered, or layers slide without a window.
    """
    window = int(getattr(hf, "sliding_window", None) or 0)
    known = {"sliding_attention": window, "full_attention": 0}
    for kind in hf.layer_types:
        if kind not in known:
            raise InputError(f"a layer of the type {kind!r} is not covered", ", ".join(known), "use another checkpoint")
        if kind == "sliding_attention" and not window:
            problem = f"layer_types has sliding layers, and sliding_window is {hf.sliding_window!r}"
            raise InputError(problem, "a window for them", "set sliding_window in config.json")
    return tuple(known[kind] for kind in hf.layer_types)


def _rotated_share(parameters: Mapping[str, Any]) -> float:
    # Of these, the other pairs of dimensions turn by nothing.
    return 1.0 if parameters.get("rope_type") == "proportional" else _stated_share(parameters)


def _stated_share(parameters: Mapping[str, Any]) -> float:
    return float(parameters.get("partial_rotary_factor") or 1.0)


def _whole_heads(parameters: Mapping[str, Any]) -> float:
    if (share := _rotated_share(parameters)) != 1:
        problem = f"partial_rotary_factor is {share:g}, which this family does not heed"
        raise InputError(problem, "1, or none", "remove it from config.json if the model was made without it")
    return 1.0


def _by_type(stated: Mapping[str, Any]) -> bool:
    return bool(stated) and all(isinstance(value, dict) for value in stated.values())


def _ropes(
    stated: Mapping[str, Any], types: tuple[str, ...], *, length: int, width: Callable[[Mapping[str, Any]], int]
) -> Settings:
    """Read one rotary embedding for each type of layer, or one for all."""
    nested, kinds = _by_type(stated), sorted(set(types))
    ropes = []
    for kind in kinds:
        parameters = stated[kind] if nested else stated
        # Only the outer level of a nested configuration is asked whether to truncate, as the reference does.
        truncate = stated.get("truncate", True)
        ropes.append(read_rope(parameters, width=width(parameters), length=length, truncate=truncate))
    return {"ropes": tuple(ropes), "layer_rope": tuple(map(kinds.index, types))}


def read_rope(
    parameters: Mapping[str, Any], *, width: int, length: int, truncate: bool = True, kinds: Sequence[str] = ROPE_KINDS
) -> Rope:
    """Read one rotary embedding.

    Parameters
    ----------
    parameters
        What a configuration says of it.
    width
        Number of rotated dimensions.
    length
        Positions the model is made for.
    truncate
        Whether ``yarn`` rounds its bounds.
    kinds
        Kinds of scaling that are covered.

    Returns
    -------
    Rope
        The embedding.

    Raises
    ------
    InputError
        If its scaling or one of its fields is not covered.
    """
    kind = parameters.get("rope_type") or parameters.get("type") or "default"
    unknown = sorted(set(parameters) - ROPE_FIELDS)
    if kind not in kinds or unknown:
        problem = f"the rope scaling {kind!r} is not covered" if not unknown else f"rope has the field {unknown[0]!r}"
        raise InputError(problem, f"one of {', '.join(kinds)}", "use another checkpoint")
    original = int(parameters.get("original_max_position_embeddings") or length)
    factor = float(parameters.get("factor") or (length / original if original else 1.0))
    settings: Settings = {"theta": float(parameters.get("rope_theta", 10_000.0)), "width": width, "max_length": length}
    if kind == "default":
        return Rope(**settings)
    settings |= {"kind": kind, "original_max_length": original, "factor": factor}
    if kind == "llama3":
        settings["low_frequency_factor"] = float(parameters["low_freq_factor"])
        settings["high_frequency_factor"] = float(parameters["high_freq_factor"])
    if kind == "yarn":
        settings["beta_fast"] = float(parameters.get("beta_fast") or 32)
        settings["beta_slow"] = float(parameters.get("beta_slow") or 1)
        settings["truncate"] = bool(truncate)
        settings["magnitude"] = _yarn_magnitude(parameters, factor)
    if kind == "proportional":
        settings |= {"factor": float(parameters.get("factor") or 1), "share": _stated_share(parameters)}
    if kind == "longrope":
        settings["short_factors"] = tuple(map(float, parameters["short_factor"]))
        settings["long_factors"] = tuple(map(float, parameters["long_factor"]))
        grown = math.sqrt(1 + math.log(factor) / math.log(original)) if factor > 1 else 1.0
        stated = parameters.get("attention_factor")
        settings["magnitude"] = grown if stated is None else float(stated)
    return Rope(**settings)


def _yarn_magnitude(parameters: Mapping[str, Any], factor: float) -> float:
    """Return the factor on cosines and sines (Peng et al., YaRN, 2023, equation 22, as transformers has it)."""
    if (stated := parameters.get("attention_factor")) is not None:
        return float(stated)

    def grown(share: float) -> float:
        return 1.0 if factor <= 1 else 0.1 * share * math.log(factor) + 1.0

    scale, all_dimensions = parameters.get("mscale"), parameters.get("mscale_all_dim")
    return grown(scale) / grown(all_dimensions) if scale and all_dimensions else grown(1.0)
