"""GGUF files: the model that they hold is the one that was written, and what is not covered is refused."""

import re
import struct
from dataclasses import fields, replace
from pathlib import Path

import jax
import ml_dtypes
import numpy as np
import pytest
from flax import nnx
from parity.cases import CASES
from parity.checkpoints import case_ids, log_probabilities, tensor_shapes, write_checkpoint
from parity.seeded import seeded_tensor
from safetensors.numpy import save_file

from bayeslaw.errors import InputError
from inference.checkpoints.checkpoint import open_checkpoint
from inference.checkpoints.checkpoint_config import read_decoder_config
from inference.checkpoints.gguf_files import read_gguf_header
from inference.checkpoints.weights import load_decoder
from inference.decoder.configuration import DecoderConfig
from inference.decoder.rope_settings import Rope

gguf = pytest.importorskip("gguf")
from gguf_writing import finish, write_gguf  # noqa: E402

KINDS = ("F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K")
SAME = ["llama", "llama/bias", "llama/head_dim", "llama/linear", "llama/yarn", "mistral", "qwen2", "qwen3"]
SAME += ["gemma", "gemma2", "phi3", "phi3/longrope", "phi3/longrope_partial", "gpt2", "gpt2/untied"]


def rounded(value):
    """Return settings as a file holds them: in float32."""
    if isinstance(value, tuple):
        return tuple(map(rounded, value))
    if isinstance(value, Rope):
        return {name: rounded(part) for name, part in vars(value).items()}
    return float(f"{np.float32(value):.6g}") if isinstance(value, float) else value


def described(config: DecoderConfig):
    return {part.name: rounded(getattr(config, part.name)) for part in fields(config)}


@pytest.mark.parametrize("case", SAME)
def test_settings_and_weights_are_those_of_the_original(case, tmp_path):
    folder = write_checkpoint(tmp_path / "folder", CASES[case])
    original, found = open_checkpoint(folder), open_checkpoint(write_gguf(tmp_path / "model.gguf", case))
    expected = read_decoder_config(original)
    if case == "gemma2":
        # Not in the file: readers take the width of a head, but for the largest of the three models.
        expected = replace(expected, attention_scale=expected.head_width**-0.5)
    if case == "llama/head_dim":
        # Nor is the activation, which an architecture fixes.
        expected = replace(expected, activation="silu")
    assert described(read_decoder_config(found)) == described(expected)
    assert found.names == original.names
    for name in original.names:
        tolerance = 1e-6 if name.endswith("norm.weight") and case.startswith("gemma") else 0
        np.testing.assert_allclose(found.read(name), original.read(name), rtol=0, atol=tolerance, err_msg=name)
        if original.read(name).ndim == 2 and not case.startswith("gpt2"):
            np.testing.assert_array_equal(found.read(name, 3), original.read(name)[3])


def losses(source, case):
    texts = case_ids(CASES[case])
    runs = log_probabilities(load_decoder(open_checkpoint(source)), texts)
    return np.array([-run[np.arange(len(ids) - 1), ids[1:]].sum() for run, ids in zip(runs, texts, strict=True)])


@pytest.mark.parametrize("case", ["llama", pytest.param("llama/llama3_300", marks=pytest.mark.slow)])
def test_losses_are_those_of_the_original(case, tmp_path):
    expected = losses(write_checkpoint(tmp_path / "folder", CASES[case]), case)
    np.testing.assert_allclose(losses(write_gguf(tmp_path / "model.gguf", case), case), expected, rtol=1e-6)


def test_scaled_rotary_embeddings_turn_as_those_of_the_original(tmp_path):
    """Divisors of a file are another kind of scaling, with the same angles."""
    from inference.decoder.rope import rotation_tables

    folder = write_checkpoint(tmp_path / "folder", CASES["llama/llama3_300"])
    file = write_gguf(tmp_path / "model.gguf", "llama/llama3_300")
    lengths = np.array([300], np.int32)
    tables = [
        rotation_tables(read_decoder_config(open_checkpoint(source)).ropes, 300, lengths, unrotated=False)
        for source in (folder, file)
    ]
    for expected, found in zip(*tables, strict=True):
        np.testing.assert_allclose(np.asarray(found), np.asarray(expected), atol=1e-5)


