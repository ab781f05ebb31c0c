"""Where a command's results go: a table on the terminal, JSON, or CSV, all of the same rows."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from bayeslaw.commands.common import note, print_json
from bayeslaw.errors import InputError
from bayeslaw.inputs.foreign_text import printable
from bayeslaw.inputs.output_paths import Inputs, check_output_file
from bayeslaw.storage import atomic_file

STANDARD_OUTPUT = "-"
MEMBERS_BETWEEN = " + "
CsvOption = Annotated[
    str | None,
    typer.Option(
        "--csv", metavar="FILE", help="Also write the rows as CSV with all digits; - for standard output and no table."
    ),
]


class Results:
    """The results of a command, on their way out.

    Parameters
    ----------
    ctx
        The context of the command.
    columns
        What every CSV of this command has: a file whose header lacks one of them is not replaced.
    as_json
        Whether JSON goes to standard output.
    csv
        Where the CSV goes, if anywhere; ``"-"`` for standard output.
    inputs
        What the results are made of, which they may not replace.

    Raises
    ------
    InputError
        If both JSON and CSV are to go to standard output, or the file could not be written, or is not such a CSV.
    """

    def __init__(
        self, ctx: typer.Context, columns: Sequence[str], *, as_json: bool, csv: str | None, inputs: Inputs = ()
    ) -> None:
        self._ctx, self._columns, self._csv = ctx, columns, csv
        self._as_json = as_json
        self.shown = not as_json and csv != STANDARD_OUTPUT
        if as_json and csv == STANDARD_OUTPUT:
            raise InputError(
                "JSON and CSV are both to go to standard output", "one of them there", "write --csv FILE beside --json"
            )
        if csv is not None and csv != STANDARD_OUTPUT:
            check_output_file(csv, replaceable=self._is_own, inputs=inputs)

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write the rows as CSV, if that was asked for; they have all of `columns`."""
        if self._csv is None:
            return
        text = csv_text(rows, self._columns)
        if self._csv == STANDARD_OUTPUT:
            typer.echo(text, nl=False)
            return
        with atomic_file(self._csv, replaceable=self._is_own) as path:
            path.write_text(text, encoding="utf-8", newline="")
        note(self._ctx, f"wrote {self._csv}")

    def print(self, record: Any, rows: Iterable[Mapping[str, Any]], show: Callable[[], None]) -> None:
        """Write the rows as CSV, and print the record as JSON or else what `show` prints, as was asked for.

        Parameters
        ----------
        record
            Plain values.
        rows
            As in `csv_text`.
        show
            Prints for people.
        """
        self.write(rows)
        if self._as_json:
            print_json(record)
        elif self.shown:
            show()

    def _is_own(self, path: Path) -> bool:
        """Say whether a file is a CSV of this command."""
        try:
            with path.open(encoding="utf-8", newline="") as file:
                header = next(csv.reader([file.readline(10_000)]), [])
        except (OSError, UnicodeDecodeError, csv.Error):
            return False
        return bool(header) and set(self._columns) <= set(header)


def csv_text(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Write rows as CSV.

    Parameters
    ----------
    rows
        From column to value; a value that is missing, None or no finite number is an empty cell.
    columns
        Columns that are there even where there are no rows.

    Returns
    -------
    str
        The header and a line a row. Numbers have all their digits; in texts what could steer a terminal is escaped.

    Raises
    ------
    ValueError
        If a row lacks one of the columns.
    """
    given = [dict(row) for row in rows]
    if lacking := {name for row in given for name in set(columns) - set(row)}:
        raise ValueError(f"rows lack the columns {sorted(lacking)}")
    held = list(dict.fromkeys(name for row in given for name in row)) or list(columns)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(held)
    writer.writerows([_cell(row.get(name)) for name in held] for row in given)
    return file.getvalue()


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return MEMBERS_BETWEEN.join(map(_cell, value))
    # A float of NumPy prints its type in its repr.
    return repr(float(value)) if isinstance(value, float) else printable(str(value))
