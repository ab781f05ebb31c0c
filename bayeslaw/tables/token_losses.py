"""Losses of single tokens, kept beside a loss table, as a table of their own."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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
from bayeslaw.tables.columns import check_losses, labels, series
from bayeslaw.tables.folders import read_parquet, read_parts, wide_frame
from bayeslaw.tables.model_frames import model_frame, model_variables

TOKENS = "tokens"
LABELS = ("lm", "document", "sample")
COLUMNS = pa.schema(
    [*((name, pa.string()) for name in LABELS), ("position", pa.int64()), ("nll", pa.float64()), ("bytes", pa.int64())]
)
SUM_TOLERANCE = 1e-6
SHOWN_OF_HASH = 12
AGAIN = "score the texts again with --tokens"


@dataclass(frozen=True)
class _Tokens:
    """Tokens of one model or of several, all [token] but `documents`."""

    lm: np.ndarray
    document: np.ndarray
    position: np.ndarray
    sample: np.ndarray
    size: np.ndarray
    nll: np.ndarray
    documents: np.ndarray

    def of(self, rows: np.ndarray) -> "_Tokens":
        columns = (self.lm, self.document, self.position, self.sample, self.size, self.nll)
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
    _token_files(folder)
    lms = model_frame(read_parquet(folder, ["models.parquet"]))
    names, found = _one_tokenizer(_named(lms["model"].tolist(), models), tokenizers(manifest), tokenizer)
    table = _read_tokens(folder, names)
    samples, nll, known = _samples(folder, lms, names)
    tokens = _placed(table, names, samples)
    aligned = [_sorted(tokens, lm, name) for lm, name in enumerate(names)]
    first = aligned[0]
    for name, other in zip(names[1:], aligned[1:], strict=True):
        _check_alike(first, other, names[0], name)
    dataset = xr.Dataset(coords={"sample": np.arange(len(first.nll)), "lm": np.array(names, dtype=str)})
    dataset["nll"] = (("sample", "lm"), np.stack([each.nll for each in aligned], axis=1))
    check_token_sums(dataset["nll"].to_numpy(), first.sample, nll, samples=samples, names=names)
    if "bytes" in known and (size := known["bytes"].sum()) < first.size.sum():
        problem = f"the tokens in {str(folder)!r} have {first.size.sum():,} bytes, and their texts {size:,.0f}"
        raise InputError(problem, "every byte of a text in one token", AGAIN)
    dataset["bytes"] = ("sample", first.size)
    dataset["position"] = ("sample", first.position)
    dataset["document"] = ("sample", first.documents[first.document])
    dataset["cluster"] = ("sample", known["cluster"][first.sample]) if "cluster" in known else dataset["document"]
    dataset["sample_of_token"] = ("sample", samples.astype(object)[first.sample])
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
        own = {known[tokenizer]} if tokenizer in known else set()
        hashes = own or {each for each in known.values() if tokenizer and each.startswith(tokenizer)}
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


def _samples(folder: Path, lms: pd.DataFrame, names: list[str]) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Read the table's samples, their losses [sample, lm] and, where known, their ``bytes`` and ``cluster``."""
    rows = read_parts(folder)
    wide, _, _ = wide_frame(rows.loc[rows["lm"].isin(names)].reset_index(drop=True), lms, folder)
    nll = wide.reindex(columns=names).to_numpy(dtype=np.float64)
    gaps = np.isnan(nll).sum(axis=0)
    if gaps.any():
        problem = f"model {names[int(gaps.argmax())]!r} lacks {gaps.max()} of {len(nll)} losses"
        raise InputError(problem, "a loss for every sample and model", "score what is missing, or name other models")
    known: dict[str, np.ndarray] = {}
    if "bytes" in wide:
        known["bytes"] = wide["bytes"].to_numpy(dtype=np.float64)
    if "cluster" in wide:
        known["cluster"] = labels(series(wide, "cluster"), "cluster").astype(object)
    return labels(series(wide, "sample"), "sample name"), nll, known


def _token_files(folder: Path) -> list[Path]:
    files = sorted((folder / TOKENS).glob("[!.]*.parquet"))
    if not files:
        problem = f"{str(folder)!r} keeps no losses of tokens"
        raise InputError(problem, "a folder of losses scored with --tokens", AGAIN)
    return files


