"""The regimes of pools: one model, several of one family, several of more than one."""

from collections.abc import Sequence

REGIMES = ("single", "homogeneous", "heterogeneous")


def regime_of(families: Sequence[str]) -> str:
    """Name the regime of a pool.

    Parameters
    ----------
    families
        Family of each member.

    Returns
    -------
    str
        One of `REGIMES`.
    """
    if len(families) == 1:
        return "single"
    return "homogeneous" if len(set(families)) == 1 else "heterogeneous"
