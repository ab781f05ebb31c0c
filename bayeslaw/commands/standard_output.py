"""Standard output that may be full, closed, narrow in what it can write, or left by its reader."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress


class ClosedOutput(io.TextIOBase):
    """Stands for a standard output that was closed before the program began: whatever is written fails."""

    def write(self, text: str) -> int:
        """Fail, unless there is nothing to write."""
        if text:
            raise OSError(errno.EBADF, "it is closed")
        return 0

    def isatty(self) -> bool:
        """Say that it is no terminal."""
        return False


def with_standard_output(program: Callable[[], object]) -> int:
    """Run a program that prints, and return its exit code.

    Parameters
    ----------
    program
        Ends as functions do, or by `SystemExit`.

    Returns
    -------
    int
        The code of `SystemExit`, else 0. A reader that goes away, as ``head`` does, is no mistake: 0. Where standard
        output cannot be written 2, after a message on standard error.
    """
    _prepare()
    code, broken, before = 0, None, _place(1)
    try:
        program()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    except OSError as error:
        broken = error
    # Typer puts a wrapper around a stream whose reader went away, and Rich sends what is left elsewhere.
    if type(sys.stdout).__name__ == "PacifyFlushWrapper" or _place(1) != before:
        return _ended(0)
    try:
        sys.stdout.flush()
    except OSError as error:
        broken = broken or error
    if broken is None:
        return code
    if broken.errno == errno.EPIPE:
        return _ended(0)
    with suppress(OSError):
        print(f"Error: cannot write standard output: {broken.strerror or broken}", file=sys.stderr, flush=True)
    return _ended(2)


def _place(number: int) -> tuple[int, int]:
    """Return what tells where a file descriptor leads to."""
    found = os.fstat(number)
    return found.st_dev, found.st_ino


def _ended(code: int) -> int:
    """Leave nothing that Python would try to write once more when it closes the streams."""
    with suppress(OSError):
        elsewhere = os.open(os.devnull, os.O_WRONLY)
        for number in (1, 2):
            os.dup2(elsewhere, number)
    return code


def _prepare() -> None:
    """Make the streams such that characters they do not have are replaced, and keep files away from closed ones."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            # The next file opened would get this number, and what libraries print would go into it.
            held = os.open(os.devnull, os.O_WRONLY)
            if held != number:
                os.dup2(held, number)
                os.close(held)
            setattr(sys, name, ClosedOutput() if name == "stdout" else open(os.devnull, "w"))  # noqa: SIM115
        elif isinstance(stream := getattr(sys, name), io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")
