"""Losses of single tokens, kept beside a loss table, as a table of their own."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.errors import InputError, check_choice, nearest
from bayeslaw.inputs.arguments import a_path, a_text, accepts, optional, texts
from bayeslaw.inputs.manifests import read_manifest
from bayeslaw.losses.by_model import tokenizers
from bayeslaw.losses.columns import labels, numbers
from bayeslaw.losses.file_digests import check_file
from bayeslaw.losses.folders import read_models, read_rows
from bayeslaw.losses.frames import on_samples
from bayeslaw.losses.model_frames import model_frame, model_variables
from bayeslaw.losses.model_tokens import AGAIN, check_same_tokens, read_model_tokens
from bayeslaw.losses.parquet_files import again, loss_parts
from bayeslaw.losses.released_memory import release_memory
from bayeslaw.losses.sample_names import sample_index

TOKENS = "tokens"
SUM_TOLERANCE = 1e-6
SHOWN_OF_HASH = 12


@accepts(folder=a_path, models=optional(texts), tokenizer=optional(a_text))
def read_token_losses(
    folder: str | os.PathLike[str],
    *,
    models: str | Sequence[str] | None = None,
    tokenizer: str | None = None,
) -> xr.Dataset:
    """Read the losses of single tokens that are kept beside a loss table, all of them into memory.

    That takes eight bytes a token and model, and some forty a token. Functions that take ``token_losses`` also take the
    folder's path in their place, and read a few tokens at a time.

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

    Examples
    --------
    Of a folder that was scored with ``--tokens``:

    >>> import bayeslaw as bl
    >>> tokens = bl.read_token_losses("scored", models=["zoo-gpt2-1.5m"])  # doctest: +SKIP
    """
    folder = Path(folder)
    manifest = read_manifest(folder, "losses")
    wanted = tokens_to_read(folder, manifest, models, tokenizer)
    lms, names, files, samples, known = wanted.lms, wanted.names, wanted.files, wanted.samples, wanted.known
    for file in files:
        check_file(folder, manifest, file, fix=again(manifest))
    first = read_model_tokens(folder, files, names[0], samples)
    token_nll = np.empty((len(first.nll), len(names)))
    token_nll[:, 0] = first.nll
    for lm, name in enumerate(names[1:], start=1):
        # One model after the other, since memory holds all columns of one alone.
        other = read_model_tokens(folder, files, name, samples, first)
        check_same_tokens(first, other, names[0], name)
        token_nll[:, lm] = other.nll
        del other
        release_memory()
    dataset = xr.Dataset(coords={"sample": np.arange(len(first.nll)), "lm": np.array(names, dtype=str)})
    dataset["nll"] = (("sample", "lm"), token_nll)
    check_token_sums(dataset["nll"].to_numpy(), first.sample, wanted.nll, samples=samples, names=names)
    check_text_bytes(folder, int(first.size.sum()), known)
    dataset["bytes"] = ("sample", first.size)
    dataset["position"] = ("sample", first.position)
    dataset["document"] = on_samples(first.documents[first.document])
    dataset["cluster"] = on_samples(known["cluster"][first.sample]) if "cluster" in known else dataset["document"]
    dataset["sample_of_token"] = on_samples(samples.to_numpy(dtype=object)[first.sample])
    dataset = dataset.assign(model_variables(lms.set_index("model", drop=False).loc[names].reset_index(drop=True)))
    named = "cluster" if "cluster" in known else "document"
    dataset.attrs = {"kind": "losses", "unit": "token", "cluster": named, "missing": "{}"}
    dataset.attrs |= {"source": str(folder), "tokenizer": wanted.tokenizer}
    return dataset


@dataclass(frozen=True)
class WantedTokens:
    """Which tokens of a folder are to be read, and what its table says of them.

    Attributes
    ----------
    names, tokenizer
        Names of the models, and the hash of their tokenizer.
    lms
        The table of models.
    files
        Paths in the folder of the files that hold tokens.
    samples
        Names of the table's samples.
    nll
        Losses of the samples in nats, [sample, lm].
    known
        ``bytes`` and ``cluster`` of the samples, [sample], where the table has them.
    """

    names: list[str]
    tokenizer: str
    lms: pd.DataFrame
    files: list[str]
    samples: pd.Index
    nll: np.ndarray
    known: dict[str, np.ndarray]


def tokens_to_read(
    folder: Path, manifest: Mapping[str, Any], models: str | Sequence[str] | None, tokenizer: str | None
) -> WantedTokens:
    """Find the tokens of some models in a folder.

    Parameters
    ----------
    folder, models, tokenizer
        As in `read_token_losses`.
    manifest
        As `bayeslaw.inputs.manifests.read_manifest` returns it.

    Returns
    -------
    WantedTokens
        What is to be read.

    Raises
    ------
    InputError
        As `read_token_losses`, but for what the tokens themselves may be.
    """
    files = _token_files(folder, manifest)
    lms = model_frame(read_models(folder, manifest))
    names, found = _one_tokenizer(_named(lms["model"].tolist(), models), tokenizers(manifest), tokenizer)
    samples, nll, known = _samples(folder, manifest, names)
    return WantedTokens(names, found, lms, files, samples, nll, known)


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
    columns = [np.bincount(sample, column, minlength=len(nll)) for column in token_nll.T]
    check_sums(np.stack(columns, axis=1), nll, samples=samples, names=names)


def check_sums(sums: np.ndarray, nll: np.ndarray, *, samples: np.ndarray | pd.Index, names: Sequence[str]) -> None:
    """Refuse sums of tokens' losses that are not the losses of their samples.

    Parameters
    ----------
    sums
        Sums of the losses of tokens in nats, [sample, lm].
    nll, samples, names
        As in `check_token_sums`.

    Raises
    ------
    InputError
        As `check_token_sums`.
    """
    # Below a nano-nat both are zero.
    wrong = np.abs(sums - nll) > SUM_TOLERANCE * nll + 1e-9
    if wrong.any():
        column = int(wrong.any(axis=0).argmax())
        row = int(wrong[:, column].argmax())
        problem = (
            f"the tokens of sample {str(samples[row])!r} by model {str(names[column])!r} add up to "
            f"{sums[row, column]:.8g} nats, and its loss is {nll[row, column]:.8g}"
        )
        raise InputError(problem, "losses of tokens and of samples from one run", AGAIN)


def check_text_bytes(folder: Path, total: int, known: Mapping[str, np.ndarray]) -> None:
    """Refuse tokens that have more bytes than their texts.

    Parameters
    ----------
    folder
        The folder, for the message.
    total
        Bytes of all tokens.
    known
        ``bytes`` of the samples, where the table has them.

    Raises
    ------
    InputError
        If there are more.
    """
    if "bytes" in known and (size := known["bytes"].sum()) < total:
        problem = f"the tokens in {str(folder)!r} have {total:,} bytes, and their texts {size:,.0f}"
        raise InputError(problem, "every byte of a text in one token", AGAIN)