def decoded_q8_0(weights: np.ndarray) -> np.ndarray:
    """Return what Q8_0 keeps: of every 32 numbers a scale in float16, and whole numbers of eight bits."""
    blocks = weights.reshape(-1, 32).astype(np.float64)
    scales = (np.abs(blocks).max(1) / 127).astype(np.float32)
    codes = np.round(blocks / np.where(scales == 0, 1, scales).astype(np.float64)[:, None])
    return (codes * scales.astype(np.float16).astype(np.float64)[:, None]).reshape(weights.shape).astype(np.float32)


def test_quantised_losses_are_those_of_the_decoded_weights(tmp_path):
    weights = {name: seeded_tensor("llama", name, shape) for name, shape in tensor_shapes("llama").items()}
    decoded = {
        name: decoded_q8_0(values) if values.ndim == 2 and values.shape[1] % 32 == 0 else values
        for name, values in weights.items()
    }
    folder = write_checkpoint(tmp_path / "folder", CASES["llama"])
    plain = losses(folder, "llama")
    save_file(decoded, folder / "model.safetensors")
    file = write_gguf(tmp_path / "model.gguf", "llama", kind="Q8_0")
    assert open_checkpoint(file).dtype("model.layers.0.self_attn.q_proj.weight") == "float32"
    found = losses(file, "llama")
    np.testing.assert_allclose(found, losses(folder, "llama"), rtol=1e-6)
    assert np.abs(found / plain - 1).max() > 1e-5


