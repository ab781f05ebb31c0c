"""The parts of a scoring run: which models, what is kept, what is added up, what is refused."""

import json
import math
import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from make_checkpoints import make_checkpoint, make_documents
from small_tokenizers import save_tokenizer

from bayeslaw.errors import InputError
from bayeslaw.losses import read_losses, read_token_losses
from inference import runner
from inference.batches import plan_batches, plan_windows
from inference.runner import run
from inference.running import drift, gates, memory
from inference.running.drift import measure_drift
from inference.running.file_names import model_slug
from inference.running.gates import drift_gates, model_gates, size_gates
from inference.running.journal import Journal, check_keys, remove_journal
from inference.running.model_list import ModelRequest, read_requests
from inference.running.options import ScoreOptions
from inference.running.prepared import Plan, plan_texts, prepare_model
from inference.running.sample_losses import Totals, document_losses, loss_rows, token_rows, total_losses
from inference.running.table_folder import TableFolder
from inference.spans import UNITS
from inference.texts import Corpus
from inference.tokens import Encoding, TextTokenizer

WORDS = ScoreOptions(unit="word", batch_tokens=64, window=32, dtype="float32")
KEYS = {"revision": "sha256:1", "window": 32, "dtype": "float32", "prefix": None}


def listed(tmp_path, text):
    path = tmp_path / "models.yaml"
    path.write_text(text)
    return read_requests([str(path)])


def refused(error, *said):
    for words in said:
        assert words in str(error.value), str(error.value)
    assert [str(error.value).count(part) for part in ("\naccepted: ", "\nfix: ")] == [1, 1]


def a_corpus(*texts, domains=None, names=None):
    names = names or [f"d{number}" for number in range(len(texts))]
    return Corpus(tuple(names), tuple(texts), domains, ("texts.jsonl",))


class Scorer:
    """Gives token k the log-probability -(k % 5 + 1) / 4, and may stop, fail or lack memory."""

    def __init__(self, *, stop=None, spoil=None, roomy=True, scale=1.0):
        self.load_seconds, self.device = {}, "none"
        self.stop, self.spoil, self.roomy, self.scale = stop, spoil, roomy, scale
        self.asked, self.plans, self.prefetched, self.closed = [], [], [], 0

    def fits(self, model):
        return self.roomy

    def prefetch(self, model):
        self.prefetched.append(model.name)

    def close(self):
        self.closed += 1

    def score(self, model, plan, batches):
        self.plans.append(plan)
        for batch in batches:
            if self.stop is not None and len(self.asked) >= self.stop:
                raise KeyboardInterrupt
            self.asked.append((model.name, model.dtype, batch))
            arrays = plan.arrays(batch)
            values = plan.gather(batch, -(arrays.targets % 5 + 1) / np.float32(4), arrays.scored)
            values = values * np.float32(self.scale if model.dtype != "float32" else 1)
            if self.spoil is not None:
                values[-1] = self.spoil
            yield batch, values, 0.5


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


def test_models_as_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("here").mkdir()
    Path("at@home").mkdir()
    found = read_requests(["EleutherAI/pythia-160m", "Qwen/Qwen3-0.6B@v1", "./here", "at@home"])
    assert [(each.source, each.name, each.family, each.revision) for each in found] == [
        ("EleutherAI/pythia-160m", "EleutherAI/pythia-160m", "pythia", None),
        ("Qwen/Qwen3-0.6B", "Qwen/Qwen3-0.6B@v1", "Qwen3", "v1"),
        ("./here", "here", "here", None),
        ("at@home", "at@home", "at", None),
    ]


