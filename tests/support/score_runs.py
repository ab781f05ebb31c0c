"""Runs of ``bayeslaw score`` on small checkpoints, and a slow computation that they are compared with."""

import json
import shutil
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import filelock
import jax
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from click.testing import Result
from flax import nnx
from make_checkpoints import make_documents
from tokenizers import Tokenizer
from typer.testing import CliRunner

from bayeslaw.cli import app
from inference.checkpoints.checkpoint import open_checkpoint
from inference.checkpoints.weights import load_decoder

# What each kind of tokenizer puts before a text.
BEGINNINGS = {"llama": "<s>", "gpt2": "<|endoftext|>", "qwen3": "<|im_end|>", "gemma": "<bos>"}
LONGEST = 64
DOCUMENTS = make_documents(24)
# Models and texts of the tests of options.
PAIR = ("llama-small", "gpt2-small")
FEW = DOCUMENTS[:6]


def command(*arguments: Any) -> Result:
    """Run the command line."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def works(*arguments: Any) -> Result:
    """Run the command line and assert that it ends well."""
    result = command(*arguments)
    assert result.exit_code == 0, result.output
    return result


def score(models: Sequence[Path | str], texts: Path | Sequence[Path], out: Path, *options: Any) -> Result:
    """Score texts under models and assert that it ends well."""
    return works("score", *models, *texts_options(texts), "--out", out, *options)


def texts_options(texts: Path | Sequence[Path]) -> list[Any]:
    return [part for file in ([texts] if isinstance(texts, Path) else texts) for part in ("--texts", file)]


def write_jsonl(path: Path, documents: Sequence[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(document, ensure_ascii=False) + "\n" for document in documents))
    return path


def made_once(folder: Path, name: str, make: Callable[[Path], Any]) -> Path:
    """Return a folder, made by the first worker that asks while the others wait."""
    whole = folder / name
    with filelock.FileLock(folder / f"{name}.lock"):
        if not whole.exists():
            shutil.rmtree(folder / f"{name}-begun", ignore_errors=True)
            make(folder / f"{name}-begun")
            (folder / f"{name}-begun").rename(whole)
    return whole


def rows(table: Path) -> pd.DataFrame:
    """Return the losses of a table, by model and sample."""
    parts = [pq.read_table(path).to_pandas() for path in sorted(table.glob("part-*.parquet"))]
    return pd.concat(parts).set_index(["lm", "sample"]).sort_index()


def token_rows(table: Path) -> pd.DataFrame:
    """Return the losses of tokens, by model, document and position."""
    parts = [pq.read_table(path).to_pandas() for path in sorted((table / "tokens").glob("*.parquet"))]
    return pd.concat(parts).set_index(["lm", "document", "position"]).sort_index()


def manifest(table: Path) -> dict[str, Any]:
    return json.loads((table / "manifest.json").read_text())


def content(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder but for the lock."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".lock"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def token_ids(folder: Path, text: str) -> list[int]:
    """Return a text's tokens with what stands before it, read from the checkpoint without the package."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    family = json.loads((folder / "config.json").read_text())["model_type"]
    return [tokenizer.token_to_id(BEGINNINGS[family]), *tokenizer.encode(text, add_special_tokens=False).ids]


@cache
def _logits(folder: Path) -> Callable[[np.ndarray, np.ndarray], jax.Array]:
    graph, state = nnx.split(load_decoder(open_checkpoint(folder)))

    @jax.jit
    def logits(state: nnx.State, tokens: jax.Array, lengths: jax.Array) -> jax.Array:
        decoder = nnx.merge(graph, state)
        return decoder.logits(decoder(tokens, lengths))

    return lambda tokens, lengths: logits(state, tokens, lengths)


def slow_log_probabilities(folder: Path, ids: Sequence[int]) -> np.ndarray:
    """Return the log-probability of each token but the first given all before it, [token - 1], float64.

    One text at a time, and a dense log-softmax in NumPy.
    """
    tokens = np.zeros((1, LONGEST), np.int32)
    tokens[0, : len(ids) - 1] = ids[:-1]
    logits = np.asarray(_logits(folder)(tokens, np.array([len(ids) - 1], np.int32)))[0, : len(ids) - 1]
    logits = logits.astype(np.float64)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return log_probabilities[np.arange(len(ids) - 1), list(ids[1:])]
