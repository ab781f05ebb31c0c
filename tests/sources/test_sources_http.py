"""Answers of completions servers that have no end, are not what they should be, or show what nobody is to see."""

import json
import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache

import pytest
from completions_server import Served, serve
from forms import few_or_many
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from bayeslaw.cli import app
from bayeslaw.errors import InputError
from bayeslaw.sources import CompletionsServer
from bayeslaw.sources.prompt_requests import first_score
from bayeslaw.sources.server import ANSWER_BYTES_A_BYTE

SECRET = "sk-very-secret-key"
TEXT = "The cat sat."
STEERING = "\x1b[31mred \x9b2J\u202e\u200b\r\x08\ud800"
OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture(autouse=True)
def no_key_and_no_proxy(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@contextmanager
def raw_server(begin, repeated=b"", pause=0.0):
    """Answer every request with the given bytes, and then with others far longer than any client should listen."""
    stopped = threading.Event()

    def answer(connection):
        with connection, suppress(OSError):
            connection.recv(1 << 16)
            connection.sendall(begin)
            for _ in range(100 if pause else 2000):
                if not repeated or stopped.wait(pause):
                    break
                connection.sendall(repeated)

    def listen():
        with suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=listen, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            stopped.set()
            listener.shutdown(socket.SHUT_RDWR)


def asked(url, text=TEXT, style="auto", **options):
    server = CompletionsServer(url, **{"style": style, "timeout": 20.0, "retries": 0, "pause": 0.01} | options)
    return first_score(server, "small", text=text, prefix="", name="doc")


def refused(url, *words, **options):
    with pytest.raises(InputError) as caught:
        asked(url, **options)
    for word in words:
        assert word in str(caught.value), str(caught.value)
    return str(caught.value)


SLOW = {
    "body": (OK + b"Content-Length: 100000\r\n\r\n{", b" "),
    "body without a length": (OK + b"\r\n{", b" "),
    "status": (b"HTTP/1.1 2", b"0"),
    "headers": (OK, b"X: y\r\n"),
    "one header": (OK + b"X: ", b"y"),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "trailers": (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", b"X: y\r\n"),
    "silence": (b"", b""),
}


@pytest.mark.parametrize(("begin", "repeated"), SLOW.values(), ids=SLOW)
def test_a_server_that_drips_ends_in_time(begin, repeated):
    with raw_server(begin, repeated, pause=0.05) as url:
        words = ["did not answer within 0.3 s"] if repeated else ["cannot be reached"]
        refused(url, *words, timeout=0.3)


ENDLESS = {
    "body": (OK + b"\r\n", b" " * (1 << 16)),
    "chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b" " * (1 << 16) + b"\r\n"),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "trailers": (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", b"X: y\r\n" * 1000),
    "length": (OK + b"Content-Length: 1000000000000\r\n\r\n", b""),
    "chunk": (OK + b"Transfer-Encoding: chunked\r\n\r\nfffffffffff\r\n", b" " * (1 << 16)),
}


@pytest.mark.parametrize(("begin", "repeated"), ENDLESS.values(), ids=ENDLESS)
def test_an_answer_has_no_more_bytes_than_it_can_need(begin, repeated):
    with raw_server(begin, repeated) as url:
        assert "at most 1," in refused(url, "answers a request of", "with more than")


BROKEN = {
    "cut off": OK + b"Content-Length: 100\r\n\r\n{}",
    "chunk cut off": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}",
    "no number": OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n{}",
    "negative chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n{}",
    "no HTTP": b"220 mail.example ESMTP\r\n",
    "no status": b"HTTP/1.1 twenty OK\r\n\r\n",
    "long header": OK + b"X: " + b"y" * 70_000 + b"\r\n\r\n{}",
    "many headers": OK + b"X: y\r\n" * 200 + b"\r\n{}",
}


