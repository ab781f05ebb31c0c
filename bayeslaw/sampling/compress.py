"""Thousands of rows of a smooth curve, replaced by a few Gauss nodes with the same sum of squares."""

from dataclasses import dataclass

import numpy as np

NODES = 20
NEGLIGIBLE = 1e-12
STEEPNESS = (0.03, 0.1, 0.3, 1.0, 2.0)


@dataclass(frozen=True)
class Compressed:
    """Weighted nodes that stand for the rows of one or more groups.

    For any curve that is a polynomial of degree below the number of nodes in the abscissa, the rows' sum of squared
    residuals is the nodes' weighted one plus `remainder`.

    Parameters
    ----------
    abscissa
        Shape ``[node]``.
    response
        Weighted mean response at each node, shape ``[node]``.
    weight
        How many rows each node stands for, shape ``[node]``.
    group
        Group of each node, shape ``[node]``.
    remainder
        Sum of squares that no curve can explain, shape ``[group]``.
    count
        Number of rows, shape ``[group]``.
    """

    abscissa: np.ndarray
    response: np.ndarray
    weight: np.ndarray
    group: np.ndarray
    remainder: np.ndarray
    count: np.ndarray


def compress_rows(abscissa: np.ndarray, response: np.ndarray, group: np.ndarray, groups: int) -> Compressed:
    """Compress the rows of each group.

    Parameters
    ----------
    abscissa
        Log budget of each row, shape ``[row]``.
    response
        Response of each row, shape ``[row]``.
    group
        Index of each row's group, shape ``[row]``.
    groups
        Number of groups.

    Returns
    -------
    Compressed
        At most `NODES` nodes a group.
    """
    parts = [_gauss(abscissa[group == index], response[group == index]) for index in range(groups)]
    return Compressed(
        abscissa=np.concatenate([part[0] for part in parts]),
        response=np.concatenate([part[1] for part in parts]),
        weight=np.concatenate([part[2] for part in parts]),
        group=np.concatenate([np.full(len(part[0]), index) for index, part in enumerate(parts)]),
        remainder=np.array([part[3] for part in parts]),
        count=np.bincount(group, minlength=groups).astype(float),
    )


def _gauss(abscissa: np.ndarray, response: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Gauss rule of the rows' own measure by the Lanczos process, and the response projected on its polynomials.

    Golub and Welsch 1969 for the rule; residual polynomials are orthogonalised twice, since the process loses
    orthogonality.
    """
    points = np.unique(abscissa)
    if len(points) <= NODES:
        which = np.searchsorted(points, abscissa)
        weight = np.bincount(which, minlength=len(points)).astype(float)
        mean = np.bincount(which, weights=response, minlength=len(points)) / weight
        return points, mean, weight, float(((response - mean[which]) ** 2).sum())
    centre, half = (points[0] + points[-1]) / 2, (points[-1] - points[0]) / 2
    scaled, rows = (abscissa - centre) / half, len(abscissa)
    basis = np.zeros((NODES, rows))
    diagonal, off_diagonal = np.zeros(NODES), np.zeros(NODES)
    degrees = NODES
    current = np.full(rows, rows**-0.5)
    for degree in range(NODES):
        basis[degree] = current
        diagonal[degree] = current @ (scaled * current)
        residual = scaled * current
        for _ in range(2):
            residual = residual - basis[: degree + 1].T @ (basis[: degree + 1] @ residual)
        off_diagonal[degree] = np.linalg.norm(residual)
        if off_diagonal[degree] < NEGLIGIBLE:
            # Budgets that differ by rounding alone hold fewer points than nodes: all else would be noise.
            degrees = degree + 1
            break
        current = residual / off_diagonal[degree]
    beside = off_diagonal[: degrees - 1]
    nodes, vectors = np.linalg.eigh(np.diag(diagonal[:degrees]) + np.diag(beside, 1) + np.diag(beside, -1))
    nodes, vectors = nodes[vectors[0] != 0], vectors[:, vectors[0] != 0]
    root = vectors[0] * np.sqrt(rows)
    level = response.mean()
    deviation = response - level
    projected = vectors.T @ (basis[:degrees] @ deviation)
    remainder = max(float(deviation @ deviation - projected @ projected), 0.0)
    return nodes * half + centre, projected / root + level, root**2, remainder


def compression_error(nodes: Compressed, abscissa: np.ndarray, response: np.ndarray, group: np.ndarray) -> float:
    """Largest relative error of the nodes' sum of squares over powers from slow to steep.

    Parameters
    ----------
    nodes
        The compressed rows.
    abscissa, response, group
        The rows, as given to `compress_rows`.

    Returns
    -------
    float
        Relative to the rows' sum of squares, without unit.
    """
    worst = 0.0
    for exponent in STEEPNESS:
        amplitude = response.mean() * np.exp(exponent * abscissa.min())
        rows = np.bincount(group, (response - amplitude * np.exp(-exponent * abscissa)) ** 2, len(nodes.count))
        curve = amplitude * np.exp(-exponent * nodes.abscissa)
        stand_in = (
            np.bincount(nodes.group, nodes.weight * (nodes.response - curve) ** 2, len(nodes.count)) + nodes.remainder
        )
        worst = float(np.maximum(worst, np.abs(stand_in / rows - 1).max(where=rows > 0, initial=0)))
    return worst
