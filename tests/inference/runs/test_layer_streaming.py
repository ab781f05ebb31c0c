"""Models that are read layer by layer: the bits of the resident model, what is in memory at once, what a stop loses."""

import errno
import os
import weakref
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from make_checkpoints import make_checkpoint, make_documents
from parity.cases import CASES
from parity.checkpoints import case_ids, write_checkpoint
from run_parts import WORDS, Scorer, a_corpus, refused
from score_runs import manifest, rows, token_rows

from bayeslaw.errors import InputError
from inference.checkpoints import decoder_parts as parts_module
from inference.checkpoints import weight_memory
from inference.checkpoints.checkpoint import open_checkpoint
from inference.checkpoints.checkpoint_config import read_decoder_config
from inference.checkpoints.decoder_parts import decoder_parts
from inference.runs import hidden_states, layer_streaming, stream_room
from inference.runs import model_memory as memory
from inference.runs import model_scoring as scoring
from inference.runs.batch_journal import Journal
from inference.runs.model_list import ModelRequest, read_requests
from inference.runs.options import ScoreOptions
from inference.runs.prepared import Plan, PreparedModel
from inference.runs.runner import run
from inference.scoring.batch_rules import shares_rows
from inference.texts.batches import plan_batches
from inference.texts.tokens import Encoding
from inference.texts.windows import plan_windows

QUICK = [("llama", "float32"), ("gemma3_text", "bfloat16"), ("zamba2/plain", "float32")]
SLOW = [("gpt2", "bfloat16"), ("gemma3_text", "float32"), ("llama", "bfloat16"), ("gpt2", "float32")]
SLOW += [(name, "float32") for name in ("llama4_text", "jetmoe", "longcat_flash", "minimax", "mimo_v2_flash", "axk1")]
SLOW += [(name, "bfloat16") for name in ("beam", "dbrx", "aria_text", "flint", "kolibri1", "sarvam_moe")]
OTHERS = (
    "gpt_neo",
    "phi3/longrope",
    "opt/350m",
    "kimi_linear",
    "bailing_hybrid",
    "lfm3",
    "rwkv/halved",
    "xlstm",
    "zamba2",
)
SLOW += [(name, kind) for name in OTHERS for kind in ("float32", "bfloat16")]


def prepared_case(folder, name, dtype="float32"):
    """Return a parity case as a model of a run, with a plan of several batches of unequal texts."""
    checkpoint = open_checkpoint(write_checkpoint(folder / name.replace("/", "-"), CASES[name]))
    config = read_decoder_config(checkpoint)
    sizes = {"window": 32, "stride": 16, "batch_tokens": 64, "tensor_parallel": 1}
    tokenizer = SimpleNamespace(prefix=1, bos="auto", hash="none")
    model = PreparedModel(
        ModelRequest(source=str(folder), name=name, family=name), checkpoint, config, tokenizer, dtype, **sizes
    )
    ids = [np.concatenate([some, some])[:length] for length in (40, 33, 9, 5) for some in case_ids(CASES[name])[:1]]
    blank = {"offsets": np.zeros((0, 2)), "covered": np.zeros(0, bool), "scored_bytes": 0}
    encodings = [Encoding(one.astype(np.int32), scored_characters=np.zeros(0, bool), **blank) for one in ids]
    windows = plan_windows([len(one) for one in ids], window=32, stride=16, prefix=True)
    packed = shares_rows(config)
    return model, Plan(encodings, windows, plan_batches(windows, batch_tokens=64, packed=packed), 1)


def scored(model, plan, batches=None, **options):
    batches = range(len(plan.batches)) if batches is None else batches
    journal = options.pop("journal", None)
    found = scoring.LocalScorer(**options).score(model, plan, batches, journal=journal)
    return {batch: values for batch, values, seconds in found if seconds > 0}


