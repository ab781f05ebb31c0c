"""Prompt log-probs of a completions server, against a small local one and a dense computation."""

import json
import math
import re
import socket
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from completions_server import BOS, CODES, END, Served, code, logits, serve, tokens_of
from hypothesis import given
from hypothesis import strategies as st
from typer import Typer
from typer.testing import CliRunner

from bayeslaw.commands.import_ import import_completions
from bayeslaw.errors import InputError
from bayeslaw.journal import Journal
from bayeslaw.losses.missing import missing_note
from bayeslaw.losses.readers import read_losses
from bayeslaw.sources import CompletionsServer, ServedTexts, losses_from_completions
from bayeslaw.sources.completions import JOURNAL_VERSION
from bayeslaw.sources.prompt_scores import PromptTokens, prompt_score

TEXTS = ["The cat sat.", "Über 猫 und\n\nMäuse 🐭!", " leading and trailing  ", "x", "The cat sat."]
NAMES = [f"doc{index}" for index in range(len(TEXTS))]
MODELS = pd.DataFrame({"model": ["small", "large"], "family": ["f", "f"], "parameters": [1e8, 1e9]})
SECRET = "sk-very-secret-key"


@pytest.fixture(autouse=True)
def no_key_and_no_proxy(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server():
    with serve(Served()) as served:
        yield served


def scored(served, texts=TEXTS, *, names=("small", "large"), models=MODELS, **options):
    asking = {name: options.pop(name) for name in ("style", "timeout", "retries", "concurrency") if name in options}
    client = CompletionsServer(served.url, **{"pause": 0.01, "timeout": 20.0} | asking)
    documents = ServedTexts(NAMES[: len(texts)], texts)
    return losses_from_completions(client, documents, names=names, models=models, **options)


def refused(served, *words, **options):
    with pytest.raises(InputError) as caught:
        scored(served, **options)
    for word in words:
        assert word in str(caught.value), str(caught.value)


def dense(model, text, begin):
    """Return nats and tokens by a matrix of log-probabilities, as if the text stood after one token."""
    table = np.array(logits(model))
    normalised = table - np.logaddexp.reduce(table, axis=1)[:, None]
    codes = [code(begin.encode()), *map(code, tokens_of(text))]
    return -normalised[codes[:-1], codes[1:]].sum(), len(codes) - 1


FORMATS = {
    "vllm": {},
    "echo alone": {"formats": ("echo",)},
    "strict echo": {"formats": ("echo",), "strict": True},
    "echo of one token": {"formats": ("echo",), "least_tokens": 1},
}


@pytest.mark.parametrize("how", FORMATS.values(), ids=FORMATS)
def test_nats_bytes_and_tokens_are_those_of_a_dense_computation(how):
    with serve(Served(**how)) as served:
        losses = scored(served)
    nll = [[dense(model, text, BOS)[0] for model in ("small", "large")] for text in TEXTS]
    np.testing.assert_allclose(losses["nll"], nll, rtol=1e-12)
    np.testing.assert_array_equal(losses["bytes"], [len(text.encode()) for text in TEXTS])
    np.testing.assert_array_equal(losses["tokens"], [dense("small", text, BOS)[1] for text in TEXTS])
    assert losses["cluster"].values.tolist() == losses["sample"].values.tolist() == NAMES
    assert losses.attrs["unit"] == "document"
    assert losses["parameters"].values.tolist() == [1e8, 1e9]
    assert losses.attrs["unscored_bytes"] == "{}"


@pytest.mark.parametrize("how", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("begins", [False, True])
def test_a_prefix_gives_the_first_token_its_log_prob_and_is_not_scored(how, begins):
    with serve(Served(begins=begins, **how)) as served:
        losses = scored(served, prefix={"small": END, "large": END})
        assert all(asked["prompt"].startswith(END) for asked in served.asked)
    nll = [[dense(model, text, END)[0] for model in ("small", "large")] for text in TEXTS]
    np.testing.assert_allclose(losses["nll"], nll, rtol=1e-12)
    assert json.loads(losses.attrs["prefix"]) == {"small": END, "large": END}


def test_servers_that_lose_spaces(server):
    server.pieces = "words"
    texts = [TEXTS[0], TEXTS[1]]
    nll = [[dense(model, text, BOS)[0] for model in ("small", "large")] for text in texts]
    np.testing.assert_allclose(scored(server, texts)["nll"], nll, rtol=1e-12)


@pytest.mark.parametrize("how", FORMATS.values(), ids=FORMATS)
def test_a_first_token_without_log_prob_is_refused_or_reported(how):
    with serve(Served(begins=False, **how)) as served:
        texts = ["The cat sat.", " and", "  two spaces"]
        refused(served, "the first 3 of the 12 bytes", "'doc0'", "--prefix", "--allow-unscored", texts=texts)
        losses = scored(served, texts, names=["small"], allow_unscored=True)
        refused(served, "none of the 1 texts has a token with a log-prob", texts=[" and"], allow_unscored=True)
    # "The" and the first of two spaces are not scored; of " and" nothing is, so that its loss is unknown and not 0.
    assert json.loads(losses.attrs["unscored_bytes"]) == {"small": 3 + 1}
    assert losses["sample"].to_numpy().tolist() == ["doc0", "doc2"]
    assert missing_note(losses) == "1 sample with missing losses left out."
    np.testing.assert_array_equal(losses["bytes"], [12, 12])
    nll = [dense("small", " cat sat.", "The")[0], dense("small", " two spaces", " ")[0]]
    np.testing.assert_allclose(losses["nll"][:, 0], nll, rtol=1e-12)


def test_a_first_token_of_no_cost_is_not_scored():
    """Some servers write 0 where there is no log-prob."""

    def change(content, asked):
        if asked["echo"]:
            content["choices"][0]["logprobs"]["token_logprobs"][0] = 0.0
        return content

    with serve(Served(begins=False, formats=("echo",), change=change)) as served:
        refused(served, "the first 3 of the 7 bytes", "--prefix", texts=["The cat"], style="echo")
        losses = scored(served, ["The cat"], names=["small"], style="echo", allow_unscored=True)
    np.testing.assert_allclose(losses["nll"], [[dense("small", " cat", "The")[0]]], rtol=1e-12)
    assert losses["tokens"].values.tolist() == [1]


def test_servers_that_score_the_first_token_too():
    def change(content, asked):
        if asked["echo"]:
            content["choices"][0]["logprobs"]["token_logprobs"][0] = -2.5
        return content

    with serve(Served(begins=False, formats=("echo",), change=change)) as served:
        losses = scored(served, ["The cat"], names=["small"], style="echo")
    np.testing.assert_allclose(losses["nll"], [[2.5 + dense("small", " cat", "The")[0]]], rtol=1e-12)
    assert losses["tokens"].values.tolist() == [2]


@pytest.mark.parametrize("first", [BOS, None, ""])
def test_what_stands_before_a_text_is_told_from_it(first):
    def nats(*texts, text, prefix=""):
        values = (None, *[-(2.0**index) for index in range(len(texts))])
        return prompt_score(PromptTokens((first, *texts), values), text, prefix).nats

    assert nats(BOS, "a", "b", text="ab") == 2 + 4
    assert nats("a", "b", text="ab", prefix=END) == 1 + 2
    assert nats(END, "a", text="a", prefix=END) == 2
    assert nats("\n", "a", text="a", prefix="\n") == 2
    assert nats("one", " two", "a", text="a", prefix="one two") == 4
    # The text is U+FFFD itself, in two pieces that are written as U+FFFD each.
    assert nats("\ufffd", "\ufffd", text="\ufffd") == 1 + 2
    assert nats("\ufffd", "\ufffd", text="\ufffd", prefix=END) == 1 + 2


def test_unscored_bytes_are_those_of_utf_8():
    assert prompt_score(PromptTokens((None, "b"), (None, -1.0)), "猫b").unscored_bytes == 3


def test_every_text_is_asked_for_once_without_changing_the_distribution(server):
    scored(server, names=["small"], concurrency=2)
    assert sorted(asked["prompt"] for asked in server.asked) == sorted(set(TEXTS))
    for asked in server.asked:
        assert asked["temperature"] == asked["top_p"] == 1
        assert asked["prompt_logprobs"] == 0
        assert not asked["stream"]


def test_a_style_can_be_chosen(server):
    scored(server, style="echo")
    assert all("prompt_logprobs" not in asked for asked in server.asked)
    server.formats = ("echo",)
    refused(server, "no log-probs of the prompt", "prompt_logprobs", style="prompt_logprobs")
    refused(server, "style 'chat'", style="chat")


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("how", [FORMATS["vllm"], FORMATS["echo alone"]], ids=["vllm", "echo"])
@pytest.mark.parametrize("begins", [False, True])
def test_texts_that_the_server_cuts_are_refused(side, how, begins):
    text = "one two three " * 40
    with serve(Served(longest=20, cut=side, begins=begins, **how)) as served:
        refused(served, "'doc0'", "spell", "cut", texts=[text], allow_unscored=True)


def test_texts_that_do_not_fit_are_refused_in_the_servers_words(server):
    server.longest = 10
    refused(server, "maximum context length is 10 tokens", texts=["word " * 20])
    refused(server, "'doc1'", "maximum context length", texts=["word", "word " * 20])


def test_servers_without_prompt_log_probs_are_refused():
    with serve(Served(formats=())) as served:
        refused(served, "gives no log-probs of the prompt for model 'small'", "update the server")
    # A server that ignores echo gives the log-probs of what it generates.
    with serve(Served(formats=("echo",))) as served:
        served.change = lambda content, asked: _keep_last(content)
        refused(served, "'doc0'", "does not echo")


def _keep_last(content):
    logprobs = content["choices"][0]["logprobs"] or {}
    content["choices"][0]["logprobs"] = {name: values[-1:] for name, values in logprobs.items()}
    return content


def _entry(index, value):
    def change(content, asked):
        entry = content["choices"][0]["prompt_logprobs"]
        if isinstance(value, int | float) and not isinstance(value, bool):
            next(iter(entry[index].values()))["logprob"] = value
        else:
            entry[index] = value
        return content

    return change


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (math.nan, ["log-prob of token 2", "nan"]),
        (-math.inf, ["-inf"]),
        (-9999.0, ["-9999"]),
        (0.25, ["0.25", "at most zero"]),
        (None, ["token 2", "no log-prob"]),
        (-0.5j, ["prompt_logprobs[2]"]),
        ({}, ["prompt_logprobs[2]"]),
        ({"7": {"logprob": "much", "decoded_token": " cat"}}, ["'much'"]),
        ({"7": {"logprob": -1.0, "decoded_token": None}}, ["prompt_logprobs[2]"]),
        ({"7": {"logprob": True, "decoded_token": " cat"}}, ["True"]),
    ],
)
def test_log_probs_that_cannot_be_are_refused(server, value, words):
    server.change = _entry(2, str(value) if isinstance(value, complex) else value)
    refused(server, "'doc0'", *words)