def test_models_in_a_file(tmp_path):
    found = listed(
        tmp_path,
        """
- a/plain-7b
- {model: a/b-1b, name: first, family: odd, revision: v2, training_tokens: 3e11, price: 0}
- {model: "a/c@main", active_parameters: 1_000_000, resources: {num_gpus: 0.5, memory: 1e9}}
""",
    )
    assert found == [
        ModelRequest("a/plain-7b", "a/plain-7b", "plain"),
        ModelRequest("a/b-1b", "first", "odd", "v2", {"training_tokens": 3e11, "price": 0.0}),
        ModelRequest("a/c", "a/c@main", "c", "main", {"active_parameters": 1e6}, {"num_gpus": 0.5, "memory": 1e9}),
    ]
    assert listed(tmp_path, "models: [a/b, c/d]") == read_requests(["a/b", "c/d"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "does not list models"),
        ("[]", "does not list models"),
        ("model: a", "does not list models"),
        ("- [a]", "names no model"),
        ("- {model: ' '}", "names no model"),
        ("- {model: 3}", "names no model"),
        ("- {model: a, famly: b}", "use 'family'"),
        ("- {model: a, price: cheap}", "price is 'cheap'"),
        ("- {model: a, price: -1}", "price is -1"),
        ("- {model: a, price: true}", "price is True"),
        ("- {model: a, price: .nan}", "price is nan"),
        ("- {model: a, price: 1.2.3}", "price is '1.2.3'"),
        ("- {model: a, price: 1e999}", "price is '1e999'"),
        (f"- {{model: a, price: 1{'0' * 400}}}", "price is 1000"),
        ("- {model: a, price: [1]}", "price is [1]"),
        ("- {model: a, training_tokens: 0}", "above zero"),
        ("- {model: a, price: 2024-13-45}", "cannot read"),
        ("- {model: a, resources: 3}", "resources is 3"),
        ("- {model: a, resources: {num_gpus: no}}", "num_gpus is False"),
        ("- {model: a, revision: 0123456}", "write it in quotes"),
        ("- {model: a, name: no}", "name is False"),
        ("- {model: a, name: ''}", "name is ''"),
        ("- {model: a, family: 7}", "family is 7"),
        ("- {model: a@v1, revision: v2}", "names a revision"),
        ("- {model: a@}", "lacks the revision"),
        ("- {model: '@v1'}", "lacks the model"),
        ("- {model: a, name: x}\n- {model: b, name: x}", "two models are called 'x'"),
        ("- {model: a", "cannot read"),
        ("- &a [*a]", "names no model"),
    ],
)
def test_files_of_models_that_cannot_be_used(tmp_path, text, said):
    with pytest.raises(InputError) as error:
        listed(tmp_path, text)
    refused(error, said)


def test_no_models_and_no_file(tmp_path):
    with pytest.raises(InputError, match="no model is given"):
        read_requests([])
    with pytest.raises(InputError, match="cannot read"):
        read_requests([str(tmp_path / "none.yaml")])
    (tmp_path / "latin.yml").write_bytes(b"- caf\xe9")
    with pytest.raises(InputError, match="cannot read"):
        read_requests([str(tmp_path / "latin.yml")])
    with pytest.raises(InputError, match="two models are called"):
        read_requests(["a/b", "a/b"])
    with pytest.raises(InputError, match="UTF-8"):
        read_requests(["a/\udce9"])
    assert read_requests(["x" * 5000])[0].name == "x" * 5000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("unit", "sentence"),
        ("bos", "sometimes"),
        ("dtype", "int8"),
        ("window", 1),
        ("window", 2.5),
        ("stride", 0),
        ("batch_tokens", 1),
        ("batch_tokens", True),
        ("tensor_parallel", 0),
    ],
)
def test_options_that_cannot_be(name, value):
    with pytest.raises(InputError) as error:
        ScoreOptions(**{name: value})
    refused(error, repr(value))


def test_the_journal_gives_back_what_was_written(tmp_path):
    journal = Journal(tmp_path / "j", "m", KEYS)
    assert journal.read(3, 2) is None
    assert not (tmp_path / "j").exists()
    journal.write(3, np.array([-1.5, -0.25]), 2.0)
    again = Journal(tmp_path / "j", "m", dict(KEYS))
    values, seconds = again.read(3, 2) or (None, None)
    assert values.dtype == np.float32
    assert (values.tolist(), seconds) == ([-1.5, -0.25], 2.0)
    assert again.read(3, 3) is None
    assert again.read(2, 2) is None


@pytest.mark.parametrize(
    ("name", "value"), [("revision", "sha256:2"), ("window", 64), ("prefix", 0), ("dtype", None), ("more", 1)]
)
def test_a_changed_key_is_named(tmp_path, name, value):
    Journal(tmp_path / "j", "m", KEYS).write(0, np.zeros(1), 1.0)
    with pytest.raises(InputError) as error:
        Journal(tmp_path / "j", "m", KEYS | {name: value})
    refused(error, f"{name} was {KEYS.get(name)!r} and is {value!r}", str(tmp_path / "j"))
    assert str(error.value).count(" was ") == 1
    with pytest.raises(InputError, match=name):
        check_keys("m", KEYS, KEYS | {name: value}, "there")