def same(found, wanted):
    assert found.keys() == wanted.keys()
    for batch, values in wanted.items():
        np.testing.assert_array_equal(found[batch], values)


def a_journal(folder):
    return Journal(folder / "journal" / "model-0000", "model", {"of": "a test"})


@pytest.mark.parametrize(
    ("name", "dtype"), [*QUICK, *(pytest.param(*one, marks=pytest.mark.slow, id="-".join(one)) for one in SLOW)]
)
def test_the_bits_are_those_of_the_resident_model(name, dtype, tmp_path):
    model, plan = prepared_case(tmp_path, name, dtype)
    assert len(plan.batches) > 1
    assert any(batch.counts for batch in plan.batches) == shares_rows(model.config)
    assert model.config.depth > 1
    same(scored(model, plan, stream_layers=True), scored(model, plan, stream_layers=False))


@pytest.mark.slow
def test_what_is_beside_hidden_states_goes_with_them(tmp_path, monkeypatch):
    """Keys and values of other layers, further streams, and embeddings of layers, read a few rows at once."""
    model, plan = prepared_case(tmp_path, "gemma3n_text", "bfloat16")
    wanted = scored(model, plan, stream_layers=False)
    whole = decoder_parts(model.checkpoint)
    cut = parts_module._table_parts
    monkeypatch.setattr(parts_module, "_table_parts", lambda table, most: cut(table, most=400))
    parts = decoder_parts(model.checkpoint)
    rows = [part.first_row for part in parts]
    assert rows[:4] == [0, 13, 26, 39]
    assert [part.first_row for part in whole][:2] == [0, None]
    assert sum(part.count for part in parts) == sum(part.count for part in whole)
    same(scored(model, plan, stream_layers=True), wanted)


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    """Return a model with its plan, and what the resident one gives."""
    model, plan = prepared_case(tmp_path_factory.mktemp("llama"), "llama")
    return model, plan, scored(model, plan, stream_layers=False)


class Held:
    """Bytes that are in memory now, and the most there were."""

    def __init__(self):
        self.now = self.most = 0

    def add(self, size):
        self.now += size
        self.most = max(self.most, self.now)


@pytest.mark.parametrize("ahead", [True, False])
def test_two_parts_at_most_are_in_memory(llama, ahead, monkeypatch):
    model, plan, wanted = llama
    room, array, held = layer_streaming.stream_room, weight_memory.aligned_array, Held()

    def counted(shape, dtype):
        values = array(shape, dtype)
        held.add(values.nbytes)
        weakref.finalize(values.base, held.add, -values.nbytes)
        return values

    monkeypatch.setattr(weight_memory, "aligned_array", counted)
    sizes = [part.count * 4 for part in decoder_parts(model.checkpoint)]
    bound = max(first + second for first, second in pairwise(sizes)) if ahead else max(sizes)
    changed = {"read_ahead": ahead, "weight_bytes": bound}
    monkeypatch.setattr(layer_streaming, "stream_room", lambda *some: replace(room(*some), **changed))
    same(scored(model, plan, stream_layers=True), wanted)
    assert held.most == bound < sum(sizes) / 2


def test_memory_that_does_not_come_back_is_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(weight_memory, "PATIENCE_SECONDS", 0.01)
    memory = weight_memory.WeightMemory(100)
    first, second = (memory.array((20,), np.dtype(np.float32)) for _ in range(2))
    assert memory.in_use == memory.most == first.nbytes + second.nbytes == 160
    del first
    assert memory.in_use == 80


class StoppedError(Exception):
    """A run that ends in the middle of a layer."""


def stopping(monkeypatch, after):
    """Let a run end before a batch goes through its layer of some number, and count those that go through one."""
    through, seen = layer_streaming.through_block, []

    def counted(*some, layer, **places):
        if len(seen) == after:
            raise StoppedError
        seen.append(int(layer))
        return through(*some, layer=layer, **places)

    monkeypatch.setattr(layer_streaming, "through_block", counted)
    return seen