def test_where_more_log_probs_are_given_the_first_is_the_prompts():
    with serve(Served()) as served:
        plain = scored(served)

        def change(content, asked):
            entries = content["choices"][0]["prompt_logprobs"]
            for entry in entries[1:]:
                entry["1000"] = {"logprob": -0.001, "rank": 1, "decoded_token": "other"}
            return content

        served.change = change
        assert scored(served).identical(plain)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html>hello", ["did not answer with JSON", "<html>hello", "/v1"]),
        (b'{"choices": [', ["did not answer with JSON"]),
        ({"error": None}, ["no choices"]),
        ({"choices": []}, ["no choices"]),
        ([], ["no choices"]),
        ({"choices": [{"logprobs": {"tokens": ["a"], "token_logprobs": []}}]}, ["lists of one length"]),
        ({"choices": [{"logprobs": {"tokens": [1, 2], "token_logprobs": [-1, -1]}}]}, ["no text"]),
    ],
)
def test_answers_that_are_none_are_refused(server, content, words):
    server.script = [(200, {}, content)] * 3
    refused(server, *words, texts=["a"], style="echo")


@pytest.mark.parametrize("status", [429, 500, 503, None])
def test_what_passes_is_asked_again(server, status):
    plain = scored(server, texts=TEXTS[:2])
    server.script = [(status, {}, {"message": "busy"})] * 3
    assert scored(server, texts=TEXTS[:2]).identical(plain)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (429, ["HTTP 429 3 times: busy", "--concurrency"]),
        (500, ["HTTP 500 3 times: busy", "server's log"]),
        (None, ["cannot be reached"]),
    ],
)
def test_asking_again_ends(server, status, words):
    server.script = [(status, {}, {"error": {"message": "busy"}})] * 10
    refused(server, *words, retries=2, texts=["a"])
    assert len(server.asked) == 3


