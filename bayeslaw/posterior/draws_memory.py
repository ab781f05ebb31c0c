"""Whether the draws of a fit have room in memory."""

import psutil

from bayeslaw.errors import InputError

BYTES = 8
COPIES = 6
"""Of each position that are in memory at once: in the sampler's coordinates and its own, by chain, joined, written."""
STATISTICS = 10
ROW_COPIES = 2


def check_room(draws: int, chains: int, *, coordinates: int, rows: int, thin: int = 1) -> None:
    """Refuse early draws that could not be held.

    Parameters
    ----------
    draws, chains
        Draws kept a chain, and number of chains.
    coordinates, rows
        Length of a position, and number of rows, for each of which a draw has a replicate and a likelihood.
    thin
        How many draws are made for one that is kept.

    Raises
    ------
    InputError
        If they would take more memory than is free.
    """
    needed = BYTES * draws * chains * (COPIES * thin * coordinates + ROW_COPIES * rows + thin * STATISTICS)
    free = psutil.virtual_memory().available
    if needed > free:
        raise InputError(
            f"{draws:,} draws of each of {chains:,} chains would take {_gigabytes(needed)} of memory, "
            f"and {_gigabytes(free)} are free",
            f"up to {free * draws * chains // needed:,} draws in all for this law and table",
            "use fewer draws or chains" + (", or thin less" if thin > 1 else ""),
        )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:,.0f} GB" if count >= 1e10 else f"{count / 1e9:.2g} GB"