@pytest.fixture
def stopped(llama, tmp_path, monkeypatch):
    """Return what a run that stops leaves: its journal, and the layers that batches went through."""

    def stop(*, in_memory, seconds=0.0):
        model, plan, _ = llama
        room = layer_streaming.stream_room
        monkeypatch.setattr(hidden_states, "SECONDS_BETWEEN_FILES", seconds)
        monkeypatch.setattr(layer_streaming, "stream_room", lambda *some: replace(room(*some), in_memory=in_memory))
        with monkeypatch.context() as changed:
            seen = stopping(changed, 2 * len(plan.batches) + 1)
            with pytest.raises(StoppedError):
                scored(model, plan, stream_layers=True, journal=a_journal(tmp_path))
        return tmp_path / "journal" / "model-0000", seen

    return stop


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_run_goes_on_from_the_last_whole_layer(llama, stopped, in_memory, tmp_path, monkeypatch):
    model, plan, wanted = llama
    folder, before = stopped(in_memory=in_memory)
    count = len(plan.batches)
    assert before == [0] * count + [1] * count + [2]
    assert len(list(folder.glob("hidden-*.npz"))) == count
    after = stopping(monkeypatch, None)
    # By itself, since hidden states are there.
    same(scored(model, plan, journal=a_journal(tmp_path)), wanted)
    # In files each batch is kept when it is done, in memory when all are.
    assert after == [2] * (count if in_memory else count - 1) + [3] * count
    assert not list(folder.glob("hidden-*"))


def test_what_was_damaged_is_computed_again(llama, stopped, tmp_path, monkeypatch):
    model, plan, wanted = llama
    folder, _ = stopped(in_memory=False)
    first, second = sorted(folder.glob("hidden-*.npz"))[:2]
    content = bytearray(first.read_bytes())
    content[len(content) // 2] ^= 1
    first.write_bytes(content)
    second.write_bytes(second.read_bytes()[:-100])
    after = stopping(monkeypatch, None)
    same(scored(model, plan, stream_layers=True, journal=a_journal(tmp_path)), wanted)
    assert after[:2] == [0, 0]
    assert len(after) == 2 * 4 + 2 * (len(plan.batches) - 2)


def test_few_files_are_written_where_memory_suffices(stopped):
    folder, _ = stopped(in_memory=True, seconds=3600)
    assert [path.name for path in folder.iterdir()] == ["keys.json"]


def test_other_hidden_states_are_refused(stopped):
    folder, _ = stopped(in_memory=False)
    with pytest.raises(InputError) as error:
        Journal(folder, "model", {"of": "another test"})
    refused(error, "made differently")


def test_files_that_change_while_a_run_needs_them_are_told(tmp_path):
    states = hidden_states.HiddenStates(a_journal(tmp_path), {0: (1, 2, 3)}, parts=2, in_memory=False)
    assert states.begin() == {0: 0}
    states.put(0, hidden_states.BatchState(1, 0.5, np.ones((1, 2, 3), np.float32)))
    assert states.get(0).seconds == 0.5
    # One that went through more parts than there are is none of this model's.
    states.put(0, hidden_states.BatchState(3, 0.5, np.ones((1, 2, 3), np.float32)))
    assert states.begin() == {0: 0}
    (tmp_path / "journal" / "model-0000" / "hidden-0000000.npz").write_bytes(b"spoilt")
    with pytest.raises(InputError) as error:
        states.get(0)
    refused(error, "hidden-0000000.npz", "run the same command again")


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_full_disk_is_told(llama, stopped, in_memory, tmp_path, monkeypatch):
    model, plan, wanted = llama
    stopped(in_memory=in_memory)

    def full(*some, **arrays):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as changed:
        changed.setattr(np, "savez", full)
        with pytest.raises(InputError) as error:
            scored(model, plan, stream_layers=True, journal=a_journal(tmp_path))
        refused(error, "hidden-", "No space left on device")
    same(scored(model, plan, stream_layers=True, journal=a_journal(tmp_path)), wanted)


def with_memory(monkeypatch, size):
    """Let so many bytes be free, without need of room for activations."""
    for module in (memory, scoring, stream_room):
        monkeypatch.setattr(module, "free_memory", lambda: size)
    monkeypatch.setattr(stream_room, "SPARE", 0)


def test_what_fits_is_what_is_held(llama, monkeypatch):
    model = llama[0]
    parts = decoder_parts(model.checkpoint)
    sizes = [part.count * 4 for part in parts]
    assert sum(sizes) == 4 * model.parameters["total"]
    two = max(first + second for first, second in pairwise(sizes))
    shapes = {0: (2, 8, 32), 1: (2, 4, 32)}
    batch, hidden = 2 * 4 * 2 * 8 * 32, 4 * (2 * 8 * 32 + 2 * 4 * 32)
    for free, ahead, in_memory in (
        (two + batch + hidden, True, True),
        (two + batch + hidden - 1, True, False),
        (two + batch - 1, False, True),
        (max(sizes) + batch, False, False),
    ):
        with_memory(monkeypatch, free)
        room = stream_room.stream_room(model, parts, shapes)
        assert (room.read_ahead, room.in_memory, room.hidden_bytes) == (ahead, in_memory, hidden)
        assert room.weight_bytes == (two if ahead else max(sizes))
    with_memory(monkeypatch, max(sizes) + batch - 1)
    with pytest.raises(InputError) as error:
        stream_room.stream_room(model, parts, shapes)
    refused(error, "layer 1 of 'llama' takes 0.1 MiB in float32", "--dtype bfloat16")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("models") / "llama", "llama", "large")