def test_the_server_says_how_long_to_wait(server, monkeypatch):
    waits = []
    monkeypatch.setattr("bayeslaw.sources.server.time.sleep", waits.append)
    server.script = [(429, {"Retry-After": wait}, {}) for wait in ("7", "1000", "Wed, 21 Oct 2026 07:28:00 GMT")]
    scored(server, texts=["a"])
    assert waits == [7.0, 60.0, pytest.approx(0.04)]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, ["HTTP 401", "OPENAI_API_KEY"]),
        (403, ["HTTP 403", "OPENAI_API_KEY"]),
        (404, ["HTTP 404", "--model"]),
        (302, ["HTTP 302", "redirects"]),
        (418, ["HTTP 418: I am a teapot"]),
    ],
)
def test_other_refusals_are_final(server, status, words):
    headers = {"Location": "http://127.0.0.1:9/v1/completions"} if status == 302 else {}
    server.script = [(status, headers, {"detail": "I am a teapot"})]
    refused(server, *words)
    assert len(server.asked) == 1


def test_a_model_that_the_server_does_not_have(server):
    models = pd.DataFrame({"model": ["none"], "parameters": [1.0]})
    refused(server, "`none` does not exist", names=["none"], models=models)


def test_a_server_that_is_not_there_or_slow(server):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    refused(Served(url=url), "cannot be reached", "onnection refused", "--url")
    server.seconds = 0.5
    refused(server, "did not answer within 0.1 s (2 times asked)", "--timeout", timeout=0.1, retries=1, texts=["a"])


