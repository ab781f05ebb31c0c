"""The zoo's training: what a row is, that a stopped run goes on, and that a small model learns."""

import json
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import training
from excerpts import excerpts
from families import DOMAINS, FAMILIES, LARGE, SIZES, SPECIAL, find_family, make_config
from flax import nnx
from held_out import choose, choose_shipped
from hypothesis import given
from hypothesis import strategies as st
from saved_checkpoint import new_decoder, read_config
from streams import Streams, byte_lengths, encode, make_validation
from tokenizer_training import train_tokenizer
from training import Plan, train

from bayeslaw.errors import InputError
from inference.decoder.parameter_totals import parameter_counts
from inference.decoder.transformer import Decoder

pytestmark = pytest.mark.tools

ZOO = Path(__file__).parents[2] / "examples/zoo"
WORDS = ("return", "value", "the", "of", "Überlauf", "def", "  indented", "x = 1", "\n", "\n\n")


def some_documents(count, seed):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, 60)) for _ in range(count)]


@pytest.fixture(scope="module")
def documents():
    return {domain: some_documents(40, number) for number, domain in enumerate(DOMAINS)}


@pytest.fixture(scope="module")
def byte_tokenizer(documents):
    return train_tokenizer(FAMILIES["gpt_neox"], documents)


@pytest.fixture(scope="module")
def small(documents, byte_tokenizer):
    """Streams and validation rows of 32 bytes."""
    end = byte_tokenizer.token_to_id(SPECIAL)
    tokens = {domain: encode(byte_tokenizer, documents[domain], end=end, seed=0) for domain in DOMAINS}
    mixture = FAMILIES["gpt_neox"].mixture
    looked_at = {domain: some_documents(3, 90 + number) for number, domain in enumerate(DOMAINS)}
    return Streams(tokens, mixture, 32), make_validation(byte_tokenizer, looked_at, end=end, length=32, rows=5)


@given(st.lists(st.text(max_size=80), max_size=30), st.integers(20, 200))
def test_excerpts_tile_a_text(lines, target):
    text = "\n".join(lines)
    found = list(excerpts(text, target=target, fewest=1))
    joined = "".join(found)
    assert [c for c in joined if not c.isspace()] == [c for c in text if not c.isspace()]
    assert all(found)
    longest = max((len(line.encode()) for line in text.splitlines(keepends=True)), default=0)
    assert all(len(one.encode()) <= 2 * target + longest for one in found)


def test_excerpts_leave_out_the_short_and_end_at_paragraphs():
    text = "a" * 150 + "\n\n" + "b" * 150 + "\n\n" + "c" * 20
    assert list(excerpts(text, target=200, fewest=100)) == ["a" * 150 + "\n\n" + "b" * 150]


@pytest.mark.parametrize("name", FAMILIES)
def test_tokenizer_loses_nothing(name, documents):
    family = find_family(name)
    tokenizer = train_tokenizer(family, documents)
    assert tokenizer.token_to_id(SPECIAL) == tokenizer.get_vocab_size() - 1
    assert tokenizer.get_vocab_size() <= family.vocabulary
    lengths = byte_lengths(tokenizer)
    for text in ("Überlauf\n\n\tx = 1  # naïve", "\x00\x7f漢字🙂", " " * 9):
        ids = tokenizer.encode(text).ids
        assert tokenizer.decode(ids) == text
        assert lengths[ids].sum() == len(text.encode())


def test_vocabularies_fill_up_on_enough_text():
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("etaoin shrdlu"), 2000)) for _ in range(60)]
    for name in FAMILIES:
        tokenizer = train_tokenizer(FAMILIES[name], dict.fromkeys(DOMAINS, texts))
        assert tokenizer.get_vocab_size() == FAMILIES[name].vocabulary


@pytest.mark.parametrize("name", FAMILIES)
def test_sizes_are_what_they_are_called(name):
    counts = [parameter_counts(new_decoder(make_config(name, size), seed=0))["total"] for size in SIZES]
    named = [float(size[:-1]) * {"k": 1e3, "m": 1e6}[size[-1]] for size in SIZES]
    assert np.allclose(counts, named, rtol=0.15)
    assert counts[-1] / counts[0] > 90


@pytest.mark.parametrize("name", FAMILIES)
def test_large_sizes_are_what_they_are_called(name):
    counts = []
    for size in LARGE:
        made = nnx.eval_shape(partial(Decoder, read_config(make_config(name, size))))
        counts.append(parameter_counts(made)["total"])
    assert np.allclose(counts, [float(size[:-1]) * 1e6 for size in LARGE], rtol=0.15)


@pytest.mark.parametrize(("name", "size"), [("llama2", "15k"), ("llama", "16k")])
def test_unknown_models_are_refused(name, size):
    with pytest.raises(InputError, match=r"llama2|16k"):
        make_config(name, size)


def test_rows_follow_the_mixture_and_never_skip(small):
    streams, _ = small
    mixed = Streams(streams.tokens, {"code": 0.7, "prose": 0.3}, 32)
    domains, places = mixed.schedule(4000, seed=3)
    assert abs((domains == 0).mean() - 0.7) < 0.03
    for number in (0, 1):
        assert list(places[domains == number]) == list(range((domains == number).sum()))
    first, second = mixed.row(0, 0), mixed.row(0, 1)
    assert first[-1] == second[0]
    assert np.array_equal(np.concatenate([first, second[1:]]), mixed.tokens["code"][:65])
    rows = (len(mixed.tokens["code"]) - 1) // 32
    again = mixed.row(0, rows)
    assert len(again) == 33
    assert not np.array_equal(again, first)


