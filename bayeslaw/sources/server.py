"""A completions server: sending one request, with bounded retries, and saying what went wrong."""

import http.client
import itertools
import json
import os
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from bayeslaw.errors import InputError, check_choice, check_whole
from bayeslaw.inputs.arguments import a_number, a_text, check_fields
from bayeslaw.inputs.foreign_json import parse_json
from bayeslaw.inputs.foreign_text import excerpt
from bayeslaw.sources.bounded_http import (
    AnswerBound,
    BoundedHTTPHandler,
    BoundedHTTPSHandler,
    BoundedRequest,
    TooLongError,
    read_body,
)

API_KEY = "OPENAI_API_KEY"
STYLES = ("auto", "prompt_logprobs", "echo")
# The server may do better a moment later; every other refusal is final.
PASSING = (408, 429, 500, 502, 503, 504)
# The server does not know a field or a value of the request, so that another way of asking may succeed.
REFUSED = (400, 422)
BROKEN = (TimeoutError, ConnectionResetError, ConnectionAbortedError, BrokenPipeError)
LONGEST_WAIT = 60.0
# An answer has two lists or four of an entry for each token of the prompt, of less than 300 bytes together even where
# every byte is a token; how much it may have is this for each byte of the request, and a mebibyte.
ANSWER_BYTES_A_BYTE = 512
ANSWER_BYTES = 1 << 20
MOST_ERROR_BYTES = 1 << 16


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: it would take the key and the texts to a server that nobody named."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: Any) -> None:
        """Return no request, which makes the redirect an error."""


class _AttemptError(Exception):
    """A failed attempt, with the error to end in and the seconds that the server asks to wait."""

    def __init__(self, error: InputError, *, lasting: bool, wait: float | None) -> None:
        super().__init__(str(error))
        self.error, self.lasting, self.wait = error, lasting, wait


@dataclass(frozen=True)
class Reply:
    """What a server answered.

    Attributes
    ----------
    content
        The parsed body; None where the server refused the request as malformed.
    refusal
        The server's words, or its status, where it did; else empty.
    """

    content: Any
    refusal: str = ""