def test_the_key_is_sent_and_never_shown(server, monkeypatch, tmp_path):
    server.key = SECRET
    refused(server, "HTTP 401")
    monkeypatch.setenv("OPENAI_API_KEY", SECRET + "\n")
    journal = tmp_path / "journal"
    losses = scored(server, journal=journal)
    assert server.headers[-1]["Authorization"] == f"Bearer {SECRET}"
    assert SECRET not in journal.read_text() + repr(losses.attrs) + repr(CompletionsServer(server.url))
    server.key = "another"
    with pytest.raises(InputError, match="Incorrect API key") as caught:
        scored(server)
    assert SECRET not in str(caught.value)
    monkeypatch.setenv("OPENAI_API_KEY", "two\nlines")
    with pytest.raises(InputError, match="OPENAI_API_KEY holds") as caught:
        scored(server)
    assert "two" not in str(caught.value)


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_broken_run_goes_on(server, tmp_path, concurrency):
    whole = scored(server)
    journal = tmp_path / "journal.jsonl"
    texts = list(TEXTS)

    def fail(content, asked):
        return content if asked["model"] == "small" else {"choices": []}

    server.asked.clear()
    server.change = fail
    refused(server, "no choices", journal=journal, concurrency=concurrency, texts=texts)
    assert len([asked for asked in server.asked if asked["model"] == "small"]) == 4
    # What a kill leaves behind: a line that was not finished.
    journal.write_text(journal.read_text() + '{"model": "large", "pre')
    server.change = None
    server.asked.clear()
    assert scored(server, texts, journal=journal, concurrency=concurrency).identical(whole)
    assert {asked["model"] for asked in server.asked} == {"large"}
    server.asked.clear()
    assert scored(server, texts, journal=journal).identical(whole)
    assert server.asked == []


def test_every_length_of_a_journal_gives_the_same_table(server, tmp_path):
    journal = tmp_path / "journal.jsonl"
    whole = scored(server, names=["small"], journal=journal)
    content = journal.read_bytes()
    for length in range(0, len(content), 83):
        journal.write_bytes(content[:length])
        if 0 < length <= content.index(b"\n"):
            refused(server, "no journal", names=["small"], journal=journal)
        else:
            assert scored(server, names=["small"], journal=journal).identical(whole)
            assert len(journal.read_text().splitlines()) == 5


def test_finished_texts_are_kept_though_one_fails(server, tmp_path):
    journal = tmp_path / "journal.jsonl"

    def fail_first(content, asked):
        if asked["prompt"] == "x":
            return {}
        time.sleep(0.2)
        return content

    server.change = fail_first
    refused(server, "'doc3'", "no choices", names=["small"], journal=journal, concurrency=8)
    kept = [json.loads(line) for line in journal.read_text().splitlines()[1:]]
    assert len(kept) == 3


