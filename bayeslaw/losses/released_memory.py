"""Memory that is free and not yet given back."""

import ctypes

import pyarrow as pa


def release_memory() -> None:
    """Give back what Arrow and the C library keep for later: after a table is read that is as much as the table."""
    pa.default_memory_pool().release_unused()
    # Of the GNU library alone; others keep less.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if hasattr(ctypes, "CDLL") else None
    if trim is not None:
        trim(0)
