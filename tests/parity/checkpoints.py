"""Checkpoints with seeded weights, and what a decoder and its reference say of the same texts."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import jax
import numpy as np
from flax import nnx
from parity.cases import Case
from parity.seeded import scored_vocabulary, seeded_ids, seeded_tensor
from parity.stored import read_reference, tensor_shapes
from safetensors.numpy import save_file

from inference.decoder.transformer import Decoder


def write_checkpoint(
    folder: Path,
    case: Case,
    *,
    rename: Callable[[str], str] = lambda name: name,
    extra: Mapping[str, np.ndarray] | None = None,
    shards: int = 1,
) -> Path:
    """Write the checkpoint that a case's reference was made with; tensors may be renamed, added, and spread."""
    weights = {rename(name): seeded_tensor(case.name, name, shape) for name, shape in tensor_shapes(case.name).items()}
    weights |= extra or {}
    names = sorted(weights)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(read_reference(case.name)["config"]))
    if shards == 1:
        save_file(weights, folder / "model.safetensors")
        return folder
    places = {name: f"model-{i % shards + 1:05d}-of-{shards:05d}.safetensors" for i, name in enumerate(names)}
    for place in set(places.values()):
        save_file({name: weights[name] for name in names if places[name] == place}, folder / place)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    return folder


def case_ids(case: Case) -> list[np.ndarray]:
    """Return the token ids of a case's texts."""
    return seeded_ids(case.name, case.lengths, scored_vocabulary(read_reference(case.name)["config"]))


# Compiling takes most of the time: without its last optimisations it takes half as long.
@partial(jax.jit, static_argnums=0, compiler_options={"xla_backend_optimization_level": 0})
def _log_probabilities(graph: nnx.GraphDef, state: nnx.State, tokens: jax.Array, lengths: jax.Array) -> jax.Array:
    decoder = nnx.merge(graph, state)
    return jax.nn.log_softmax(decoder.logits(decoder(tokens, lengths)), -1)


def log_probabilities(decoder: Decoder, texts: list[np.ndarray]) -> list[np.ndarray]:
    """Return log-probabilities after every token, [token, vocabulary] for each text; all texts in one padded batch."""
    lengths = np.array([len(ids) for ids in texts], np.int32)
    tokens = np.full((len(texts), lengths.max()), 7, np.int32)
    for row, ids in zip(tokens, texts, strict=True):
        row[: len(ids)] = ids
    batch = np.asarray(_log_probabilities(*nnx.split(decoder), tokens, lengths))
    return [run[:length] for run, length in zip(batch, lengths, strict=True)]


def of_targets(log_probs: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Return the log-probability of every token but the first, [token - 1]."""
    return log_probs[np.arange(len(ids) - 1), ids[1:]]


def differences(decoder: Decoder, case: Case) -> dict[str, float]:
    """Return by how much a decoder differs from the reference: at targets, and in distributions of the first text."""
    reference, texts = read_reference(case.name), case_ids(case)
    runs = log_probabilities(decoder, texts)
    targets = [
        np.abs(of_targets(run, ids) - np.float32(stored)).max()
        for run, ids, stored in zip(runs, texts, reference["log_probabilities"], strict=True)
    ]
    # Stored positions count from both ends of the tokens that have a target.
    whole = [
        np.abs(runs[0][:-1][int(position)] - np.float32(stored)).max()
        for position, stored in reference["distributions"].items()
    ]
    return {"targets": float(np.max(targets)), "distributions": float(np.max(whole))}