def test_journals_of_another_run_are_refused(server, tmp_path):
    journal = tmp_path / "journal"
    scored(server, journal=journal)
    with serve(Served()) as other:
        refused(other, "journal", "url=", "move the journal away", journal=journal)
    for content in (b"not a journal\n", b"\xff\n", b"[1]\n"):
        journal.write_bytes(content)
        refused(server, "journal", journal=journal)
    header = {"journal": "bayeslaw completions", "version": JOURNAL_VERSION, "url": f"{server.url}/completions"}
    journal.write_text(json.dumps(header) + "\n{}\n")
    refused(server, "a record that cannot be read", journal=journal)
    refused(server, "folder", journal=tmp_path)


def test_another_prefix_is_scored_anew(server, tmp_path):
    journal = tmp_path / "journal"
    scored(server, journal=journal)
    losses = scored(server, journal=journal, prefix=END)
    np.testing.assert_allclose(losses["nll"][0, 0], dense("small", TEXTS[0], END)[0])


def test_a_full_disk_is_said(tmp_path):
    journal = Journal(tmp_path / "journal", {"a": 1})
    journal.add({"b": 2})
    journal.close()
    journal.path = Path("/dev/full")
    with pytest.raises(InputError, match=r"cannot write '/dev/full': No space left"):
        journal.add({"b": 3})
    journal.close()


def test_tokens_are_by_model_where_models_differ_in_them(server):
    def change(content, asked):
        if asked["model"] == "large":
            entries = content["choices"][0]["prompt_logprobs"]
            entries.append({"5": {"logprob": -1.0, "decoded_token": ""}})
        return content

    server.change = change
    losses = scored(server, TEXTS[:2], names=("large", "small"))
    tokens = losses["tokens"].transpose("lm", "sample")
    assert (tokens.sel(lm="large") == tokens.sel(lm="small") + 1).all()
    assert tokens.sel(lm="small").to_numpy().tolist() == [dense("small", text, BOS)[1] for text in TEXTS[:2]]


def test_what_is_given_is_checked(server):
    refused(server, "no model is named", names=[])
    refused(server, "'small' is named twice", names=["small", "small"])
    refused(server, "parameters of 'small' are not known", models=None)
    refused(server, "like a column", names=["bytes"], models=pd.DataFrame({"model": ["bytes"], "parameters": [1.0]}))
    for names, texts, words in ([[], [], "no texts"], [["a"], [""], "'a' is empty"], [["a"], ["a", "b"], "1 names"]):
        with pytest.raises(InputError, match=words):
            ServedTexts(names, texts)
    with pytest.raises(InputError, match="surrogate"):
        ServedTexts(["a"], ["\ud800"])


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("localhost:8000", "URL is"),
        ("ftp://localhost/v1", "URL is"),
        ("http://", "URL is"),
        ("http://localhost:port/v1", "cannot be read"),
        ("http://local host/v1", "spaces"),
        ("http://löcal/v1", "outside ASCII"),
        ("http://me:pass@localhost/v1", "user or password"),
        ("http://localhost/v1?key=1", "URL is"),
    ],
)
def test_urls_that_are_none_are_refused(url, words):
    with pytest.raises(InputError, match=words) as caught:
        CompletionsServer(url)
    assert "pass@" not in str(caught.value)


def test_options_of_the_server_are_checked():
    for options in ({"timeout": 0}, {"timeout": math.nan}, {"retries": -1}, {"concurrency": 0}, {"pause": math.inf}):
        with pytest.raises(InputError):
            CompletionsServer("http://localhost/v1", **options)
    for url in ("http://a/v1", "http://a/v1/", "http://a/v1/completions"):
        assert CompletionsServer(url).endpoint == "http://a/v1/completions"


@given(
    text=st.text(st.sampled_from("ab \n▁äß猫🐭\ufffd"), min_size=1, max_size=12),
    loses_spaces=st.booleans(),
    escapes=st.booleans(),
    data=st.data(),
)
def test_any_cut_of_a_text_into_bytes_covers_it(text, loses_spaces, escapes, data):
    content = text.encode()
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(content) - 1)), max_size=6)) | {0, len(content)})
    pieces = [content[start:stop] for start, stop in pairwise(cuts)]
    spelt = [_spell(piece, escapes=escapes) for piece in pieces]
    if loses_spaces:
        spelt = [piece.strip() for piece in spelt]
    tokens = PromptTokens((BOS, *spelt), (None, *[-1.0] * len(spelt)))
    score = prompt_score(tokens, text)
    assert (score.nats, score.tokens, score.unscored_bytes) == (len(spelt), len(spelt), 0)


