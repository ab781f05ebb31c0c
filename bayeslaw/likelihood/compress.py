"""Thousands of rows of a smooth curve, replaced by a few Gauss nodes with the same sum of squares."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

NODES = 20
NEGLIGIBLE = 1e-12
STEEPNESS = (0.03, 0.1, 0.3, 1.0, 2.0)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Compressed:
    """Weighted nodes that stand for the rows of one or more groups.

    For any curve that is a polynomial of degree below the number of nodes in the abscissa, the rows' sum of squared
    residuals is the nodes' weighted one plus `remainder`. To JAX it is a container of arrays.

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
    loadings
        For rows with loadings on shared effects, their products with the nodes: with ``z`` the residuals at the nodes
        times the root of `weight`, the loadings' products with the rows' residuals are those of this with ``z``, plus
        `rest`. Shape ``[node, effect]``.
    rest
        Products of the loadings with what no curve can explain, shape ``[group, effect]``.
    """

    abscissa: Any
    response: Any
    weight: Any
    group: Any
    remainder: Any
    count: Any
    loadings: Any
    rest: Any


def compress_rows(
    abscissa: np.ndarray, response: np.ndarray, group: np.ndarray, groups: int, loadings: np.ndarray | None = None
) -> Compressed:
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
    loadings
        Loadings of each row on shared effects, shape ``[row, effect]``.

    Returns
    -------
    Compressed
        At most `NODES` nodes a group.
    """
    loadings = np.zeros((len(abscissa), 0)) if loadings is None else loadings
    parts = []
    for index in range(groups):
        own = group == index
        points, root, basis = _gauss(abscissa[own])
        level = response[own].mean() if own.any() else 0.0
        deviation = response[own] - level
        projected = deviation @ basis
        rest = deviation - basis @ projected
        loaded = basis.T @ loadings[own], rest @ loadings[own]
        parts.append((points, projected / root + level, root**2, np.full(len(points), index), rest @ rest, *loaded))
    joined = [np.concatenate([part[column] for part in parts]) for column in (0, 1, 2, 3, 5)]
    return Compressed(
        abscissa=joined[0],
        response=joined[1],
        weight=joined[2],
        group=joined[3],
        remainder=np.array([part[4] for part in parts]),
        count=np.bincount(group, minlength=groups).astype(float),
        loadings=joined[4],
        rest=np.stack([part[6] for part in parts]),
    )


def _gauss(abscissa: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gauss rule of the rows' own measure by the Lanczos process, with the polynomials that are one at a node.

    Golub and Welsch 1969 for the rule; residual polynomials are orthogonalised twice, since the process loses
    orthogonality.

    Returns nodes [node], roots of their weights [node], and orthonormal polynomials at the rows [row, node]: a curve at
    the rows is that of its values at the nodes times the roots.
    """
    points = np.unique(abscissa)
    if len(points) <= NODES:
        which = np.searchsorted(points, abscissa)
        root = np.sqrt(np.bincount(which, minlength=len(points)).astype(float))
        return points, root, (which[:, None] == np.arange(len(points))) / root
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
    vectors = vectors * np.sign(vectors[0])
    return nodes * half + centre, vectors[0] * np.sqrt(rows), basis[:degrees].T @ vectors


def compression_error(
    nodes: Compressed,
    abscissa: np.ndarray,
    response: np.ndarray,
    group: np.ndarray,
    loadings: np.ndarray | None = None,
) -> float:
    """Largest relative error of the nodes' sums over powers from slow to steep.

    Parameters
    ----------
    nodes
        The compressed rows.
    abscissa, response, group, loadings
        The rows, as given to `compress_rows`.

    Returns
    -------
    float
        Of the sum of squares, and of the products with the loadings; relative to the rows' sum of squares and to the
        largest product that residuals of their size could have, without unit.
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
        if loadings is not None:
            residual = response - amplitude * np.exp(-exponent * abscissa)
            products = (np.sqrt(nodes.weight) * (nodes.response - curve)) @ nodes.loadings + nodes.rest.sum(axis=0)
            largest = np.linalg.norm(loadings, axis=0) * np.linalg.norm(residual)
            error = np.abs(residual @ loadings - products)
            worst = float(np.maximum(worst, np.divide(error, largest, where=largest > 0, out=error * 0).max(initial=0)))
    return worst
