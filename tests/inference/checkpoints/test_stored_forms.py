"""Quantised weights are decoded as their forms say, a tile at a time, and what does not fit is refused."""

import json
import os
import pickle
import re
import struct
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import ml_dtypes
import numpy as np
import pytest
from flax import nnx
from parity.cases import CASES
from parity.checkpoints import read_reference, tensor_shapes, write_checkpoint
from parity.seeded import seeded_tensor
from stored_weights import (
    E4M3,
    E5M2,
    E8M0,
    float8_codes,
    fp4_numbers,
    packed_words,
    scales_for,
    spread,
    write_quantised,
    write_safetensors,
)

from bayeslaw.errors import InputError
from inference.checkpoints.checkpoint import open_checkpoint
from inference.checkpoints.stored_forms import stated_method
from inference.checkpoints.weights import load_decoder

WEIGHT = "model.layers.0.mlp.up_proj.weight"
MODULE = WEIGHT.removesuffix("weight")
RAGGED = (150, 200)


@dataclass(frozen=True)
class Form:
    """A stored tensor: its configuration, what is in the file, and the numbers of the model."""

    settings: dict[str, Any]
    stored: dict[str, np.ndarray]
    name: str
    numbers: np.ndarray = field(repr=False)


def float8(settings, *, shape=RAGGED, blocks, kind=E4M3, scale="_scale_inv", name=WEIGHT, grid=None):
    codes, scales = float8_codes(shape, kind), scales_for(shape, blocks)
    numbers = codes.astype(np.float32) * spread(scales, blocks, shape)
    stored = scales if grid is None else scales.reshape(grid)
    return Form({"quant_method": "fp8"} | settings, {name: codes, f"{name}{scale}": stored}, name, numbers)


def exponents(*, stored_as):
    """Scales that are powers of two, in bytes or in a type of their own."""
    blocks = (128, 128)
    codes, powers = float8_codes(RAGGED, E4M3), np.array([[120, 127], [131, 100]], np.uint8)
    numbers = codes.astype(np.float32) * spread(2.0 ** (powers.astype(np.float64) - 127), blocks, RAGGED)
    settings = {"quant_method": "fp8", "weight_block_size": [128, 128], "scale_fmt": "ue8m0"}
    return Form(settings, {WEIGHT: codes, f"{WEIGHT}_scale_inv": powers.view(stored_as)}, WEIGHT, numbers)


def compressed(stored_format, weights, stored, numbers):
    group = {"targets": ["Linear"], "weights": {"num_bits": 8, "type": "float", "symmetric": True} | weights}
    settings = {
        "quant_method": "compressed-tensors",
        "format": stored_format,
        "quantization_status": "compressed",
        "config_groups": {"group_0": group},
        "ignore": ["lm_head", "re:.*router"],
    }
    return Form(settings, {MODULE + part: values for part, values in stored.items()}, WEIGHT, numbers)


def compressed_float8(strategy, blocks, *, grid, stored_format="float-quantized", scales=None, **weights):
    codes = float8_codes(RAGGED, E4M3)
    scales = scales_for(RAGGED, blocks).astype(ml_dtypes.bfloat16) if scales is None else scales
    numbers = codes.astype(np.float32) * spread(scales.astype(np.float32), blocks, RAGGED)
    stored = {"weight": codes, "weight_scale": scales.reshape(grid)}
    return compressed(stored_format, {"strategy": strategy, **weights}, stored, numbers)


def compressed_integers(stored_format, bits, *, zeros=False, group=None):
    shape = (150, 192)
    blocks = (1, group or shape[1])
    half = 1 << bits - 1
    random = np.random.default_rng(4)
    codes, scales = random.integers(-half, half, shape), scales_for(shape, blocks)
    offsets = random.integers(-half, half, scales.shape).astype(np.int8) if zeros else np.zeros(scales.shape, np.int8)
    numbers = (codes - spread(offsets, blocks, shape)) * spread(scales, blocks, shape)
    packed = stored_format == "pack-quantized"
    stored = {"weight_packed": packed_words(codes, bits)} if packed else {"weight": codes.astype(np.int8)}
    stored |= {"weight_scale": scales} | ({"weight_zero_point": offsets} if zeros else {})
    stored |= {"weight_shape": np.array(shape, np.int64)} if packed else {}
    how = {"strategy": "group", "group_size": group} if group else {"strategy": "channel"}
    weights = how | {"num_bits": bits, "type": "int", "symmetric": not zeros}
    return compressed(stored_format, weights, stored, numbers.astype(np.float32))


