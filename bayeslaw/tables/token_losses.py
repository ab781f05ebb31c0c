"""Losses of single tokens, kept beside a loss table, as a table of their own."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xarray as xr

from bayeslaw.arguments import a_path, a_text, accepts, optional, texts
from bayeslaw.errors import InputError, check_choice, nearest
from bayeslaw.storage import read_manifest
from bayeslaw.tables.by_model import tokenizers
from bayeslaw.tables.columns import check_losses, labels, numbers
from bayeslaw.tables.file_digests import check_file
from bayeslaw.tables.folders import read_models, read_rows
from bayeslaw.tables.frames import on_samples
from bayeslaw.tables.model_frames import model_frame, model_variables
from bayeslaw.tables.parquet_files import again, loss_parts, readable_schema, unreadable
from bayeslaw.tables.sample_names import sample_index

TOKENS = "tokens"
LABELS = ("document", "sample")
COLUMNS = pa.schema(
    [
        *((name, pa.string()) for name in ("lm", *LABELS)),
        ("position", pa.int64()),
        ("nll", pa.float64()),
        ("bytes", pa.int64()),
    ]
)
SUM_TOLERANCE = 1e-6
SHOWN_OF_HASH = 12
AGAIN = "score the texts again with --tokens"


@dataclass(frozen=True)
class _Tokens:
    """Tokens of one model, all [token] but `documents`."""

    document: np.ndarray
    position: np.ndarray
    sample: np.ndarray
    size: np.ndarray
    nll: np.ndarray
    documents: np.ndarray

    def of(self, rows: np.ndarray) -> "_Tokens":
        columns = (self.document, self.position, self.sample, self.size, self.nll)
        return _Tokens(*(column[rows] for column in columns), documents=self.documents)

    def name(self, row: int) -> str:
        return f"token {self.position[row]} of document {str(self.documents[self.document[row]])!r}"


@accepts(folder=a_path, models=optional(texts), tokenizer=optional(a_text))
def read_token_losses(
    folder: str | os.PathLike[str],
    *,
    models: str | Sequence[str] | None = None,
    tokenizer: str | None = None,
) -> xr.Dataset:
    """Read the losses of single tokens that are kept beside a loss table.

    Parameters
    ----------
    folder
        A folder of losses scored with ``--tokens``.
    models
        Names of models of one tokenizer; by default all of the table.
    tokenizer
        Takes of these only the models of one tokenizer, named by one of its models or by the beginning of its hash.

    Returns
    -------
    xarray.Dataset
        A loss table whose samples are tokens: ``nll`` (sample, lm) in nats, float64; ``bytes`` that count to each token
        (there may be none), ``document`` and ``position``, the document and the token's place in it from 0,
        ``sample_of_token``, the name of the table's sample that it belongs to, and ``cluster``, that of this sample
        (its document where the table names none), all (sample); ``family``, ``parameters`` and what else is known of
        models (lm); attributes ``kind``, ``unit`` (``"token"``), ``tokenizer`` (its hash), ``source``. Documents are
        in the order of the table.

    Raises
    ------
    InputError
        If no tokens were kept, or none of a model named; if the models have several tokenizers, which are then listed;
        if files cannot be read; if two models of one tokenizer differ in their tokens; or if the tokens of a sample do
        not add up to its loss.
    """
    folder = Path(folder)
    manifest = read_manifest(folder, "losses")
    files = _token_files(folder, manifest)
    lms = model_frame(read_models(folder, manifest))
    names, found = _one_tokenizer(_named(lms["model"].tolist(), models), tokenizers(manifest), tokenizer)
    for file in files:
        check_file(folder, manifest, file, fix=again(manifest))
    samples, nll, known = _samples(folder, manifest, names)
    first = _tokens(folder, files, names[0], samples)
    token_nll = np.empty((len(first.nll), len(names)))
    token_nll[:, 0] = first.nll
    for lm, name in enumerate(names[1:], start=1):
        # One model after the other, since memory holds all columns of one alone.
        other = _tokens(folder, files, name, samples, first)
        _check_alike(first, other, names[0], name)
        token_nll[:, lm] = other.nll
    dataset = xr.Dataset(coords={"sample": np.arange(len(first.nll)), "lm": np.array(names, dtype=str)})
    dataset["nll"] = (("sample", "lm"), token_nll)
    check_token_sums(dataset["nll"].to_numpy(), first.sample, nll, samples=samples, names=names)
    if "bytes" in known and (size := known["bytes"].sum()) < first.size.sum():
        problem = f"the tokens in {str(folder)!r} have {first.size.sum():,} bytes, and their texts {size:,.0f}"
        raise InputError(problem, "every byte of a text in one token", AGAIN)
    dataset["bytes"] = ("sample", first.size)
    dataset["position"] = ("sample", first.position)
    dataset["document"] = on_samples(first.documents[first.document])
    dataset["cluster"] = on_samples(known["cluster"][first.sample]) if "cluster" in known else dataset["document"]
    dataset["sample_of_token"] = on_samples(samples.to_numpy(dtype=object)[first.sample])
    dataset = dataset.assign(model_variables(lms.set_index("model", drop=False).loc[names].reset_index(drop=True)))
    named = "cluster" if "cluster" in known else "document"
    dataset.attrs = {"kind": "losses", "unit": "token", "cluster": named, "missing": "{}"}
    dataset.attrs |= {"source": str(folder), "tokenizer": found}
    return dataset


def _named(known: list[str], models: str | Sequence[str] | None) -> list[str]:
    if models is None:
        return known
    names = [models] if isinstance(models, str) else [str(name) for name in models]
    if not names:
        raise InputError("no models are named", "names of models of the table", "leave models out for all")
    wanted = {check_choice("model", name, known) for name in names}
    return [name for name in known if name in wanted]


def tokenizer_groups(names: Iterable[str], known: Mapping[str, str]) -> str:
    """List models by their tokenizer.

    Parameters
    ----------
    names
        Names of models.
    known
        Hash of the tokenizer of each model; missing or empty where it is not known.

    Returns
    -------
    str
        ``"a, b (tokenizer 3fa2b1c0d4e5); c (tokenizer not known)"``.
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(known.get(name, ""), []).append(name)
    shown = {tokenizer: tokenizer[:SHOWN_OF_HASH] or "not known" for tokenizer in groups}
    return "; ".join(f"{', '.join(group)} (tokenizer {shown[tokenizer]})" for tokenizer, group in groups.items())