@pytest.mark.parametrize(
    ("spelt", "text"),
    [("a\ufffd\ufffd", "abc"), ("a\ufffd", "a猫猫"), ("a\ufffd\ufffd", "a"), ("a\ufffd" * 2, "aäaää")],
)
def test_pieces_of_characters_stand_for_a_few_outside_ascii(spelt, text):
    with pytest.raises(InputError, match="spell"):
        prompt_score(PromptTokens((BOS, spelt), (None, -1.0)), text)
    assert prompt_score(PromptTokens((BOS, "a\ufffd\ufffd", "b"), (None, -1.0, -1.0)), "aäb").nats == 2


def _spell(piece, *, escapes):
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in piece) if escapes else piece.decode(errors="replace")


@given(text=st.text(st.sampled_from("ab ä猫"), min_size=4, max_size=20), data=st.data())
def test_no_cut_text_passes(text, data):
    # Spaces at an end may be lost by the spelling; anything else that is missing is seen.
    start = data.draw(st.integers(0, len(text) - 1))
    stop = data.draw(st.integers(start + 1, len(text)))
    lost = text[:start] + text[stop:]
    if not lost.strip():
        return
    parts = list(text[start:stop])
    with pytest.raises(InputError, match="spell"):
        prompt_score(PromptTokens((BOS, *parts), (None, *[-1.0] * len(parts))), text)


app = Typer(pretty_exceptions_enable=False)
app.command()(import_completions)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_command_writes_a_table_and_removes_its_journal(server, tmp_path):
    described = {"domain": "d", "cluster": 17}
    lines = [json.dumps({"id": name, "text": text} | described) for name, text in zip(NAMES, TEXTS, strict=True)]
    (tmp_path / "texts.jsonl").write_text("\n".join(lines))
    MODELS.to_csv(tmp_path / "models.csv", index=False)
    options = ["--url", server.url, "--texts", tmp_path / "texts.jsonl", "--models", tmp_path / "models.csv"]
    options += ["--model", "small", "--model", "large", "--prefix", f"small={END}", "--out", tmp_path / "out"]
    server.change = lambda content, asked: content if asked["prompt"] != "x" else {}
    result = run(*options)
    assert isinstance(result.exception, InputError)
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "out.journal.jsonl").exists()
    server.change = None
    result = run(*options)
    assert result.exit_code == 0, result.output
    assert "5 samples (unit: document), 2 models" in result.stderr
    assert not (tmp_path / "out.journal.jsonl").exists()
    losses = read_losses(tmp_path / "out")
    nll = [[dense("small", text, END)[0], dense("large", text, BOS)[0]] for text in TEXTS]
    np.testing.assert_allclose(losses["nll"], nll, rtol=1e-12)
    assert losses["domain"].values.tolist() == ["d"] * 5
    assert losses["cluster"].values.tolist() == ["17"] * 5


def test_the_command_warns_of_unscored_bytes(tmp_path):
    (tmp_path / "texts.jsonl").write_text(json.dumps({"text": "The cat"}))
    MODELS.to_csv(tmp_path / "models.csv", index=False)
    with serve(Served(begins=False)) as served:
        options = ["--url", served.url, "--texts", tmp_path / "texts.jsonl", "--models", tmp_path / "models.csv"]
        result = run(*options, "--model", "small", "--out", tmp_path / "out", "--allow-unscored")
    assert result.exit_code == 0, result.output
    assert "warning: 3 bytes have no log-prob by small" in result.stderr
    losses = read_losses(tmp_path / "out")
    assert (losses["bytes"] - losses["scored_bytes"]).to_numpy().tolist() == [[3]]


def test_the_servers_codes_tell_tokens_apart():
    assert re.findall(r"\d+", str(CODES)) == ["61"]
    assert tokens_of("Hi du!ä") == [b"Hi", b" du", b"!", b"\xc3", b"\xa4"]
