"""Gather the plain text that a Debian system with Python has, one subfolder per domain, for training the zoo.

    python examples/zoo/collect_texts.py texts
    python examples/zoo/collect_texts.py texts --no-manual     # without a domain

``texts/sources.json`` says what was taken: name, licence, whether excerpts may be shipped, version, files and bytes.
What the system does not have is skipped, and said so. An earlier collection in the same folder is replaced.
"""

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from families import DOMAINS
from rich.console import Console
from rich.table import Table
from text_sources import Source, sources

from bayeslaw.errors import InputError
from bayeslaw.storage import atomic_folder

KIND = "texts of the zoo"
SOURCES = "sources.json"
DESCRIBED = ("name", "domain", "licence", "redistributable", "origin", "version")
# A shorter text is a stub: no document can be cut from it.
SHORTEST = 200

type Entry = dict[str, str | int | bool]


def normalise(text: str) -> str:
    r"""Give a text plain lines.

    Parameters
    ----------
    text
        Any text.

    Returns
    -------
    str
        The text with ``\n`` at the end of every line and of the text, tabs kept, no other control characters, no
        blanks at the end of a line and at most one blank line in a row.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
    text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]", "", text)
    text = re.sub(r"[^\S\n]+$", "", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n") + "\n"


def safe_name(name: str) -> str:
    """Return a relative path of letters, digits, dots, underscores and hyphens only."""
    parts = (re.sub(r"[^A-Za-z0-9._-]+", "_", part).lstrip(".") or "_" for part in name.split("/"))
    return "/".join(parts)


def chosen(source: Source) -> Iterator[tuple[str, str]]:
    """Give the texts of a source that are long enough, normalised, within its limit of bytes."""
    left = sys.maxsize if source.limit is None else source.limit
    for name, raw in source.read():
        text = normalise(raw)
        size = len(text.encode())
        if len(text) < SHORTEST or size > left:
            continue
        yield name, text
        left -= size
        if left < SHORTEST:
            return


def write_source(source: Source, folder: Path) -> Entry:
    """Write the texts of a source below ``folder/domain/name`` and describe what was written."""
    taken: set[str] = set()
    written = 0
    for name, text in chosen(source):
        name = safe_name(name)
        # Two names that differ only in case are one file on some systems.
        while name.lower() in taken:
            name = f"{name}_"
        taken.add(name.lower())
        path = folder / source.domain / source.name / name
        path.parent.mkdir(parents=True, exist_ok=True)
        written += path.write_bytes(text.encode())
    described = {key: value for key, value in vars(source).items() if key in DESCRIBED}
    return {**described, "files": len(taken), "bytes": written}


def is_collection(folder: Path) -> bool:
    """Say whether a folder holds an earlier collection and nothing else."""
    try:
        entries = json.loads((folder / SOURCES).read_text(encoding="utf-8"))
        expected = {f"{entry['domain']}/{entry['name']}": entry["files"] for entry in entries}
    except (OSError, ValueError, TypeError, KeyError):
        return False
    held = Counter(
        "/".join(path.relative_to(folder).parts[:2])
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    )
    return held == {**expected, SOURCES: 1}


def collect(found: Sequence[Source], out: Path) -> list[Entry]:
    """Write the texts of some sources into a folder.

    Parameters
    ----------
    found
        The sources.
    out
        The folder; an earlier collection in it is replaced.

    Returns
    -------
    list of dict
        What ``sources.json`` holds: one entry per source that had texts.

    Raises
    ------
    InputError
        If the folder holds other things, cannot be written, or no source has any text.
    """
    with atomic_folder(out, KIND, replaceable=is_collection) as folder:
        entries = [entry for source in found if (entry := write_source(source, folder))["files"]]
        if not entries:
            raise InputError(
                "none of the sources has a text on this system",
                f"a system with one of {', '.join(source.name for source in found) or 'the sources'}",
                "install one of the packages, allow more domains, or train on a folder of your own",
            )
        (folder / SOURCES).write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
    return entries


def print_summary(entries: Sequence[Entry], found: Sequence[Source]) -> None:
    """Print what was taken and what was not there."""
    table = Table("domain", "source", "licence", "may be shipped", title="Texts")
    table.add_column("origin", overflow="fold")
    table.add_column("version", overflow="fold")
    table.add_column("files", justify="right")
    table.add_column("bytes", justify="right")
    for entry in entries:
        shipped = "yes" if entry["redistributable"] else "losses only"
        words = [str(entry[key]) for key in ("domain", "name", "licence")]
        origin = [str(entry[key]) for key in ("origin", "version")]
        table.add_row(*words, shipped, *origin, f"{entry['files']:,}", f"{entry['bytes']:,}")
    # A terminal's width, but never so narrow (80 where the output is a file) that the words are cut short.
    console = Console(width=max(Console().width, 160))
    console.print(table)
    for source in found:
        if source.name not in {entry["name"] for entry in entries}:
            console.print(f"not on this system, skipped: {source.name} ({source.origin})")


def main() -> None:
    """Run the command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("out", type=Path, help="folder for the texts")
    for domain in DOMAINS:
        arguments.add_argument(f"--{domain}", action=argparse.BooleanOptionalAction, default=True)
    given = arguments.parse_args()
    found = [source for source in sources() if getattr(given, source.domain)]
    try:
        print_summary(collect(found, given.out), found)
    except InputError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
