"""Files of texts to named documents."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bayeslaw.errors import InputError, nearest
from bayeslaw.inputs.arguments import accepts
from bayeslaw.inputs.arguments import paths as some_paths
from bayeslaw.inputs.foreign_files import read_regular
from bayeslaw.inputs.foreign_json import parse_json

ENDINGS = (".txt", ".jsonl", ".parquet")
NAME_FIELDS = ("id", "sample", "name")
FIELDS = ("text", *NAME_FIELDS, "domain", "cluster")
FORMS = "a .txt file, a .jsonl file with a field 'text' or a .parquet file with a column 'text'"


@dataclass(frozen=True)
class Corpus:
    """Named documents.

    Attributes
    ----------
    names
        Names of the documents, unique.
    texts
        Their texts, none blank.
    domains
        Their domains, or None where not every record gives one.
    sources
        Names of the files read, for the manifest.
    clusters
        What each document was taken from, such as a book or a web site, whose documents are not independent of each
        other; None where no record says: every document is then a cluster of its own.
    blank
        How many records of white space only were left out.

    Raises
    ------
    InputError
        If there are more or fewer names than texts, or a name is there twice.
    """

    names: tuple[str, ...]
    texts: tuple[str, ...]
    domains: tuple[str, ...] | None
    sources: tuple[str, ...]
    clusters: tuple[str, ...] | None = None
    blank: int = 0

    def __post_init__(self) -> None:
        for name in ("texts", "domains", "clusters"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.names):
                problem = f"there are {len(self.names)} names and {len(values)} {name}"
                raise InputError(problem, "one for each document", "read the texts with inference.read_texts")
        if twice := [name for name, count in Counter(self.names).items() if count > 1]:
            problem = f"two documents are called {twice[0]!r}"
            raise InputError(problem, "one name for each document", "rename one of the two")

    def select(self, numbers: Sequence[int]) -> "Corpus":
        """Return some of the documents.

        Parameters
        ----------
        numbers
            Places of the documents wanted.

        Returns
        -------
        Corpus
            Those documents, in the order asked for.
        """

        def chosen(values: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(values[number] for number in numbers)

        return Corpus(
            names=chosen(self.names),
            texts=chosen(self.texts),
            domains=None if self.domains is None else chosen(self.domains),
            sources=self.sources,
            clusters=None if self.clusters is None else chosen(self.clusters),
        )


@dataclass(frozen=True)
class _Document:
    name: str
    text: str
    domain: str | None
    cluster: str | None
    place: str


def text_hash(text: str) -> str:
    """Return what a text is known by in caches and manifests.

    Parameters
    ----------
    text
        Any text without lone surrogates.

    Returns
    -------
    str
        The SHA-256 of its UTF-8 bytes, as 64 hexadecimal digits.
    """
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


@accepts(paths=some_paths)
def read_texts(paths: Sequence[str | os.PathLike[str]]) -> Corpus:
    r"""Read documents from files.

    A ``.txt`` file is one document, named by the file without its ending. A ``.jsonl`` file has one JSON object a line
    and a ``.parquet`` file one row a document: ``text``, the name in ``id``, ``sample`` or ``name`` (the first that
    there is; else the number of the row, from 0), possibly ``domain``, and possibly ``cluster``, what the document was
    taken from, such as a book; a cluster may have documents in several files. Where a name is in two files, all names
    of those files get the file's name in front, as in ``news/17``. A byte order mark is not a part of the text.
    Texts of white space only are left out and counted.

    Parameters
    ----------
    paths
        The files, in the order in which their documents are wanted.

    Returns
    -------
    Corpus
        The documents of all files.

    Raises
    ------
    InputError
        If a file cannot be read, is not of one of the three kinds or not in UTF-8, if a record has no text, an empty
        one or one with lone surrogates, if all are white space, if a name is there twice, or if some documents have a
        cluster and some have none.

    Examples
    --------
    >>> from pathlib import Path
    >>> import inference
    >>> _ = Path("texts.txt").write_text("One line.\nAnother.\n")
    >>> type(inference.read_texts(["texts.txt"])).__name__
    'Corpus'
    """
    files = [Path(path) for path in paths]
    if not files:
        raise InputError("no file of texts is given", FORMS, "name at least one file")
    for file, count in Counter(file.absolute() for file in files).items():
        if count > 1:
            raise InputError(f"the file {str(file)!r} is given {count} times", "every file once", "name it once")
    read = [(file, _read_file(file)) for file in files]
    full = [(file, [document for document in documents if document.text.strip()]) for file, documents in read]
    blank = sum(len(documents) for _, documents in read) - sum(len(documents) for _, documents in full)
    documents = _distinct(full)
    if not documents:
        raise _unreadable(files[0], "it holds white space only", "name a file with texts")
    domains = [document.domain for document in documents if document.domain is not None]
    return Corpus(
        names=tuple(document.name for document in documents),
        texts=tuple(document.text for document in documents),
        domains=tuple(domains) if len(domains) == len(documents) else None,
        sources=tuple(file.name for file in files),
        clusters=_clusters(documents),
        blank=blank,
    )


def blank_note(corpus: Corpus) -> str:
    """Return a sentence on the texts of white space only that were left out; an empty one where there were none."""
    if not corpus.blank:
        return ""
    texts = "1 text" if corpus.blank == 1 else f"{corpus.blank:,} texts"
    return f"left out {texts} of white space only"


def _clusters(documents: list[_Document]) -> tuple[str, ...] | None:
    clusters = [document.cluster for document in documents if document.cluster is not None]
    if 0 < len(clusters) < len(documents):
        lacking = next(document for document in documents if document.cluster is None)
        counts = f"{len(clusters):,} of the {len(documents):,} texts have a cluster"
        problem = f"{counts}, and {lacking.name!r} ({lacking.place}) has none"
        fix = "name the cluster of every text, which a .txt file cannot, or of none"
        # To leave out what some records say would give standard errors that are too small and look right.
        raise InputError(problem, "a cluster for all texts or for none", fix)
    return tuple(clusters) or None


def _distinct(files: list[tuple[Path, list[_Document]]]) -> list[_Document]:
    """Return all documents under names that are unique, or say which two cannot be told apart."""
    for _, documents in files:
        _check_unique(documents)
    holders = Counter(chain.from_iterable((document.name for document in documents) for _, documents in files))
    named = []
    for file, documents in files:
        clash = any(holders[document.name] > 1 for document in documents)
        prefix = f"{file.stem}/" if clash else ""
        named += [replace(item, name=prefix + item.name) for item in documents]
    _check_unique(named)
    return named


def _check_unique(documents: list[_Document]) -> None:
    places: dict[str, str] = {}
    for document in documents:
        if document.name in places:
            problem = f"the name {document.name!r} is there twice: {places[document.name]} and {document.place}"
            raise InputError(problem, "a name of its own for every document", "rename one of the two")
        places[document.name] = document.place


def _read_file(path: Path) -> list[_Document]:
    ending = path.suffix.lower()
    if not path.exists():
        raise _unreadable(path, "there is no such file", "check the path")
    if path.is_dir():
        raise _unreadable(path, "it is a folder", "name the files in it")
    if ending not in ENDINGS:
        problem = f"the ending {path.suffix!r} is not known" if path.suffix else "its name has no ending"
        raise _unreadable(path, problem, f"{nearest(ending, ENDINGS)} as the ending, and save the file in that form")
    if not path.is_file():
        raise _unreadable(path, "it is not a regular file", "save the texts to a file first")
    try:
        if path.stat().st_size == 0:
            raise _unreadable(path, "the file is empty", "name a file with texts")
        if ending == ".parquet":
            return [_document(path, place, number, row) for number, place, row in _parquet_rows(path)]
        content = _decode(path, read_regular(path))
        if ending != ".txt" and not content.strip():
            raise _unreadable(path, "it holds white space only", "name a file with texts")
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error), "check the path and its permissions") from error
    if ending == ".txt":
        return [_document(path, path.name, 0, {"text": content, "name": path.stem})]
    return [_document(path, place, number, row) for number, place, row in _json_rows(path, content)]


def _unreadable(path: Path, why: str, fix: str) -> InputError:
    return InputError(f"cannot read texts from {str(path)!r}: {why}", FORMS, fix)


def _decode(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The codec counts from behind a byte order mark.
        position = error.start + len(content) - len(error.object)
        line = content.count(b"\n", 0, position) + 1
        why = f"it is not UTF-8: byte 0x{content[position]:02x} at position {position} (line {line})"
        raise _unreadable(path, why, "save the file in UTF-8") from error


def _json_rows(path: Path, content: str) -> Iterator[tuple[int, str, dict[str, Any]]]:
    number = 0
    # Only line feeds part records: a JSON string may hold other characters that Python takes for ends of lines.
    for line_number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        place = f"line {line_number} of {path.name}"
        try:
            row = parse_json(line)
        except ValueError as error:
            problem = f"{place} is not JSON: {error}"
            raise InputError(problem, "one JSON object a line", "correct that line") from error
        if not isinstance(row, dict):
            problem = f"{place} is no JSON object but {_shown(row)}"
            raise InputError(problem, 'one JSON object a line, such as {"text": "..."}', "correct that line")
        yield number, place, row
        number += 1


def _parquet_rows(path: Path) -> Iterator[tuple[int, str, dict[str, Any]]]:
    try:
        with pq.ParquetFile(path) as file:
            columns = list(file.schema_arrow.names)
            if "text" not in columns:
                found = f"its columns are {', '.join(columns) or 'none'}"
                raise _unreadable(path, f"it has no column 'text'; {found}", "name the column of texts text")
            # Read with its nested columns left out, which may hold anything.
            rows = file.read(columns=[name for name in FIELDS if name in columns]).to_pylist()
    except (pa.ArrowException, UnicodeDecodeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise _unreadable(path, f"it is no sound Parquet file: {reason}", "write the file again") from error
    if not rows:
        raise _unreadable(path, "it has no rows", "name a file with texts")
    for number, row in enumerate(rows):
        yield number, f"row {number} of {path.name} (counted from 0)", row


def _document(path: Path, place: str, number: int, row: dict[str, Any]) -> _Document:
    text = row.get("text")
    if "text" not in row:
        fields = f"its fields are {', '.join(map(str, row)) or 'none'}"
        raise InputError(f"{place} has no text; {fields}", "a field 'text' in every record", "name that field text")
    if not isinstance(text, str):
        raise InputError(f"the text in {place} is {_shown(text)}", "text in quotes", "correct or remove that record")
    if not text and place != path.name:
        raise InputError(f"the text in {place} is empty", "a text with at least one character", "remove that record")
    given = [row[field] for field in NAME_FIELDS if row.get(field) is not None]
    name = _label("name", given[0], place) if given else str(number)
    domain, cluster = (
        None if row.get(field) is None else _label(field, row[field], place) for field in ("domain", "cluster")
    )
    for what, value in (("text", text), ("name", name), ("domain", domain or ""), ("cluster", cluster or "")):
        _check_unicode(what, value, place)
    return _Document(name, text, domain, cluster, place if place == path.name else f"in {place}")


def _label(kind: str, value: Any, place: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        problem = f"the {kind} in {place} is {_shown(value)}"
        raise InputError(problem, "text or a whole number", "correct that record")
    return str(value)


def _check_unicode(what: str, value: str, place: str) -> None:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        problem = f"the {what} in {place} has a lone surrogate at character {error.start}: {value[error.start]!r}"
        fix = "write the character itself, or both halves of its \\u escape"
        raise InputError(problem, "text that can be written as UTF-8", fix) from error


def _shown(value: Any) -> str:
    shown = json.dumps(value, ensure_ascii=True, default=str) if value is not None else "null"
    return shown if len(shown) <= 60 else shown[:57] + "..."
