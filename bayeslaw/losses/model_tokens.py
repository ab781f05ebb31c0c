"""The tokens of one model of a loss table, in the order of the text."""

from collections.abc import Sequence
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
    tables = [_read_file(folder, file, name) for file in files]
    table = pa.concat_tables(tables).unify_dictionaries().combine_chunks()
    if not len(table):
        fix = f"{AGAIN}, or name the models that have them"
        raise InputError(f"no tokens of model {name!r} were kept", "models scored with --tokens", fix)
    return _sorted(_placed(table, name, samples, first), name)


def _read_file(folder: Path, file: str, name: str) -> pa.Table:
    accepted = f"a Parquet file with columns {', '.join(COLUMNS.names)}"
    schema = readable_schema(folder, file)
    absent = [column for column in COLUMNS.names if column not in schema.names]
    if absent:
        raise InputError(f"{str(folder / file)!r} has no column {absent[0]!r}", accepted, AGAIN)
    try:
        wanted = pc.field("lm").cast(pa.string()) == name
        table = pq.read_table(folder / file, columns=COLUMNS.names, filters=wanted).cast(COLUMNS)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(folder, file, error) from error
    for column in COLUMNS.names:
        if table[column].null_count:
            raise InputError(f"column {column!r} of {str(folder / file)!r} has gaps", "a value in every row", AGAIN)
    for column in LABELS:
        # A name in every row would take many times the room of a number.
        table = table.set_column(table.column_names.index(column), column, table[column].dictionary_encode())
    return table.drop_columns(["lm"])


def _placed(table: pa.Table, name: str, samples: pd.Index, first: ModelTokens | None) -> ModelTokens:
    """Give samples their numbers in the loss table, and documents numbers in its order."""
    codes, words = {}, {}
    for label in LABELS:
        column = table[label].combine_chunks()
        codes[label], words[label] = column.indices.to_numpy(zero_copy_only=False), column.dictionary.to_pylist()
    place = _positions(words["sample"], samples)
    if (place < 0).any():
        problem = f"tokens belong to the sample {words['sample'][int(place.argmin())]!r}, which is not in the table"
        raise InputError(problem, "tokens of the table's own samples", AGAIN)
    sample = place[codes["sample"]]
    if first is None:
        earliest = np.full(len(words["document"]), len(samples))
        np.minimum.at(earliest, codes["document"], sample)
        order = np.argsort(earliest, kind="stable")
        rank, documents = np.empty_like(order), np.array(words["document"], dtype=object)[order]
        rank[order] = np.arange(len(order))
    else:
        rank, documents = _positions(words["document"], pd.Index(first.documents)), first.documents
        if (rank < 0).any():
            problem = f"model {name!r} has tokens of the document {words['document'][int(rank.argmin())]!r}, "
            problem += "of which other models of the same tokenizer have none"
            raise InputError(problem, "the same tokens for all models of one tokenizer", AGAIN)
    return ModelTokens(
        document=rank[codes["document"]],
        position=table["position"].to_numpy(),
        sample=sample,
        size=table["bytes"].to_numpy(),
        nll=table["nll"].to_numpy(),
        documents=documents,
    )


def _positions(words: list[str], known: pd.Index) -> np.ndarray:
    return known.get_indexer(pd.Index(words, dtype=known.dtype))


def _sorted(tokens: ModelTokens, name: str) -> ModelTokens:
    """Return tokens in the order of the text."""
    ordered = tokens.of(np.lexsort((tokens.position, tokens.document)))
    for what, values in (("position", ordered.position), ("count of bytes", ordered.size)):
        if (values < 0).any():
            problem = f"the {what} of {ordered.name(int(values.argmin()))} by model {name!r} is {values.min()}"
            raise InputError(problem, "whole numbers of at least zero", AGAIN)
    same = (np.diff(ordered.document) == 0) & (np.diff(ordered.position) == 0)
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
    places = [np.stack([each.document, each.position])[:, :shared] for each in (first, other)]
    differing = (places[0] != places[1]).any(axis=0)
    accepted = "the same tokens for all models of one tokenizer"
    if differing.any() or len(first.nll) != len(other.nll):
        row = int(differing.argmax()) if differing.any() else shared
        first_has = len(first.nll) > shared if row == shared else tuple(places[0][:, row]) < tuple(places[1][:, row])
        has, lacks, token = (first_name, other_name, first) if first_has else (other_name, first_name, other)
        problem = f"model {lacks!r} has no {token.name(row)}, which {has!r} of the same tokenizer has"
        raise InputError(problem, accepted, AGAIN)
    for what, one, two in (("samples", first.sample, other.sample), ("bytes", first.size, other.size)):
        if (one != two).any():
            token = first.name(int((one != two).argmax()))
            raise InputError(f"{what} of {token} differ between {first_name!r} and {other_name!r}", accepted, AGAIN)
