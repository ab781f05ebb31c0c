"""A small completions server that answers in the formats of vLLM and of the OpenAI API, out of a bigram model."""

import json
import math
import random
import re
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any

BOS = "<s>"
END = "<|endoftext|>"
CODES = 61


@dataclass
class Served:
    """How the server behaves, and what it was asked.

    Attributes
    ----------
    models
        Names of models; each has its own probabilities.
    formats
        What it understands: ``"prompt_logprobs"``, ``"echo"``.
    begins
        Whether it puts a token before every prompt.
    pieces
        ``"bytes"`` spells tokens as they are, with characters outside ASCII in single bytes; ``"words"`` loses the
        spaces before words, as servers do that write each piece of a SentencePiece model by itself.
    least_tokens
        Fewest tokens to generate: 1 refuses ``max_tokens`` of 0.
    strict
        Refuse fields that it does not know.
    longest
        Most tokens of a prompt; longer ones are refused, or cut where `cut` says so.
    script
        Answers to give first, in this order: a status with headers and body, or a name of a fault.
    key
        The key it wants, if any.
    seconds
        How long it takes to answer.
    """

    models: tuple[str, ...] = ("small", "large")
    formats: tuple[str, ...] = ("prompt_logprobs", "echo")
    begins: bool = True
    pieces: str = "bytes"
    least_tokens: int = 0
    strict: bool = False
    longest: int = 1000
    cut: str = ""
    key: str = ""
    seconds: float = 0.0
    change: Any = None
    script: list[Any] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""


def tokens_of(text: str) -> list[bytes]:
    """Cut a text into words with the space before them, single ASCII characters, and single other bytes."""
    pieces = re.findall(rf"{re.escape(END)}| ?[A-Za-z]+|.", text, re.DOTALL)
    return [
        part for piece in pieces for part in ([piece.encode()] if piece.isascii() else map(bytes, zip(piece.encode())))
    ]


def code(token: bytes) -> int:
    return zlib.crc32(token) % CODES


@cache
def logits(model: str) -> list[list[float]]:
    """Return the model's table: how likely a code is after another, before normalisation."""
    draw = random.Random(model)
    return [[draw.gauss(0, 2) for _ in range(CODES)] for _ in range(CODES)]


def _log_probabilities(model: str, tokens: list[bytes]) -> list[float | None]:
    table, found = logits(model), [None]
    for before, token in pairwise(tokens):
        row = table[code(before)]
        found.append(row[code(token)] - math.log(sum(math.exp(value) for value in row)))
    return found


def _answer(served: Served, asked: dict[str, Any]) -> tuple[int, Any]:
    if asked["model"] not in served.models:
        return 404, {"object": "error", "message": f"The model `{asked['model']}` does not exist.", "code": 404}
    known = {"model", "prompt", "max_tokens", "temperature", "top_p", "n", "stream"}
    known |= {"prompt_logprobs"} if "prompt_logprobs" in served.formats else set()
    known |= {"echo", "logprobs"} if "echo" in served.formats else set()
    if served.strict and set(asked) - known:
        return 400, {"error": {"message": f"Unrecognized request argument supplied: {min(set(asked) - known)}"}}
    if asked["max_tokens"] < served.least_tokens:
        return 400, {"error": {"message": "max_tokens must be at least 1"}}
    tokens = ([BOS.encode()] if served.begins else []) + tokens_of(asked["prompt"])
    if len(tokens) > served.longest:
        if not served.cut:
            return 400, {"error": {"message": f"This model's maximum context length is {served.longest} tokens"}}
        tokens = tokens[-served.longest :] if served.cut == "left" else tokens[: served.longest]
    return 200, _completion(served, asked, tokens)


def _completion(served: Served, asked: dict[str, Any], tokens: list[bytes]) -> dict[str, Any]:
    texts = [token.decode(errors="replace") for token in tokens]
    if served.pieces == "words":
        texts = [text.removeprefix(" ") for text in texts]
    values = _log_probabilities(asked["model"], tokens)
    generated = [" and"] * asked["max_tokens"]
    choice: dict[str, Any] = {"index": 0, "text": "".join(generated), "logprobs": None, "finish_reason": "length"}
    if "prompt_logprobs" in served.formats and asked.get("prompt_logprobs") is not None:
        choice["prompt_logprobs"] = [
            None if value is None else {str(code(token)): {"logprob": value, "rank": 3, "decoded_token": text}}
            for token, text, value in zip(tokens, texts, values, strict=True)
        ]
    if "echo" in served.formats and asked.get("echo"):
        shown, numbers = texts + generated, values + [-0.5] * len(generated)
        offsets = [sum(map(len, shown[:index])) for index in range(len(shown))]
        top = [None if value is None else {text: value} for text, value in zip(shown, numbers, strict=True)]
        choice["text"] = asked["prompt"] + choice["text"]
        choice["logprobs"] = {"text_offset": offsets, "token_logprobs": numbers, "tokens": shown, "top_logprobs": top}
    # vLLM makes one token even where none was asked for, and counts it.
    usage = {"prompt_tokens": len(tokens), "completion_tokens": max(1, asked["max_tokens"])}
    usage["total_tokens"] = sum(usage.values())
    made = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": asked["model"], "usage": usage}
    return made | {"choices": [choice]}


class _Handler(BaseHTTPRequestHandler):
    served: Served

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.served.asked.append(asked)
        self.served.headers.append(dict(self.headers))
        status, headers, content = self._scripted(asked)
        if status is None:
            # The connection breaks off without an answer.
            self.close_connection = True
            return
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _scripted(self, asked: dict[str, Any]) -> tuple[int | None, dict[str, str], Any]:
        if self.served.seconds:
            time.sleep(self.served.seconds)
        if self.served.script:
            return self.served.script.pop(0)
        if self.path != "/v1/completions":
            return 404, {}, {"detail": "Not Found"}
        given = self.headers.get("Authorization", "")
        if self.served.key and given != f"Bearer {self.served.key}":
            return 401, {}, {"error": {"message": f"Incorrect API key provided: {given[7:]}."}}
        status, content = _answer(self.served, asked)
        if status == 200 and self.served.change is not None:
            content = self.served.change(content, asked)
        return status, {}, content

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def serve(served: Served) -> Iterator[Served]:
    """Run the server on a free port of this machine until the block ends."""
    handler = type("Handler", (_Handler,), {"served": served})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
