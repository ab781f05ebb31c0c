"""Compilation apart from execution, so that both can be timed."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp


@dataclass
class Stopwatch:
    """Seconds spent since the watch was started.

    Parameters
    ----------
    compiling
        Tracing and compiling.
    total
        Everything, compiling too; set when the watch stops.
    """

    compiling: float = 0.0
    total: float = 0.0


_running: ContextVar[Stopwatch | None] = ContextVar("running_stopwatch", default=None)


@contextmanager
def stopwatch() -> Iterator[Stopwatch]:
    """Time a piece of work and the compilation in it.

    Yields
    ------
    Stopwatch
        Filled in while the work goes on, complete when the block ends.
    """
    watch = Stopwatch()
    token, begun = _running.set(watch), time.perf_counter()
    try:
        yield watch
    finally:
        watch.total = time.perf_counter() - begun
        _running.reset(token)


def compile_for(function: Callable[..., Any], *examples: Any) -> Callable[..., Any]:
    """Compile a function for arguments of the given shapes and types.

    Parameters
    ----------
    function
        A function that JAX can trace.
    *examples
        Arguments, or shapes as `jax.eval_shape` gives them.

    Returns
    -------
    Callable
        The compiled function; it takes only arguments like the examples.
    """
    begun = time.perf_counter()
    compiled = jax.jit(function).lower(*examples).compile()
    if (watch := _running.get()) is not None:
        watch.compiling += time.perf_counter() - begun
    return compiled


@lru_cache(maxsize=1)
def compiled_gradient(function: Callable[..., Any], coordinates: int, scalars: int) -> Callable[..., tuple[Any, Any]]:
    """Compile a function of a flat position along with its gradient, once for the search of a mode and all chains.

    Parameters
    ----------
    function
        From a flat position, and scalars where it takes any, to a scalar. Call under float64.
    coordinates
        Length of the position.
    scalars
        How many scalars the function takes after the position.

    Returns
    -------
    Callable
        Of the same arguments, to the value and the gradient by the position.
    """
    return compile_for(jax.value_and_grad(function), jnp.zeros(coordinates), *[jnp.zeros(())] * scalars)


def one_by_one(function: Callable[..., Any]) -> Callable[..., Any]:
    """Map a function over the first axis of its arguments, one element after the other.

    For what factorises matrices: `jax.vmap` makes batches of the factorisations, and two of these in one program may
    each hold a thread that the other waits for, for ever where there are but two.

    Parameters
    ----------
    function
        A function that JAX can trace.

    Returns
    -------
    Callable
        Of the same arguments with one more axis in front; its results have that axis too.
    """
    return lambda *arguments: jax.lax.map(lambda one: function(*one), arguments)


def hessian_one_by_one(function: Callable[..., Any]) -> Callable[..., Any]:
    """Second derivatives of a function in its first argument, one direction after the other.

    As `jax.hessian`, which takes all directions as a batch; see `one_by_one` for why that is not for functions that
    factorise matrices.

    Parameters
    ----------
    function
        From a vector, and whatever else, to a scalar.

    Returns
    -------
    Callable
        Of the same arguments, to a matrix.
    """

    def hessian(position: Any, *others: Any) -> Any:
        def along(direction: Any) -> Any:
            return jax.jvp(lambda at: jax.grad(function)(at, *others), (position,), (direction,))[1]

        return jax.lax.map(along, jnp.eye(len(position)))

    return hessian
