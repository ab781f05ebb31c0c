"""Hashes of whole weight files, each read once: what was hashed is known again by its size and times."""

import hashlib
import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from bayeslaw.errors import InputError
from bayeslaw.inputs.foreign_files import open_regular, read_regular
from bayeslaw.inputs.foreign_json import parse_json
from bayeslaw.storage import atomic_file, user_cache

KNOWN = "weight_digests.json"
READ_BYTES = 1 << 22
# A file changed so lately may be changed again within the grain of the clock that stamps it, and is not kept.
SETTLED_NANOSECONDS = 2_000_000_000
# Entries kept; of a checkpoint of many files each is one.
MOST_KNOWN = 2_000


def file_digests(files: Sequence[Path]) -> list[str]:
    """Hash files, those side by side for which there are cores.

    A file that has the size, the times of change in nanoseconds and the place on disk of one that was hashed before is
    taken for the same: hashes are kept in the user's cache folder.

    Parameters
    ----------
    files
        The files.

    Returns
    -------
    list of str
        SHA-256 of each file's bytes, in hexadecimal digits.

    Raises
    ------
    InputError
        If a file cannot be read, or is changed while it is read.
    """
    known = _read_known()
    # Python 3.12 has no count of the cores that a process may use.
    cores = getattr(os, "process_cpu_count", os.cpu_count)() or 1
    with ThreadPoolExecutor(max_workers=max(1, min(len(files), cores))) as pool:
        found = list(pool.map(lambda file: _digest(file, known), files))
    new = {mark: digest for mark, digest in found if mark is not None}
    if new:
        _keep(new)
    return [digest for _, digest in found]


def _digest(file: Path, known: dict[str, str]) -> tuple[str | None, str]:
    """Return what tells a file from others, where its hash is to be kept, and the hash."""
    try:
        with open_regular(file) as stream:
            facts, now = os.fstat(stream.fileno()), time.time_ns()
            mark = _mark(file, facts)
            if mark in known:
                return None, known[mark]
            total, buffer = hashlib.sha256(), bytearray(READ_BYTES)
            while count := stream.readinto(buffer):
                total.update(memoryview(buffer)[:count])
            if mark != _mark(file, os.fstat(stream.fileno())):
                problem = f"{file.name} in {str(file.parent)!r} was changed while it was read"
                raise InputError(problem, "weights that stay as they are", "wait until the file is written")
    except OSError as error:
        problem = f"{file.name} in {str(file.parent)!r} cannot be read: {error.strerror or error}"
        raise InputError(problem, "a weight file that may be read", "check the path and its permissions") from error
    settled = now - max(facts.st_mtime_ns, facts.st_ctime_ns) > SETTLED_NANOSECONDS
    return mark if settled else None, total.hexdigest()


def _mark(file: Path, facts: os.stat_result) -> str:
    numbers = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
    return " ".join(map(str, (*numbers, file.resolve())))


def _read_known() -> dict[str, str]:
    folder = user_cache()
    if folder is None:
        return {}
    try:
        known = parse_json(read_regular(folder / KNOWN))
    except (OSError, ValueError):
        return {}
    # What another program wrote there is no reason to believe that weights are others.
    well_formed = isinstance(known, dict) and all(_is_digest(value) for value in known.values())
    return known if well_formed else {}


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")


def _keep(new: dict[str, str]) -> None:
    """Add hashes to those kept; where the folder may not be written to, files are hashed again the next time."""
    folder = user_cache()
    if folder is None:
        return
    newest = dict(list({**_read_known(), **new}.items())[-MOST_KNOWN:])
    with suppress(OSError, InputError), atomic_file(folder / KNOWN) as temporary:
        temporary.write_text(json.dumps(newest), encoding="utf-8")
