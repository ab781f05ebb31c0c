"""What a fit has drawn so far, kept in a folder, so that a fit that was killed goes on where it was.

The folder says what it was drawn for; whatever was drawn for anything else is removed before a fit begins. Every file
in it is whole or not there, and carries checksums.
"""

import copy
import io
import json
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from bayeslaw.errors import InputError
from bayeslaw.inputs.output_paths import LOCK
from bayeslaw.storage import atomic_file

IDENTITY = "identity.json"
ENDING = ".npz"
SECONDS_BETWEEN = 10.0
SECONDS = "seconds"
"""Kept with all arrays: how long the fit had been at work."""
UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


@dataclass
class _Clock:
    """When a fit began, and how long other processes had been at work on it; one for all parts of the work."""

    begun: float = field(default_factory=time.monotonic)
    before: float = 0.0


class Checkpoint:
    """Arrays by name in a folder that one process at a time works in.

    Parameters
    ----------
    path
        The folder; None to keep nothing.
    say
        Told in a sentence what a user should know.
    """

    def __init__(self, path: str | PathLike[str] | None, say: Callable[[str], object] = lambda text: None) -> None:
        self.path = None if path is None else Path(path)
        self._say, self._lost = say, set[str]()
        self._clock, self._prefix = _Clock(), ""

    def within(self, name: str) -> "Checkpoint":
        """Return the same folder for a part of the work, whose names all begin with that of the part."""
        part = copy.copy(self)
        part._prefix = f"{self._prefix}{name}-"
        return part

    @property
    def seconds_before(self) -> float:
        """How long other processes had been at work on what was read."""
        return self._clock.before

    @property
    def whole(self) -> bool:
        """Whether everything that was to be kept could be written."""
        return self.path is not None and not self._lost

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out; where nothing was kept, nothing is left behind.

        Raises
        ------
        InputError
            If another process is at work in the folder, or it cannot be written, or holds other things.
        """
        if self.path is None:
            yield
            return
        lock = filelock.FileLock(self.path / LOCK)
        made = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        try:
            self._check_own()
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except filelock.Timeout as error:
            problem = f"another process is at work on the fit whose draws are kept in {str(self.path)!r}"
            raise InputError(problem, "one process at a time", "wait for it, or give another output") from error
        except OSError as error:
            raise InputError(
                f"cannot write {str(self.path)!r}: {error.strerror or error}",
                "a folder that may be written to",
                "give another output",
            ) from error
        try:
            yield
        finally:
            if not self._files(ENDING):
                self.remove()
                _remove_empty(made)
            lock.release()

    def _check_own(self) -> None:
        assert self.path is not None
        foreign = [entry.name for entry in self.path.iterdir() if not _is_own(entry)] if self.path.exists() else []
        if foreign:
            problem = f"draws cannot be kept in {str(self.path)!r}, which holds {foreign[0]!r}"
            raise InputError(problem, "a new folder, or one in which draws are kept", "name another folder")

    def begin(self, identity: Mapping[str, object]) -> None:
        """Say what is drawn, and remove what was kept of anything else. Call in `locked`.

        Parameters
        ----------
        identity
            Everything that the draws depend on, as plain values.
        """
        if self.path is None:
            return
        wanted = json.loads(json.dumps(identity))
        found = None
        with suppress(*UNREADABLE):
            found = json.loads((self.path / IDENTITY).read_text(encoding="utf-8"))
        if found == wanted:
            if self._files(ENDING):
                self._say(f"going on from the draws kept in {str(self.path)!r}")
            return
        if isinstance(found, dict):
            changed = [name for name in wanted if found.get(name) != wanted[name]]
            self.start_anew(f"not the same {' and '.join(changed)}")
        else:
            self.clear()
        self._write(IDENTITY, json.dumps(wanted, indent=2).encode())

    def start_anew(self, why: str) -> None:
        """Remove what was kept, and say why."""
        if self._files(ENDING):
            self._say(f"the draws kept in {str(self.path)!r} are not used ({why}); the fit starts anew")
        self.clear()

    def read(self, name: str) -> dict[str, np.ndarray] | None:
        """Return the arrays kept under a name; None where there are none, or not whole."""
        if self.path is None:
            return None
        try:
            # NumPy leaves a file open that is no whole archive.
            with np.load(io.BytesIO(self._file(name).read_bytes()), allow_pickle=False) as archive:
                arrays = {key: archive[key] for key in archive.files}
            self._clock.before = max(self._clock.before, float(arrays.pop(SECONDS)))
        except UNREADABLE:
            return None
        return arrays

    def write(self, name: str, arrays: Mapping[str, np.ndarray]) -> bool:
        """Keep arrays under a name, and say whether that was possible; a fit goes on where it was not."""
        if self.path is None:
            return True
        seconds = np.asarray(self._clock.before + time.monotonic() - self._clock.begun)
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **{SECONDS: seconds}, **arrays)
        return self._write(self._file(name).name, content.getvalue())

    def _write(self, name: str, content: bytes) -> bool:
        assert self.path is not None
        try:
            with atomic_file(self.path / name) as temporary:
                temporary.write_bytes(content)
        except InputError as error:
            if not self._lost:
                self._say(f"draws cannot be kept ({error.problem}); the fit goes on")
            self._lost.add(name)
            return False
        self._lost.discard(name)
        return True

    def chain(self, name: str) -> "ChainRecord":
        """Return the record of a chain of that name."""
        return ChainRecord(self, name)

    def forget(self, name: str) -> bool:
        """Remove what is kept under a name, and say whether there was anything."""
        if self.path is None or not self._file(name).exists():
            return False
        self._file(name).unlink()
        return True

    def clear(self) -> None:
        """Remove everything that is kept."""
        self._clock.before, self._clock.begun = 0.0, time.monotonic()
        for entry in [*self._files(ENDING), *self._files(IDENTITY)]:
            entry.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the folder with everything that is kept."""
        if self.path is None:
            return
        self.clear()
        with suppress(OSError):
            (self.path / LOCK).unlink(missing_ok=True)
            self.path.rmdir()

    def _file(self, name: str) -> Path:
        assert self.path is not None
        return self.path / f"{self._prefix}{name}{ENDING}"

    def _files(self, ending: str) -> list[Path]:
        if self.path is None or not self.path.is_dir():
            return []
        return [entry for entry in self.path.iterdir() if entry.name.endswith(ending)]