def test_keys_that_cannot_be_read(tmp_path):
    (tmp_path / "j").mkdir()
    (tmp_path / "j" / "keys.json").write_text("{")
    with pytest.raises(InputError) as error:
        Journal(tmp_path / "j", "m", KEYS)
    refused(error, "keys.json", "remove the folder")


def test_batches_without_keys_are_not_trusted(tmp_path):
    Journal(tmp_path / "j", "m", KEYS).write(0, np.zeros(2), 1.0)
    (tmp_path / "j" / "keys.json").unlink()
    other = Journal(tmp_path / "j", "m", KEYS | {"window": 64})
    assert other.read(0, 2) is None
    other.write(1, np.zeros(2), 1.0)
    assert other.read(0, 2) is None
    assert other.read(1, 2) is not None


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_batch_is_not_there(tmp_path, data):
    journal = Journal(tmp_path / "j", "m", KEYS)
    values = np.linspace(-3, -1, 7, dtype=np.float32)
    journal.write(0, values, 0.5)
    path = next((tmp_path / "j").glob("batch-*"))
    whole = path.read_bytes()
    if data.draw(st.booleans()):
        path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    else:
        place = data.draw(st.integers(0, len(whole) - 1))
        path.write_bytes(whole[:place] + bytes([data.draw(st.integers(0, 255))]) + whole[place + 1 :])
    found = journal.read(0, 7)
    assert found is None or found[0].tobytes() == values.tobytes()


def test_a_journal_is_removed_with_its_keys_last(tmp_path, monkeypatch):
    folder = tmp_path / "journal" / "m-0000"
    Journal(folder, "m", KEYS).write(0, np.zeros(2), 1.0)
    monkeypatch.setattr(shutil, "rmtree", lambda path: None)
    remove_journal(folder)
    assert [path.name for path in folder.iterdir()] == ["keys.json"]
    monkeypatch.undo()
    remove_journal(folder)
    remove_journal(folder)
    assert not (tmp_path / "journal").exists()


TEXTS = st.text(st.sampled_from("ab é\n\t日🙂.,"), min_size=1, max_size=40).filter(str.strip)


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizers")
    kinds = {kind: save_tokenizer(kind, folder / kind) for kind in ("gpt2", "llama", "gemma")}
    made = {kind: TextTokenizer.from_folder(place) for kind, place in kinds.items()}
    return made | {"never": TextTokenizer.from_folder(kinds["gpt2"], bos="never")}


def scored(encoding, tokenizer, seed=0):
    values = -np.random.default_rng(seed).gamma(2, 1, len(encoding.ids)).astype(np.float32)
    if tokenizer.prefix is None:
        values[0] = np.nan
    return values


@settings(max_examples=60, deadline=None)
@given(text=TEXTS, kind=st.sampled_from(["gpt2", "llama", "gemma", "never"]))
@example(text="a", kind="never")
@example(text="  \n\n日a", kind="gemma")
def test_sums_agree_over_units(tokenizers, text, kind):
    encoding = tokenizers[kind].encode(text)
    values = scored(encoding, tokenizers[kind])
    whole = math.fsum(-values[~np.isnan(values)].astype(float))
    for unit in UNITS:
        losses = document_losses(text, encoding, values, unit)
        assert losses.nll.sum() == pytest.approx(whole, rel=1e-12, abs=1e-12)
        assert losses.tokens.sum() == np.count_nonzero(~np.isnan(values))
        assert losses.bytes.sum() == len(text.encode())
        assert losses.scored_bytes.sum() == encoding.scored_bytes
        assert (losses.scored_bytes <= losses.bytes).all()
        for span in range(len(losses.nll)):
            own = [float(-value) for value, at in zip(values, losses.span, strict=True) if at == span]
            assert losses.nll[span] == pytest.approx(math.fsum(value for value in own if value == value))


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(TEXTS, min_size=1, max_size=4), kind=st.sampled_from(["gpt2", "llama", "gemma", "never"]))
def test_rows_hold_what_has_a_loss(tokenizers, texts, kind):
    corpus, tokenizer = a_corpus(*texts), tokenizers[kind]
    encodings = tokenizer.encode_batch(texts)
    found = [scored(encoding, tokenizer, seed) for seed, encoding in enumerate(encodings)]
    losses = [document_losses(*each, "word") for each in zip(texts, encodings, found, strict=True)]
    rows = loss_rows(corpus, losses, name="m", unit="word")
    tokens = token_rows(corpus, encodings, found, losses, name="m", unit="word")
    totals = total_losses(losses)
    assert rows.num_rows == totals.samples
    assert totals.bytes == sum(len(text.encode()) for text in texts)
    for column, total in (("nll", totals.nll), ("tokens", totals.tokens), ("scored_bytes", totals.scored_bytes)):
        assert sum(rows[column].to_pylist()) == pytest.approx(total)
    assert min(rows["scored_bytes"].to_pylist(), default=1) > 0
    assert set(tokens["sample"].to_pylist()) <= set(rows["sample"].to_pylist())
    assert sum(tokens["nll"].to_pylist()) == pytest.approx(totals.nll, rel=1e-6)
    if kind not in ("never", "gemma"):
        assert sum(tokens["bytes"].to_pylist()) == sum(rows["bytes"].to_pylist()) == totals.bytes


