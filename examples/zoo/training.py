"""Training one model: a Flax NNX decoder, AdamW, warm-up and decay, with checkpoints."""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from streams import Streams, Validation

from bayeslaw.storage import atomic_file
from inference.decoder.transformer import Decoder

EVALUATED_ROWS = 16


@dataclass(frozen=True)
class Plan:
    """How a model is trained.

    Attributes
    ----------
    tokens
        Training tokens, rounded up to whole batches.
    batch_rows
        Rows of a batch.
    peak_rate
        Learning rate after the warm-up.
    warm_up, final_share
        Share of the steps that warm up; the rate at the end as a share of the peak, reached along a cosine.
    weight_decay
        Of matrices and embeddings.
    clip
        Bound on the norm of the gradient.
    seed
        Of the initial weights and of the rows.
    dtype
        Type of products; weights and optimizer are float32.
    """

    tokens: int
    batch_rows: int = 8
    peak_rate: float = 3e-3
    warm_up: float = 0.05
    final_share: float = 0.05
    weight_decay: float = 0.05
    clip: float = 1.0
    seed: int = 0
    dtype: str = "float32"

    def steps(self, length: int) -> int:
        """Return the number of steps on rows of a length."""
        return math.ceil(self.tokens / (self.batch_rows * length))

    def optimizer(self, length: int) -> optax.GradientTransformation:
        """Return AdamW with the plan's schedule, clipping and decay."""
        steps = self.steps(length)
        warm_up = max(1, round(self.warm_up * steps))
        rate = optax.warmup_cosine_decay_schedule(
            self.peak_rate / 20, self.peak_rate, warm_up, max(steps, warm_up + 1), self.final_share * self.peak_rate
        )
        decayed = partial(jax.tree.map, lambda x: x.ndim > 1)
        return optax.chain(
            optax.clip_by_global_norm(self.clip),
            optax.adamw(rate, b1=0.9, b2=0.98, weight_decay=self.weight_decay, mask=decayed),
        )


class State(NamedTuple):
    """What a checkpoint of a run holds."""

    weights: Any
    optimizer: Any


class Trained(NamedTuple):
    """A model after its last step, and its log: one entry per look at the validation texts."""

    decoder: Decoder
    log: list[dict[str, Any]]


def train(
    decoder: Decoder,
    streams: Streams,
    validation: Validation,
    plan: Plan,
    folder: Path,
    *,
    report: Callable[[Mapping[str, Any]], None],
    looks: int = 12,
    save_every: float = 120.0,
) -> Trained:
    """Train a decoder, or go on where an earlier run stopped.

    Parameters
    ----------
    decoder
        With its initial weights.
    streams, validation
        What it reads, and what it is looked at on.
    plan
        How.
    folder
        Where checkpoints and the log lie.
    report
        Called after each look with an entry of the log.
    looks
        How often the validation loss is measured, evenly over the run.
    save_every
        Seconds between checkpoints.

    Returns
    -------
    Trained
        The same decoder with trained weights, and the log: step, tokens, nats per token of the training rows since the
        look before (or since this run began), nats per byte of the validation texts by domain, tokens per second.
    """
    graph, weights = nnx.split(decoder, nnx.Param)
    optimizer = plan.optimizer(streams.length)
    step, evaluate = _functions(graph, optimizer, jnp.dtype(plan.dtype))
    steps = plan.steps(streams.length)
    domains, places = streams.schedule(steps * plan.batch_rows, plan.seed)
    first, state, log = _resume(folder, State(weights, optimizer.init(weights)), plan)
    at = {round(steps * share) for share in np.linspace(0, 1, looks + 1)[1:]}
    losses: list[jax.Array] = []
    saved = started = time.monotonic()
    seen = 0
    for number in range(first, steps):
        chosen = slice(number * plan.batch_rows, (number + 1) * plan.batch_rows)
        rows = np.stack([streams.row(*pair) for pair in zip(domains[chosen], places[chosen], strict=True)])
        state, loss = step(state, rows)
        losses.append(loss)
        seen += plan.batch_rows * streams.length
        if number + 1 in at:
            trained = float(np.mean([float(one) for one in losses]))
            speed = seen / (time.monotonic() - started)
            entry = {"step": number + 1, "tokens": (number + 1) * plan.batch_rows * streams.length}
            entry |= {"training_nats_per_token": trained, "tokens_per_second": round(speed)}
            entry |= {"validation_nats_per_byte": _validate(evaluate, state.weights, validation)}
            log.append(entry)
            report(entry)
            losses, seen, started = [], 0, time.monotonic()
        if time.monotonic() - saved > save_every:
            _save(folder, number + 1, state, log, plan)
            saved = time.monotonic()
    nnx.update(decoder, state.weights)
    return Trained(decoder, log)


def _functions(
    graph: nnx.GraphDef, optimizer: optax.GradientTransformation, dtype: jnp.dtype
) -> tuple[Callable[[State, np.ndarray], tuple[State, jax.Array]], Callable[[Any, np.ndarray], jax.Array]]:
    def losses(weights: Any, rows: jax.Array) -> jax.Array:
        decoder = nnx.merge(graph, jax.tree.map(lambda x: x.astype(dtype), weights))
        logits = decoder.logits(decoder(rows[:, :-1]))
        return optax.softmax_cross_entropy_with_integer_labels(logits, rows[:, 1:])

    @partial(jax.jit, donate_argnums=0)
    def step(state: State, rows: jax.Array) -> tuple[State, jax.Array]:
        loss, gradient = jax.value_and_grad(lambda weights: losses(weights, rows).mean())(state.weights)
        updates, optimized = optimizer.update(gradient, state.optimizer, state.weights)
        return State(optax.apply_updates(state.weights, updates), optimized), loss

    return step, jax.jit(lambda weights, rows: losses(weights, rows).sum(axis=1))


def _validate(
    evaluate: Callable[[Any, np.ndarray], jax.Array], weights: Any, validation: Validation
) -> dict[str, float]:
    found = {}
    for domain, rows in validation.rows.items():
        total = 0.0
        for start in range(0, len(rows), EVALUATED_ROWS):
            some = rows[start : start + EVALUATED_ROWS]
            padded = np.pad(some, ((0, EVALUATED_ROWS - len(some)), (0, 0)))
            total += float(np.sum(evaluate(weights, padded)[: len(some)]))
        found[domain] = total / validation.bytes[domain]
    return found


def _save(folder: Path, step: int, state: State, log: list[dict[str, Any]], plan: Plan) -> None:
    # The position among the leaves names them: the structure is rebuilt from the plan.
    leaves = {f"{number:04d}": np.ascontiguousarray(leaf) for number, leaf in enumerate(jax.tree.leaves(state))}
    about = {"step": str(step), "log": json.dumps(log), "plan": json.dumps(asdict(plan))}
    with atomic_file(folder / "state.safetensors") as path:
        save_file(leaves, path, metadata=about)


def _resume(folder: Path, state: State, plan: Plan) -> tuple[int, State, list[dict[str, Any]]]:
    path = folder / "state.safetensors"
    if not path.is_file():
        return 0, state, []
    with safe_open(path, "numpy") as opened:
        about = opened.metadata()
    if json.loads(about["plan"]) != asdict(plan):
        return 0, state, []
    leaves, structure = jax.tree.flatten(state)
    stored = load_file(path)
    read = [jnp.asarray(stored[f"{number:04d}"]) for number in range(len(leaves))]
    return int(about["step"]), jax.tree.unflatten(structure, read), json.loads(about["log"])
