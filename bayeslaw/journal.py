"""A file of finished pieces of work: one JSON object a line, whole or not there, so that a broken run goes on."""

import json
import os
from contextlib import suppress
from typing import IO, Any

from bayeslaw.errors import InputError
from bayeslaw.inputs.foreign_files import read_regular
from bayeslaw.inputs.foreign_json import parse_json
from bayeslaw.inputs.foreign_text import excerpt
from bayeslaw.inputs.output_paths import check_output_file
from bayeslaw.storage import atomic_file

ACCEPTED = "a file that an earlier run of the same command wrote, or none"


class Journal:
    """Finished pieces of work, on disk as soon as they are added.

    Parameters
    ----------
    path
        The file. What it holds is read, and a line that a broken run did not finish is dropped.
    header
        What the run is of; the first line of the file.

    Raises
    ------
    InputError
        If the file is none of ours, is of another run, or cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], header: dict[str, Any]) -> None:
        self.path = check_output_file(path)
        self.records: list[dict[str, Any]] = []
        self._made_here = not self.path.exists()
        lines = self._finished_lines()
        if lines:
            self._check_header(lines[0], header)
            self.records = lines[1:]
        with atomic_file(self.path) as temporary:
            whole = [header, *self.records]
            temporary.write_text("".join(_line(record) for record in whole), encoding="utf-8")
        self._stream: IO[str] | None = None

    def _finished_lines(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        try:
            text = read_regular(self.path).decode()
            # What follows the last line break was being written when the run broke off.
            lines = [parse_json(line) for line in text.split("\n")[:-1]]
        except (OSError, ValueError) as error:
            problem = f"the journal {str(self.path)!r} cannot be read: {excerpt(error)}"
            raise InputError(problem, ACCEPTED, "move it away") from error
        if not all(isinstance(line, dict) for line in lines) or (text and not lines):
            raise InputError(f"{str(self.path)!r} is no journal", ACCEPTED, "move it away")
        return lines

    def _check_header(self, found: dict[str, Any], header: dict[str, Any]) -> None:
        for key, value in header.items():
            if found.get(key) != value:
                problem = f"the journal {str(self.path)!r} is of {key}={found.get(key)!r}, and this run of {value!r}"
                raise InputError(problem, ACCEPTED, "go on with that run, or move the journal away")

    def add(self, record: dict[str, Any]) -> None:
        """Add a finished piece of work.

        Parameters
        ----------
        record
            What is to be known of it; plain numbers and texts.

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        try:
            if self._stream is None:
                self._stream = self.path.open("a", encoding="utf-8")
            self._stream.write(_line(record))
            self._stream.flush()
        except OSError as error:
            problem = f"cannot write {str(self.path)!r}: {error.strerror or error}"
            raise InputError(problem, "a disk with room", "make room and run again to go on") from error
        self.records.append(record)

    def close(self) -> None:
        """Close the file, and leave none where nothing was finished."""
        if self._stream is not None:
            with suppress(OSError):
                self._stream.close()
            self._stream = None
        if self._made_here and not self.records:
            self.path.unlink(missing_ok=True)


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=True, allow_nan=False) + "\n"
