"""Weights that the compressed-tensors library stores: each with scales named ``weight_scale`` beside it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bayeslaw.errors import InputError
from inference.checkpoints.form_settings import FormSettings, sizes_of_block
from inference.checkpoints.safetensors_files import TensorPlace
from inference.checkpoints.scale_grids import AGAIN, Blocks, block, channel, fit_scales, whole_tensor
from inference.checkpoints.scaled_tensors import ScaledTensor
from inference.checkpoints.stored_tensors import StoredTensor

SCALE, ZERO, ORDER, SHAPE = "weight_scale", "weight_zero_point", "weight_g_idx", "weight_shape"
NAMES = ("weight", "weight_packed", SCALE, ZERO, ORDER, SHAPE)
FLOATS = ("float8_e4m3fn", "float8_e5m2")


@dataclass(frozen=True)
class Format:
    """How codes are stored.

    Attributes
    ----------
    name
        Of the tensor of codes.
    codes
        Names in `CODES` by stored type and bits; 0 for any number of bits.
    scales
        Types that scales may have.
    zeros
        Whether a zero point may be stored.
    """

    name: str
    codes: Mapping[tuple[str, int], str]
    scales: Sequence[str] = ("float32", "bfloat16", "float16")
    zeros: bool = False


FLOAT_CODES = {(kind, 8): kind for kind in FLOATS}
FORMATS: dict[str, Format] = {
    "float-quantized": Format("weight", FLOAT_CODES),
    "int-quantized": Format("weight", {("int8", 0): "int8"}, zeros=True),
    "naive-quantized": Format("weight", FLOAT_CODES | {("int8", 0): "int8"}, zeros=True),
    "pack-quantized": Format("weight_packed", {("int32", 4): "nibbles_less_8", ("int32", 8): "bytes_less_128"}),
    "mxfp4-pack-quantized": Format("weight_packed", {("uint8", 4): "fp4_pairs"}, scales=("uint8",)),
    "mxfp8-quantized": Format("weight", {("float8_e4m3fn", 8): "float8_e4m3fn"}, scales=("uint8",)),
}


@dataclass(frozen=True)
class Scheme:
    """How one group of modules is quantised.

    Attributes
    ----------
    format
        How codes are stored.
    bits
        Bits of a code.
    symmetric
        Whether the code 0 stands for zero.
    ways
        How scales are shared.
    """

    format: Format
    bits: int
    symmetric: bool
    ways: Sequence[Blocks] = field(repr=False)


def compressed(places: Mapping[str, TensorPlace], settings: FormSettings) -> dict[str, StoredTensor]:
    """Join the tensors of a checkpoint written by compressed-tensors.

    Parameters
    ----------
    places
        Where each tensor lies, by name.
    settings
        Its ``quantization_config``.

    Returns
    -------
    dict
        The model's tensors by their names.

    Raises
    ------
    InputError
        If the format or how weights are quantised is not covered, or tensors do not fit each other.
    """
    schemes = list(_schemes(settings))
    modules = [name.removesuffix(SCALE) for name in places if name.endswith(f".{SCALE}")]
    found: dict[str, StoredTensor] = {}
    parts = set()
    for module in modules:
        of_module = {name: places[module + name] for name in NAMES if module + name in places}
        found[f"{module}weight"] = _weight(module, of_module, schemes, settings)
        parts |= {module + name for name in NAMES}
    rest = {name: place for name, place in places.items() if name not in parts}
    for name, place in rest.items():
        if place.dtype in FLOATS or name.endswith(".weight_packed"):
            problem = f"{name} in {settings.where} is stored as {place.dtype}, and its scales are missing"
            raise InputError(problem, f"scales named {name.rpartition('.')[0]}.{SCALE}", AGAIN)
    return rest | found


def _schemes(settings: FormSettings) -> Iterator[Scheme]:
    groups = settings.content.get("config_groups")
    for name in ("sparsity_config", "transform_config"):
        part = settings.content.get(name)
        if part and not (isinstance(part, Mapping) and part.get("format") == "dense"):
            raise settings.refuse(name, "none: sparse and rotated weights are not covered")
    if (status := settings.content.get("quantization_status", "compressed")) != "compressed":
        raise settings.refuse("quantization_status", "compressed", value=status)
    if not isinstance(groups, Mapping) or not all(isinstance(group, Mapping) for group in groups.values()):
        raise settings.refuse("config_groups", "a table of groups of modules")
    for name, group in groups.items():
        stated = group.get("format") or settings.content.get("format")
        if not isinstance(stated, str) or stated not in FORMATS:
            raise settings.refuse("format", f"one of {', '.join(FORMATS)}", value=stated)
        if (weights := group.get("weights")) is not None:
            yield _scheme(f"config_groups.{name}.weights", weights, FORMATS[stated], settings)


def _scheme(path: str, weights: Any, form: Format, settings: FormSettings) -> Scheme:
    if not isinstance(weights, Mapping):
        raise settings.refuse(path, "a table of settings", value=weights)
    bits, group, strategy = (weights.get(name) for name in ("num_bits", "group_size", "strategy"))
    if not isinstance(bits, int) or not 0 < bits <= 8:
        raise settings.refuse(f"{path}.num_bits", "a whole number from 1 to 8", value=bits)
    symmetric = weights.get("symmetric", True)
    if not isinstance(symmetric, bool) or not (symmetric or form.zeros):
        raise settings.refuse(f"{path}.symmetric", "true for this format", value=symmetric)
    if strategy is None:
        # What the library makes of a size alone.
        strategy = "tensor" if group is None else "channel" if group == -1 else "group"
    structure = weights.get("block_structure")
    sizes = sizes_of_block(structure, lambda: settings.refuse(f"{path}.block_structure", "two sizes", value=structure))
    ways: dict[str, Blocks | None] = {
        "tensor": whole_tensor,
        "channel": channel,
        "group": block(1, group) if isinstance(group, int) and group > 0 else None,
        "block": block(*sizes) if sizes else None,
    }
    way = ways.get(strategy) if isinstance(strategy, str) else None
    if way is None:
        accepted = "tensor, channel, group with its group_size, or block with its block_structure"
        raise settings.refuse(f"{path}.strategy", accepted, value=strategy)
    return Scheme(form, bits, symmetric, (way,))


def _weight(
    module: str, places: Mapping[str, TensorPlace], schemes: Sequence[Scheme], settings: FormSettings
) -> ScaledTensor:
    name, scales = f"{module}weight", places[SCALE]
    settings.check_quantised(name)
    if ORDER in places:
        problem = f"{module}{ORDER} in {settings.where} reorders the inputs of a weight"
        raise InputError(problem, "weights whose groups are in order", "use the checkpoint it was made from")
    refusals = []
    for scheme in schemes:
        place = places.get(scheme.format.name)
        codes = place and _codes(place, scheme)
        if place is None or codes is None or scales.dtype not in scheme.format.scales:
            continue
        # Packed words hold their numbers from the lowest bit on, which is the order of their bytes.
        stored = place.as_bytes() if place.dtype == "int32" else place
        try:
            tensor = fit_scales(name, stored, codes, scales, ways=scheme.ways, where=settings.where)
        except InputError as refusal:
            refusals.append(refusal)
            continue
        return _with_zeros(f"{module}{ZERO}", tensor, places.get(ZERO), scheme, settings.where)
    if refusals:
        raise refusals[0]
    parts = ", ".join(f"{part} {place.dtype}" for part, place in places.items())
    problem = f"{module[:-1]} in {settings.where} has {parts}, which no group of config_groups describes"
    raise InputError(problem, f"one of the formats {', '.join(FORMATS)}", AGAIN)


def _codes(place: TensorPlace, scheme: Scheme) -> str | None:
    codes = scheme.format.codes
    return codes.get((place.dtype, scheme.bits)) or codes.get((place.dtype, 0))


def _with_zeros(name: str, tensor: ScaledTensor, zeros: TensorPlace | None, scheme: Scheme, where: str) -> ScaledTensor:
    if zeros is None and scheme.symmetric:
        return tensor
    if zeros is None or zeros.count != tensor.scales.count or zeros.dtype != "int8":
        found = "missing" if zeros is None else f"{list(zeros.shape)} {zeros.dtype}"
        raise InputError(f"{name} in {where} is {found}", f"int8 {list(tensor.scales.shape)}, as its scales", AGAIN)
    return replace(tensor, zeros=replace(zeros, shape=tensor.scales.shape))
