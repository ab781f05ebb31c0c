"""Runs with a made-up scorer: plans, drift, memory, what is refused and what is gone on with."""

import json
from collections import namedtuple
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from forms import few_or_many
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from make_checkpoints import make_checkpoint, make_documents
from run_parts import WORDS, Scorer, a_corpus, refused

from bayeslaw.errors import InputError
from bayeslaw.findings import Finding
from bayeslaw.losses.readers import read_losses
from bayeslaw.losses.token_losses import read_token_losses
from inference.runs import drift, free_memory, runner
from inference.runs import model_memory as memory
from inference.runs import model_scoring as scoring
from inference.runs.drift import measure_drift
from inference.runs.model_list import read_requests
from inference.runs.prepared import Plan, plan_texts, prepare_model
from inference.runs.runner import run
from inference.runs.table_folder import TableFolder
from inference.texts.batches import plan_batches
from inference.texts.tokenizer_loading import READER
from inference.texts.tokens import Encoding
from inference.texts.windows import plan_windows


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Return the folders of two models."""
    folder = tmp_path_factory.mktemp("models")
    return [make_checkpoint(folder / name, name, "small") for name in ("llama", "gpt2")]


@pytest.fixture(scope="module")
def documents():
    made = make_documents(12)
    return a_corpus(*(document["text"] for document in made), names=[document["id"] for document in made])


@pytest.fixture(scope="module")
def prepared(places):
    return [prepare_model(request, WORDS) for request in read_requests([str(place) for place in places])]


def requests_of(places):
    return read_requests([str(place) for place in places])


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    window=st.integers(2, 16),
    prefix=st.sampled_from([None, 1]),
    batch_tokens=st.integers(2, 64),
)
def test_batches_give_back_every_token(lengths, window, prefix, batch_tokens):
    empty = {"offsets": np.zeros((0, 2)), "covered": np.zeros(0, bool), "scored_bytes": 0}
    starts = np.cumsum([0, *lengths])
    encodings = [
        Encoding(np.arange(start, start + length, dtype=np.int32), scored_characters=np.zeros(0, bool), **empty)
        for start, length in zip(starts, lengths, strict=False)
    ]
    windows = plan_windows(lengths, window=window, stride=max(1, window // 2), prefix=prefix is not None)
    plan = Plan(encodings, windows, plan_batches(windows, batch_tokens=batch_tokens), prefix)
    batches = []
    for number in range(len(plan.batches)):
        arrays = plan.arrays(number)
        # Rows that the batch was padded to on several devices are left out.
        padded = np.pad(arrays.targets.astype(np.float32), ((0, 2), (0, 0)), constant_values=-1)
        batches.append(plan.gather(number, padded, np.pad(arrays.scored, ((0, 2), (0, 0)), constant_values=True)))
        assert len(batches[-1]) == plan.tokens(number)
        owner = np.searchsorted(starts, batches[-1], side="right") - 1
        assert owner.tolist() == plan.documents(number).tolist()
    for encoding, values in zip(encodings, plan.scatter(batches), strict=True):
        expected = encoding.ids.astype(np.float32)
        if prefix is None:
            expected[0] = np.nan
        np.testing.assert_array_equal(values, expected)


@few_or_many(5, 40)
def test_the_plan_depends_on_the_texts_alone(tmp_path_factory, places, prepared, documents, examples):
    @settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def check(data):
        out = tmp_path_factory.mktemp("out")
        plan = plan_texts(prepared[0], documents.texts)
        stop = data.draw(st.integers(0, len(plan.batches) - 1))
        with pytest.raises(KeyboardInterrupt):
            run(requests_of(places[:1]), documents, out, WORDS, scorer=Scorer(stop=stop))
        journal = sorted((out / "journal").rglob("batch-*"))
        assert len(journal) == stop
        lost = data.draw(st.sets(st.sampled_from(range(stop)))) if stop else set()
        for number in lost:
            journal[number].write_bytes(journal[number].read_bytes()[:100])
        scorer = Scorer()
        run(requests_of(places[:1]), documents, out, WORDS, scorer=scorer)
        assert [batch for _, _, batch in scorer.asked] == sorted({*lost, *range(stop, len(plan.batches))})
        for used in scorer.plans:
            assert (used.windows, used.batches, used.prefix) == (plan.windows, plan.batches, plan.prefix)
        assert not (out / "journal").exists()

    check()


def test_drift_against_float32(prepared, documents):
    model = replace(prepared[0], dtype="bfloat16")
    plan = plan_texts(model, documents.texts)
    scorer = Scorer(scale=1.02)
    batches = [values for _, values, _ in scorer.score(model, plan, range(len(plan.batches)))]
    found = measure_drift(scorer, model, plan, batches)
    assert found["mean_relative"] == pytest.approx(0.02, rel=1e-4)
    assert found["largest_relative"] == pytest.approx(0.02, rel=1e-4)
    assert found["documents"] == len(documents.names)
    assert found["tokens"] == sum(len(encoding.ids) for encoding in plan.encodings)
    nats = -sum(float(values.sum(dtype=np.float64)) for values in batches) / found["tokens"]
    assert found["nats_per_token"] == pytest.approx(nats * 0.02 / 1.02, rel=1e-4)
    assert measure_drift(scorer, prepared[0], plan, batches) is None
    unseen = measure_drift(Scorer(roomy=False), model, plan, batches)
    assert unseen["largest_relative"] is None
    assert "memory" in unseen["reason"]


def test_drift_of_a_sample_of_the_batches(prepared, documents, monkeypatch):
    model = replace(prepared[0], dtype="bfloat16")
    plan = plan_texts(model, documents.texts)
    monkeypatch.setattr(drift, "SAMPLE_TOKENS", 3 * plan.tokens(0))
    scorer = Scorer()
    batches = [values for _, values, _ in scorer.score(model, plan, range(len(plan.batches)))]
    scorer.asked.clear()
    measure_drift(scorer, model, plan, batches)
    asked = [batch for _, dtype, batch in scorer.asked if dtype == "float32"]
    assert 1 < len(asked) == len(scorer.asked) < len(plan.batches)
    assert {asked[0], asked[-1]} == {0, len(plan.batches) - 1}


@pytest.mark.parametrize(
    ("host", "devices", "parts", "fits"),
    [
        (1.0, [], 1, True),
        (-1.0, [], 1, False),
        (1.0, [1.0], 1, True),
        (1.0, [-1.0], 1, False),
        # Two devices that share out rows hold the whole model each.
        (1.0, [-0.4, -0.4], 1, False),
        (1.0, [-0.4, -0.4], 2, True),
        (1.0, [9.0, -0.9], 2, False),
    ],
)
def test_what_fits_into_memory(prepared, monkeypatch, host, devices, parts, fits):
    model = replace(prepared[0], tensor_parallel=parts)
    weights = memory.weight_bytes(model)
    assert weights == 4 * model.parameters["total"]
    assert memory.weight_bytes(replace(model, dtype="bfloat16")) == weights / 2
    needed = weights + memory.SPARE

    class Card:
        def __init__(self, spare):
            # What is free beyond what is needed, in units of it.
            self.free = int(needed * (1 + spare)) if abs(spare) < 1 else needed + int(np.sign(spare)) * 10

        def memory_stats(self):
            return {"bytes_limit": self.free + 7, "bytes_in_use": 7}

    free = namedtuple("Free", "available")(needed + 1 if host > 0 else needed - 1)
    monkeypatch.setattr(free_memory.psutil, "virtual_memory", lambda: free)
    monkeypatch.setattr(free_memory.jax, "local_devices", lambda: [Card(spare) for spare in devices])
    assert memory.fits(model) is fits
    monkeypatch.setattr(Card, "memory_stats", lambda self: None)
    assert memory.fits(model) is (host > 0)


def test_a_run_writes_a_table(tmp_path, places, documents):
    scorer, said = Scorer(), []
    options = replace(WORDS, keep_tokens=True)
    results = run(requests_of(places), documents, tmp_path, options, scorer=scorer, say=said.append)
    losses = read_losses(tmp_path)
    assert losses["lm"].to_numpy().tolist() == ["llama", "gpt2"]
    assert losses["bytes"].sum() == sum(len(text.encode()) for text in documents.texts)
    assert [result.tokens for result in results] == losses["tokens"].sum("sample").to_numpy().tolist()
    assert [result.seconds for result in results] == [
        0.5 * sum(name == model for name, _, _ in scorer.asked) for model in ("llama", "gpt2")
    ]
    assert scorer.prefetched == ["gpt2"]
    assert scorer.closed == 1
    tokens = read_token_losses(tmp_path, models="gpt2")
    assert float(tokens["nll"].sum()) == pytest.approx(float(losses["nll"].sel(lm="gpt2").sum()))
    again = Scorer()
    same = run(requests_of(places), documents, tmp_path, options, scorer=again, say=said.append)
    assert (again.asked, [result.tokens for result in same]) == ([], [0, 0])
    assert sum("all texts are scored already" in sentence for sentence in said) == 2


def test_scores_of_an_older_reader_that_agree_are_known_to(tmp_path, places, documents):
    run(requests_of(places), documents, tmp_path, WORDS, scorer=Scorer())
    file = tmp_path / "manifest.json"
    manifest = json.loads(file.read_text())
    for entry in manifest["models"].values():
        assert entry.pop("tokenizer_reader") == READER
    file.write_text(json.dumps(manifest))
    assert json.loads(read_losses(tmp_path).attrs["rebuilt_tokenizers"]) == ["llama", "gpt2"]
    again = Scorer()
    run(requests_of(places), documents, tmp_path, WORDS, scorer=again)
    assert again.asked == []
    assert "rebuilt_tokenizers" not in read_losses(tmp_path).attrs


def test_rows_do_not_depend_on_how_many_are_made_at_once(tmp_path, places, documents, monkeypatch):
    options = replace(WORDS, keep_tokens=True)
    run(requests_of(places[:1]), documents, tmp_path / "whole", options, scorer=Scorer())
    monkeypatch.setattr("inference.runs.scored_texts.TOKENS_AT_ONCE", 40)
    run(requests_of(places[:1]), documents, tmp_path / "parts", options, scorer=Scorer())
    for name in ("part-llama-0000.parquet", "tokens/llama-0000.parquet"):
        assert pq.ParquetFile(tmp_path / "parts" / name).num_row_groups > 1
        assert pq.read_table(tmp_path / "parts" / name) == pq.read_table(tmp_path / "whole" / name)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_losses_that_are_no_numbers_are_refused(tmp_path, places, documents, value):
    with pytest.raises(InputError) as error:
        run(requests_of(places), documents, tmp_path, WORDS, scorer=Scorer(spoil=value))
    refused(error, "'llama'", str(np.float32(value)), "finite")
    assert not list(tmp_path.rglob("batch-*"))
    assert TableFolder(tmp_path, "word").models == {}


def test_changed_options_are_found_before_anything_is_scored(tmp_path, places, documents):
    with pytest.raises(KeyboardInterrupt):
        run(requests_of(places[1:]), documents, tmp_path, WORDS, scorer=Scorer(stop=2))
    scorer, more = Scorer(), a_corpus(*documents.texts, "more", names=[*documents.names, "more"])
    before = sorted(tmp_path.rglob("*"))
    for name, value in (("window", 16), ("stride", 4), ("batch_tokens", 128), ("dtype", "bfloat16")):
        with pytest.raises(InputError) as error:
            run(requests_of(places), more, tmp_path, replace(WORDS, **{name: value}), scorer=scorer)
        refused(error, f"{name} was ", f"and is {value!r}", "gpt2")
    assert scorer.asked == []
    assert sorted(tmp_path.rglob("*")) == before


def test_tokens_have_to_be_kept_from_the_first_run_on(tmp_path, places, documents):
    run(requests_of(places[1:]), documents, tmp_path, WORDS, scorer=Scorer())
    scorer = Scorer()
    with pytest.raises(InputError, match="without its tokens"):
        run(requests_of(places), documents, tmp_path, replace(WORDS, keep_tokens=True), scorer=scorer)
    assert scorer.asked == []


def strictly(places, documents, out, **scorer):
    options = replace(WORDS, strict=True, dtype="bfloat16")
    return run(requests_of(places), documents, out, options, scorer=Scorer(**scorer))


def test_a_model_that_is_refused_leaves_the_table_as_it_was(tmp_path, places, documents):
    strictly(places[:1], documents, tmp_path)
    table = {path: path.read_bytes() for path in tmp_path.glob("*.parquet")}
    refusals = strictly(places, documents, tmp_path, scale=1.5)
    assert [(result.refused, [gate.code for gate in result.gates]) for result in refusals] == [
        (False, []),
        (True, ["drift"]),
    ]
    assert {path: path.read_bytes() for path in tmp_path.glob("*.parquet")} == table
    # It need not be scored again to be taken after all, or to be refused again.
    assert strictly(places, documents, tmp_path, scale=1.5)[1].tokens == 0
    options = replace(WORDS, dtype="bfloat16")
    said = []
    taken = run(requests_of(places), documents, tmp_path, options, scorer=Scorer(scale=1.5), say=said.append)
    assert [result.refused for result in taken] == [False, False]
    assert [gate["code"] for gate in TableFolder(tmp_path, "word").models["gpt2"]["parts"][0]["gates"]] == ["drift"]
    # What was seen is told again by the next run.
    said.clear()
    run(requests_of(places), documents, tmp_path, options, scorer=Scorer(), say=said.append)
    assert sum(sentence.startswith("warning: drift") for sentence in said) == 1


def test_a_model_refused_on_new_texts_keeps_its_old_ones(tmp_path, places, documents):
    strictly(places, documents, tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    more = a_corpus(*documents.texts, "one more text", names=[*documents.names, "more"])
    assert [result.refused for result in strictly(places, more, tmp_path, scale=1.5)] == [True, True]
    assert json.loads((tmp_path / "manifest.json").read_text())["models"] == manifest["models"]


def test_a_killed_strict_run_refuses_what_an_uninterrupted_one_refuses(tmp_path, places, documents, monkeypatch):
    strictly(places[:1], documents, tmp_path)

    def killed(models):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "size_gates", killed)
    with pytest.raises(KeyboardInterrupt):
        strictly(places, documents, tmp_path)
    assert set(TableFolder(tmp_path, "word").models) == {"llama", "gpt2"}
    odd = {name: [Finding("out-of-line", "warning", name)] for name in ("llama", "gpt2")}
    monkeypatch.setattr(runner, "size_gates", lambda models: odd)
    for _ in range(2):
        # What an earlier run brought to its end stays; what this one goes on with is refused, again and again.
        found = strictly(places, documents, tmp_path)
        assert [(result.refused, result.tokens) for result in found] == [(False, 0), (True, 0)]
        assert set(TableFolder(tmp_path, "word").models) == {"llama"}
    monkeypatch.setattr(runner, "size_gates", lambda models: {})
    assert [result.tokens for result in strictly(places, documents, tmp_path)] == [0, 0]
    assert set(TableFolder(tmp_path, "word").models) == {"llama", "gpt2"}
    assert not (tmp_path / "journal").exists()


def test_texts_of_which_a_model_knows_nothing(tmp_path, places):
    never = replace(WORDS, bos="never")
    with pytest.raises(InputError) as error:
        run(requests_of(places[1:]), a_corpus("a"), tmp_path, never, scorer=Scorer())
    refused(error, "'gpt2'", "remove that model")


def test_names_of_models_never_leave_the_folder(tmp_path, places, documents):
    requests = [replace(requests_of(places)[0], name=name) for name in ("../x", "a/b", "a%2fb", "/root", ".")]
    (tmp_path / "in").mkdir()
    run(requests, documents, tmp_path / "in" / "out", replace(WORDS, keep_tokens=True), scorer=Scorer())
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["out"]
    assert all(path.is_file() for path in (tmp_path / "in" / "out" / "tokens").iterdir())
    assert len(read_losses(tmp_path / "in" / "out")["lm"]) == len(requests)


def test_one_run_at_a_time(tmp_path, places, documents):
    with TableFolder(tmp_path, "word").locked(), pytest.raises(InputError) as error:
        run(requests_of(places), documents, tmp_path, WORDS, scorer=Scorer())
    refused(error, "another run is scoring into")
    with TableFolder(tmp_path, "word").locked():
        pass


def test_the_next_model_is_loaded_ahead_once(prepared, documents, monkeypatch):
    loaded = []
    monkeypatch.setattr(scoring, "load_prepared", lambda model: loaded.append((model.name, model.dtype)) or model.name)
    monkeypatch.setattr(scoring, "fits", lambda model: model.name != "big")
    monkeypatch.setattr(scoring, "score_batch", lambda model, plan, batch: np.full(plan.tokens(batch), -1, np.float32))
    llama, gpt2 = prepared
    big = replace(llama, request=replace(llama.request, name="big"))
    plan = plan_texts(llama, documents.texts)
    scorer = scoring.LocalScorer()
    assert [batch for batch, _, _ in scorer.score(llama, plan, [0, 2])] == [0, 2]
    for model in (big, gpt2, gpt2):
        scorer.prefetch(model)
    seconds = scorer.load_seconds["llama"]
    # Measuring the drift loads the present model again, and keeps the next one.
    list(scorer.score(replace(llama, dtype="bfloat16"), plan, [0]))
    list(scorer.score(gpt2, plan, [1]))
    assert scorer.load_seconds["llama"] == seconds
    # A model that was loaded ahead and is not asked for gives way.
    scorer.prefetch(gpt2)
    scorer.prefetch(llama)
    list(scorer.score(llama, plan, [0]))
    scorer.close()
    assert set(loaded[:3]) == {("llama", "float32"), ("gpt2", "float32"), ("llama", "bfloat16")}
    assert loaded[3:] == [("gpt2", "float32"), ("llama", "float32")]