@pytest.mark.parametrize("begin", BROKEN.values(), ids=BROKEN)
def test_answers_that_are_no_http_are_refused(begin):
    with raw_server(begin) as url:
        refused(url, "cannot be reached")


@pytest.mark.parametrize("style", ["prompt_logprobs", "echo"])
def test_an_honest_answer_is_far_below_what_is_allowed(style):
    sizes = []

    def change(content, payload):
        sizes.append((len(json.dumps(content, indent=4)), ANSWER_BYTES_A_BYTE * len(json.dumps(payload))))
        return content

    with serve(Served(change=change)) as served:
        # A token for every letter, and for every byte of what is not ASCII.
        for text in ("1" * 900, "猫" * 300):
            assert asked(served.url, text=text, style=style)[1].tokens == 900
    assert all(size < most for size, most in sizes)


@pytest.mark.parametrize("status", [200, 302, 400, 401, 404, 422, 500])
@pytest.mark.parametrize("form", ["{key}", "{{{key}", '{{"error": {{"message": "{key}"}}}}', '{{"id": "{key}"}}'])
def test_no_part_of_the_key_is_shown_whatever_echoes_it(monkeypatch, status, form):
    key = SECRET + '\\"' + "x" * 400
    monkeypatch.setenv("OPENAI_API_KEY", key)
    body = form.format(key=json.dumps(key)[1:-1] if '"' in form else key).encode()
    with serve(Served(script=[(status, {}, body)] * 3)) as served:
        said = refused(served.url)
    assert "sk-very" not in said
    assert "xxxx" not in said


@pytest.mark.parametrize("way", ["prompt_logprobs", "echo"])
def test_a_key_among_the_tokens_is_not_shown(monkeypatch, way):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    tokens = ["<s>", f"{SECRET}"]
    entries = [None, {"1": {"logprob": -1.0, "decoded_token": SECRET}}, {"2": {"logprob": SECRET}}]
    choices = [
        {"logprobs": {"tokens": tokens, "token_logprobs": [None, -1.0]}, "prompt_logprobs": entries[:2]},
        {"logprobs": {"tokens": tokens, "token_logprobs": [None, SECRET]}, "prompt_logprobs": entries},
        {"logprobs": {"tokens": tokens, "token_logprobs": [None, 5.0]}, "prompt_logprobs": [None, {"1": SECRET}]},
    ]
    for choice in choices:
        with serve(Served(script=[(200, {}, {"choices": [choice]})] * 3)) as served:
            assert SECRET[4:] not in refused(served.url, style=way)


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("json_body", [True, False])
def test_no_word_of_a_server_steers_the_terminal(tmp_path, status, json_body):
    (tmp_path / "texts.jsonl").write_text(json.dumps({"text": TEXT}))
    (tmp_path / "models.csv").write_text("model,parameters\nsmall,1e8\n")
    body = {"error": {"message": STEERING}} if json_body else STEERING.encode(errors="replace")
    options = ["--texts", tmp_path / "texts.jsonl", "--models", tmp_path / "models.csv", "--out", tmp_path / "out"]
    with serve(Served(script=[(status, {}, body)] * 3)) as served:
        options += ["--url", served.url, "--model", "small", "--retries", 0]
        result = CliRunner().invoke(app, ["import-completions", *map(str, options)])
    assert result.exit_code == 2
    assert "red" in result.stderr
    assert result.stderr.replace("\n", "").isprintable()
    assert [line.split(":")[0] for line in result.stderr.splitlines()] == ["Error", "accepted", "fix"]


@cache
def _right_answers():
    """Return the answer of each way of asking, and the score that it stands for."""
    answers = {}
    for style in ("prompt_logprobs", "echo"):
        kept = []
        with serve(
            Served(formats=(style,), change=lambda content, _, kept=kept: kept.append(content) or content)
        ) as it:
            score = asked(it.url, style=style)[1]
        answers |= {style: kept[0], f"{style} score": score}
    return answers


