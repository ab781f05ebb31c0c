"""Arguments that functions of scoring cannot work with: refused in a sentence at the call, not deep inside."""

import pytest

import inference
from bayeslaw.errors import InputError
from inference.runs.model_list import ModelRequest
from inference.scoring.scores import check_texts

OPTIONS = inference.ScoreOptions()
CORPUS = inference.Corpus(("a",), ("A text.",), None, ("a.txt",))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: inference.load(None), "source is None"),  # pyright: ignore[reportArgumentType]
        (lambda: inference.load("x", mesh=3), "mesh is 3"),  # pyright: ignore[reportArgumentType]
        (lambda: inference.load("x", offline="no"), "offline is 'no'"),  # pyright: ignore[reportArgumentType]
        (lambda: inference.open_checkpoint(["x"]), "source is "),  # pyright: ignore[reportArgumentType]
        (lambda: inference.score(None, ["a"]), "model is None"),  # pyright: ignore[reportArgumentType]
        (lambda: inference.score("gpt2", ["a"]), "model is 'gpt2'"),  # pyright: ignore[reportArgumentType]
        (lambda: inference.ensemble_score(["gpt2"], ["a"]), "models is 'gpt2'"),  # pyright: ignore[reportArgumentType]
        (lambda: inference.read_requests([3]), "models is 3"),  # pyright: ignore[reportArgumentType]
        (lambda: inference.read_texts(3), "paths is 3"),  # pyright: ignore[reportArgumentType]
        (lambda: inference.list_families(every="x"), "every is 'x'"),  # pyright: ignore[reportArgumentType]
        (lambda: inference.run(["gpt2"], CORPUS, "o", OPTIONS), "requests is 'gpt2'"),  # pyright: ignore[reportArgumentType]
        (lambda: inference.run([], CORPUS, "o", OPTIONS), "no model is given"),
        (lambda: inference.run([ModelRequest("x", "a,b", "f")], CORPUS, "o", OPTIONS), "'a,b'"),
        (lambda: inference.run([ModelRequest("x", "a", "f")] * 2, CORPUS, "o", OPTIONS), "two models are called 'a'"),
        (lambda: inference.run([ModelRequest("x", "a", "f")], CORPUS, "o", OPTIONS, scorer=3), "scorer is 3"),  # pyright: ignore[reportArgumentType]
        (lambda: inference.Corpus(("a", "b"), ("x",), None, ("f",)), "2 names and 1 texts"),
        (lambda: inference.Corpus(("a", "a"), ("x", "y"), None, ("f",)), "two documents are called 'a'"),
        (lambda: inference.ScoreOptions(strict="yes"), "strict is 'yes'"),  # pyright: ignore[reportArgumentType]
        (lambda: ModelRequest("x", "a", "f", resources={"num_gpus": -1}), "num_gpus is -1"),
        (lambda: inference.read_requests({"a": 1}), "models is {'a': 1}"),  # pyright: ignore[reportArgumentType]
        (lambda: inference.run([ModelRequest("x", "a", "f")], ["a"], "o", OPTIONS), "corpus is "),  # pyright: ignore[reportArgumentType]
        (lambda: inference.run([ModelRequest("x", "a", "f")], CORPUS, "o", None), "options is None"),  # pyright: ignore[reportArgumentType]
        (lambda: inference.run([ModelRequest("x", "a", "f")], CORPUS, "o", OPTIONS, say=3), "say is 3"),  # pyright: ignore[reportArgumentType]
        (lambda: ModelRequest("", name="a", family="b"), "source is ''"),
        (lambda: ModelRequest("x", name="a", family="b", facts={"colour": 1}), "the fact 'colour' is not known"),
        (lambda: ModelRequest("x", name="a", family="b", facts={"price": -1}), "price is -1"),
    ],
)
def test_a_wrong_argument_is_named(call, said):
    with pytest.raises(InputError) as refused:
        call()
    assert said in refused.value.problem
    assert refused.value.accepted
    assert refused.value.fix


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"batch_tokens": 0}, "batch_tokens is 0"),
        ({"window": "8"}, "window is '8'"),
        ({"stride": True}, "stride is True"),
        ({"texts": 7}, "the texts are 7"),
        ({"advance": 3}, "advance is 3"),
    ],
)
def test_options_of_a_score_are_looked_at_first(monkeypatch, given, said):
    monkeypatch.setattr(inference.LanguageModel, "__init__", lambda self: None)
    texts = given.pop("texts", ["a"])
    with pytest.raises(InputError) as refused:
        inference.score(inference.LanguageModel(), texts, **given)  # pyright: ignore[reportCallIssue]
    assert said in refused.value.problem


def test_encodings_are_not_texts(monkeypatch):
    monkeypatch.setattr(inference.LanguageModel, "__init__", lambda self: None)
    with pytest.raises(InputError, match="encode_batch"):
        inference.token_log_probabilities(inference.LanguageModel(), ["a"])  # pyright: ignore


def test_texts_that_can_be_read_once_are_all_there():
    assert check_texts(text for text in ("a", "b")) == ["a", "b"]
