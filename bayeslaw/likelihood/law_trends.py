"""Where a law can go near its fit to the rows of a group, and where it goes further away from it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from scipy.optimize import least_squares

from bayeslaw.laws.parameter import Parameter
from bayeslaw.laws.prior_draws import Rest, draw_parameters
from bayeslaw.likelihood.loadings import Trend
from bayeslaw.pools.cpu_cores import one_blas_thread

MODELS_PER_TERM = 3
MODELS_PER_DIRECTION = 2
MOST_BEYOND = 3
PRIOR_DRAWS = 200
WIDER = 3.0
ROUNDS = 3
START_SCALE = 0.1
ALIKE = 1e-9
PLACES_AT_ONCE, ROWS_AT_ONCE = 8, 512

Location = Callable[[Mapping[str, np.ndarray], np.ndarray], np.ndarray]


@one_blas_thread()
def law_trends(
    parameters: Sequence[Parameter],
    rest: Rest,
    location: Location,
    response: np.ndarray,
    membership: np.ndarray,
    group: np.ndarray,
    groups: int,
) -> list[Trend]:
    """Find the trends of groups: the law's derivatives by its parameters at its least-squares fit to their rows.

    What rows share may move the law only along these. Were it free to move the rows along other smooth functions as
    well, such as quadratics, what a law has beside them would be all that is left to compare with the rows, closely,
    and decide its exponent. Far from the fit a law leaves its derivatives; the directions that it then takes are given
    to the rows as well, but apart from the trend, so that estimates on the trend stay those of least squares (Zyskind
    1967): to first order the rows then tell of the law what its least-squares fit does, as surely as what they share
    allows.

    Parameters
    ----------
    parameters
        The law's parameters.
    rest
        As of `bayeslaw.laws.prior_draws.draw_parameters`.
    location
        From the value of each parameter, of shape ``[draw, 1]``, and positions of rows to the law on the scale of the
        response, shape ``[draw, row]``.
    response
        Response of each row, shape ``[row]``.
    membership
        Whether each model is in each row, shape ``[row, member]``.
    group
        Index of each row's group, shape ``[row]``.
    groups
        Number of groups.

    Returns
    -------
    list of Trend
        One for each group. Groups of few models have fewer terms: those along which the prior lets the law move most.
    """
    with jax.enable_x64(True):
        space = FreeSpace(parameters, rest)
        return [
            _trend(space, location, response, np.flatnonzero(group == index), membership) for index in range(groups)
        ]


class FreeSpace:
    """The parameters of one group on the scale on which groups vary, and draws of them from their prior.

    Parameters
    ----------
    parameters
        The law's parameters.
    rest
        As of `bayeslaw.laws.prior_draws.draw_parameters`.
    """

    def __init__(self, parameters: Sequence[Parameter], rest: Rest) -> None:
        self.positive = {parameter.name: parameter.positive for parameter in parameters}
        drawn = draw_parameters(parameters, rest, PRIOR_DRAWS)
        self.draws = np.column_stack(
            [np.log(column) if self.positive[name] else column for name, column in drawn.items()]
        )
        self.centre, self.width = np.median(self.draws, axis=0), self.draws.std(axis=0)
        ends = np.array([parameter.support for parameter in parameters])
        with np.errstate(divide="ignore"):
            logs = np.log(np.maximum(ends, 0))
        self.bounds = np.where(np.array(list(self.positive.values()))[:, None], logs, ends).T

    def values(self, places: np.ndarray) -> dict[str, np.ndarray]:
        """Values at places, [draw, parameter], each of shape ``[draw, 1]``."""
        return {
            name: (np.exp(column) if positive else column)[:, None]
            for (name, positive), column in zip(self.positive.items(), places.T, strict=True)
        }


def _trend(
    space: FreeSpace, location: Location, response: np.ndarray, rows: np.ndarray, membership: np.ndarray
) -> Trend:
    models = int(membership[rows].any(axis=0).sum())
    if not len(rows):
        return Trend(rows, np.zeros((0, 0)), np.zeros((0, 0)), np.zeros(0), models)

    def at(places: np.ndarray) -> np.ndarray:
        return _padded_location(space, location, places, rows)

    place = least_squares_fit(space, location, response, rows)
    # Fewer models than this for each term would leave little to tell their scatter from.
    terms = max(1, models // MODELS_PER_TERM)
    basis = _leading(_derivatives(at, place, space.width), terms)
    centre = at(place[None])[0]
    away = (at(space.draws) - centre).T
    away = away[:, np.isfinite(away).all(axis=0)]
    # A law far away counts for its direction: it would leave nothing to see of all others.
    away = away / np.maximum(np.sqrt((away**2).mean(axis=0)), np.finfo(float).tiny)
    beside = away - basis @ (basis.T @ away)
    beyond = _leading(beside, min(MOST_BEYOND, max(0, models // MODELS_PER_DIRECTION - basis.shape[1])))
    return Trend(rows, basis, beyond, response[rows] - centre, models)


def _padded_location(space: FreeSpace, location: Location, places: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Evaluate the law at places, [draw, parameter]; shape ``[draw, row]``.

    Arrays of many lengths are evaluated as ones of few, since JAX compiles every operation anew for each length.
    """
    more_places = np.pad(places, ((0, -len(places) % PLACES_AT_ONCE), (0, 0)), mode="edge")
    more_rows = np.pad(rows, (0, -len(rows) % ROWS_AT_ONCE), mode="edge")
    values = np.asarray(location(space.values(more_places), more_rows), dtype=float)
    return np.broadcast_to(values, (len(more_places), len(more_rows)))[: len(places), : len(rows)]