def _one_tokenizer(names: list[str], known: Mapping[str, str], tokenizer: str | None) -> tuple[list[str], str]:
    """Return the models to read, and the hash of their tokenizer."""
    if tokenizer is not None:
        exact = {known[tokenizer]} if tokenizer in known else set()
        hashes = exact or {each for each in known.values() if tokenizer and each.startswith(tokenizer)}
        if len(hashes) != 1:
            fits = f"begins the hashes of {len(hashes)} tokenizers" if hashes else "is that of no model of the table"
            problem = f"tokenizer {tokenizer!r} {fits}: {tokenizer_groups(names, known)}"
            raise InputError(
                problem, "a model's name, or the beginning of one tokenizer's hash", nearest(tokenizer, names)
            )
        names = [name for name in names if known.get(name) in hashes]
        if not names:
            raise InputError(f"no model named has the tokenizer {tokenizer!r}", "models of it", "name other models")
    unknown = [name for name in names if name not in known]
    if unknown:
        problem = f"the tokenizer of {', '.join(unknown)} is not known"
        fix = "name only models that were scored with --tokens, or score them again"
        raise InputError(problem, "the hash of each model's tokenizer in the manifest", fix)
    if len({known[name] for name in names}) > 1:
        raise InputError(
            f"the models have several tokenizers: {tokenizer_groups(names, known)}",
            "models of one tokenizer: the tokens of different ones are different pieces of text",
            f"name the models of one tokenizer (models=[...]), or the tokenizer (--tokenizer {names[0]})",
        )
    return names, known[names[0]]


def _samples(
    folder: Path, manifest: Mapping[str, Any], names: list[str]
) -> tuple[pd.Index, np.ndarray, dict[str, np.ndarray]]:
    """Read the table's samples, their losses [sample, lm] and, where known, their ``bytes`` and ``cluster``."""
    rows = read_rows(folder, manifest, names, wanted=names)
    gaps = np.isnan(rows.nll).sum(axis=0)
    if gaps.any():
        problem = f"model {names[int(gaps.argmax())]!r} lacks {gaps.max()} of {len(rows.nll)} losses"
        raise InputError(problem, "a loss for every sample and model", "score what is missing, or name other models")
    samples, known = sample_index(rows.samples), {}
    if "bytes" in rows.described:
        known["bytes"] = numbers(rows.described["bytes"], "bytes", np.asarray(samples))
    if "cluster" in rows.described:
        known["cluster"] = labels(rows.described["cluster"], "cluster")
    return samples, rows.nll, known


def _token_files(folder: Path, manifest: Mapping[str, Any]) -> list[str]:
    files = loss_parts(folder, manifest, below=f"{TOKENS}/")
    if not files:
        problem = f"{str(folder)!r} keeps no losses of tokens"
        raise InputError(problem, "a folder of losses scored with --tokens", AGAIN)
    return files


def _tokens(folder: Path, files: list[str], name: str, samples: pd.Index, first: _Tokens | None = None) -> _Tokens:
    """Read the tokens of a model in the order of the text, that of the `first` model where one is given."""
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


def _placed(table: pa.Table, name: str, samples: pd.Index, first: _Tokens | None) -> _Tokens:
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
    return _Tokens(
        document=rank[codes["document"]],
        position=table["position"].to_numpy(),
        sample=sample,
        size=table["bytes"].to_numpy(),
        nll=table["nll"].to_numpy(),
        documents=documents,
    )


def _positions(words: list[str], known: pd.Index) -> np.ndarray:
    return known.get_indexer(pd.Index(words, dtype=known.dtype))


def _sorted(tokens: _Tokens, name: str) -> _Tokens:
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


def _check_alike(first: _Tokens, other: _Tokens, first_name: str, other_name: str) -> None:
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


def check_token_sums(
    token_nll: np.ndarray, sample: np.ndarray, nll: np.ndarray, *, samples: np.ndarray | pd.Index, names: Sequence[str]
) -> None:
    """Refuse tokens whose losses do not add up to those of their samples.

    Parameters
    ----------
    token_nll
        Losses of tokens in nats, [token, lm].
    sample
        Number of each token's sample, [token].
    nll
        Losses of samples in nats, [sample, lm].
    samples, names
        Names of the samples and the models, for the message.

    Raises
    ------
    InputError
        If a sum is off by more than 1e-6 of the loss.
    """
    for column, name in enumerate(names):
        sums = np.bincount(sample, token_nll[:, column], minlength=len(nll))
        # Below a nano-nat both are zero.
        wrong = np.abs(sums - nll[:, column]) > SUM_TOLERANCE * nll[:, column] + 1e-9
        if wrong.any():
            row = int(wrong.argmax())
            problem = (
                f"the tokens of sample {str(samples[row])!r} by model {str(name)!r} add up to {sums[row]:.8g} nats, "
                f"and its loss is {nll[row, column]:.8g}"
            )
            raise InputError(problem, "losses of tokens and of samples from one run", AGAIN)