def _remove_empty(folders: list[Path]) -> None:
    with suppress(OSError):
        for folder in folders:
            folder.rmdir() if folder.exists() else None


def _is_own(entry: Path) -> bool:
    known = entry.name in (IDENTITY, LOCK) or entry.suffix in (ENDING, Path(IDENTITY).suffix)
    return known and entry.is_file() and not entry.is_symlink()


@dataclass
class ChainRecord:
    """What a chain has drawn, in parts that are written one after another.

    Parameters
    ----------
    checkpoint
        Where the parts are kept.
    name
        Name of the chain.
    """

    checkpoint: Checkpoint
    name: str
    _parts: int = 0
    _last: float = field(default_factory=time.monotonic)
    _waiting: list[list[np.ndarray]] = field(default_factory=list)

    def read(self) -> tuple[int, list[np.ndarray], list[list[np.ndarray]]] | None:
        """Read how far the chain has come.

        Returns
        -------
        tuple or None
            How many steps were made, the arrays of the state after them, and of each part the arrays of its draws; None
            where nothing is kept. Parts after one that is lost are removed.
        """
        found: list[dict[str, np.ndarray]] = []
        while (part := self.checkpoint.read(self._part(len(found)))) is not None:
            found.append(part)
        self._parts = len(found)
        self._forget_from(self._parts)
        if not found:
            return None
        draws = [arrays for part in found if (arrays := _numbered(part, "draws"))]
        return int(found[-1]["steps"]), _numbered(found[-1], "state"), draws

    def keep(self, steps: int, state: Sequence[Any], draws: Sequence[np.ndarray], *, now: bool = False) -> None:
        """Keep what was drawn since the last call, at the latest some seconds later.

        Parameters
        ----------
        steps
            How many steps the chain has made.
        state
            Arrays of its state after them.
        draws
            Arrays of what was drawn since the last call, along their first axis; none while it adapts.
        now
            Write at once.
        """
        if self.checkpoint.path is None:
            return
        if draws:
            self._waiting.append(list(draws))
        if not now and time.monotonic() - self._last < SECONDS_BETWEEN:
            return
        joined = [np.concatenate(arrays) for arrays in zip(*self._waiting, strict=True)]
        arrays = {f"state_{number}": np.asarray(array) for number, array in enumerate(state)}
        arrays |= {f"draws_{number}": array for number, array in enumerate(joined)}
        if self.checkpoint.write(self._part(self._parts), {"steps": np.asarray(steps), **arrays}):
            self._parts += 1
            self._waiting.clear()
        self._last = time.monotonic()

    def clear(self) -> None:
        """Remove what is kept of the chain."""
        self._parts = 0
        self._forget_from(0)

    def _forget_from(self, number: int) -> None:
        while self.checkpoint.forget(self._part(number)):
            number += 1

    def _part(self, number: int) -> str:
        return f"{self.name}-part-{number:05d}"


def _numbered(arrays: Mapping[str, np.ndarray], kind: str) -> list[np.ndarray]:
    count = sum(name.startswith(f"{kind}_") for name in arrays)
    return [arrays[f"{kind}_{number}"] for number in range(count)]


NOTHING_KEPT = Checkpoint(None)
"""For a fit that keeps nothing."""