def random_blocks(kind: str, rows: int, width: int) -> np.ndarray:
    """Return bytes of a type whose numbers are all finite."""
    numbers, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
    for seed in range(10_000):
        raw = np.random.default_rng(seed).integers(0, 256, (rows * width // numbers, size), dtype=np.uint8)
        # Scales are float16 somewhere in each block: of blocks with one that is not finite another is taken.
        values = decode_all(raw, kind)
        good = np.isfinite(values).all(1)
        if good.sum() * 2 > len(good):
            return raw[np.resize(np.flatnonzero(good), len(raw))].reshape(rows, -1)
    raise AssertionError(kind)


def decode_all(raw: np.ndarray, kind: str) -> np.ndarray:
    with np.errstate(all="ignore"):
        return gguf.quants.dequantize(raw, gguf.GGMLQuantizationType[kind])


def write_tensor(file: Path, kind: str, raw: np.ndarray) -> Path:
    """Write a file in which one matrix of layer 0 has a type; it is no whole model."""
    writer = gguf.GGUFWriter(file, "qwen2")
    for add in (writer.add_context_length, writer.add_embedding_length, writer.add_feed_forward_length):
        add(256)
    for add in (writer.add_block_count, writer.add_head_count):
        add(1)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_tensor("token_embd.weight", np.zeros((3, 256), np.float32))
    writer.add_tensor("blk.0.ffn_up.weight", raw, raw_dtype=gguf.GGMLQuantizationType[kind])
    finish(writer)
    return file


@pytest.mark.parametrize("tile", [1 << 20, 1000])
@pytest.mark.parametrize("kind", KINDS)
def test_types_are_decoded_a_tile_at_a_time(kind, tile, tmp_path, monkeypatch):
    monkeypatch.setattr("inference.checkpoints.stored_tensors.TILE", tile)
    raw = random_blocks(kind, 7, 512)
    expected = decode_all(raw, kind)
    checkpoint = open_checkpoint(write_tensor(tmp_path / "a.gguf", kind, raw))
    name = "model.layers.0.mlp.up_proj.weight"
    assert checkpoint.shape(name) == (7, 512)
    np.testing.assert_array_equal(checkpoint.read(name).astype(np.float32), expected)
    with np.errstate(over="ignore"):
        values = np.empty((7, 512), ml_dtypes.bfloat16)
        checkpoint.read_into(values, name)
        np.testing.assert_array_equal(values, expected.astype(ml_dtypes.bfloat16))
    np.testing.assert_array_equal(checkpoint.read(name, 5).astype(np.float32), expected[5])


def test_the_header_is_read_as_the_package_reads_it(tmp_path):
    def change(writer):
        writer.add_token_list(["a", "é", "▁b"])
        writer.add_token_scores([0.5, -1.0, 2.0])
        writer.add_array("general.tags", [1, 2, 3])
        writer.add_bool("general.flag", True)
        writer.add_float64("general.float", 0.1)
        writer.add_int64("general.long", -(1 << 40))

    file = write_gguf(tmp_path / "model.gguf", "qwen3", kind="Q4_0", change=change)
    header, reader = read_gguf_header(file), gguf.GGUFReader(file)
    fields = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    found = {
        name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in header.metadata.items()
    }
    assert found == fields
    assert {name: (list(entry.shape), entry.kind, entry.start) for name, entry in header.tensors.items()} == {
        tensor.name: (tensor.shape.tolist()[::-1], int(tensor.tensor_type), int(tensor.data_offset))
        for tensor in reader.tensors
    }


def plain_numbers(block: bytes, kind: str) -> list[float]:
    """Return the numbers of one block of 32, as ggml's reference reads it."""
    shifted = kind in ("Q4_0", "Q5_0")
    scale, least = np.frombuffer(block[:4], "<f2").astype(np.float64)
    least, block = (0.0, block[2:]) if shifted else (least, block[4:])
    high, block = (int.from_bytes(block[:4], "little"), block[4:]) if kind.startswith("Q5") else (0, block)
    codes = [byte & 15 for byte in block] + [byte >> 4 for byte in block]
    codes = [code | (high >> place & 1) << 4 for place, code in enumerate(codes)]
    zero = (16 if kind == "Q5_0" else 8) if shifted else 0
    return [(code - zero) * scale + least for code in codes]


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_1", "Q5_0", "Q5_1"])
def test_types_are_decoded_as_ggml_has_them(kind, tmp_path):
    raw = random_blocks(kind, 4, 256)
    checkpoint = open_checkpoint(write_tensor(tmp_path / "a.gguf", kind, raw))
    size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]][1]
    expected = [number for block in raw.reshape(-1, size) for number in plain_numbers(block.tobytes(), kind)]
    found = checkpoint.read("model.layers.0.mlp.up_proj.weight").reshape(-1)
    np.testing.assert_allclose(found, np.array(expected), rtol=1e-6, atol=1e-9)


# What is refused


def refused(file, said):
    with pytest.raises(InputError) as error:
        load_decoder(open_checkpoint(file))
    assert re.search(said, str(error.value).replace("\n", " ")), str(error.value)
    assert error.value.accepted
    assert error.value.fix


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: w.add_uint32("llama.expert_count", 8), r"llama\.expert_count is 8"),
        (lambda w: w.add_float32("llama.attention.scale", 0.2), r"llama\.attention\.scale is .*not covered"),
        (lambda w: w.add_uint32("llama.attention.value_length", 8), "keys of 16 and values of 8"),
        (lambda w: w.add_string("llama.rope.scaling.type", "longest"), r"scaling\.type is 'longest'"),
        (lambda w: w.add_float32("llama.rope.scaling.attn_factor", 0.2), r"attn_factor is .*not covered"),
        (lambda w: w.add_array("llama.attention.head_count", [4, 4]), r"head_count is .*a whole number"),
        (lambda w: w.add_uint32("llama.attention.head_count", 5), "64 rows for 5 heads"),
        (lambda w: w.add_uint32("llama.block_count", 3), r"unused: model\.layers\.3"),
        (lambda w: w.add_uint32("llama.block_count", 5), r"missing: .*layers\.4"),
        (lambda w: w.add_float32("llama.attention.layer_norm_rms_epsilon", float("nan")), "epsilon is nan"),
        (lambda w: w.add_token_list(["a", "b"]), "names 2 tokens, and its embedding has 99 rows"),
        (lambda w: w.add_tensor("blk.0.surprise.weight", np.zeros(2, np.float32)), r"unused: blk\.0\.surprise"),
        (lambda w: w.add_string("general.architecture", "mamba"), "architecture of .*'mamba'.*llama, qwen2"),
        (lambda w: w.add_uint16("split.count", 3), "is one of 3 files of a model"),
        (lambda w: w.add_uint32("general.alignment", 33), "alignment is 33"),
    ],
)
def test_what_is_not_covered_is_refused(change, said, tmp_path):
    def changed(writer):
        kept = [dict(part) for part in writer.kv_data]
        writer.kv_data = [{}]
        change(writer)
        writer.kv_data = [kept[0] | writer.kv_data[0]]

    refused(write_gguf(tmp_path / "model.gguf", "llama", change=changed), said)