def test_a_run_streams_by_itself_where_weights_do_not_fit(checkpoint, tmp_path, monkeypatch):
    corpus = a_corpus(*(document["text"] for document in make_documents(6)))
    requests, options = read_requests([str(checkpoint)]), replace(WORDS, keep_tokens=True)
    said = {name: [] for name in ("resident", "asked", "chosen", "kept", "small")}

    def go(name, **changes):
        run(requests, corpus, tmp_path / name, replace(options, **changes), say=said[name].append)
        return manifest(tmp_path / name)["models"]["llama"]["streamed"]

    assert go("resident") is False
    assert go("asked", stream_layers=True) is True
    with_memory(monkeypatch, memory.SPARE)
    assert go("chosen") is True
    assert go("kept", stream_layers=False) is False
    for name in ("asked", "chosen", "kept"):
        for rows_of in (rows, token_rows):
            pd.testing.assert_frame_equal(rows_of(tmp_path / name), rows_of(tmp_path / "resident"), check_exact=True)
        assert not (tmp_path / name / "journal").exists()
    sentence = "of weights in float32 do not fit beside what scoring takes into the memory that is free (1.0 GiB"
    assert [sum(sentence in one for one in said[name]) for name in said] == [0, 0, 1, 0, 0]
    assert any("scored layer by layer" in one and "in memory" in one for one in said["asked"])
    with_memory(monkeypatch, 1000)
    with pytest.raises(InputError) as error:
        go("small")
    refused(error, "of 'llama' takes", "of memory are free")


def test_streaming_on_several_devices_or_machines_is_refused(tmp_path):
    with pytest.raises(InputError) as error:
        ScoreOptions(stream_layers=True, tensor_parallel=2)
    refused(error, "--tensor-parallel 2")
    requests = [ModelRequest("m", "m", "f")]
    with pytest.raises(InputError) as error:
        run(requests, a_corpus("a"), tmp_path / "out", ScoreOptions(stream_layers=True), scorer=Scorer())
    refused(error, "--ray")
    assert not (tmp_path / "out").exists()
