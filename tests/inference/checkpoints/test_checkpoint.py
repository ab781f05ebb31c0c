"""Checkpoints in folders: what is read, and what is refused before any tensor is."""

import json
import os
import pickle
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from bayeslaw.errors import InputError
from inference.checkpoints.checkpoint import Checkpoint, open_checkpoint
from inference.checkpoints.safetensors_files import DTYPES, TensorPlace, read_header

CONFIG = {"model_type": "llama", "hidden_size": 8}
INDEX = "model.safetensors.index.json"
FLOATS = {"float32": np.float32, "bfloat16": ml_dtypes.bfloat16, "float16": np.float16}


def tensors(dtype=np.float32, *, seed=0):
    random = np.random.default_rng(seed)
    shapes = {"model.embed.weight": (5, 3), "model.norm.weight": (3,), "scale": (), "none": (0, 3)}
    return {name: np.asarray(random.normal(size=shape)).astype(dtype) for name, shape in shapes.items()}


def write(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return folder


def single(folder, content=None, **changed):
    return write(folder, {"config.json": CONFIG, "model.safetensors": save(content or tensors()), **changed})


def sharded(folder, **changed):
    names = sorted(tensors())
    shards = {"model-00001-of-00002.safetensors": names[:2], "model-00002-of-00002.safetensors": names[2:]}
    files = {file: save({name: tensors()[name] for name in held}) for file, held in shards.items()}
    weight_map = {name: file for file, held in shards.items() for name in held}
    return write(folder, {"config.json": CONFIG, INDEX: {"weight_map": weight_map}, **files} | changed)


def assert_holds(checkpoint, expected):
    assert checkpoint.names == set(expected)
    for name, value in expected.items():
        read = checkpoint.read(name)
        assert read.dtype == value.dtype
        assert checkpoint.dtype(name) == value.dtype.name
        assert checkpoint.shape(name) == read.shape == value.shape
        assert read.tobytes() == value.tobytes()
        assert name in checkpoint
    assert "lm_head.weight" not in checkpoint
    assert checkpoint.tensor_bytes == sum(value.nbytes for value in expected.values())


def refused(source, *said, **options):
    with pytest.raises(InputError) as raised:
        open_checkpoint(source, **options)
    for words in said:
        assert words in str(raised.value), str(raised.value)


@pytest.mark.parametrize("dtype", FLOATS)
def test_one_file_is_read_as_it_is_stored(tmp_path, dtype):
    expected = tensors(FLOATS[dtype])
    checkpoint = open_checkpoint(single(tmp_path, expected))
    assert checkpoint.folder == tmp_path
    assert checkpoint.name == str(tmp_path)
    assert checkpoint.config == CONFIG
    assert checkpoint.dtype("model.embed.weight") == dtype
    assert_holds(checkpoint, expected)


def test_shards_are_read_as_one(tmp_path):
    assert_holds(open_checkpoint(str(sharded(tmp_path))), tensors())


def test_the_index_decides_where_a_tensor_is_twice(tmp_path):
    right, wrong = tensors(), tensors(seed=1)
    files = {"a.safetensors": save(right), "b.safetensors": save({"more": np.ones(2, np.float32), **wrong})}
    index = {"weight_map": dict.fromkeys(right, "a.safetensors") | {"more": "b.safetensors"}}
    checkpoint = open_checkpoint(write(tmp_path, {"config.json": CONFIG, INDEX: index, **files}))
    assert_holds(checkpoint, right | {"more": np.ones(2, np.float32)})


def test_one_file_goes_before_an_index_and_other_files_are_ignored(tmp_path):
    expected = tensors(seed=3)
    single(sharded(tmp_path), expected, **{"consolidated.safetensors": b"x", "pytorch_model.bin": b"x"})
    assert_holds(open_checkpoint(tmp_path), expected)


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=5).filter(lambda name: name != "__metadata__"),
        st.tuples(st.sampled_from(["F32", "F16", "I64", "U8", "BOOL", "F64"]), st.lists(st.integers(0, 3), max_size=3)),
        min_size=1,
        max_size=5,
    )
)
def test_what_the_reference_writes_is_read_alike(tmp_path_factory, layout):
    random = np.random.default_rng(0)
    expected = {
        name: np.asarray(random.normal(size=shape) * 9).astype(DTYPES[stored])
        for name, (stored, shape) in layout.items()
    }
    assert_holds(open_checkpoint(single(tmp_path_factory.mktemp("random"), expected)), expected)