def _read_tokens(folder: Path, names: list[str]) -> pa.Table:
    """Read the tokens of some models, with labels as dictionaries."""
    tables = [_read_file(path, names) for path in _token_files(folder)]
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def _read_file(path: Path, names: list[str]) -> pa.Table:
    accepted = f"a Parquet file with columns {', '.join(COLUMNS.names)}"
    try:
        absent = [name for name in COLUMNS.names if name not in pq.read_schema(path).names]
        if absent:
            raise InputError(f"{str(path)!r} has no column {absent[0]!r}", accepted, AGAIN)
        wanted = pc.field("lm").cast(pa.string()).isin(names)
        table = pq.read_table(path, columns=COLUMNS.names, filters=wanted).cast(COLUMNS)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{str(path)!r} cannot be read: {str(error).splitlines()[0]}", accepted, AGAIN) from error
    for name in COLUMNS.names:
        if table[name].null_count:
            raise InputError(f"column {name!r} of {str(path)!r} has gaps", "a value in every row", AGAIN)
        if name in LABELS:
            # A name in every row would take many times the room of a number.
            table = table.set_column(table.column_names.index(name), name, table[name].dictionary_encode())
    return table


def _placed(table: pa.Table, names: list[str], samples: np.ndarray) -> _Tokens:
    """Give models and samples their numbers in the loss table, and documents numbers in its order."""
    codes, words = {}, {}
    for name in LABELS:
        column = table[name].combine_chunks()
        codes[name], words[name] = column.indices.to_numpy(zero_copy_only=False), column.dictionary.to_pylist()
    place = _positions(words["sample"], samples)
    if (place < 0).any():
        problem = f"tokens belong to the sample {words['sample'][int(place.argmin())]!r}, which is not in the table"
        raise InputError(problem, "tokens of the table's own samples", AGAIN)
    sample = place[codes["sample"]]
    earliest = np.full(len(words["document"]), len(samples))
    np.minimum.at(earliest, codes["document"], sample)
    order = np.argsort(earliest, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    documents = np.array(words["document"], dtype=object)[order]
    return _Tokens(
        lm=_positions(words["lm"], np.array(names))[codes["lm"]],
        document=rank[codes["document"]],
        position=table["position"].to_numpy(),
        sample=sample,
        size=table["bytes"].to_numpy(),
        nll=table["nll"].to_numpy(),
        documents=documents,
    )


def _positions(words: list[str], known: np.ndarray) -> np.ndarray:
    return pd.Index(known.astype(object)).get_indexer(pd.Index(words, dtype=object))


def _sorted(tokens: _Tokens, lm: int, name: str) -> _Tokens:
    """Return one model's tokens in the order of the text."""
    rows = np.flatnonzero(tokens.lm == lm)
    if not len(rows):
        fix = f"{AGAIN}, or name the models that have them"
        raise InputError(f"no tokens of model {name!r} were kept", "models scored with --tokens", fix)
    own = tokens.of(rows[np.lexsort((tokens.position[rows], tokens.document[rows]))])
    for what, values in (("position", own.position), ("count of bytes", own.size)):
        if (values < 0).any():
            problem = f"the {what} of {own.name(int(values.argmin()))} by model {name!r} is {values.min()}"
            raise InputError(problem, "whole numbers of at least zero", AGAIN)
    same = (np.diff(own.document) == 0) & (np.diff(own.position) == 0)
    if same.any():
        problem = f"{own.name(int(same.argmax()))} by model {name!r} is there twice"
        raise InputError(problem, "one loss for every token and model", AGAIN)
    if np.isnan(own.nll).any():
        problem = f"the loss of {own.name(int(np.isnan(own.nll).argmax()))} by model {name!r} is not a number"
        raise InputError(problem, "finite losses of zero or more", AGAIN)
    check_losses(own.nll, lambda index: f"{own.name(index[0])} by model {name!r}")
    return own


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
    token_nll: np.ndarray, sample: np.ndarray, nll: np.ndarray, *, samples: np.ndarray, names: Sequence[str]
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
