"""``bayeslaw families``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from bayeslaw.commands.common import JsonOption, console
from bayeslaw.commands.results import CsvOption, Results
from bayeslaw.commands.scoring_package import require_scoring_package

if TYPE_CHECKING:
    from rich.console import Console

    from inference.decoder.family_list import FamilyEntry

COLUMNS = ("model_type", "covered", "mixers", "feed_forwards", "read_as", "reason")


def families(
    ctx: typer.Context,
    every: Annotated[
        bool, typer.Option("--all", help="List as well what bayeslaw score does not read, with the reason.")
    ] = False,
    as_json: JsonOption = False,
    csv: CsvOption = None,
) -> None:
    """List the families of language models that bayeslaw score reads: the model_type of a config.json."""
    results = Results(ctx, COLUMNS, as_json=as_json, csv=csv)
    require_scoring_package()
    from inference.decoder.family_list import list_families

    entries = list_families(every=every)
    rows = [entry.as_dict() for entry in entries]
    results.print(rows, rows, lambda: _show(entries, console()))


def _show(entries: Sequence[FamilyEntry], out: Console) -> None:
    from rich.table import Table

    covered = [entry for entry in entries if entry.covered]
    out.print(f"{len(covered)} families are read", style="bold")
    table = Table(header_style="bold")
    for name in ("model_type", "layers", "read as"):
        table.add_column(name, overflow="fold")
    for entry in covered:
        table.add_row(entry.model_type, ", ".join(entry.mixers + entry.feed_forwards), ", ".join(entry.read_as))
    out.print(table)
    if len(covered) == len(entries):
        return
    out.print(f"{len(entries) - len(covered)} are not", style="bold")
    table = Table(header_style="bold")
    table.add_column("model_type", overflow="fold")
    table.add_column("reason", overflow="fold")
    for entry in entries:
        if not entry.covered:
            table.add_row(entry.model_type, entry.reason)
    out.print(table)
