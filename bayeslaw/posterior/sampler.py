"""NUTS in preconditioned coordinates, its chains in parallel on the cores there are."""

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bayeslaw.likelihood.compiled import compile_once
from bayeslaw.posterior.density import Gradient, Posterior, Potential
from bayeslaw.posterior.draws import Draws
from bayeslaw.posterior.kept_draws import NOTHING_KEPT, ChainRecord, Checkpoint
from bayeslaw.posterior.nuts import DEEPEST_TREE, Adaptation, ChainState, adaptation, begin, transition

BLOCK = 100
FIRST_BLOCK = 10
BLOCK_SECONDS = 2.0
STATISTICS = ("diverging", "num_steps", "accept_prob", "energy", "potential_energy")


def sample(
    posterior: Posterior,
    data: Any,
    mode: np.ndarray,
    factor: np.ndarray,
    *,
    draws: int,
    warmup: int,
    chains: int,
    seed: int,
    target_accept: float,
    spread: float = 1.0,
    progress: Callable[[int], Any] = lambda done: None,
    checkpoint: Checkpoint = NOTHING_KEPT,
) -> Draws:
    """Draw from a posterior with NUTS (Hoffman and Gelman 2014).

    Parameters
    ----------
    posterior, data
        The posterior, and its data. Call under float64.
    mode, factor
        Its mode and a factor of its covariance: the sampler moves in ``z`` with ``position = mode + factor z``.
    draws, warmup, chains
        Draws kept and adapted on per chain, and number of chains.
    seed
        Seed.
    target_accept
        Target acceptance probability.
    spread
        Standard deviation of the ``z`` that chains start from.
    progress
        Called with the number of draws just made, from the chains' threads.
    checkpoint
        Where draws are kept while chains run; what is kept there is gone on from.

    Returns
    -------
    Draws
        Positions and statistics.
    """
    plan = adaptation(warmup, target_accept)
    keys = jax.random.split(jax.random.PRNGKey(seed), chains)
    places = spread * np.random.default_rng(seed).standard_normal((chains, len(mode)))
    gradient = compile_once(Gradient(posterior.potential), mode, data)
    starts = []
    for key, z in zip(keys, places, strict=True):
        value, slope = gradient(mode + factor @ z, data)
        starts.append(begin(key, jnp.asarray(z), value, jnp.asarray(np.asarray(slope) @ factor)))
    block = compile_once(_Block(posterior.potential), starts[0], 0, plan, data, mode, factor)
    stop = threading.Event()

    def advance(state: ChainState, steps: int) -> tuple[ChainState, Any]:
        return block(state, np.asarray(steps), plan, data, mode, factor)

    def run(number: int, start: ChainState) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        # The switch to float64 is local to a thread.
        with jax.enable_x64(True):
            chain = _Chain(start, checkpoint.chain(f"chain-{number}"))
            chain.go_on(warmup)
            progress(chain.steps)
            chain.run(advance, warmup, warmup + draws, stop, progress)
        return chain.joined()

    cores = getattr(os, "process_cpu_count", os.cpu_count)() or 1
    with ThreadPoolExecutor(max_workers=min(chains, cores)) as pool:
        try:
            z, statistics = jax.tree.map(lambda *leaves: np.stack(leaves), *pool.map(run, range(chains), starts))
        except BaseException:
            # Whoever interrupts waits for a block, not for a chain.
            stop.set()
            raise
    return Draws(mode + z @ factor.T, _named(statistics))


class _Chain:
    """A chain on its way: its state, how many steps it has made, and what it has drawn."""

    def __init__(self, state: Any, record: ChainRecord) -> None:
        self.state, self.record, self.steps = state, record, 0
        self.kept: list[Any] = []

    def go_on(self, warmup: int) -> None:
        """Take up what was kept of the chain."""
        if (found := self.record.read()) is None:
            return
        steps, leaves, draws = found
        kind, example = jax.tree.structure(self.state), jax.tree.leaves(self.state)
        same = [(leaf.shape, leaf.dtype) for leaf in leaves] == [(leaf.shape, leaf.dtype) for leaf in example]
        if not same or sum(len(part[0]) for part in draws) != max(0, steps - warmup):
            self.record.clear()
            return
        self.steps, self.state = steps, jax.tree.unflatten(kind, leaves)
        trace = jax.tree.structure(_recorded(self.state))
        self.kept = [jax.tree.unflatten(trace, part) for part in draws]

    def run(
        self, advance: Callable[..., Any], warmup: int, last: int, stop: threading.Event, progress: Callable[[int], Any]
    ) -> None:
        """Make the steps that are left, in blocks of a second or two, unless told to stop."""
        pace = FIRST_BLOCK
        while self.steps < last and not stop.is_set():
            begun = time.monotonic()
            steps = min(pace, (warmup if self.steps < warmup else last) - self.steps)
            self.state, trace = advance(self.state, steps)
            # What a block draws depends on no other block, so that blocks may be of any size.
            trace = jax.tree.map(lambda leaf, n=steps: np.asarray(leaf)[:n], trace)
            drawn = [] if self.steps < warmup else [trace]
            self.kept += drawn
            self.steps += steps
            self.record.keep(self.steps, jax.tree.leaves(self.state), jax.tree.leaves(drawn), now=self.steps == last)
            pace = int(np.clip(steps * BLOCK_SECONDS / max(time.monotonic() - begun, 1e-9), 1, BLOCK))
            progress(steps)
        if self.steps < last:
            self.record.keep(self.steps, jax.tree.leaves(self.state), (), now=True)

    def joined(self) -> Any:
        """Everything drawn, as one block."""
        return jax.tree.map(lambda *leaves: np.concatenate(leaves), *self.kept)


@dataclass(frozen=True)
class _Block:
    """Up to `BLOCK` transitions of a chain, compiled once for all chains, adaptations and data."""

    potential: Potential

    def __call__(
        self, state: ChainState, steps: Array, plan: Adaptation, data: Any, mode: Array, factor: Array
    ) -> tuple[ChainState, Any]:
        """Make some transitions, and return the chain and what it drew."""
        trace = jax.tree.map(lambda leaf: jnp.zeros((BLOCK, *leaf.shape), leaf.dtype), _recorded(state))

        def potential(z: Array) -> Array:
            return self.potential(mode + factor @ z, data)

        def step(index: Array, carry: tuple[ChainState, Any]) -> tuple[ChainState, Any]:
            state, trace = carry
            state = transition(potential, state, plan)
            return state, jax.tree.map(lambda rows, row: rows.at[index].set(row), trace, _recorded(state))

        return jax.lax.fori_loop(0, steps, step, (state, trace))


def _recorded(state: ChainState) -> tuple[Array, dict[str, Array]]:
    """Pick what is kept of a state: position and statistics."""
    return state.z, {name: getattr(state, name) for name in STATISTICS}


def _named(statistics: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    depth = np.ceil(np.log2(statistics["num_steps"] + 1)).astype(int)
    return {
        "diverging": statistics["diverging"].astype(bool),
        "n_steps": statistics["num_steps"].astype(int),
        "acceptance_rate": statistics["accept_prob"],
        "energy": statistics["energy"],
        "lp": -statistics["potential_energy"],
        "tree_depth": depth,
        "reached_max_treedepth": depth >= DEEPEST_TREE,
    }