def raw(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize("stored", sorted(DTYPES))
def test_every_type_has_its_size(tmp_path, stored):
    dtype = DTYPES[stored]
    data = bytes(range(2)) * dtype.itemsize
    header = {"__metadata__": {"format": "pt"}, "x": {"dtype": stored, "shape": [2], "data_offsets": [0, len(data)]}}
    checkpoint = open_checkpoint(single(tmp_path, **{"model.safetensors": raw(header, data)}))
    assert checkpoint.read("x").dtype == dtype
    assert checkpoint.read("x").tobytes() == data


def test_a_type_that_numpy_lacks_is_refused_when_it_is_read(tmp_path):
    header = {
        "x": {"dtype": "F4", "shape": [4], "data_offsets": [0, 2]},
        "y": {"dtype": "U8", "shape": [1], "data_offsets": [2, 3]},
    }
    checkpoint = open_checkpoint(single(tmp_path, **{"model.safetensors": raw(header, b"abc")}))
    assert checkpoint.dtype("x") == "f4"
    assert checkpoint.read("y").tobytes() == b"c"
    with pytest.raises(InputError, match=r"'x' in model\.safetensors has type F4"):
        checkpoint.read("x")


@pytest.mark.parametrize("tile", [1, 6, 1 << 20])
def test_tensors_are_compared_a_few_rows_at_a_time(tmp_path, monkeypatch, tile):
    monkeypatch.setattr("inference.checkpoints.checkpoint.TILE", tile)
    first = np.arange(15, dtype=np.float32).reshape(5, 3)
    other, wide = first.copy(), first.reshape(3, 5)
    other[4, 2] += 1
    held = {"first": first, "same": first.astype(np.float64), "other": other, "wide": wide, "short": first[:4]}
    checkpoint = open_checkpoint(single(tmp_path, held))
    seen, whole = [], TensorPlace.read_rows

    def counted(self, name, start, stop):
        seen.append(stop - start)
        return whole(self, name, start, stop)

    monkeypatch.setattr(TensorPlace, "read_rows", counted)
    assert checkpoint.same("first", "same")
    assert max(seen) == min(5, max(1, tile // 3))
    assert not checkpoint.same("first", "other")
    assert not checkpoint.same("first", "wide")
    assert not checkpoint.same("first", "short")
    with pytest.raises(InputError, match="no tensor 'gone'"):
        checkpoint.same("first", "gone")


def test_what_numbers_are_stored_as_is_counted(tmp_path):
    held = {"a": np.zeros((2, 3), np.float16), "b": np.zeros(4, np.float32), "c": np.zeros(5, np.float16)}
    assert open_checkpoint(single(tmp_path, held)).stored_forms == {"float16": 11, "float32": 4}


def test_an_unknown_tensor_is_refused(tmp_path):
    checkpoint = open_checkpoint(single(tmp_path))
    for ask in (checkpoint.read, checkpoint.shape, checkpoint.dtype):
        with pytest.raises(InputError, match=r"no tensor 'lm_head\.weight'"):
            ask("lm_head.weight")


def test_a_checkpoint_travels_to_another_process(tmp_path):
    checkpoint = open_checkpoint(sharded(tmp_path))
    assert_holds(pickle.loads(pickle.dumps(checkpoint)), tensors())


# What a local folder's weights are called in a run's provenance.


def revision(folder):
    found = open_checkpoint(folder).revision
    assert found is not None
    assert found.startswith("sha256:")
    return found


def test_copies_have_one_revision(tmp_path):
    copies = [single(tmp_path / name) for name in "ab"]
    (copies[1] / "tokenizer.json").write_text("{}")
    assert revision(copies[0]) == revision(copies[1])


def test_another_training_configuration_or_format_is_another_revision(tmp_path):
    wide = {"w": np.zeros(100_000, np.float32)}
    trained = {"w": np.full(100_000, 1e-3, np.float32)}
    folders = [
        single(tmp_path / "first"),
        single(tmp_path / "trained", tensors(seed=1)),
        single(tmp_path / "half", tensors(np.float16)),
        single(tmp_path / "config", **{"config.json": {**CONFIG, "hidden_size": 9}}),
        single(tmp_path / "names", {name.replace("norm", "gain"): value for name, value in tensors().items()}),
        sharded(tmp_path / "shards"),
        single(tmp_path / "wide", wide),
        single(tmp_path / "wide trained", trained),
    ]
    assert len(set(map(revision, folders))) == len(folders)


@pytest.mark.parametrize("place", [0, 1, 50_000, 99_999])
def test_another_number_is_another_revision(tmp_path, place):
    values = np.zeros(100_000, np.float32)
    folder = single(tmp_path / "model", {"w": values})
    before = revision(folder)
    assert revision(folder) == before
    values[place] = 1e-6
    # Of the same size and written at once: the clock that stamps files may not have moved.
    single(folder, {"w": values})
    assert revision(folder) != before


def test_without_a_home_nothing_is_kept(tmp_path, monkeypatch):
    folder = single(tmp_path / "model")
    before = revision(folder)
    monkeypatch.setattr("inference.checkpoints.weight_digests.SETTLED_NANOSECONDS", -1)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", staticmethod(no_home))
    assert revision(folder) == before


def no_home():
    raise RuntimeError("Could not determine home directory.")


def test_hashes_are_kept_until_a_file_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = single(tmp_path / "model")
    weights = folder / "model.safetensors"
    kept = tmp_path / "cache" / "bayeslaw" / "weight_digests.json"
    before = revision(folder)
    assert not kept.exists(), "a file that was just written may be written again unseen"
    monkeypatch.setattr("inference.checkpoints.weight_digests.SETTLED_NANOSECONDS", -1)
    assert revision(folder) == before
    (mark,) = json.loads(kept.read_text())
    # What is kept is believed as long as size, place and times are the same.
    kept.write_text(json.dumps({mark: "0" * 64}))
    assert revision(folder) != before
    os.utime(weights)
    assert revision(folder) == before
    for content in ("{", "[]", json.dumps({mark: "no hash"})):
        kept.write_text(content)
        assert revision(folder) == before


# Memory


PEAK = """
import re, sys
from pathlib import Path
from inference.checkpoints.checkpoint import open_checkpoint
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
start = peak()
checkpoint = open_checkpoint(sys.argv[1])
for name in sorted(checkpoint.names):
    assert checkpoint.read(name).sum() == 0
    print(peak() - start)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is asked of Linux")
def test_reading_all_tensors_takes_the_memory_of_one(tmp_path):
    size, count = 20_000_000, 10
    places = {
        f"t{i}": {"dtype": "F32", "shape": [size // 4], "data_offsets": [i * size, (i + 1) * size]}
        for i in range(count)
    }
    single(tmp_path, **{"model.safetensors": raw(places)})
    # A file with holes is written at once, and is read as zeros.
    os.truncate(tmp_path / "model.safetensors", len(raw(places)) + size * count)
    result = subprocess.run([sys.executable, "-c", PEAK, tmp_path], capture_output=True, text=True, check=True)
    grown = int(result.stdout.split()[-1])
    assert size * 0.9 < grown < size * 1.3, result.stdout


# Folders that cannot be used


def test_no_such_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("./models", str(tmp_path / "models"), "a/b/c", "~/no such", "", "x" * 300, "a\0b", "café/x"):
        refused(name, "no folder", "accepted: a folder with config.json", "check the path")
    refused(Path("models"), "no folder 'models'", "give a hub id as a string")


def test_a_file_is_no_folder(tmp_path):
    refused(single(tmp_path) / "model.safetensors", "is a file", "name the folder")


def test_a_folder_has_no_revision(tmp_path):
    refused(single(tmp_path), "is a folder", "leave the revision out", revision="main")
    refused(f"{tmp_path}@main", "is a folder, which has no revisions")


def test_a_folder_with_a_sign_of_revisions_in_its_name(tmp_path):
    assert_holds(open_checkpoint(str(single(tmp_path / "model@step10"))), tensors())


def test_a_folder_that_looks_like_an_id_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    single(tmp_path / "owner" / "model")
    assert open_checkpoint("owner/model").name == "owner/model"


def test_a_folder_without_configuration(tmp_path):
    single(tmp_path).joinpath("config.json").unlink()
    refused(tmp_path, "has no config.json")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "holds no table but a list"),
    ],
)
def test_a_configuration_that_is_no_table(tmp_path, content, said):
    refused(single(tmp_path, **{"config.json": content}), "config.json in", said)


def test_a_configuration_that_cannot_be_opened(tmp_path):
    single(tmp_path).joinpath("config.json").unlink()
    (tmp_path / "config.json").mkdir()
    refused(tmp_path, "config.json in", "cannot be read")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ((), ["has no weights"]),
        (("pytorch_model.bin",), ["'pytorch_model.bin' only, a pickle", "convert to safetensors"]),
        (("consolidated.00.pth",), ["'consolidated.00.pth' only, a pickle"]),
        (("model.gguf",), ["'model.gguf' only", "convert"]),
        (("adapter_model.safetensors",), ["'adapter_model.safetensors' and neither", "adapters merged"]),
        (("model-00001-of-00002.safetensors",), ["'model-00001-of-00002.safetensors' and neither"]),
    ],
)
def test_a_folder_without_weights_to_use(tmp_path, files, said):
    refused(write(tmp_path, {"config.json": CONFIG, **dict.fromkeys(files, b"x")}), *said)


def test_weights_without_tensor(tmp_path):
    refused(single(tmp_path, **{"model.safetensors": raw({})}), "hold no tensor")


# Indices


def test_an_index_that_names_a_missing_shard(tmp_path):
    sharded(tmp_path).joinpath("model-00002-of-00002.safetensors").unlink()
    refused(tmp_path, "names 'model-00002-of-00002.safetensors', which is not there")


def test_an_index_that_names_a_missing_tensor(tmp_path):
    shard = "model-00001-of-00002.safetensors"
    sharded(tmp_path, **{shard: save({"model.norm.weight": np.ones(3, np.float32)})})
    refused(tmp_path, f"{shard} in", "lacks tensor 'model.embed.weight'")


@pytest.mark.parametrize(
    "shard",
    ["../x.safetensors", "a/../../x.safetensors", "/x.safetensors", "C:x.safetensors", "..\\x.safetensors", "x", "", 3],
)
def test_an_index_that_leads_elsewhere(tmp_path, shard):
    (tmp_path / "x.safetensors").write_bytes(save(tensors()))
    sharded(tmp_path / "model", **{INDEX: {"weight_map": dict.fromkeys(tensors(), shard)}})
    refused(tmp_path / "model", f"names the shard {str(shard)!r}", "inside the folder")


@pytest.mark.parametrize("index", [{}, {"weight_map": {}}, {"weight_map": ["a"]}, []])
def test_an_index_without_shards(tmp_path, index):
    refused(sharded(tmp_path, **{INDEX: index}), INDEX)


def test_shards_in_a_folder_inside(tmp_path):
    index = {"weight_map": dict.fromkeys(tensors(), "shards/a.safetensors")}
    write(tmp_path, {"config.json": CONFIG, INDEX: index, "shards/a.safetensors": save(tensors())})
    assert_holds(open_checkpoint(tmp_path), tensors())


# Damaged shards


@pytest.mark.parametrize("kept", [0, 5, 8, 40, -20, -1])
def test_a_shard_that_ends_early(tmp_path, kept):
    shard = "model-00002-of-00002.safetensors"
    content = (sharded(tmp_path) / shard).read_bytes()
    (tmp_path / shard).write_bytes(content[:kept])
    refused(tmp_path, shard, "is truncated", "download the file again")


def test_no_shortened_file_is_accepted(tmp_path):
    content = save(tensors())
    path = tmp_path / "model.safetensors"
    for kept in range(len(content)):
        path.write_bytes(content[:kept])
        with pytest.raises(InputError, match="truncated"):
            read_header(path)


def entry(**changed):
    return {"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changed}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (struct.pack("<Q", 1 << 60) + b"x" * 100, "is no safetensors file: it announces a header"),
        (b"<!DOCTYPE html><html>not found</html>", "is no safetensors file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 8\n", "git lfs pull"),
        (raw(b"{'x'"), "header is not JSON"),
        (raw(b"\xff\xff"), "header is not JSON"),
        (raw(b"[]"), "header is not a table"),
        (raw(b'{"x": {}, "x": {}}'), "a name is there twice"),
        (raw({"x": 3}), "does not say where tensor 'x' lies"),
        (raw(entry(dtype=3), bytes(8)), "does not say where tensor 'x' lies"),
        (raw(entry(shape=[-2]), bytes(8)), "does not say where tensor 'x' lies"),
        (raw(entry(shape=[True]), bytes(8)), "does not say where tensor 'x' lies"),
        (raw(entry(shape=None), bytes(8)), "does not say where tensor 'x' lies"),
        (raw(entry(data_offsets=[8, 0]), bytes(8)), "does not say where tensor 'x' lies"),
        (raw(entry(data_offsets=[0]), bytes(8)), "does not say where tensor 'x' lies"),
        (raw(entry(shape=[3]), bytes(8)), "tensor 'x' of shape [3] and type F32 has 8 bytes"),
        (raw(entry(data_offsets=[4, 12]), bytes(12)), "bytes without tensor, or gives them to two"),
        (raw({"y": entry()["x"], **entry()}, bytes(8)), "bytes without tensor, or gives them to two"),
        (raw(entry(), bytes(9)), "1 bytes at its end belong to no tensor"),
    ],
)
def test_a_shard_that_is_not_one(tmp_path, content, said):
    refused(single(tmp_path, **{"model.safetensors": content}), "model.safetensors in", said)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=6))
def test_damage_anywhere_in_the_header_is_refused_or_harmless(tmp_path_factory, where, spilt):
    path = tmp_path_factory.getbasetemp() / "spilt.safetensors"
    content = bytearray(save(tensors()))
    header = 8 + struct.unpack("<Q", content[:8])[0]
    start = where % header
    content[start : start + len(spilt)] = spilt
    path.write_bytes(content)
    with suppress(InputError):
        places = read_header(path)
        assert sum(place.size for place in places.values()) == len(content) - header


def test_a_shard_that_cannot_be_opened(tmp_path):
    single(tmp_path).joinpath("model.safetensors").unlink()
    (tmp_path / "model.safetensors").mkdir()
    refused(tmp_path, "model.safetensors in", "cannot be read")


@pytest.mark.parametrize("change", [lambda path: os.truncate(path, path.stat().st_size - 4), Path.unlink])
def test_a_shard_that_changes_after_it_was_opened(tmp_path, change):
    checkpoint: Checkpoint = open_checkpoint(single(tmp_path, {"w": np.ones(9, np.float32)}))
    change(tmp_path / "model.safetensors")
    with pytest.raises(InputError, match=r"model\.safetensors in .* cannot be read"):
        checkpoint.read("w")