def test_the_first_token_is_left_out_without_a_prefix(tokenizers):
    text = "a dog"
    encoding = tokenizers["never"].encode(text)
    losses = document_losses(text, encoding, scored(encoding, tokenizers["never"]), "word")
    assert losses.scored_bytes.tolist() == [0, 4]
    rows = loss_rows(a_corpus(text, domains=("x",)), [losses], name="m", unit="word")
    assert rows["sample"].to_pylist() == ["d0:1"]
    assert rows["domain"].to_pylist() == ["x"]
    assert rows["cluster"].to_pylist() == ["d0"]


def test_what_is_unknown_has_no_loss():
    encoding = Encoding(
        ids=np.array([5, 0, 6], np.int32),
        offsets=np.array([[0, 2], [2, 5], [5, 7]]),
        covered=np.array([True, False, True]),
        scored_bytes=4,
        scored_characters=np.array([True, True, False, False, False, True, True]),
    )
    text, values = "ab ?? c", np.array([-1, -7, -2], np.float32)
    losses = document_losses(text, encoding, values, "word")
    assert losses.nll.tolist() == [1, 7, 2]
    rows = loss_rows(a_corpus(text), [losses], name="m", unit="word")
    tokens = token_rows(a_corpus(text), [encoding], [values], [losses], name="m", unit="word")
    assert rows["sample"].to_pylist() == tokens["sample"].to_pylist() == ["d0:0", "d0:2"]
    assert total_losses([losses]) == Totals(nll=3.0, samples=2, tokens=2, scored_bytes=4, bytes=7)


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


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_plan_depends_on_the_texts_alone(tmp_path_factory, places, prepared, documents, data):
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


@given(st.lists(st.text(max_size=30), unique=True, max_size=6))
@example(["../x", "..", ".", "", "/", "a/b", "a%2fb", "a_b", ".a", "a", "A", "a\n", "a ", "é", "e\u0301", "x" * 300])
def test_names_of_files_differ_and_stay_in_the_folder(names):
    slugs = [model_slug(name) for name in names]
    assert len({slug.casefold() for slug in slugs}) == len(names)
    for name, slug in zip(names, slugs, strict=True):
        file = f"{slug}-0000.parquet"
        assert file.isascii()
        assert not set(file) & set('/\\:*?"<>|\0\n')
        assert not file.startswith(".")
        assert len(file) < 130
        assert model_slug(name) == slug


def a_part(segment=0, **counts):
    sums = {"nll": 4.0, "samples": 2, "tokens": 3, "scored_bytes": 5, "bytes": 5, "seconds": 1.25}
    return {"segment": segment, "gates": []} | sums | counts


def a_row(name, parameters=100):
    return {"model": name, "family": "f", "parameters": parameters}


def rows_of(name, segment=0):
    samples = [f"s{segment}", f"t{segment}"]
    return pa.table({"sample": samples, "lm": [name] * 2, "nll": [1.0, 3.0], "bytes": [2, 3], "cluster": samples})


def add_model(folder, name, segments=(0,), tokens=None):
    for segment in segments:
        facts = {"row": a_row(name), "keys": KEYS}
        folder.add_part(name, a_part(segment), rows=[rows_of(name, segment)], tokens=tokens, facts=facts)


def open_table(path):
    path.mkdir(exist_ok=True)
    folder = TableFolder(path, "word")
    folder.add_texts(a_corpus("a", "b"))
    return folder