def _places(value, path=()):
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        yield from _places(part, (*path, name))


def _with(value, path, other):
    if not path:
        return other
    copy = value.copy()
    copy[path[0]] = _with(value[path[0]], path[1:], other)
    return copy


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just(10**400)
JSON = st.recursive(
    SCALARS, lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=3), part, max_size=3)
)


@pytest.mark.parametrize("style", ["prompt_logprobs", "echo"])
@few_or_many(50, 500)
def test_no_json_in_any_place_of_an_answer_gives_another_loss(style, examples):
    @settings(deadline=None, max_examples=examples)
    @given(data=st.data(), other=JSON)
    def check(data, other):
        answers = _right_answers()
        answer, right = answers[style], answers[f"{style} score"]
        place = data.draw(st.sampled_from(list(_places(answer))))
        body = json.dumps(_with(answer, place, other))
        number = place[-1:] == ("logprob",) or place[-2:-1] == ("token_logprobs",)
        server = CompletionsServer("http://127.0.0.1:9/v1", style=style)
        object.__setattr__(server, "post", lambda payload: _reply(body))
        try:
            _, found = first_score(server, "small", text=TEXT, prefix="", name="doc")
        except InputError:
            return
        # Another number that may be a log-prob is one, the text of a first token before the text may be any, and an
        # answer that scores no token gives no loss. A token without text leaves bytes that it may not have scored.
        another = number and isinstance(other, int | float) and -9999 < other <= 1e-6
        doubted = replace(found, unscored_bytes=0) == right and found.unscored_bytes > 0
        assert found == right or not found.tokens or another or doubted

    check()


def _reply(body):
    from bayeslaw.inputs.foreign_json import parse_json
    from bayeslaw.sources.server import Reply

    try:
        return Reply(parse_json(body))
    except ValueError as error:
        raise InputError(str(error), "", "") from error


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 5000 + b"1", b"[" * 150 + b"]" * 150, b"9" * 5000])
def test_answers_that_are_deep_or_have_endless_numbers_are_refused(body):
    with serve(Served(script=[(200, {}, body)] * 3)) as served:
        refused(served.url, "did not answer with JSON")


def test_tokens_that_are_numbers_are_named_with_how_to_turn_them_off():
    def change(content, payload):
        logprobs = content["choices"][0]["logprobs"]
        logprobs["tokens"] = [f"token_id:{index}" for index, _ in enumerate(logprobs["tokens"])]
        return content

    with serve(Served(formats=("echo",), change=change)) as served:
        refused(served.url, "'token_id:4'", "without --return-tokens-as-token-ids", style="echo")
    with serve(Served()) as served:
        # A text may speak of them.
        assert asked(served.url, text="token_id:7")[1].nats > 0


@pytest.mark.parametrize("said", [0, 1, 2, True, -1, None, "1"])
@pytest.mark.parametrize("made", ["\n", " ", "", " and"])
def test_the_token_that_a_server_must_generate_is_not_scored(made, said):
    right = _right_answers()["echo score"]

    def change(content, payload):
        content["usage"]["completion_tokens"] = said
        logprobs = content["choices"][0]["logprobs"]
        logprobs["tokens"][len(logprobs["tokens"]) - payload["max_tokens"] :] = [made] * payload["max_tokens"]
        return content

    with serve(Served(formats=("echo",), least_tokens=1, change=change)) as served:
        assert asked(served.url, style="echo") == ("echo and one token", right)


@pytest.mark.parametrize("answer", [{"error": {"message": "at least 1"}}, {"choices": []}, {"choices": [None]}])
def test_a_server_that_says_with_status_200_that_it_must_generate_is_asked_for_a_token(answer):
    def change(content, payload):
        return content if payload["max_tokens"] else answer

    with serve(Served(formats=("echo",), change=change)) as served:
        assert asked(served.url) == ("echo and one token", _right_answers()["echo score"])
