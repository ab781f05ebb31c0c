"""The tokens of one model of a loss table, in the order of the text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bayeslaw.errors import InputError
from bayeslaw.losses.columns import check_losses
from bayeslaw.losses.parquet_files import readable_schema, unreadable

BATCH = 1 << 18
LABELS = ("document", "sample")
COLUMNS = pa.schema(
    [
        *((name, pa.string()) for name in ("lm", *LABELS)),
        ("position", pa.int64()),
        ("nll", pa.float64()),
        ("bytes", pa.int64()),
    ]
)
AGAIN = "score the texts again with --tokens"


@dataclass(frozen=True)
class ModelTokens:
    """Tokens of one model, all [token] but `documents`."""

    document: np.ndarray
    position: np.ndarray
    sample: np.ndarray
    size: np.ndarray
    nll: np.ndarray
    documents: np.ndarray

    def of(self, rows: np.ndarray) -> "ModelTokens":
        """Take some of the tokens, or all in another order."""
        columns = (self.document, self.position, self.sample, self.size, self.nll)
        return ModelTokens(*(column[rows] for column in columns), documents=self.documents)

    def place(self, row: int) -> tuple[int, int]:
        """Return where a token is: its document, and its position in it."""
        return int(self.document[row]), int(self.position[row])

    def name(self, row: int) -> str:
        """Name a token, for messages."""
        return f"token {self.position[row]} of document {str(self.documents[self.document[row]])!r}"


def read_model_tokens(
    folder: Path, files: Sequence[str], name: str, samples: pd.Index, first: ModelTokens | None = None
) -> ModelTokens:
    """Read the tokens of a model in the order of the text.

    Parameters
    ----------
    folder
        A folder of losses.
    files
        The files in it that hold tokens.
    name
        The model.
    samples
        Names of the table's samples.
    first
        Tokens of another model of the same tokenizer, whose numbers of documents they take.

    Returns
    -------
    ModelTokens
        The tokens.

    Raises
    ------
    InputError
        If files cannot be read, there are no tokens of the model, or they are no tokens of these samples.
    """
    rows = _Rows(sum(_count(folder, file) for file in files), samples)
    for file in files:
        for batch in token_batches(folder, file, name):
            rows.add(batch)
            pa.default_memory_pool().release_unused()
    if not rows.number:
        fix = f"{AGAIN}, or name the models that have them"
        raise InputError(f"no tokens of model {name!r} were kept", "models scored with --tokens", fix)
    return _sorted(rows.finished(name, first), name)


def _count(folder: Path, file: str) -> int:
    try:
        return pq.read_metadata(folder / file).num_rows
    except (pa.ArrowException, OSError) as error:
        raise unreadable(folder, file, error) from error


def token_batches(folder: Path, file: str, name: str) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a model in the order of a file, a few at a time.

    Parameters
    ----------
    folder
        A folder of losses.
    file
        Path in it of a file that holds tokens.
    name
        The model.

    Yields
    ------
    pyarrow.RecordBatch
        `COLUMNS` but ``lm``, with `LABELS` in dictionaries; it may have no row.

    Raises
    ------
    InputError
        If the file cannot be read, lacks a column, or has gaps in one.
    """
    accepted = f"a Parquet file with columns {', '.join(COLUMNS.names)}"
    schema = readable_schema(folder, file)
    absent = [column for column in COLUMNS.names if column not in schema.names]
    if absent:
        raise InputError(f"{str(folder / file)!r} has no column {absent[0]!r}", accepted, AGAIN)
    try:
        with pq.ParquetFile(folder / file, read_dictionary=["lm", *LABELS]) as opened:
            groups = _row_groups(opened.metadata, name)
            for batch in opened.iter_batches(BATCH, row_groups=groups, columns=COLUMNS.names, use_threads=False):
                found = batch.filter(pc.field("lm").cast(pa.string()) == name)
                for column in COLUMNS.names:
                    if found[column].null_count:
                        problem = f"column {column!r} of {str(folder / file)!r} has gaps"
                        raise InputError(problem, "a value in every row", AGAIN)
                # A name in every row would take many times the room of a number.
                labels = {label: _words(found[label]) for label in LABELS}
                numbers = {each: found[each].cast(COLUMNS.field(each).type) for each in ("position", "nll", "bytes")}
                yield pa.RecordBatch.from_pydict(labels | numbers)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(folder, file, error) from error


def _row_groups(facts: pq.FileMetaData, name: str) -> list[int]:
    """Return the groups of rows that may hold a model: a file often holds one model alone."""
    found = []
    for group in range(facts.num_row_groups):
        columns = facts.row_group(group)
        [place] = [each for each in range(columns.num_columns) if columns.column(each).path_in_schema == "lm"]
        known = columns.column(place).statistics
        if known is None or not known.has_min_max or not isinstance(known.min, str) or known.min <= name <= known.max:
            found.append(group)
    return found


def _words(column: pa.Array) -> pa.DictionaryArray:
    """Return a column of names as a dictionary of text."""
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    return pa.DictionaryArray.from_arrays(encoded.indices, encoded.dictionary.cast(pa.string()))


