"""How many cores there are to work on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


def usable_cores() -> int:
    """Count the cores that this process may run on.

    Returns
    -------
    int
        The count, at least 1.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let products and factorisations of matrices use one thread each, until the block or decorated function ends.

    Threads that share the product of two small matrices wait for each other longer than one takes for it, most of all
    where the cores are busy. The limit is that of the process.
    """
    with threadpool_limits(limits=1, user_api="blas"):
        yield
