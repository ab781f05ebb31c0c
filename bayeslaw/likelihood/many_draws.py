"""Rows that share errors at many draws at once: as `Dependence` has them at one, as products of large matrices.

It is done with NumPy: batches of factorisations that JAX compiles take many times as long, and must not be run at all
(see `bayeslaw.likelihood.compiled.one_by_one`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayeslaw.likelihood.dependence import LOG_TWO_PI, Dependence
from bayeslaw.likelihood.effect_parts import EffectPart

ROWS_AT_ONCE = 2048
"""Of so many rows the products of each two loadings are held at a time."""
BLOCKS_KEPT = 4
"""So many blocks of rows keep their products for the draws that follow."""
DRAWS_AT_ONCE = 128
"""So many draws of a block of rows stay in a core's cache while their densities are worked out."""
MOST_IN_SINGLE = 0.5
"""Single precision, half as slow, does where what tells of a row sums to no more than this, sign apart: a share of the
variance that the row has given the others."""


@dataclass(frozen=True)
class PairProducts:
    """Products of each two loadings on directions of one part, of some rows.

    Parameters
    ----------
    double, single
        The products in both precisions, shape ``[pair, row]``.
    """

    double: np.ndarray
    single: np.ndarray

    def told_by_others(self, most: np.ndarray, group: np.ndarray) -> np.ndarray:
        """Find rows that need double precision: those of which others may tell more than `MOST_IN_SINGLE` at a draw.

        Parameters
        ----------
        most
            Largest covariances of the effects as shares of the rows' own variance, shape ``[group, pair]``.
        group
            Number of each row's group.

        Returns
        -------
        np.ndarray
            Numbers of rows.
        """
        return np.flatnonzero((most @ np.abs(self.double))[group, np.arange(len(group))] > MOST_IN_SINGLE)


class LoadingPairs:
    """Products of each two loadings, which all draws have in common: some rows at a time, kept where they are few.

    Parameters
    ----------
    dependence
        What the rows share.
    """

    def __init__(self, dependence: Dependence) -> None:
        self._parts = dependence.parts
        turns = np.concatenate([part.turn for part in self._parts], axis=1)
        self.loadings = np.ascontiguousarray((dependence.loadings @ turns).T)
        self._kept: dict[int, PairProducts] = {}

    def of_rows(self, begin: int) -> PairProducts:
        """Give the products of `ROWS_AT_ONCE` rows from one on."""
        found = self._kept.get(begin)
        if found is None:
            found = self._multiplied(self.loadings[:, begin : begin + ROWS_AT_ONCE])
            if len(self._kept) < BLOCKS_KEPT:
                self._kept[begin] = found
        return found

    def _multiplied(self, loadings: np.ndarray) -> PairProducts:
        products, first_of_part = [], 0
        for part in self._parts:
            first, second = np.triu_indices(part.turn.shape[1])
            products.append(loadings[first_of_part + first] * loadings[first_of_part + second])
            first_of_part += part.turn.shape[1]
        double = np.concatenate(products)
        return PairProducts(double, double.astype(np.float32))