def least_squares_fit(
    space: FreeSpace,
    location: Location,
    response: np.ndarray,
    rows: np.ndarray,
    *,
    wider: float = WIDER,
    start: np.ndarray | None = None,
) -> np.ndarray:
    """Fit a law to some rows by least squares, with a prior some times as wide as its own. Call under float64.

    Parameters
    ----------
    space
        The law's parameters.
    location, response
        As in `law_trends`.
    rows
        Positions of the rows.
    wider
        How many times as wide as theirs the prior of the parameters is.
    start
        Where to start, in the space; by default at the middle of the prior.

    Returns
    -------
    np.ndarray
        Place of the fit in the space, shape ``[parameter]``.
    """
    place, wanted = np.clip(space.centre if start is None else start, *space.bounds), response[rows]
    width = wider * space.width
    scale = max(START_SCALE * float(wanted.std()), np.finfo(float).tiny)

    def at(places: np.ndarray) -> np.ndarray:
        return _padded_location(space, location, places, rows)

    def residuals(place: np.ndarray) -> np.ndarray:
        return np.append((wanted - at(place[None])[0]) / scale, (place - space.centre) / width)

    def slopes(place: np.ndarray) -> np.ndarray:
        return np.vstack([-_derivatives(at, place, np.ones(len(place))) / scale, np.diag(1 / width)])

    # The stubs take it for a name.
    jacobian: Any = slopes
    for _ in range(ROUNDS):
        place = least_squares(residuals, place, jac=jacobian, bounds=space.bounds, x_scale=space.width).x
        scale = max(float(np.sqrt(((wanted - at(place[None])[0]) ** 2).mean())), START_SCALE * scale)
    return place


def _derivatives(at: Callable[[np.ndarray], np.ndarray], place: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Differentiate the law by each parameter times its width, by central differences; shape ``[row, parameter]``."""
    step = 1e-5
    ends = np.concatenate([place + step * np.diag(width), place - step * np.diag(width)])
    values = at(ends)
    return ((values[: len(place)] - values[len(place) :]) / (2 * step)).T


def _leading(columns: np.ndarray, most: int) -> np.ndarray:
    """Turn columns into their leading directions, orthonormal, as many as there are and no more than asked for."""
    left, values, _ = np.linalg.svd(columns, full_matrices=False)
    return left[:, :most][:, values[:most] > ALIKE * values.max(initial=0)]