def test_sums_over_parts(tmp_path):
    folder = open_table(tmp_path)
    add_model(folder, "m", (0, 2))
    again = TableFolder(tmp_path, "word").models["m"]
    assert (again["tokens"], again["seconds"], again["tokens_per_second"], again["segments"]) == (6, 2.5, 2.4, [0, 2])
    assert folder.has("m", 2)
    assert not folder.has("m", 1)
    assert not folder.has("n", 0)
    folder.remove_parts("m", [0])
    assert folder.models["m"]["tokens"] == 3
    assert sorted(path.name for path in tmp_path.glob("part-*")) == ["part-m-0002.parquet"]


def test_a_model_is_removed_with_all_its_files(tmp_path):
    folder = open_table(tmp_path)
    add_model(folder, "m", tokens=[rows_of("m")])
    add_model(folder, "n", tokens=[rows_of("n")])
    folder.remove_parts("n", [0])
    assert list(read_losses(tmp_path)["lm"].to_numpy()) == ["m"]
    assert [path.name for path in (tmp_path / "tokens").iterdir()] == ["m-0000.parquet"]
    folder.remove_parts("m", [0])
    assert not (tmp_path / "models.parquet").exists()
    assert TableFolder(tmp_path, "word").models == {}


def test_what_a_killed_run_left_is_swept_up(tmp_path):
    folder = open_table(tmp_path)
    add_model(folder, "m", tokens=[rows_of("m")])
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    stray = ["part-n-0000.parquet", "tokens/n-0000.parquet", "corpus/0001.parquet", ".manifest-0123abcd.json"]
    stray += ["part-m-0001.parquet", "tokens/.m-0000-0123abcd.parquet", "corpus/.0001-0123abcd.parquet"]
    own = ["notes.txt", "part-one.parquet", ".hidden"]
    for name in stray + own:
        (tmp_path / name).write_bytes(b"x")
    pq.write_table(pa.Table.from_pylist([a_row("m"), a_row("n")]), tmp_path / "models.parquet")
    TableFolder(tmp_path, "word").sweep()
    left = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == kept | {tmp_path / name: b"x" for name in own}


def test_a_folder_that_was_only_begun_is_gone_on_with(tmp_path):
    (tmp_path / "corpus").mkdir()
    (tmp_path / ".lock").touch()
    for name in ("corpus/0000.parquet", "corpus/.0000-0123abcd.parquet", ".manifest-0123abcd.json"):
        (tmp_path / name).write_bytes(b"x")
    assert open_table(tmp_path).segments[0]["documents"] == 2
    shutil.rmtree(tmp_path)
    (tmp_path / "corpus").mkdir(parents=True)
    (tmp_path / "corpus" / "mine.parquet").touch()
    with pytest.raises(InputError) as error:
        TableFolder(tmp_path, "word")
    refused(error, "is not a folder of losses")


def test_one_run_at_a_time(tmp_path, places, documents):
    with open_table(tmp_path).locked(), pytest.raises(InputError) as error:
        run(requests_of(places), documents, tmp_path, WORDS, scorer=Scorer())
    refused(error, "another run is scoring into")
    with TableFolder(tmp_path, "word").locked():
        pass


def test_texts_of_a_table(tmp_path):
    folder = TableFolder(tmp_path, "line")
    first = folder.add_texts(a_corpus("one", "two", names=["b", "a"], domains=("x", "y")))
    assert [segment.names for segment in first] == [("b", "a")]
    grown = a_corpus("three", "two", "one", names=["c", "a", "b"], domains=("z", "y", "x"))
    again = TableFolder(tmp_path, "line").add_texts(grown)
    assert [(segment.names, segment.texts, segment.domains) for segment in again] == [
        (("b", "a"), ("one", "two"), ("x", "y")),
        (("c",), ("three",), ("z",)),
    ]
    manifest = (tmp_path / "manifest.json").read_bytes()
    for changed, said in [
        (a_corpus("one", names=["b"], domains=("x",)), "2 of the texts|1 of the texts"),
        (
            a_corpus("one", "TWO", "three", names=["b", "a", "c"], domains=("x", "y", "z")),
            "the text 'a' is not the one",
        ),
        (a_corpus("one", "two", "three", names=["b", "a", "c"], domains=("x", "Y", "z")), "the domain of the text 'a'"),
        (a_corpus("one", "two", "three", names=["b", "a", "c"]), "have no domains|have domains"),
    ]:
        with pytest.raises(InputError, match=said) as error:
            TableFolder(tmp_path, "line").add_texts(changed)
        refused(error)
    assert (tmp_path / "manifest.json").read_bytes() == manifest


