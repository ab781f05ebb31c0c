"""Ensembles against dense computations in NumPy."""

from dataclasses import replace

import numpy as np
import pytest
from flax import nnx
from parity.cases import CASES
from parity.checkpoints import write_checkpoint
from scipy.special import log_softmax, logsumexp
from small_tokenizers import save_tokenizer

from bayeslaw.errors import InputError
from inference import ensemble_score, score
from inference.checkpoints.checkpoint import open_checkpoint
from inference.checkpoints.weights import load_decoder
from inference.decoder.parameter_totals import parameter_counts
from inference.scoring.batch_rules import check_window
from inference.scoring.language_models import LanguageModel
from inference.texts.tokens import TextTokenizer
from inference.texts.windows import plan_windows

TEXTS = ["the quick brown fox jumps over the lazy dog", "the dog " * 15]
LONGEST = 40
KINDS = ("llama", "qwen3", "gpt2")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Return three decoders of 99 tokens that share a tokenizer of 64."""
    folder = tmp_path_factory.mktemp("ensemble")
    tokenizer = TextTokenizer.from_folder(save_tokenizer("words", folder / "tokenizer"), bos="never")
    tokenizer = replace(tokenizer, prefix=1)
    made = []
    for name in KINDS:
        case = CASES[name]
        decoder = load_decoder(open_checkpoint(write_checkpoint(folder / name, case)))
        made.append(LanguageModel(decoder, tokenizer, name, None, name, "float32", dict(parameter_counts(decoder))))
    return made


def dense(model, text):
    """Return log-probabilities after every token of a text, [token, vocabulary], in float64."""
    ids = model.tokenizer.encode(text).ids
    inputs = np.zeros((1, LONGEST), np.int32)
    inputs[0, : len(ids)] = model.tokenizer.prefix, *ids[:-1]
    logits = np.asarray(_logits(model.decoder, inputs))[0, : len(ids)]
    return log_softmax(logits.astype(np.float64), axis=-1), ids


@nnx.jit
def _logits(decoder, inputs):
    return decoder.logits(decoder(inputs))


def chosen(distribution, ids):
    return distribution[np.arange(len(ids)), ids]


@pytest.mark.parametrize("weights", [None, (0.2, 0.5, 0.3), (0.0, 1.0, 0.0)])
def test_token_mixture(models, weights):
    shares = np.full(3, 1 / 3) if weights is None else np.array(weights)
    found = ensemble_score(models, TEXTS, combine="token_mixture", weights=weights)
    for text, value in zip(TEXTS, found, strict=True):
        each = np.stack([chosen(*dense(model, text)) for model in models])
        expected = -np.log((shares[:, None] * np.exp(each)).sum(axis=0)).sum()
        assert value == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("weights", [None, (0.2, 0.5, 0.3), (1.0, 1.0, 1.0), (0.0, 2.0, 0.0)])
def test_normalised_product(models, weights):
    shares = np.full(3, 1 / 3) if weights is None else np.array(weights)
    found = ensemble_score(models, TEXTS, combine="product", weights=weights)
    for text, value in zip(TEXTS, found, strict=True):
        distributions, ids = zip(*(dense(model, text) for model in models), strict=True)
        total = np.tensordot(shares, np.stack(distributions), axes=1)
        expected = -chosen(total - logsumexp(total, axis=-1, keepdims=True), ids[0]).sum()
        assert value == pytest.approx(expected, rel=2e-6)


def test_sample_mixture(models):
    shares = np.array([0.2, 0.5, 0.3])
    found = ensemble_score(models, TEXTS, combine="sample_mixture", weights=shares)
    losses = np.stack([score(model, TEXTS) for model in models])
    np.testing.assert_allclose(found, -np.log((shares[:, None] * np.exp(-losses)).sum(axis=0)), rtol=1e-9)


@pytest.mark.parametrize("combine", ["token_mixture", "product", "sample_mixture"])
def test_an_ensemble_of_one_is_the_model(models, combine):
    np.testing.assert_allclose(ensemble_score(models[:1], TEXTS, combine=combine), score(models[0], TEXTS), rtol=2e-6)


def test_no_mixture_is_worse_than_its_weights_allow(models):
    losses = np.stack([score(model, TEXTS) for model in models])
    for combine in ("token_mixture", "sample_mixture"):
        mixed = ensemble_score(models, TEXTS, combine=combine)
        lengths = [len(models[0].tokenizer.encode(text).ids) for text in TEXTS]
        room = np.log(3) * (np.array(lengths) if combine == "token_mixture" else 1)
        assert (mixed <= losses.min(axis=0) + room + 1e-5).all()


def test_windows_are_those_of_one_model(models):
    whole = ensemble_score(models, TEXTS, combine="product")
    cut = ensemble_score(models, TEXTS, combine="product", window=16, stride=4)
    short = [len(models[0].tokenizer.encode(text).ids) <= 16 for text in TEXTS]
    assert any(short)
    assert not all(short)
    np.testing.assert_allclose(cut[short], whole[short], rtol=1e-6)
    assert not np.allclose(cut[np.invert(short)], whole[np.invert(short)], rtol=1e-4)


def test_other_tokenizers_are_refused_with_the_reason(models, tmp_path):
    other = TextTokenizer.from_folder(save_tokenizer("gemma", tmp_path / "other"))
    stranger = replace(models[1], tokenizer=other)
    for combine in ("token_mixture", "product"):
        with pytest.raises(InputError, match="is no probability"):
            ensemble_score([models[0], stranger], TEXTS[:1], combine=combine)


@pytest.mark.parametrize(
    ("combine", "weights"),
    [
        ("token_mixture", (0.5, 0.5)),
        ("token_mixture", (0.5, 0.4, 0.3)),
        ("sample_mixture", (1.5, -0.5, 0.0)),
        ("product", (0.0, 0.0, 0.0)),
        ("product", (float("nan"), 1.0, 1.0)),
    ],
)
def test_weights_that_do_not_suit_are_refused(models, combine, weights):
    with pytest.raises(InputError, match="the weights are"):
        ensemble_score(models, TEXTS[:1], combine=combine, weights=weights)


def test_unknown_combination_and_no_model(models):
    with pytest.raises(InputError, match="combination 'sum' is not known"):
        ensemble_score(models, TEXTS, combine="sum")
    with pytest.raises(InputError, match="there is no model"):
        ensemble_score([], TEXTS)


def test_every_window_begins_with_the_prefix(models):
    window, stride = check_window(models[0].config, 8, 4)
    plan = plan_windows([30], window=window, stride=stride, prefix=True)
    assert all(one.prefix and one.inputs <= 8 for one in plan)


@pytest.mark.parametrize("texts", ["abc", ["abc", 3]])
def test_one_text_in_place_of_several_is_refused(models, texts):
    with pytest.raises(InputError, match="the texts are"):
        score(models[0], texts)
    with pytest.raises(InputError, match="the texts are"):
        ensemble_score(models, texts)
