"""Opening files that somebody names: regular ones alone, since others may never end or never begin."""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
# Opening a pipe that nobody writes to waits for ever without it; to regular files it makes no difference.
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)
MEBIBYTE = 1 << 20


class IrregularFileError(OSError):
    """What was to be read is a pipe, a device or a socket."""


def check_regular(path: str | os.PathLike[str]) -> None:
    """Refuse a path at which there is something that is neither a regular file nor a folder.

    Parameters
    ----------
    path
        The path; links are followed.

    Raises
    ------
    OSError
        If there is a pipe, a device or a socket, or nothing.
    """
    _check_kind(os.stat(path))


def open_regular(path: str | os.PathLike[str]) -> BufferedReader:
    """Open a regular file to read its bytes.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    io.BufferedReader
        The open file.

    Raises
    ------
    OSError
        If there is no such file, it may not be read, or it is a pipe, a device, a socket or a folder. The error's
        ``strerror`` says which.
    """
    check_regular(path)
    return open(path, "rb", opener=_open_now)


def read_regular(path: str | os.PathLike[str], *, most: int | None = None) -> bytes:
    """Read a regular file.

    Parameters
    ----------
    path
        The file.
    most
        Most bytes that it may have; by default any number.

    Returns
    -------
    bytes
        Its content.

    Raises
    ------
    OSError
        As `open_regular`, and if the file is larger than `most`.
    """
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if most is not None and size > most:
            why = f"it has {size:,} bytes, and such a file has at most {most:,}"
            raise OSError(errno.EFBIG, why, str(Path(path)))
        return stream.read()


def _open_now(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | _NO_WAIT)
    try:
        # It may have become another file since it was looked at.
        _check_kind(os.fstat(descriptor))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _check_kind(facts: os.stat_result) -> None:
    kind = KINDS.get(stat.S_IFMT(facts.st_mode))
    if kind is not None:
        raise IrregularFileError(errno.EINVAL, f"it is {kind}, not a regular file")
