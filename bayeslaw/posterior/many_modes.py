"""Where to begin with a density of many positions at once: its mode and the curvature there, by its gradient."""

import numpy as np
from scipy import optimize

from bayeslaw.posterior.free_coordinates import ManyPositions
from bayeslaw.posterior.mode import STEEPEST_MODE, Mode, covariance_factor, scattered_starts

LONGEST_SEARCH = 500
LONGEST_GIVEN_SCALE = 60
CORRECTIONS = 30
NO_DENSITY = 1e300
STEP = 1e-4
POSITIONS_AT_ONCE = 64
SCALES = (-4.0, -3.0, -2.0, -1.0, 0.0)
"""Free coordinates of a scale at which its marginal density is looked at."""
SCALE_DEVIATION = 0.3


def begin_at_mode(density: ManyPositions, start: np.ndarray, *, starts: int, seed: int) -> tuple[Mode, np.ndarray]:
    """Find the highest of the modes reached from several starts, and a factor of the covariance there.

    Parameters
    ----------
    density
        The log density.
    start, starts, seed
        As of `bayeslaw.posterior.mode.find_mode`.

    Returns
    -------
    mode : Mode
        The highest mode.
    factor : np.ndarray
        A factor of the covariance that the curvature there tells, [coordinate, coordinate].
    """
    free = np.ones(len(start), dtype=bool)
    ends = [_search(density, place, free, LONGEST_SEARCH) for place in scattered_starts(start, starts, seed)]
    best = min(ends, key=lambda end: end.height)
    return best, covariance_factor(curvature_at(density, best.position))


def begin_in_funnel(density: ManyPositions, start: np.ndarray, scale: int) -> tuple[Mode, np.ndarray]:
    """Find where the mass is along a scale that offsets are standard deviations of.

    The joint mode of offsets and their scale lies far from the mass: offsets of zero and a large scale. The scale is
    placed where its marginal density, by Laplace's method over all else, is largest of a few.

    Parameters
    ----------
    density
        The log density.
    start
        A position, [coordinate].
    scale
        Coordinate of the scale.

    Returns
    -------
    mode : Mode
        The mode of the others given the scale, and the scale.
    factor : np.ndarray
        A factor of the covariance, the scale apart from all else: across it the density is a funnel, of which the
        curvature at one place tells little.
    """
    others = np.arange(len(start)) != scale
    found: list[tuple[float, Mode, np.ndarray]] = []
    place = start

    def look(value: float, place: np.ndarray) -> Mode:
        place = place.copy()
        place[scale] = value
        mode = _search(density, place, others, LONGEST_GIVEN_SCALE)
        curvature = curvature_at(density, mode.position)
        eigenvalues = np.linalg.eigvalsh(curvature[np.ix_(others, others)])
        mass = -mode.height - 0.5 * np.log(np.maximum(eigenvalues, NO_CURVATURE)).sum()
        found.append((mass, mode, curvature))
        return mode

    for value in SCALES:
        place = look(value, place).position
    (_, first, _), (_, second, _) = sorted(found, key=lambda entry: -entry[0])[:2]
    look((first.position[scale] + second.position[scale]) / 2, first.position)
    _, best, curvature = max(found, key=lambda entry: entry[0])
    curvature = curvature.copy()
    curvature[scale, :] = curvature[:, scale] = 0.0
    curvature[scale, scale] = 1 / SCALE_DEVIATION**2
    return best, covariance_factor(curvature)


NO_CURVATURE = 0.05


def curvature_at(density: ManyPositions, position: np.ndarray) -> np.ndarray:
    """Second derivatives of minus a log density, by central differences of its gradient, [coordinate, coordinate]."""
    steps = STEP * np.eye(len(position))
    places = np.concatenate([position + steps, position - steps])
    parts = [
        density.evaluate(places[first : first + POSITIONS_AT_ONCE])[1]
        for first in range(0, len(places), POSITIONS_AT_ONCE)
    ]
    above, below = np.split(np.concatenate(parts), 2)
    curvature = (below - above) / (2 * STEP)
    return (curvature + curvature.T) / 2


def _search(density: ManyPositions, start: np.ndarray, free: np.ndarray, longest: int) -> Mode:
    """Search a mode from one position along the coordinates that are free."""
    hint = None

    def height(moving: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal hint
        place = start.copy()
        place[free] = moving
        log_density, gradient, hint = density.evaluate(place[None], hint)
        finite = np.isfinite(log_density[0])
        return (-log_density[0], -gradient[0, free]) if finite else (NO_DENSITY, np.zeros(len(moving)))

    options = {"maxiter": longest, "maxcor": CORRECTIONS}
    found = optimize.minimize(height, start[free], jac=True, method="L-BFGS-B", options=options)
    position = start.copy()
    position[free] = found.x
    level = found.fun < NO_DENSITY and bool(np.abs(found.jac).max() < STEEPEST_MODE)
    return Mode(position, float(found.fun), level)
