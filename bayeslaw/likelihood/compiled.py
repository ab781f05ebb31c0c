"""Compilation apart from execution, so that both can be timed."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Any

import jax
import jax.numpy as jnp

from bayeslaw.likelihood.compilation_cache import use_compilation_cache

PROGRAMS_KEPT = 64


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
    use_compilation_cache()
    begun = time.perf_counter()
    compiled = jax.jit(function).lower(*examples).compile()
    if (watch := _running.get()) is not None:
        watch.compiling += time.perf_counter() - begun
    return compiled


def compile_once(function: Callable[..., Any], *examples: Any) -> Callable[..., Any]:
    """Compile a function for arguments of the given shapes and types, or return what was compiled for such before.

    Parameters
    ----------
    function
        A function that JAX can trace. Functions that are equal share what is compiled, so it must not depend on data
        other than through its arguments.
    *examples
        Arguments: arrays in any containers.

    Returns
    -------
    Callable
        The compiled function, as `compile_for` returns it.
    """
    leaves, structure = jax.tree.flatten(examples)
    shapes = tuple((jnp.shape(leaf), jnp.result_type(leaf)) for leaf in leaves)
    # One thread compiles what several ask for.
    with _COMPILING:
        return _compiled(function, structure, shapes)


_COMPILING = Lock()


@lru_cache(maxsize=PROGRAMS_KEPT)
def _compiled(function: Callable[..., Any], structure: Any, shapes: tuple[Any, ...]) -> Callable[..., Any]:
    examples = jax.tree.unflatten(structure, [jax.ShapeDtypeStruct(*shape) for shape in shapes])
    return compile_for(function, *examples)


def forget_compiled() -> None:
    """Compile anew whatever is asked for next."""
    _compiled.cache_clear()


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
