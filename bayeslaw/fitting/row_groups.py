"""What there is for each row and draw, made when it is asked for: pointwise densities and replicates."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import arviz_base
import jax
import numpy as np
import xarray as xr

from bayeslaw.fitting.fit_file import OPTIONAL_GROUPS, ROW_GROUPS, SMALL_BYTES
from bayeslaw.fitting.given_rows import Outline, outline_of, rows_of
from bayeslaw.fitting.row_programs import Locations, Replicates, RowDensities
from bayeslaw.fitting.tree import PRIOR_DRAWS, coordinates, dimensions
from bayeslaw.laws.kinds import kind_of
from bayeslaw.likelihood.compiled import compile_once
from bayeslaw.likelihood.law_model import LawModel
from bayeslaw.likelihood.many_draws import LoadingPairs, ManyDraws
from bayeslaw.likelihood.noise import MEMBER_SCALE
from bayeslaw.pools.cpu_cores import one_blas_thread

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
        From an outline to the program that makes it of independent rows, as `bayeslaw.fitting.row_programs` has them.
    key
        Which of the keys that follow from the fit's seed: draws of the prior have the first, and densities need none.
    shared
        The same of rows that share errors: from some draws, the response, the law there and a generator.
    """

    name: str
    source: str
    program: Callable[[Outline], Callable[..., Any]]
    key: int
    shared: Callable[[ManyDraws, np.ndarray, np.ndarray, Generators], np.ndarray]


class Generators(NamedTuple):
    """What random numbers come from: one generator each, so that parts of draws get those of the whole."""

    effects: np.random.Generator
    rows: np.random.Generator


def _densities(draws: ManyDraws, response: np.ndarray, location: np.ndarray, generators: Generators) -> np.ndarray:
    return draws.conditional_log_densities(response - location)


def _replicates(draws: ManyDraws, response: np.ndarray, location: np.ndarray, generators: Generators) -> np.ndarray:
    """Draw rows of the same members on the same samples: what they share is drawn given the rows."""
    standard = generators.effects.standard_normal((len(location), draws.directions))
    effects = draws.effects(response - location, standard)
    return draws.rows(location, effects, generators.rows.standard_normal(location.shape))


def _prior_replicates(
    draws: ManyDraws, response: np.ndarray, location: np.ndarray, generators: Generators
) -> np.ndarray:
    effects = generators.effects.standard_normal((len(location), draws.directions))
    return draws.rows(location, effects, generators.rows.standard_normal(location.shape))


MADE_OF: Mapping[str, RowGroup] = {
    entry.name: entry
    for entry in (
        RowGroup("prior_predictive", "prior", Replicates, 1, _prior_replicates),
        RowGroup("posterior_predictive", "posterior", Replicates, 2, _replicates),
        RowGroup("log_likelihood", "posterior", RowDensities, 1, _densities),
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
            if model.dependence is None:
                cells = _independent(group.program(outline_of(model)), model, values, keys[group.key])
            else:
                cells = _shared(group, model, values, [seed, group.key])
            made[name] = cells.reshape(sizes[group.source]["chain"], sizes[group.source]["draw"], -1)
    response = model.noise.response
    groups = {name: {response: array} for name, array in made.items()}
    row = {response: dimensions(model)[response]}
    coords = {name: labels for name, labels in coordinates(model).items() if name in row[response]}
    return dict(arviz_base.from_dict(groups, dims=row, coords=coords).children)


def _independent(
    program: Callable[..., Any], model: LawModel, values: Mapping[str, np.ndarray], key: jax.Array
) -> np.ndarray:
    """Evaluate independent rows at every draw, a bounded number of cells at once; shape ``[draw, row]``."""
    total = len(next(iter(values.values())))
    keys = np.asarray(jax.random.split(key, total))
    result = np.empty((total, len(model.response)), dtype=np.float32)
    for part, which in _parts(total, len(model.response)):
        given = {name: array[which] for name, array in values.items()}, keys[which], rows_of(model)
        result[part] = np.asarray(compile_once(program, *given)(*given))[: part.stop - part.start]
    return result


def _shared(group: RowGroup, model: LawModel, values: Mapping[str, np.ndarray], seed: list[int]) -> np.ndarray:
    """Evaluate rows that share errors at every draw, a bounded number of cells at once; shape ``[draw, row]``."""
    shared, program = model.dependence, Locations(outline_of(model))
    assert shared is not None
    total, rows, pairs = len(next(iter(values.values()))), rows_of(model), LoadingPairs(shared)
    generators = Generators(*(np.random.default_rng([*seed, stream]) for stream in range(2)))
    result = np.empty((total, len(model.response)), dtype=np.float32)
    # Besides the rows there is a matrix over the effects for each draw.
    with one_blas_thread():
        for part, which in _parts(total, len(model.response) + shared.loadings.shape[1] ** 2):
            given = {name: array[which] for name, array in values.items()}, rows
            size = part.stop - part.start
            location, variance = (np.asarray(each)[:size] for each in compile_once(program, *given)(*given))
            draws = ManyDraws(shared, variance, values[MEMBER_SCALE][part], pairs)
            result[part] = group.shared(draws, model.response, location, generators)
    return result


def _parts(total: int, cells: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Cut draws into parts of one length, so that one program serves all: the last one repeats its last draw."""
    count = -(-total // max(1, min(total, CELLS_AT_ONCE // cells)))
    step = -(-total // count)
    for first in range(0, total, step):
        yield slice(first, min(first + step, total)), np.minimum(np.arange(first, first + step), total - 1)
