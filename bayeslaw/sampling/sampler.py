"""NUTS in preconditioned coordinates, its chains in parallel on the cores there are."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpyro.infer import NUTS
from numpyro.infer.util import ParamInfo

from bayeslaw.sampling.checkpoint import NOTHING_KEPT, ChainRecord, Checkpoint
from bayeslaw.sampling.compiled import compile_for, compiled_gradient

BLOCK = 100
FIRST_BLOCK = 10
BLOCK_SECONDS = 2.0
STATISTICS = ("diverging", "num_steps", "accept_prob", "energy", "potential_energy")


@runtime_checkable
class Density(Protocol):
    """What can be sampled: minus a log density over flat positions, up to a constant."""

    @property
    def potential(self) -> Callable[[Array], Array]:
        """From a flat position to minus its log density."""
        ...


@dataclass(frozen=True)
class Draws:
    """Draws of all chains.

    Parameters
    ----------
    position
        Flat positions, shape ``[chain, draw, coordinate]``.
    statistics
        ArviZ sampler statistics by name, each of shape ``[chain, draw]``.
    """

    position: np.ndarray
    statistics: dict[str, np.ndarray]

    @property
    def flat(self) -> np.ndarray:
        """Positions of all chains, one after another, shape ``[chain * draw, coordinate]``."""
        return self.position.reshape(-1, self.position.shape[-1])

    def by_chain(self, arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Bring what was worked out at `flat` to the shape ``[chain, draw, ...]``.

        Parameters
        ----------
        arrays
            Arrays by name, each of shape ``[chain * draw, ...]``.

        Returns
        -------
        dict
            The arrays by name.
        """
        chains = self.position.shape[:2]
        return {name: np.asarray(array).reshape(*chains, *array.shape[1:]) for name, array in arrays.items()}


def sample(
    target: Density,
    mode: np.ndarray,
    factor: np.ndarray,
    *,
    draws: int,
    warmup: int,
    chains: int,
    seed: int,
    target_accept: float,
    progress: Callable[[int], Any] = lambda done: None,
    checkpoint: Checkpoint = NOTHING_KEPT,
) -> Draws:
    """Draw from a posterior with NUTS (Hoffman and Gelman 2014), as NumPyro implements it.

    Parameters
    ----------
    target
        The posterior.
    mode, factor
        Its mode and a factor of its covariance: the sampler moves in ``z`` with ``position = mode + factor z``.
    draws, warmup, chains
        Draws kept and adapted on per chain, and number of chains.
    seed
        Seed.
    target_accept
        Target acceptance probability.
    progress
        Called with the number of draws just made, from the chains' threads.
    checkpoint
        Where draws are kept while chains run; what is kept there is gone on from.

    Returns
    -------
    Draws
        Positions and statistics.
    """
    centre, transform = jnp.asarray(mode), jnp.asarray(factor)
    kernel = NUTS(
        potential_fn=lambda z: target.potential(centre + transform @ z),
        target_accept_prob=target_accept,
        dense_mass=True,
    )
    begin, advance = _compile(kernel, len(mode), warmup)
    gradient = compiled_gradient(target.potential, len(mode), 0)
    keys = jax.random.split(jax.random.PRNGKey(seed), chains)
    places = np.random.default_rng(seed).standard_normal((chains, len(mode)))
    stop = threading.Event()

    def run(number: int, key: Array, z: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        # The switch to float64 is local to a thread.
        with jax.enable_x64(True):
            value, slope = gradient(mode + factor @ z)
            chain = _Chain(begin(key, z, value, np.asarray(slope) @ factor), checkpoint.chain(f"chain-{number}"))
            chain.go_on(warmup)
            progress(chain.steps)
            chain.run(advance, warmup, warmup + draws, stop, progress)
        return chain.joined()

    cores = getattr(os, "process_cpu_count", os.cpu_count)() or 1
    with ThreadPoolExecutor(max_workers=min(chains, cores)) as pool:
        try:
            z, statistics = jax.tree.map(lambda *leaves: np.stack(leaves), *pool.map(run, range(chains), keys, places))
        except BaseException:
            # Whoever interrupts waits for a block, not for a chain.
            stop.set()
            raise
    return Draws(mode + z @ factor.T, _named(statistics, kernel))


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


def _compile(kernel: NUTS, coordinates: int, warmup: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Compile the start of a chain and a block of up to `BLOCK` draws, once for all chains.

    A chain starts from a position, the potential and its gradient there: compiling these takes long and is done once.
    """

    def begin(key: Array, z: Array, potential: Array, gradient: Array) -> Any:
        return kernel.init(key, warmup, ParamInfo(z, potential, gradient), (), {})

    def advance(state: Any, steps: Array) -> tuple[Any, Any]:
        trace = jax.tree.map(lambda leaf: jnp.zeros((BLOCK, *leaf.shape), leaf.dtype), _recorded(state))

        def step(index: Array, carry: tuple[Any, Any]) -> tuple[Any, Any]:
            state, trace = carry
            state = kernel.sample(state, (), {})
            return state, jax.tree.map(lambda rows, row: rows.at[index].set(row), trace, _recorded(state))

        return jax.lax.fori_loop(0, steps, step, (state, trace))

    start = jax.random.PRNGKey(0), jnp.zeros(coordinates), jnp.zeros(()), jnp.zeros(coordinates)
    # The start fixes attributes of the kernel that a block needs, so it is traced first.
    compiled_begin = compile_for(begin, *start)
    return compiled_begin, compile_for(advance, jax.eval_shape(begin, *start), 0)


def _recorded(state: Any) -> tuple[Array, dict[str, Array]]:
    """Pick what is kept of a state: position and statistics."""
    return state.z, {name: getattr(state, name) for name in STATISTICS}


def _named(statistics: dict[str, np.ndarray], kernel: NUTS) -> dict[str, np.ndarray]:
    depth = np.ceil(np.log2(statistics["num_steps"] + 1)).astype(int)
    limit = kernel._max_tree_depth[1] if isinstance(kernel._max_tree_depth, tuple) else kernel._max_tree_depth
    return {
        "diverging": statistics["diverging"].astype(bool),
        "n_steps": statistics["num_steps"].astype(int),
        "acceptance_rate": statistics["accept_prob"],
        "energy": statistics["energy"],
        "lp": -statistics["potential_energy"],
        "tree_depth": depth,
        "reached_max_treedepth": depth >= limit,
    }
