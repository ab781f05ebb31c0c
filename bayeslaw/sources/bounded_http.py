"""HTTP answers with an end: all bytes of one, its headers included, are counted and have one deadline."""

import functools
import http.client
import io
import socket
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

# Beside the body: status lines, headers, the lines between chunks.
MOST_AROUND = 1 << 20
PART_BYTES = 1 << 20


class TooLongError(Exception):
    """An answer has more bytes than it may have."""


@dataclass
class AnswerBound:
    """How long one answer may be, and until when it has to be whole.

    Attributes
    ----------
    seconds
        Time for the answer, from now on.
    most
        Most bytes of its body.
    """

    seconds: float
    most: int
    read: int = 0
    deadline: float = field(init=False)

    def __post_init__(self) -> None:
        self.deadline = time.monotonic() + self.seconds

    def left(self) -> float:
        """Return the seconds that are left.

        Raises
        ------
        TimeoutError
            If there are none.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    def count(self, read: int) -> None:
        """Count bytes that came.

        Raises
        ------
        TooLongError
            If there are too many of them by now.
        """
        self.read += read
        # Chunks of one byte have five bytes around each.
        if self.read > 6 * self.most + MOST_AROUND:
            raise TooLongError


class BoundedRequest(urllib.request.Request):
    """A request whose answer is bounded."""

    def __init__(self, *arguments: Any, bound: AnswerBound, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.bound = bound


class _BoundedReader(io.RawIOBase):
    """Reads from a socket as long as a bound allows."""

    def __init__(self, stream: io.RawIOBase, connection: socket.socket, bound: AnswerBound) -> None:
        super().__init__()
        self.stream, self.connection, self.bound = stream, connection, bound

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self.connection.settimeout(self.bound.left())
        read = self.stream.readinto(buffer)
        self.bound.count(read or 0)
        return read

    def close(self) -> None:
        self.stream.close()
        super().close()


class _BoundedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, bound: AnswerBound, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = io.BufferedReader(_BoundedReader(self.fp.detach(), sock, bound))


def _connecting(kind: type[http.client.HTTPConnection], bound: AnswerBound) -> Callable[..., Any]:
    def connect(host: str, **options: Any) -> http.client.HTTPConnection:
        connection = kind(host, **options)
        # Also what a proxy answers to CONNECT is read by this class.
        connection.response_class = functools.partial(_BoundedResponse, bound=bound)  # pyright: ignore
        return connection

    return connect


class BoundedHTTPHandler(urllib.request.HTTPHandler):
    """Opens ``http`` for a `BoundedRequest`."""

    def http_open(self, req: Any) -> Any:
        """Return the answer."""
        return self.do_open(_connecting(http.client.HTTPConnection, req.bound), req)


class BoundedHTTPSHandler(urllib.request.HTTPSHandler):
    """Opens ``https`` for a `BoundedRequest`."""

    def https_open(self, req: Any) -> Any:
        """Return the answer."""
        context = self._context  # pyright: ignore[reportAttributeAccessIssue]
        return self.do_open(_connecting(http.client.HTTPSConnection, req.bound), req, context=context)


def read_body(response: Any, bound: AnswerBound) -> bytes:
    """Read the body of an answer.

    Parameters
    ----------
    response
        The answer.
    bound
        Its bound.

    Returns
    -------
    bytes
        The body.

    Raises
    ------
    TooLongError
        If it is too long, or says so.
    TimeoutError
        If it is not whole in time.
    http.client.HTTPException
        If it breaks off, or is not in the form of HTTP.
    """
    if (response.length or 0) > bound.most:
        raise TooLongError
    body = bytearray()
    try:
        while part := response.read(PART_BYTES):
            body += part
            if len(body) > bound.most:
                raise TooLongError
    except ValueError as error:
        # The library takes negative sizes of chunks for numbers of bytes.
        raise http.client.HTTPException("its chunks have sizes that are none") from error
    if response.length:
        raise http.client.IncompleteRead(bytes(body), response.length)
    return bytes(body)
