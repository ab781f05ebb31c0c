"""The tree of a fit that lacks what there is for each row and draw, and says so to whoever asks for it."""

from typing import Any

import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.fitting.fit_file import ROW_GROUPS

ACCEPTED = "the tree of a fit that has its groups by row"
REMEDY = (
    "in place of fit.tree write fit.with_log_likelihood().tree for densities, fit.with_replicates().tree for "
    "replicates, fit.with_log_likelihood().with_replicates().tree for both, or fit with keep= (on the command line "
    "--keep all) to keep them"
)
PRIOR_REMEDY = "write bayeslaw.prior_predictive(law, data, keep=['prior', 'prior_predictive'])"


class GroupError(InputError):
    """A tree lacks a group that is made when it is asked for.

    Parameters
    ----------
    problem
        What is wrong. The other parts say how the group is had, since ArviZ raises what it catches anew with a sentence
        of its own.
    accepted, fix
        As of `InputError`.
    """

    def __init__(self, problem: str, accepted: str = ACCEPTED, fix: str = REMEDY) -> None:
        super().__init__(problem, accepted, fix)


class SlimTree(xr.DataTree):
    """A tree that answers for groups that a fit makes when asked: ArviZ then fails in a sentence with the remedy.

    ArviZ asks by attribute and by key. Whether a group is among the `children`, or in the tree, is told as by any other
    tree.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        self._check(name)
        return super().__getattr__(name)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            self._check(key.strip("/").split("/")[0])
        return super().__getitem__(key)

    def _check(self, name: str) -> None:
        if name not in ROW_GROUPS or name in self.children:
            return
        if "posterior" not in self.children:
            raise GroupError(
                f"this tree of a prior does not hold {name}, which has a number for each row and draw",
                "a tree that keeps it, of a prior its prior_predictive",
                PRIOR_REMEDY,
            )
        raise GroupError(f"this fit does not hold {name}, which has a number for each row and draw")


def slim(tree: xr.DataTree) -> xr.DataTree:
    """Let a tree say of what it lacks how that is had; one that lacks nothing is returned as it is."""
    if isinstance(tree, SlimTree) or all(name in tree.children for name in ROW_GROUPS):
        return tree
    return SlimTree(dataset=tree.to_dataset(inherit=False), children=dict(tree.children), name=tree.name)