class _Rows:
    """The tokens of a model that were read so far.

    Parameters
    ----------
    most
        How many there may be; memory is taken as it is filled.
    samples
        Names of the table's samples.
    """

    def __init__(self, most: int, samples: pd.Index) -> None:
        self.samples, self.number = samples, 0
        self.codes: dict[str, int] = {}
        self.document, self.sample = np.empty(most, np.int32), np.empty(most, np.int32)
        self.position, self.size, self.nll = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most)

    def add(self, batch: pa.RecordBatch) -> None:
        """Take tokens in."""
        rows = slice(self.number, self.number + len(batch))
        words, indices = _used(batch["sample"])
        place = _positions(words, self.samples)
        if (place < 0).any():
            problem = f"tokens belong to the sample {words[int(place.argmin())]!r}, which is not in the table"
            raise InputError(problem, "tokens of the table's own samples", AGAIN)
        self.sample[rows] = place[indices]
        words, indices = _used(batch["document"])
        codes = [self.codes.setdefault(word, len(self.codes)) for word in words]
        self.document[rows] = np.array(codes, np.int32)[indices]
        for name, values in (("position", self.position), ("bytes", self.size), ("nll", self.nll)):
            values[rows] = batch[name].to_numpy()
        self.number += len(batch)

    def finished(self, name: str, first: ModelTokens | None) -> ModelTokens:
        """Give documents their numbers in the order of the loss table, or those that they have already."""
        rows, words = slice(0, self.number), list(self.codes)
        document, sample = self.document[rows], self.sample[rows]
        if first is None:
            earliest = np.full(len(words), len(self.samples))
            np.minimum.at(earliest, document, sample)
            order = np.argsort(earliest, kind="stable")
            rank, documents = np.empty(len(order), np.int32), np.array(words, dtype=object)[order]
            rank[order] = np.arange(len(order))
        else:
            documents = first.documents
            rank = _positions(words, pd.Index(documents)).astype(np.int32)
            if (rank < 0).any():
                problem = f"model {name!r} has tokens of the document {words[int(rank.argmin())]!r}, "
                problem += "of which other models of the same tokenizer have none"
                raise InputError(problem, "the same tokens for all models of one tokenizer", AGAIN)
        return ModelTokens(
            document=rank[document],
            position=self.position[rows],
            sample=sample,
            size=self.size[rows],
            nll=self.nll[rows],
            documents=documents,
        )


def _used(column: pa.DictionaryArray) -> tuple[list[str], np.ndarray]:
    """Return the words that rows have, and the number of each row's among them."""
    used, indices = np.unique(column.indices.to_numpy(), return_inverse=True)
    return column.dictionary.take(pa.array(used)).to_pylist(), indices


def runs_of(column: pa.DictionaryArray) -> tuple[np.ndarray, np.ndarray]:
    """Return where rows begin that have another word than the row before, and the index of that word, both [run]."""
    indices = column.indices.to_numpy()
    starts = np.concatenate([[0], np.flatnonzero(indices[1:] != indices[:-1]) + 1])
    return starts, indices[starts]


def first_uses(column: pa.DictionaryArray, indices: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Return words in the order in which indices first name them, and the place of each index's among them."""
    used, first, inverse = np.unique(indices, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return column.dictionary.take(pa.array(used[order])).to_pylist(), rank[inverse]


def _positions(words: list[str], known: pd.Index) -> np.ndarray:
    return known.get_indexer(pd.Index(words, dtype=known.dtype))


def _sorted(tokens: ModelTokens, name: str) -> ModelTokens:
    """Return tokens in the order of the text."""
    document, position = tokens.document, tokens.position
    follows = (document[1:] > document[:-1]) | ((document[1:] == document[:-1]) & (position[1:] >= position[:-1]))
    # As they are written; sorting would take twice the memory.
    ordered = tokens if follows.all() else tokens.of(np.lexsort((position, document)))
    for what, values in (("position", ordered.position), ("count of bytes", ordered.size)):
        if (values < 0).any():
            problem = f"the {what} of {ordered.name(int(values.argmin()))} by model {name!r} is {values.min()}"
            raise InputError(problem, "whole numbers of at least zero", AGAIN)
    document, position = ordered.document, ordered.position
    same = (document[1:] == document[:-1]) & (position[1:] == position[:-1])
    if same.any():
        problem = f"{ordered.name(int(same.argmax()))} by model {name!r} is there twice"
        raise InputError(problem, "one loss for every token and model", AGAIN)
    if np.isnan(ordered.nll).any():
        problem = f"the loss of {ordered.name(int(np.isnan(ordered.nll).argmax()))} by model {name!r} is not a number"
        raise InputError(problem, "finite losses of zero or more", AGAIN)
    check_losses(ordered.nll, lambda index: f"{ordered.name(index[0])} by model {name!r}")
    return ordered


def check_same_tokens(first: ModelTokens, other: ModelTokens, first_name: str, other_name: str) -> None:
    """Refuse two models of one tokenizer that differ in their tokens."""
    shared = min(len(first.nll), len(other.nll))
    differing = first.document[:shared] != other.document[:shared]
    differing |= first.position[:shared] != other.position[:shared]
    accepted = "the same tokens for all models of one tokenizer"
    if differing.any() or len(first.nll) != len(other.nll):
        row = int(differing.argmax()) if differing.any() else shared
        first_has = len(first.nll) > shared if row == shared else first.place(row) < other.place(row)
        has, lacks, token = (first_name, other_name, first) if first_has else (other_name, first_name, other)
        problem = f"model {lacks!r} has no {token.name(row)}, which {has!r} of the same tokenizer has"
        raise InputError(problem, accepted, AGAIN)
    for what, one, two in (("samples", first.sample, other.sample), ("bytes", first.size, other.size)):
        if (one != two).any():
            token = first.name(int((one != two).argmax()))
            raise InputError(f"{what} of {token} differ between {first_name!r} and {other_name!r}", accepted, AGAIN)