@dataclass(frozen=True)
class CompletionsServer:
    """An OpenAI-compatible completions server, and how to ask it.

    The key of the server, if it wants one, is read from the environment variable ``OPENAI_API_KEY`` and kept nowhere.

    Attributes
    ----------
    url
        The address up to ``/v1``, such as ``http://localhost:8000/v1``; ``/completions`` is added.
    style
        ``"prompt_logprobs"`` asks as vLLM wants it, ``"echo"`` with ``echo`` and ``logprobs``, ``"auto"`` finds out.
    timeout
        Seconds until the whole of an answer has to be there.
    retries
        How often to ask again where the server is busy, fails or breaks the connection.
    pause
        Seconds before the first retry, doubled for each next one; a server that says ``Retry-After`` is obeyed, up to
        a minute.
    concurrency
        Requests under way at a time.
    """

    url: str
    style: str = "auto"
    timeout: float = 120.0
    retries: int = 4
    pause: float = 1.0
    concurrency: int = 8

    def __post_init__(self) -> None:
        seconds = a_number(accepted="a number of seconds above zero", suggested=120)
        check_fields(self, url=a_text, style=a_text, timeout=seconds, pause=seconds)
        check_choice("style", self.style, STYLES)
        check_whole("retries", self.retries, lowest=0, suggested=4)
        check_whole("concurrency", self.concurrency, lowest=1, suggested=8)
        for name, value in (("timeout", self.timeout), ("pause", self.pause)):
            if not 0 <= value < float("inf") or (name == "timeout" and value == 0):
                raise InputError(f"{name} is {value!r}", "a number of seconds above zero", f"use {name}=120")
        accepted = "an address such as http://localhost:8000/v1"
        try:
            parts = urlsplit(self.url)
            _ = parts.port
        except ValueError as error:
            raise InputError(f"the URL {self.url!r} cannot be read: {error}", accepted, "correct it") from error
        if parts.username is not None or parts.password is not None:
            raise InputError("the URL holds a user or password", accepted, f"give the key in {API_KEY}")
        if not self.url.isascii() or any(character.isspace() for character in self.url):
            raise InputError(f"the URL {self.url!r} holds spaces or letters outside ASCII", accepted, "correct it")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise InputError(f"the URL is {self.url!r}", accepted, "give the address up to /v1")

    @property
    def endpoint(self) -> str:
        """The full address of the completions."""
        base = self.url.rstrip("/")
        return base if base.endswith("/completions") else f"{base}/completions"

    def post(self, payload: dict[str, Any]) -> Reply:
        """Send one request.

        Parameters
        ----------
        payload
            The body.

        Returns
        -------
        Reply
            The parsed answer, or the server's words where it refused the request as malformed.

        Raises
        ------
        InputError
            If the server cannot be reached, refuses for another reason, keeps failing, or answers with anything but
            JSON, too slowly or with more bytes than the log-probs of the request can take.
        """
        data = json.dumps(payload).encode()
        for attempt in itertools.count(1):
            try:
                return self._attempt(data, attempt)
            except _AttemptError as failure:
                if failure.lasting or attempt > self.retries:
                    raise failure.error from None
                wait = self.pause * 2 ** (attempt - 1) if failure.wait is None else failure.wait
            time.sleep(min(wait, LONGEST_WAIT))
        raise RuntimeError("itertools.count ended")

    def _attempt(self, data: bytes, attempt: int) -> Reply:
        headers = {"Content-Type": "application/json", "Accept": "application/json", **_authorization()}
        bound = AnswerBound(self.timeout, ANSWER_BYTES_A_BYTE * len(data) + ANSWER_BYTES)
        request = BoundedRequest(self.endpoint, data=data, headers=headers, bound=bound)
        try:
            with _opener().open(request, timeout=self.timeout) as response:
                body = read_body(response, bound)
        except urllib.error.HTTPError as error:
            with error:
                message = _message(error)
            if error.code in REFUSED:
                return Reply(None, message or f"HTTP {error.code}")
            refusal = self._refusal(error.code, message, attempt)
            raise _AttemptError(refusal, lasting=error.code not in PASSING, wait=_retry_after(error)) from None
        except TooLongError:
            raise self._too_long(bound.most, len(data)) from None
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            reason = getattr(error, "reason", error)
            # A refused connection, an unknown host or a wrong certificate will not pass; a broken connection may.
            lasting = isinstance(reason, OSError | UnicodeError) and not isinstance(reason, BROKEN)
            raise _AttemptError(self._unreachable(reason, attempt), lasting=lasting, wait=None) from None
        return Reply(self._parsed(body))

    def _parsed(self, body: bytes) -> Any:
        try:
            return parse_json(body)
        except ValueError as error:
            start = excerpt(body.decode(errors="replace"), 80)
            why = "" if not start.startswith(("{", "[")) else f" ({excerpt(error, 80)})"
            problem = f"{self.endpoint} did not answer with JSON but with {start!r}{why}"
            raise InputError(problem, "an OpenAI-compatible server", "check the URL; it often ends in /v1") from None

    def _too_long(self, most: int, asked: int) -> InputError:
        problem = f"{self.endpoint} answers a request of {asked:,} bytes with more than {most:,}"
        accepted = f"at most {most:,} bytes, several times what the log-probs of such a prompt take"
        return InputError(problem, accepted, "check --url, or ask in another --style")

    def _refusal(self, code: int, message: str, attempts: int) -> InputError:
        said = f": {message}" if message else ""
        times = f" {attempts} times" if attempts > 1 else ""
        problem = f"{self.endpoint} answered HTTP {code}{times}{said}"
        if code in (401, 403):
            return InputError(problem, "a key that the server knows", f"set the environment variable {API_KEY}")
        if code == 404:
            return InputError(problem, "a model that the server has, at its own URL", "check --url and --model")
        if 300 <= code < 400:
            return InputError(problem, "the server's own address", "give --url the address that it redirects to")
        if code == 429:
            return InputError(problem, "a rate that the server allows", "lower --concurrency, and run again to go on")
        return InputError(problem, "an answer to the request", "look at the server's log, and run again to go on")

    def _unreachable(self, reason: object, attempts: int) -> InputError:
        if isinstance(reason, TimeoutError):
            problem = f"{self.endpoint} did not answer within {self.timeout:g} s ({attempts} times asked)"
            return InputError(problem, "an answer in time", "raise --timeout or lower --concurrency, and run again")
        problem = f"{self.endpoint} cannot be reached: {excerpt(getattr(reason, 'strerror', None) or reason)}"
        return InputError(problem, "the address of a running server", "start the server, or correct --url")


@cache
def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_NoRedirect, BoundedHTTPHandler, BoundedHTTPSHandler)


def _authorization() -> dict[str, str]:
    key = os.environ.get(API_KEY, "").strip()
    if not key:
        return {}
    if not (key.isascii() and key.isprintable()):
        # Said here, since the library's own complaint would show the key.
        raise InputError(f"{API_KEY} holds characters that no key has", "one line of ASCII", "set it again")
    return {"Authorization": f"Bearer {key}"}


def _message(error: urllib.error.HTTPError) -> str:
    try:
        body = error.read(MOST_ERROR_BYTES).decode(errors="replace")
    except (OSError, http.client.HTTPException, ValueError, TooLongError):
        return ""
    try:
        content = parse_json(body)
        inner = content.get("error", content.get("message", content.get("detail", body)))
        return excerpt(inner.get("message", inner) if isinstance(inner, dict) else inner)
    except (ValueError, AttributeError):
        return excerpt(body)


def _retry_after(error: urllib.error.HTTPError) -> float | None:
    try:
        return max(0.0, float(error.headers.get("Retry-After", "")))
    except ValueError:
        # A date, or nothing.
        return None