def test_a_type_that_is_not_covered_is_refused(tmp_path):
    refused(write_tensor(tmp_path / "a.gguf", "IQ4_NL", np.zeros((7, 36), np.uint8)), "has the type IQ4_NL.*Q4_K")


def test_truncated_files_are_refused(tmp_path):
    whole = write_gguf(tmp_path / "whole.gguf", "llama").read_bytes()
    file = tmp_path / "cut.gguf"
    header = read_gguf_header(tmp_path / "whole.gguf")
    data = min(entry.start for entry in header.tensors.values())
    for count in (0, 3, 4, 10, 24, 100, data // 2, data - 40, data, len(whole) // 2, len(whole) - 33):
        file.write_bytes(whole[:count])
        refused(file, "cannot be read: it is (truncated|no GGUF file)")


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"PK\x03\x04" + bytes(40), r"begins with b'PK"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "has the version 1"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "has the version 50331648"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60), "announces 1,152,921,504,606,846,976 entries"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0), "announces 1,152,921,504,606,846,976 entries"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1 << 62) + bytes(9), "truncated"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"\xff" + bytes(9), "not text in UTF-8"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"a" + struct.pack("<I", 99), "unknown type 99"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"a" + struct.pack("<IIQ", 9, 4, 1 << 61), "truncated"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"a" + struct.pack("<IIQ", 9, 9, 1), "array of the type 9"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"a" + struct.pack("<IB", 7, 2), "neither true nor false"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 0) + bytes(40), "architecture of .* is None"),
    ],
)
def test_files_that_are_none_are_refused(start, said, tmp_path):
    file = tmp_path / "bad.gguf"
    file.write_bytes(start)
    refused(file, said)


def test_a_file_has_no_revision(tmp_path):
    file = write_gguf(tmp_path / "model.gguf", "qwen2")
    with pytest.raises(InputError, match="is a file, and revision='main' is given"):
        open_checkpoint(file, revision="main")
    assert open_checkpoint(file).revision == open_checkpoint(str(file)).revision
    (tmp_path / "other.gguf").write_bytes(file.read_bytes()[:-1] + b"\x01")
    assert open_checkpoint(tmp_path / "other.gguf").revision != open_checkpoint(file).revision


def test_without_the_package_it_is_said_how_to_install_it(tmp_path, monkeypatch):
    file = write_gguf(tmp_path / "model.gguf", "qwen2")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    refused(file, r"needs the package gguf .*pip install 'bayeslaw\[gguf\]'")


def test_a_decoder_is_filled(tmp_path):
    folder = write_checkpoint(tmp_path / "folder", CASES["gpt2"])
    expected, found = (
        nnx.split(load_decoder(open_checkpoint(source), dtype=ml_dtypes.bfloat16))[1]
        for source in (folder, write_gguf(tmp_path / "model.gguf", "gpt2"))
    )
    for right, values in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
        np.testing.assert_array_equal(np.asarray(values), np.asarray(right))
