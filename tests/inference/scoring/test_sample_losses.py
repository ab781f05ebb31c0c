"""Losses of tokens add up to those of samples, whatever a sample is."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from run_parts import a_corpus
from small_tokenizers import save_tokenizer

from inference.scoring.sample_losses import Totals, document_losses, loss_rows, token_rows, total_losses
from inference.texts.spans import UNITS
from inference.texts.tokens import Encoding, TextTokenizer

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


@pytest.mark.parametrize(("unit", "samples"), [("document", ["d0", "d1"]), ("word", ["d0:0", "d0:1", "d1:0"])])
def test_the_cluster_of_a_text_is_that_of_its_samples(tokenizers, unit, samples):
    texts = ("a dog", "dog")
    encodings = [tokenizers["gpt2"].encode(text) for text in texts]
    losses = [
        document_losses(text, encoding, scored(encoding, tokenizers["gpt2"]), unit)
        for text, encoding in zip(texts, encodings, strict=True)
    ]
    rows = loss_rows(a_corpus(*texts, clusters=("book", "web")), losses, name="m", unit=unit)
    assert rows["sample"].to_pylist() == samples
    assert rows["cluster"].to_pylist() == ["web" if name.startswith("d1") else "book" for name in samples]


def test_a_sample_without_a_token_of_its_own_has_no_loss():
    """The second word lies in the token of the first, whose loss is of both."""
    encoding = Encoding(
        ids=np.array([1, 2], np.int32),
        offsets=np.array([[0, 3], [3, 5]]),
        covered=np.ones(2, bool),
        scored_bytes=5,
        scored_characters=np.ones(5, bool),
    )
    losses = document_losses("a b c", encoding, np.array([-3.0, -1.0], np.float32), "word")
    assert losses.tokens.tolist() == [1, 0, 1]
    assert losses.known.tolist() == [True, False, True]
    rows = loss_rows(a_corpus("a b c"), [losses], name="m", unit="word")
    assert rows["nll"].to_pylist() == [3.0, 1.0]
    assert total_losses([losses]).samples == 2


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