def fp4(form, *, shape=(3, 10, 96)):
    """Pairs of FP4 codes with a power of two for every 32 numbers, in one of the three ways to store them."""
    random = np.random.default_rng(7)
    *rest, columns = shape
    codes = random.integers(0, 256, (*rest, columns // 2), dtype=np.uint8)
    powers = random.integers(110, 135, (*rest, columns // 32), dtype=np.uint8)
    factors = np.repeat(2.0 ** (powers.astype(np.float64) - 127), 32, axis=-1)
    numbers = (fp4_numbers(codes) * factors).astype(np.float32)
    if form == "mxfp4":
        name = "model.layers.0.mlp.experts.down_proj"
        stored = {f"{name}_blocks": codes.reshape(*rest, columns // 32, 16), f"{name}_scales": powers}
        return Form({"quant_method": "mxfp4"}, stored, name, np.swapaxes(numbers, -1, -2))
    if form == "fp8":
        settings = {"quant_method": "fp8", "weight_block_size": [128, 128], "expert_dtype": "fp4"}
        return Form(settings, {WEIGHT: codes.view(np.int8), f"{WEIGHT}_scale": powers.view(E8M0)}, WEIGHT, numbers)
    weights = {"num_bits": 4, "strategy": "group", "group_size": 32}
    return compressed(form, weights, {"weight_packed": codes, "weight_scale": powers}, numbers)


def mxfp8():
    shape = (10, 96)
    codes, powers = float8_codes(shape, E4M3), np.random.default_rng(8).integers(110, 135, (10, 3), dtype=np.uint8)
    numbers = codes.astype(np.float32) * spread(2.0 ** (powers.astype(np.float64) - 127), (1, 32), shape)
    weights = {"strategy": "group", "group_size": 32}
    return compressed("mxfp8-quantized", weights, {"weight": codes, "weight_scale": powers}, numbers)


BLOCKS = {"weight_block_size": [128, 128]}
FORMS: dict[str, Form] = {
    "blocks": float8(BLOCKS | {"fmt": "e4m3"}, blocks=(128, 128)),
    "blocks of two sizes": float8({"weight_block_size": [64, 32]}, blocks=(64, 32), kind=E5M2),
    "blocks of experts": float8(
        BLOCKS, shape=(2, 150, 200), blocks=(1, 128, 128), name="model.layers.0.mlp.experts.gate_up_proj"
    ),
    "one scale": float8({"weight_block_size": None}, blocks=RAGGED, grid=()),
    "one scale, e5m2": float8({"fmt": "e5m2"}, blocks=RAGGED, kind=E5M2, scale="_scale", grid=(1,)),
    "outputs": float8({}, blocks=(1, 200), scale="_scale"),
    "outputs of fbgemm": float8({"quant_method": "fbgemm_fp8"}, blocks=(1, 200), scale="_scale"),
    "no size stated": float8({}, blocks=(128, 128)),
    "exponents": exponents(stored_as=np.uint8),
    "exponents of their type": exponents(stored_as=E8M0),
    "compressed, one scale": compressed_float8("tensor", RAGGED, grid=(1,)),
    "compressed, outputs": compressed_float8("channel", (1, 200), grid=(150, 1)),
    "compressed, blocks": compressed_float8("block", (128, 128), grid=(2, 2), block_structure=[128, 128]),
    "compressed, groups": compressed_float8("group", (1, 50), grid=(150, 4), group_size=50),
    "compressed, naive": compressed_float8("channel", (1, 200), grid=(150, 1), stored_format="naive-quantized"),
    "compressed, int8": compressed_integers("int-quantized", 8),
    "compressed, int8 with zeros": compressed_integers("int-quantized", 8, zeros=True),
    "compressed, int4 in bytes with zeros": compressed_integers("naive-quantized", 4, zeros=True, group=64),
    "compressed, packed int4": compressed_integers("pack-quantized", 4, group=32),
    "compressed, packed int8": compressed_integers("pack-quantized", 8),
    "compressed, mxfp4": fp4("mxfp4-pack-quantized", shape=(10, 96)),
    "compressed, mxfp8": mxfp8(),
    "mxfp4": fp4("mxfp4"),
    "fp4 experts": fp4("fp8", shape=(10, 96)),
}


@pytest.fixture(params=FORMS)
def form(request):
    return FORMS[request.param]


def write_form(folder, form, **changed):
    beside = {"model.norm.weight": np.arange(3, dtype=np.float32)}
    return write_quantised(folder, form.stored | beside, form.settings | changed)


@pytest.mark.parametrize("tile", [1 << 20, 7 * 200, 100])
def test_numbers_are_those_of_the_form(form, tile, tmp_path, monkeypatch):
    monkeypatch.setattr("inference.checkpoints.stored_tensors.TILE", tile)
    checkpoint = open_checkpoint(write_form(tmp_path, form))
    assert checkpoint.names == {form.name, "model.norm.weight"}
    assert checkpoint.shape(form.name) == form.numbers.shape
    assert checkpoint.dtype(form.name) == "float32"
    np.testing.assert_array_equal(checkpoint.read(form.name), form.numbers)
    assert checkpoint.dtype("model.norm.weight") == "float32"


def test_numbers_are_rounded_once_to_the_type_of_computation(form, tmp_path):
    checkpoint = open_checkpoint(write_form(tmp_path, form))
    values = np.empty(form.numbers.shape, ml_dtypes.bfloat16)
    checkpoint.read_into(values, form.name)
    np.testing.assert_array_equal(values, form.numbers.astype(ml_dtypes.bfloat16))
    read = checkpoint.read(form.name, decoded=ml_dtypes.bfloat16)
    assert read.dtype == values.dtype
    np.testing.assert_array_equal(read, values)


def test_entries_are_read_alone(form, tmp_path):
    checkpoint = pickle.loads(pickle.dumps(open_checkpoint(write_form(tmp_path, form))))
    for number in (0, 1, len(form.numbers) - 1):
        np.testing.assert_array_equal(checkpoint.read(form.name, number), form.numbers[number])


def test_rows_are_read_alone(form, tmp_path):
    checkpoint = open_checkpoint(write_form(tmp_path, form))
    last = len(form.numbers)
    read = checkpoint.places[form.name].read_rows(form.name, last - 2, last)
    np.testing.assert_array_equal(read, form.numbers[last - 2 :])
    assert checkpoint.same(form.name, form.name)


def test_the_form_is_named(tmp_path):
    stated = {"blocks": "float8_e4m3fn", "compressed, packed int4": "int4", "mxfp4": "fp4"}
    for name, called in stated.items():
        form = FORMS[name]
        checkpoint = open_checkpoint(write_form(tmp_path / name, form))
        assert checkpoint.stored_forms == {called: form.numbers.size, "float32": 3}
        assert stated_method(checkpoint.config) == checkpoint.config["quantization_config"]["quant_method"]


def test_the_bytes_counted_are_those_on_disk(form, tmp_path):
    checkpoint = open_checkpoint(write_form(tmp_path, form))
    stored = sum(values.nbytes for name, values in form.stored.items() if not name.endswith("weight_shape"))
    assert checkpoint.tensor_bytes == stored + 3 * 4


def test_mistaken_decodings_would_be_seen():
    """What a reader could mistake changes these numbers."""
    blocks, sizes = FORMS["blocks"], FORMS["blocks of two sizes"]
    codes, scales = (blocks.stored[WEIGHT + ending] for ending in ("", "_scale_inv"))
    assert not np.array_equal(codes.astype(np.float32) * spread(scales.T, (128, 128), RAGGED), blocks.numbers)
    e5m2 = sizes.stored[WEIGHT]
    assert not np.array_equal(e5m2.view(E4M3).astype(np.float32), e5m2.astype(np.float32))
    pairs = np.array([[0x12]], np.uint8)
    assert fp4_numbers(pairs).tolist() == [[1.0, 0.5]]


# Whole models


def quantise(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return codes, scales of blocks of 48 x 32, and the numbers that they stand for."""
    blocks = (48, 32)
    rows, columns = (-(-size // block) for size, block in zip(weight.shape, blocks, strict=True))
    scales = np.empty((rows, columns), np.float32)
    for row, column in np.ndindex(rows, columns):
        part = weight[row * 48 : (row + 1) * 48, column * 32 : (column + 1) * 32]
        scales[row, column] = np.abs(part).max() / 448
    factors = spread(scales, blocks, weight.shape)
    codes = (weight / factors).astype(E4M3)
    return codes, scales, codes.astype(np.float32) * factors


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("llama", "float32"),
        ("llama", "bfloat16"),
        ("phi3/longrope", "float32"),
        ("gpt2", "float32"),
        ("qwen3_moe", "float32"),
    ],
)
def test_a_decoder_has_the_decoded_weights(name, dtype, tmp_path):
    plain, stored = {}, {}
    for tensor, shape in tensor_shapes(name).items():
        values = seeded_tensor(name, tensor, shape)
        plain[tensor] = stored[tensor] = values
        if len(shape) == 2 and re.search(r"layers|\.h\.", tensor):
            stored[tensor], stored[f"{tensor}_scale_inv"], plain[tensor] = quantise(values)
    folders = [write_checkpoint(tmp_path / form, CASES[name]) for form in ("plain", "stored")]
    for folder, tensors in zip(folders, (plain, stored), strict=True):
        write_safetensors(folder / "model.safetensors", tensors)
    config = json.loads((folders[1] / "config.json").read_text())
    excluded = ["lm_head", "model.embed_tokens", "transformer.wte"]
    quantisation = {"quant_method": "fp8", "weight_block_size": [48, 32], "modules_to_not_convert": excluded}
    (folders[1] / "config.json").write_text(json.dumps(config | {"quantization_config": quantisation}))
    assert_same_decoder(*folders, dtype=dtype)


def assert_same_decoder(*folders, dtype):
    expected, found = (
        jax.tree.leaves_with_path(nnx.split(load_decoder(open_checkpoint(folder), dtype=dtype))[1])
        for folder in folders
    )
    assert len(expected) == len(found) > 5
    for (path, right), (_, values) in zip(expected, found, strict=True):
        np.testing.assert_array_equal(values, right, err_msg=str(path))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_experts_of_gpt_oss_are_those_that_their_codes_stand_for(dtype, tmp_path):
    config = json.loads(json.dumps(read_reference("gpt_oss")["config"])) | {"intermediate_size": 64}
    plain, stored = {}, {}
    for number, (tensor, shape) in enumerate(tensor_shapes("gpt_oss").items()):
        # Of 24 numbers no block can be made.
        shape = [{24: 64, 48: 128}.get(size, size) if "experts" in tensor else size for size in shape]
        if not tensor.endswith("_proj"):
            plain[tensor] = stored[tensor] = seeded_tensor("gpt_oss", tensor, shape)
            continue
        random = np.random.default_rng(number)
        experts, inputs, outputs = shape
        codes = random.integers(0, 256, (experts, outputs, inputs // 32, 16), dtype=np.uint8)
        powers = random.integers(120, 126, codes.shape[:-1], dtype=np.uint8)
        numbers = fp4_numbers(codes) * 2.0 ** (powers.astype(np.float32) - 127)[..., None]
        plain[tensor] = numbers.reshape(experts, outputs, inputs).swapaxes(1, 2).astype(np.float32)
        stored |= {f"{tensor}_blocks": codes, f"{tensor}_scales": powers}
    folders = [tmp_path / form for form in ("plain", "stored")]
    quantisation = {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "lm_head"]}
    for folder, tensors in zip(folders, (plain, stored), strict=True):
        folder.mkdir()
        write_safetensors(folder / "model.safetensors", tensors)
        (folder / "config.json").write_text(json.dumps(config))
    (folders[1] / "config.json").write_text(json.dumps(config | {"quantization_config": quantisation}))
    assert_same_decoder(*folders, dtype=dtype)


# Memory


GROWTH = """
import re, sys
from pathlib import Path
import ml_dtypes, numpy as np
from inference.checkpoints.checkpoint import open_checkpoint
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
checkpoint = open_checkpoint(sys.argv[1])
values = np.ones(checkpoint.shape("w.weight"), ml_dtypes.bfloat16)
start = peak()
checkpoint.read_into(values, "w.weight")
assert not values.any()
print(values.nbytes, peak() - start)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is asked of Linux")
def test_a_weight_is_decoded_with_a_tile_beside_it(tmp_path):
    rows, columns = 4096, 16384
    header: dict[str, Any] = {
        "w.weight": {"dtype": "F8_E4M3", "shape": [rows, columns], "data_offsets": [0, rows * columns]},
        "w.weight_scale_inv": {
            "dtype": "F32",
            "shape": [32, 128],
            "data_offsets": [rows * columns, rows * columns + 32 * 128 * 4],
        },
    }
    write_quantised(tmp_path, {}, {"quant_method": "fp8"} | BLOCKS)
    text = json.dumps(header).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    # A file with holes is written at once, and is read as zeros.
    os.truncate(tmp_path / "model.safetensors", 8 + len(text) + rows * columns + 32 * 128 * 4)
    result = subprocess.run([sys.executable, "-c", GROWTH, tmp_path], capture_output=True, text=True, check=True)
    size, grown = map(int, result.stdout.split())
    assert size == rows * columns * 2
    assert grown < 40e6, f"{grown:,} bytes beside {size:,}"


# What is refused


def changed(form, **tensors):
    """Replace tensors of a form by the ends of their names, or take them away."""
    stored = dict(form.stored)
    for ending, values in tensors.items():
        name = next(name for name in stored if name.endswith(ending))
        stored.pop(name)
        if values is not None:
            stored[name] = values
    return Form(form.settings, stored, form.name, form.numbers)


def with_weights(form, **weights):
    group = form.settings["config_groups"]["group_0"]
    groups = {"group_0": group | {"weights": group["weights"] | weights}}
    return Form(form.settings | {"config_groups": groups}, form.stored, form.name, form.numbers)


def with_settings(form, **settings):
    return Form(form.settings | settings, form.stored, form.name, form.numbers)


BLOCKED, ONE, GROUPS, MX = (FORMS[name] for name in ("blocks", "one scale", "compressed, groups", "mxfp4"))
PACKED = FORMS["compressed, packed int4"]
REFUSED: list[tuple[Form, str]] = [
    (with_settings(BLOCKED, quant_method="gptq"), r"quant_method is 'gptq'.*fp8, fbgemm_fp8, compressed-tensors, mxf"),
    (with_settings(BLOCKED, quant_method=None), "quant_method is None"),
    (changed(BLOCKED, _scale_inv=None), r"up_proj\.weight .*float8_e4m3fn, and its scales are missing"),
    (changed(BLOCKED, _scale_inv=np.ones((2, 3), np.float32)), r"scales .*\[2, 3\], .*\[150, 200\].*shape \[2, 2\]"),
    (changed(BLOCKED, _scale_inv=np.ones((), np.float32)), r"scales .* are \[\]"),
    (changed(BLOCKED, _scale_inv=np.ones((2, 2), np.int32)), "stored as int32"),
    (changed(BLOCKED, weight=np.ones(RAGGED, np.float32)), "has scales, and is stored as float32"),
    (changed(BLOCKED, weight=np.ones(4, E4M3)), r"has scales and the shape \[4\]"),
    (with_settings(BLOCKED, fmt="e5m2"), "stored as float8_e4m3fn, and fmt is 'e5m2'"),
    (with_settings(BLOCKED, weight_block_size=[128]), "weight_block_size is"),
    (with_settings(BLOCKED, weight_block_size=[128, 0]), "weight_block_size is"),
    (with_settings(BLOCKED, weight_block_size="a"), "weight_block_size is 'a'"),
    (with_settings(BLOCKED, modules_to_not_convert=["model.layers.0.mlp"]), "quantised, and modules_to_not_convert li"),
    (with_settings(BLOCKED, modules_to_not_convert="lm_head"), "modules_to_not_convert is 'lm_head'"),
    (with_settings(GROUPS, ignore=[MODULE[:-1]]), "is quantised, and ignore lists"),
    (with_settings(GROUPS, format="nvfp4-pack-quantized"), "format is 'nvfp4-pack-quantized'"),
    (with_settings(GROUPS, quantization_status="frozen"), "quantization_status is 'frozen'"),
    (with_settings(GROUPS, sparsity_config={"format": "sparse-24-bitmask"}), "sparsity_config is"),
    (with_settings(GROUPS, config_groups=["FP8"]), "config_groups is"),
    (with_weights(GROUPS, group_size=40), r"scales .*\[150, 4\]"),
    (with_weights(GROUPS, strategy="tensor_group"), r"strategy is 'tensor_group'"),
    (with_weights(GROUPS, num_bits=16), r"num_bits is 16"),
    (with_weights(GROUPS, symmetric=False), r"symmetric is False"),
    (with_weights(GROUPS, block_structure=["a", 3]), r"block_structure is"),
    (changed(GROUPS, weight_scale=None), "its scales are missing"),
    (changed(GROUPS, weight=np.ones(RAGGED, np.int8)), r"no group of config_groups describes"),
    (with_weights(PACKED, num_bits=3), r"no group of config_groups describes"),
    (with_weights(PACKED, symmetric=False), r"symmetric is False"),
    (
        Form(
            PACKED.settings,
            PACKED.stored | {f"{MODULE}weight_g_idx": np.arange(192, dtype=np.int32)},
            WEIGHT,
            PACKED.numbers,
        ),
        "reorders the inputs",
    ),
    (changed(FORMS["compressed, int8 with zeros"], weight_zero_point=np.ones(4, np.int8)), r"zero_point .*\[4\]"),
    (changed(FORMS["compressed, int8 with zeros"], weight_zero_point=None), r"zero_point .*missing"),
    (changed(MX, _scales=None), "has blocks and no scales"),
    (changed(MX, _scales=np.ones((3, 10, 4), np.uint8)), r"scales .*\[3, 10, 4\].*shape \[3, 10, 3\]"),
    (changed(MX, _blocks=np.ones((3, 10, 3, 8), np.uint8)), "blocks and scales of"),
]


@pytest.mark.parametrize(("form", "said"), REFUSED, ids=[said[:40] for _, said in REFUSED])
def test_what_does_not_fit_is_refused(form, said, tmp_path):
    with pytest.raises(InputError) as refused:
        open_checkpoint(write_form(tmp_path, form))
    assert re.search(said, str(refused.value).replace("\n", " ")), str(refused.value)
    assert refused.value.accepted
    assert refused.value.fix


def test_codes_that_are_no_numbers_are_refused(tmp_path):
    stored = {}
    for tensor, shape in tensor_shapes("llama").items():
        stored[tensor] = seeded_tensor("llama", tensor, shape)
    name = "model.layers.1.mlp.down_proj.weight"
    codes, scales, _ = quantise(stored[name])
    codes[3, 5] = np.nan
    folder = write_checkpoint(tmp_path, CASES["llama"])
    write_safetensors(folder / "model.safetensors", stored | {name: codes, f"{name}_scale_inv": scales})
    config = json.loads((folder / "config.json").read_text())
    quantisation = {"quant_method": "fp8", "weight_block_size": [48, 32]}
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": quantisation}))
    with pytest.raises(InputError, match=rf"{re.escape(name)} .*not finite"):
        load_decoder(open_checkpoint(folder))


def test_an_exponent_that_is_no_number_is_refused(tmp_path):
    stored = dict(MX.stored)
    name = f"{MX.name}_scales"
    stored[name] = stored[name].copy()
    stored[name][1, 2, 0] = 255
    checkpoint = open_checkpoint(write_quantised(tmp_path, stored, MX.settings))
    read = checkpoint.read(MX.name)
    assert np.isnan(read[1, :32, 2]).all()
    assert np.isnan(read).sum() == 32


def test_scales_of_activations_are_left_out(tmp_path):
    scales = {f"{MODULE}input_scale": np.ones((), np.float32), "model.layers.0.self_attn.k_scale": np.ones(1, "f4")}
    checkpoint = open_checkpoint(write_quantised(tmp_path, ONE.stored | scales, ONE.settings))
    assert checkpoint.names == {WEIGHT}


def test_a_text_part_may_say_how_it_is_quantised(tmp_path):
    folder = write_quantised(tmp_path, BLOCKED.stored, None, text_config={"quantization_config": BLOCKED.settings})
    np.testing.assert_array_equal(open_checkpoint(folder).read(WEIGHT), BLOCKED.numbers)