def test_tables_that_cannot_be_added_to(tmp_path):
    open_table(tmp_path)
    with pytest.raises(InputError, match="has the unit 'word', not 'line'"):
        TableFolder(tmp_path, "line")
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    for scoring in (None, {"format": 99}):
        (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"scoring": scoring}))
        with pytest.raises(InputError, match="was not scored by this version"):
            TableFolder(tmp_path, "word")
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "corpus" / "0000.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match="cannot read"):
        TableFolder(tmp_path, "word").add_texts(a_corpus("a", "b"))


def test_gates_of_one_model():
    totals = Totals(nll=300.0, samples=5, tokens=100, scored_bytes=400, bytes=400)
    assert model_gates("m", totals, vocabulary=21) == []
    found = model_gates("m", replace(totals, scored_bytes=399), vocabulary=20)
    assert [gate.code for gate in found] == ["uncovered-bytes", "worse-than-uniform"]
    assert "1 of 400 bytes (0.25%)" in found[0].message
    assert "3.000 nats" in found[1].message


def test_the_gate_of_drift():
    seen = {"dtype": "bfloat16", "documents": 3}
    assert drift_gates("m", None) == []
    assert drift_gates("m", seen | {"largest": None}) == []
    assert drift_gates("m", seen | {"largest": gates.LARGEST_DRIFT}) == []
    assert [gate.code for gate in drift_gates("m", seen | {"largest": gates.LARGEST_DRIFT * 1.01})] == ["drift"]


def sized(losses, segments=(0,)):
    """Return models of growing size with some loss in nats per byte each."""
    models = {}
    for number, loss in enumerate(losses):
        parts = [a_part(segment, nll=loss * 1000, bytes=1000) for segment in segments]
        models[f"m{number}"] = {"parts": parts, "row": a_row(f"m{number}", 10 ** (6 + number / 3))}
    return models


def test_the_gate_of_sizes():
    losses = [1.0 * 0.9**number for number in range(12)]
    assert size_gates(sized(losses)) == {}
    odd = [*losses[:4], losses[4] * 3, *losses[5:]]
    found = size_gates(sized(odd, segments=(0, 1)))
    assert list(found) == ["m4"]
    assert [gate.code for gate in found["m4"]] == ["out-of-line"]
    assert size_gates({}) == {}
    apart = sized(odd)
    apart["m4"]["parts"][0]["segment"] = 1
    assert size_gates(apart) == {}


def test_drift_against_float32(prepared, documents):
    model = replace(prepared[0], dtype="bfloat16")
    plan = plan_texts(model, documents.texts)
    scorer = Scorer(scale=1.02)
    batches = [values for _, values, _ in scorer.score(model, plan, range(len(plan.batches)))]
    found = measure_drift(scorer, model, plan, batches)
    assert found["mean"] == pytest.approx(0.02, rel=1e-4)
    assert found["largest"] == pytest.approx(0.02, rel=1e-4)
    assert found["documents"] == len(documents.names)
    assert found["tokens"] == sum(len(encoding.ids) for encoding in plan.encodings)
    nats = -sum(float(values.sum(dtype=np.float64)) for values in batches) / found["tokens"]
    assert found["nats_per_token"] == pytest.approx(nats * 0.02 / 1.02, rel=1e-4)
    assert measure_drift(scorer, prepared[0], plan, batches) is None
    unseen = measure_drift(Scorer(roomy=False), model, plan, batches)
    assert unseen["largest"] is None
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
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: free)
    monkeypatch.setattr(memory.jax, "local_devices", lambda: [Card(spare) for spare in devices])
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


def test_rows_do_not_depend_on_how_many_are_made_at_once(tmp_path, places, documents, monkeypatch):
    options = replace(WORDS, keep_tokens=True)
    run(requests_of(places[:1]), documents, tmp_path / "whole", options, scorer=Scorer())
    monkeypatch.setattr("inference.running.scored_texts.TOKENS_AT_ONCE", 40)
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
    odd = {name: [gates.Gate("out-of-line", name)] for name in ("llama", "gpt2")}
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
