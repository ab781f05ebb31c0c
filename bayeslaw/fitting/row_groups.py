"""What there is for each row and draw, made when it is asked for: pointwise densities and replicates."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import arviz_base
import jax
import numpy as np
import xarray as xr

from bayeslaw.fitting.fit_file import OPTIONAL_GROUPS, ROW_GROUPS, SMALL_BYTES
from bayeslaw.fitting.row_posterior import Outline, outline_of, rows_of
from bayeslaw.fitting.row_programs import PriorReplicates, Replicates, RowDensities
from bayeslaw.fitting.tree import PRIOR_DRAWS, coordinates, dimensions
from bayeslaw.laws.kinds import kind_of
from bayeslaw.likelihood.compiled import compile_once
from bayeslaw.likelihood.law_model import LawModel

if TYPE_CHECKING:
    from bayeslaw.fitting.fits import Fit

CELLS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class RowGroup:
    """A group of the tree with a number for each row and draw.

    Parameters
    ----------
    name
        Name of the group.
    source
        Group whose draws it is made of.
    program
        From an outline to the program that makes it, as `bayeslaw.fitting.row_programs` has them.
    key
        Which of the keys that follow from the fit's seed: draws of the prior have the first, and densities need none.
    """

    name: str
    source: str
    program: Callable[[Outline], Callable[..., Any]]
    key: int


MADE_OF: Mapping[str, RowGroup] = {
    entry.name: entry
    for entry in (
        RowGroup("prior_predictive", "prior", PriorReplicates, 1),
        RowGroup("posterior_predictive", "posterior", Replicates, 2),
        RowGroup("log_likelihood", "posterior", RowDensities, 1),
    )
}


def with_row_groups(fit: Fit, names: Iterable[str]) -> xr.DataTree:
    """Make groups by row that a fit does not have, from the draws that it keeps.

    Parameters
    ----------
    fit
        The fit.
    names
        Which of `bayeslaw.fitting.fit_file.ROW_GROUPS`.

    Returns
    -------
    xarray.DataTree
        The tree with those groups; the same numbers for the same fit each time. One whose draws were left out (the
        prior predictive of a fit without prior) is not made.
    """
    held = set(fit.tree.children)
    wanted = [name for name in names if name not in held and MADE_OF[name].source in held]
    if not wanted:
        return fit.tree
    return fit.tree.assign(kind_of(fit.law).row_groups(fit, wanted))


def held_by_default(fit: Fit) -> list[str]:
    """Name the optional groups that a fit has where none are asked for: all, or all but those by row if not small."""
    sizes = fit.tree["posterior"].sizes
    numbers = len(fit.observations.loss) * (2 * sizes["chain"] * sizes["draw"] + PRIOR_DRAWS)
    small = np.dtype(np.float32).itemsize * numbers <= SMALL_BYTES
    return [name for name in OPTIONAL_GROUPS if small or name not in ROW_GROUPS]


def groups_of_rows(fit: Fit, names: Iterable[str]) -> dict[str, xr.DataTree]:
    """Make groups of a law of rows; arguments as of `with_row_groups`.

    Returns
    -------
    dict
        The groups by name, in float32. ``log_likelihood`` of rows that share errors is the density of each row given
        all others.
    """
    model, seed = fit.model, json.loads(fit.tree.attrs.get("settings", "{}")).get("seed", 0)
    sizes = {name: fit.tree[name].sizes for name in ("posterior", "prior") if name in fit.tree.children}
    made = {}
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.PRNGKey(seed), len(MADE_OF))
        for name in names:
            group = MADE_OF[name]
            values = {site: array for site, array in fit.values(group.source).items() if site in model.needed_sites}
            cells = _by_rows(group.program(outline_of(model)), model, values, keys[group.key])
            made[name] = cells.reshape(sizes[group.source]["chain"], sizes[group.source]["draw"], -1)
    response = model.noise.response
    groups = {name: {response: array} for name, array in made.items()}
    row = {response: dimensions(model)[response]}
    coords = {name: labels for name, labels in coordinates(model).items() if name in row[response]}
    return dict(arviz_base.from_dict(groups, dims=row, coords=coords).children)


def _by_rows(
    program: Callable[..., Any], model: LawModel, values: Mapping[str, np.ndarray], key: jax.Array
) -> np.ndarray:
    """Evaluate rows at every draw, a bounded number of cells at once; shape ``[draw, row]``."""
    total, rows = len(next(iter(values.values()))), rows_of(model)
    # What rows share is worked out for each row and effect.
    cells = len(model.response) if model.dependence is None else model.dependence.loadings.size
    parts = -(-total // max(1, min(total, CELLS_AT_ONCE // cells)))
    step = -(-total // parts)
    keys = np.asarray(jax.random.split(key, total))
    result = np.empty((total, len(model.response)), dtype=np.float32)
    for first in range(0, total, step):
        # All parts are of one length, so that one program serves them: the last one repeats its last draw.
        which = np.minimum(np.arange(first, first + step), total - 1)
        given = {name: array[which] for name, array in values.items()}, keys[which], rows
        found = compile_once(program, *given)(*given)
        result[first : first + step] = np.asarray(found)[: total - first]
    return result
