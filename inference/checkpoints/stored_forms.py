"""Quantised weights of a checkpoint: what belongs together, by the form that ``quantization_config`` names.

Weights are decoded while they are read and products are made in the type of computation: activations and caches, which
some of these forms would have quantised too, are not.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bayeslaw.errors import InputError
from bayeslaw.inputs.foreign_text import excerpt
from inference.checkpoints.compressed_form import compressed
from inference.checkpoints.form_settings import FormSettings
from inference.checkpoints.safetensors_files import TensorPlace
from inference.checkpoints.scale_grids import AGAIN, Blocks, block, channel, fit_scales, whole_tensor
from inference.checkpoints.scaled_tensors import ScaledTensor, TurnedTensor
from inference.checkpoints.stored_tensors import StoredTensor

FLOAT8 = ("float8_e4m3fn", "float8_e5m2")
FORMATS = {"e4m3": "float8_e4m3fn", "e5m2": "float8_e5m2"}
# Both mean a factor: the second is named for the quantiser, which divides by its inverse.
SCALE_ENDINGS = ("_scale", "_scale_inv")
# Of numbers that share an exponent, OCP Microscaling Formats 1.0.
MICROSCALED = 32
Places = Mapping[str, TensorPlace]


def _fine_grained(places: Places, settings: FormSettings) -> dict[str, StoredTensor]:
    """Read float8 with a scale for each tensor, output or block: ``fp8``."""
    given = settings.pair("weight_block_size")
    ways: Sequence[Blocks] = (block(*given),) if given else (whole_tensor, channel)
    if "weight_block_size" not in settings.content:
        # Older writers leave it out for one scale a tensor, and for transformers it is this one.
        ways = (*ways, block(128, 128))
    return _scaled(places, settings, ways)


def _by_output(places: Places, settings: FormSettings) -> dict[str, StoredTensor]:
    """Read float8 with a scale for each output: ``fbgemm_fp8``."""
    return _scaled(places, settings, (channel,))


def _scaled(places: Places, settings: FormSettings, ways: Sequence[Blocks]) -> dict[str, StoredTensor]:
    found: dict[str, StoredTensor] = {}
    scales: dict[str, str] = {}
    for name in places:
        ending = next((ending for ending in SCALE_ENDINGS if name.endswith(ending)), None)
        if ending is not None and (weight := name.removesuffix(ending)) in places:
            scales[weight] = name
    taken = set(scales.values())
    for name, place in places.items():
        if name in taken:
            continue
        if name in scales:
            found[name] = _scaled_weight(name, place, places[scales[name]], settings, ways)
        elif place.dtype in FLOAT8:
            problem = f"{name} in {settings.where} is stored as {place.dtype}, and its scales are missing"
            raise InputError(problem, f"scales named {name}{' or '.join(SCALE_ENDINGS)}", AGAIN)
        else:
            found[name] = place
    return found


def _scaled_weight(
    name: str, place: TensorPlace, scales: TensorPlace, settings: FormSettings, ways: Sequence[Blocks]
) -> ScaledTensor:
    settings.check_quantised(name)
    stated = settings.content.get("fmt")
    if place.dtype in FLOAT8:
        if stated is not None and FORMATS.get(str(stated)) != place.dtype:
            problem = f"{name} in {settings.where} is stored as {place.dtype}, and fmt is {excerpt(repr(stated), 80)}"
            raise InputError(problem, f"fmt {' or '.join(FORMATS)}, as it is stored", AGAIN)
        return fit_scales(name, place, place.dtype, scales, ways=ways, where=settings.where)
    if settings.content.get("expert_dtype") == "fp4" and place.dtype in ("int8", "uint8"):
        return fit_scales(name, place, "fp4_pairs", scales, ways=(block(1, MICROSCALED),), where=settings.where)
    problem = f"{name} in {settings.where} has scales, and is stored as {place.dtype}"
    raise InputError(problem, f"{' or '.join(FLOAT8)}", AGAIN)


def _microscaled(places: Places, settings: FormSettings) -> dict[str, StoredTensor]:
    """Read pairs of FP4 codes with a power of two for every 32: ``mxfp4``."""
    found: dict[str, StoredTensor] = {}
    for name, place in places.items():
        if name.endswith("_scales") and f"{name.removesuffix('_scales')}_blocks" in places:
            continue
        if not name.endswith("_blocks"):
            found[name] = place
            continue
        base = name.removesuffix("_blocks")
        scales = places.get(f"{base}_scales")
        if scales is None:
            raise InputError(f"{base} in {settings.where} has blocks and no scales", f"{base}_scales", AGAIN)
        found[base] = _microscaled_weight(base, place, scales, settings)
    return found


def _microscaled_weight(name: str, place: TensorPlace, scales: TensorPlace, settings: FormSettings) -> TurnedTensor:
    settings.check_quantised(name)
    kinds = {place.dtype, scales.dtype}
    if kinds != {"uint8"} or len(place.shape) < 3 or place.shape[-1] != MICROSCALED // 2:
        stored = f"{list(place.shape)} {place.dtype} and {list(scales.shape)} {scales.dtype}"
        problem = f"blocks and scales of {name} in {settings.where} are {stored}"
        raise InputError(problem, "uint8 [..., out, in / 32, 16] and [..., out, in / 32]", AGAIN)
    *rest, groups, width = place.shape
    joined = place.reshaped((*rest, groups * width))
    tensor = fit_scales(name, joined, "fp4_pairs", scales, ways=(block(1, MICROSCALED),), where=settings.where)
    return TurnedTensor(tensor)


FORMS: dict[str, Callable[[Places, FormSettings], dict[str, StoredTensor]]] = {
    "fp8": _fine_grained,
    "fbgemm_fp8": _by_output,
    "compressed-tensors": compressed,
    "mxfp4": _microscaled,
}
# Scales of what is quantised while a model runs.
RUNNING = tuple(
    f".{what}_{part}"
    for what in ("input", "output", "activation", "k", "v", "q")
    for part in ("scale", "zero_point", "global_scale")
)


def _stated(config: Mapping[str, Any]) -> Any:
    text = config.get("text_config")
    parts = (config, text if isinstance(text, Mapping) else {})
    return next((part["quantization_config"] for part in parts if part.get("quantization_config") is not None), None)


def stated_method(config: Mapping[str, Any]) -> Any:
    """Return the ``quant_method`` that a configuration states, or None.

    Parameters
    ----------
    config
        The content of ``config.json``.

    Returns
    -------
    Any
        What stands there: a name in `FORMS` once a checkpoint is open.
    """
    stated = _stated(config)
    return stated.get("quant_method") if isinstance(stated, Mapping) else None


def dequantised(places: Places, config: Mapping[str, Any], where: str) -> dict[str, StoredTensor]:
    """Join the tensors that make up quantised weights.

    Parameters
    ----------
    places
        Where each tensor lies, by name.
    config
        The content of ``config.json``.
    where
        The checkpoint, for messages.

    Returns
    -------
    dict
        The model's tensors by their names, those that are not quantised as they are; without the scales of
        activations.

    Raises
    ------
    InputError
        If the form is not covered, or scales are missing or do not fit.
    """
    stated = _stated(config)
    if stated is None:
        return {**places}
    method = stated_method(config)
    if not isinstance(method, str) or method not in FORMS:
        problem = f"{where} are quantised: quant_method is {excerpt(repr(method), 80)}"
        accepted = f"weights in float32, bfloat16 or float16, or the quant_method {', '.join(FORMS)}"
        raise InputError(problem, accepted, "use the checkpoint it was made from")
    needed = {name: place for name, place in places.items() if not name.endswith(RUNNING)}
    return FORMS[method](needed, FormSettings(stated, where))
