"""How many cores there are to work on."""

import os


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