@dataclass(frozen=True)
class ManyDraws:
    """What rows share, at draws of their variance and of the scale of the member effects.

    Parameters
    ----------
    dependence
        What the rows share.
    variance
        Variance that rows have of their own, by group, in the response's unit squared, shape ``[draw, group]``.
    member_scale
        Standard deviation of the member effects, in the response's unit, shape ``[draw]``.
    pairs
        Products of the loadings; those of other draws of the same rows serve here too.
    """

    dependence: Dependence
    variance: np.ndarray
    member_scale: np.ndarray
    pairs: LoadingPairs

    @property
    def directions(self) -> int:
        """Number of directions that effects have, over all parts of `Dependence.parts`."""
        return sum(part.turn.shape[1] for part in self.dependence.parts)

    def conditional_log_densities(self, residual: np.ndarray) -> np.ndarray:
        """Evaluate the log density of each row given all others; see `Dependence.conditional_log_density`.

        Parameters
        ----------
        residual
            Response minus location, shape ``[draw, row]``.

        Returns
        -------
        np.ndarray
            In float32, shape ``[draw, row]``.
        """
        effects, entries = self._given_rows(residual)
        loadings, most = self.pairs.loadings, self._most(entries)
        precision, entries_single = 1 / self.variance, entries.astype(np.float32)
        result = np.empty(residual.shape, dtype=np.float32)
        for begin in range(0, residual.shape[1], ROWS_AT_ONCE):
            rows = slice(begin, begin + ROWS_AT_ONCE)
            group, pairs = self.dependence.group[rows], self.pairs.of_rows(begin)
            double = pairs.told_by_others(most, group)
            pairs_single, pairs_double = pairs.single, pairs.double[:, double]
            for first in range(0, len(residual), DRAWS_AT_ONCE):
                some = slice(first, first + DRAWS_AT_ONCE)
                alone = precision[some].astype(np.float32).take(group, axis=1)
                # A row's own variance as a share of that given the others: next to nothing where they tell little of
                # what the row shares, so that single precision holds it but not always the difference.
                left = entries_single[some] @ pairs_single
                left *= alone
                np.subtract(1, left, out=left)
                left[:, double] = 1 - (entries[some] @ pairs_double) * precision[some].take(group[double], axis=1)
                squares = (residual[some, rows] - effects[some] @ loadings[:, rows]).astype(np.float32)
                squares *= squares
                squares *= alone
                squares /= left
                left *= alone
                np.log(left, out=left)
                left -= squares
                left -= LOG_TWO_PI
                np.multiply(left, 0.5, out=result[some, rows])
        return result

    def _most(self, entries: np.ndarray) -> np.ndarray:
        """Largest covariances of the effects over the draws, as shares of the rows' own variance, ``[group, pair]``."""
        size = np.abs(entries)
        return np.stack([(size / alone[:, None]).max(axis=0) for alone in self.variance.T])

    def _given_rows(self, residual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean of the effects given the rows, ``[draw, direction]``, and their covariances, ``[draw, pair]``."""
        means, entries = [], []
        for part, weighted in zip(self.dependence.parts, self._weighted(residual), strict=True):
            scale = self._scale(part)
            covariance = scale[:, :, None] * scale[:, None, :] * np.linalg.inv(self._core(part))
            means.append((covariance @ weighted[:, :, None])[:, :, 0])
            first, second = np.triu_indices(covariance.shape[1])
            entries.append(covariance[:, first, second] * np.where(first == second, 1.0, 2.0))
        return np.concatenate(means, axis=1), np.concatenate(entries, axis=1)

    def effects(self, residual: np.ndarray, standard: np.ndarray) -> np.ndarray:
        """Draw the effects from their distribution given the rows.

        Parameters
        ----------
        residual
            Response minus location, shape ``[draw, row]``.
        standard
            Standard normal numbers, shape ``[draw, direction]``.

        Returns
        -------
        np.ndarray
            Effects on the directions in units of their scales, shape ``[draw, direction]``.
        """
        found, begin = [], 0
        for part, weighted in zip(self.dependence.parts, self._weighted(residual), strict=True):
            end = begin + part.turn.shape[1]
            lower = np.linalg.cholesky(self._core(part))
            # Solving with both halves of the factor one after the other gives the mean and the deviation at once.
            half = np.linalg.solve(lower, (self._scale(part) * weighted)[:, :, None])[:, :, 0]
            half += standard[:, begin:end]
            found.append(np.linalg.solve(lower.transpose(0, 2, 1), half[:, :, None])[:, :, 0])
            begin = end
        return np.concatenate(found, axis=1)

    def rows(self, location: np.ndarray, effects: np.ndarray, standard: np.ndarray) -> np.ndarray:
        """Put rows together of the law, what they share, and what they have of their own.

        Parameters
        ----------
        location
            Of the law, in the response's unit, shape ``[draw, row]``.
        effects
            On the directions, in units of their scales, shape ``[draw, direction]``.
        standard
            Standard normal numbers, shape ``[draw, row]``; used up.

        Returns
        -------
        np.ndarray
            Responses, shape ``[draw, row]``.
        """
        scale = np.concatenate([self._scale(part) for part in self.dependence.parts], axis=1)
        turn = np.concatenate([part.turn for part in self.dependence.parts], axis=1)
        for rows, variance in self._groups():
            standard[:, rows] *= np.sqrt(variance)
        standard += (effects * scale) @ (self.dependence.loadings @ turn).T
        standard += location
        return standard

    def _groups(self) -> Iterator[tuple[Any, np.ndarray]]:
        """Rows of each group, as a slice where they lie together, and their variance, ``[draw, 1]``."""
        for group in range(self.dependence.groups):
            rows = np.flatnonzero(self.dependence.group == group)
            together = len(rows) and rows[-1] - rows[0] + 1 == len(rows)
            yield slice(rows[0], rows[-1] + 1) if together else rows, self.variance[:, [group]]

    def _weighted(self, residual: np.ndarray) -> list[np.ndarray]:
        """Sum residuals over variances with the loadings on the directions of each part, ``[draw, direction]``."""
        loadings = self.dependence.loadings
        sums = np.zeros((len(residual), loadings.shape[1]))
        for rows, variance in self._groups():
            if not isinstance(rows, slice) and 2 * len(rows) > len(loadings):
                # Copying so many columns would take longer than multiplying all others with zeros.
                of_rows = np.zeros_like(loadings)
                of_rows[rows] = loadings[rows]
                sums += residual @ of_rows / variance
            else:
                sums += residual[:, rows] @ loadings[rows] / variance
        return [sums @ part.turn for part in self.dependence.parts]

    def _scale(self, part: EffectPart) -> np.ndarray:
        """Scale of the effects on the directions of a part, shape ``[draw, direction]``."""
        by_member = np.arange(part.turn.shape[1]) >= part.first_member
        return np.where(by_member, self.member_scale[:, None], 1.0)

    def _core(self, part: EffectPart) -> np.ndarray:
        """``I + F' D^-1 F`` with the loadings ``F`` of a part, scaled, shape ``[draw, direction, direction]``."""
        scale = self._scale(part)
        products = np.tensordot(1 / self.variance, part.products, 1)
        return np.eye(scale.shape[1]) + scale[:, :, None] * scale[:, None, :] * products