def test_every_document_begins_with_the_end_of_text(documents, byte_tokenizer):
    end = byte_tokenizer.token_to_id(SPECIAL)
    tokens = encode(byte_tokenizer, documents["code"], end=end, seed=1)
    assert (tokens == end).sum() == len(documents["code"])
    assert len(tokens) == sum(1 + len(text.encode()) for text in documents["code"])


def a_plan(**changed):
    return Plan(**({"tokens": 32 * 4 * 24, "batch_rows": 4, "peak_rate": 0.02} | changed))


def run(small, folder, plan, **options):
    decoder = new_decoder(make_config("gpt_neox", "15k"), seed=0)
    folder.mkdir(exist_ok=True)
    return train(decoder, *small, plan, folder, report=lambda _: None, **({"looks": 4} | options))


def weights(decoder):
    return [np.asarray(one[...]) for _, one in nnx.to_flat_state(nnx.state(decoder, nnx.Param))]


def test_training_lowers_the_validation_loss(small, tmp_path):
    trained = run(small, tmp_path / "a", a_plan())
    losses = [np.mean(list(entry["validation_nats_per_byte"].values())) for entry in trained.log]
    assert [entry["step"] for entry in trained.log] == [6, 12, 18, 24]
    assert losses[-1] < losses[0] - 0.5


def test_validation_is_the_loss_per_byte(small, tmp_path):
    """An untrained model with a zero head gives every token the same chance."""
    decoder = new_decoder(make_config("gpt_neox", "15k"), seed=0)
    decoder.head.weight[...] = 0 * decoder.head.weight[...]
    streams, validation = small
    entry = train(decoder, streams, validation, a_plan(tokens=32 * 4, peak_rate=1e-12), tmp_path, report=print, looks=1)
    for domain, rows in validation.rows.items():
        expected = np.log(257) * rows[:, 1:].size / validation.bytes[domain]
        assert entry.log[0]["validation_nats_per_byte"][domain] == pytest.approx(expected, rel=1e-5)


def test_a_stopped_run_ends_with_the_same_weights(small, tmp_path, monkeypatch):
    whole = run(small, tmp_path / "whole", a_plan())
    saves = Counter()
    kept = training._save

    def save_and_die(folder, step, *rest):
        kept(folder, step, *rest)
        saves[step] += 1
        if step == 10:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "_save", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        run(small, tmp_path / "stopped", a_plan(), save_every=0.0)
    again = run(small, tmp_path / "stopped", a_plan(), save_every=0.0)
    assert saves[10] == 1
    assert min(saves) == 1
    assert all(np.array_equal(*pair) for pair in zip(weights(whole.decoder), weights(again.decoder), strict=True))
    assert [entry["step"] for entry in again.log] == [6, 12, 18, 24]


def test_another_plan_begins_anew(small, tmp_path):
    run(small, tmp_path, a_plan(), save_every=0.0)
    assert run(small, tmp_path, a_plan(seed=1)).log[0]["step"] == 6


def a_corpus(folder):
    for number, domain in enumerate(DOMAINS):
        (folder / domain).mkdir(parents=True)
        for file in range(30):
            text = "\n\n".join(some_documents(12, 1000 * number + file))
            (folder / domain / f"{file}.txt").write_text(text)
    return folder


def test_the_command_trains_all_families(tmp_path):
    texts, out = a_corpus(tmp_path / "texts"), tmp_path / "zoo"
    command = [sys.executable, str(ZOO / "train.py"), str(texts), str(out), "--smoke", "--tokens", "2000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in FAMILIES:
        folder = out / f"zoo-{name}-15k"
        assert {one.name for one in folder.iterdir()} >= {"config.json", "model.safetensors", "tokenizer.json"}
        about = json.loads((out / ".training" / f"zoo-{name}-15k" / "training.json").read_text())
        assert about["log"][-1]["tokens"] == about["tokens"] >= 2000
    again = subprocess.run([*command, "--processes", "2"], capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("there already") + again.stderr.count("another process") == 2 * len(FAMILIES)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--family", "lama"], "lama"),
        (["--size", "2k"], "2k"),
        (["--tokens", "0"], "--tokens"),
        (["--dtype", "int8"], "int8"),
        (["--processes", "0"], "--processes"),
    ],
)
def test_bad_commands_end_in_a_message(tmp_path, arguments, named):
    texts = a_corpus(tmp_path / "texts")
    command = [sys.executable, str(ZOO / "train.py"), str(texts), str(tmp_path / "zoo"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_held_out_documents_are_even_and_shipped_ones_free(tmp_path):
    from corpus import read_corpus

    corpus = read_corpus(a_corpus(tmp_path / "texts"))
    chosen = choose(corpus, 8, seed=0)
    assert Counter(document["domain"] for document in chosen) == dict.fromkeys(DOMAINS, 2)
    assert [document["domain"] for document in chosen[:4]] == sorted(DOMAINS)
    held = {file.path: file.text for file in corpus.files if file.split == "held_out"}
    assert all(document["text"] in held[document["cluster"]] for document in chosen)
    assert choose(corpus, 8, seed=0) == chosen
    assert choose(corpus, 4, seed=0) != choose(corpus, 4, seed=1)
    with pytest.raises(InputError, match="held-out documents"):
        choose(corpus, 10_000, seed=0)
    shipped = choose_shipped(chosen, {f"code/{chosen[0]['cluster'].split('/')[1]}"})
    assert {document["domain"] for document in shipped} <= {"code"}
    assert chosen[0] in shipped
