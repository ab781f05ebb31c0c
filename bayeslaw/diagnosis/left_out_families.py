"""Least squares of a law without each family in turn: how much what it says depends on which families were scored."""

import json
from dataclasses import dataclass

import jax
import numpy as np
from scipy import stats

from bayeslaw.fitting.fits import Fit
from bayeslaw.likelihood.law_trends import FreeSpace, least_squares_fit

FEWEST_FAMILIES = 3
FLAT = 30.0
"""How many times as wide as a prior is one that says next to nothing."""


@dataclass(frozen=True)
class LeftOutFamilies:
    """Least-squares fits of a law of rows to all rows, and to those without each family.

    Parameters
    ----------
    families
        Names of the families left out.
    values
        Value of each parameter by all rows, then without each family in turn, each of shape ``[1 + family, group]``.
    """

    families: tuple[str, ...]
    values: dict[str, np.ndarray]

    def jackknife(self, estimates: np.ndarray) -> tuple[float, float]:
        """Give an estimate with its standard error by the jackknife over families (Quenouille 1956; Tukey 1958).

        Parameters
        ----------
        estimates
            By all rows, then without each family, shape ``[1 + family]``.

        Returns
        -------
        estimate, deviation : float
            The standard error is NaN where rows without a family cannot carry the law.
        """
        without = estimates[1:]
        factor = (len(without) - 1) / len(without)
        return float(estimates[0]), float(np.sqrt(factor * ((without - without.mean()) ** 2).sum()))

    def probability(self, draws: np.ndarray, deviation: float) -> float:
        """Give the probability that a difference is positive, were families draws of a population.

        The posterior takes models as draws of a population, those of one family as different ones. What the jackknife's
        variance has beyond the posterior's is added to each draw, as an error with Student's distribution of as many
        degrees of freedom as there are families less one.

        Parameters
        ----------
        draws
            Posterior draws of the difference, shape ``[draw]``.
        deviation
            Standard error of the difference by the jackknife.

        Returns
        -------
        float
            The share of draws above zero where the posterior is as wide as the jackknife's error, else nearer to 1/2.
        """
        excess = deviation**2 - float(draws.var())
        if not excess > 0:
            return float((draws > 0).mean())
        return float(stats.t.cdf(draws / np.sqrt(excess), len(self.families) - 1).mean())


def left_out_families(fit: Fit) -> LeftOutFamilies | None:
    """Fit a law of rows by least squares in each group, to all rows and without each family.

    Parameters
    ----------
    fit
        A fit of a law of pools.

    Returns
    -------
    LeftOutFamilies or None
        None where there are fewer than three families, they are not known, or a group is left with fewer rows than the
        law has parameters.
    """
    model, membership = fit.model, fit.observations.membership
    family_of = json.loads(fit.tree.attrs.get("families", "{}"))
    if membership is None or not set(fit.observations.members) <= set(family_of):
        return None
    of_member = np.array([family_of[name] for name in fit.observations.members])
    families = tuple(dict.fromkeys(of_member.tolist()))
    kept = [np.ones(len(membership), bool)]
    kept += [~membership[:, of_member == family].any(axis=1) for family in families]
    groups = range(len(model.groups))
    rows = [[np.flatnonzero(keep & (model.group_index == group)) for group in groups] for keep in kept]
    places = np.column_stack([fit.observations.covariates[name] for name in fit.law.covariates])
    fewest = min(len(np.unique(places[own], axis=0)) for each in rows for own in each)
    if len(families) < FEWEST_FAMILIES or fewest <= len(model.parameters):
        return None
    with jax.enable_x64(True):
        space, of_law = FreeSpace(model.parameters, model.rest), (model.located, model.response)
        places = [np.stack([least_squares_fit(space, *of_law, own, wider=FLAT) for own in rows[0]])]
        for each in rows[1:]:
            starts = zip(each, places[0], strict=True)
            fits = [least_squares_fit(space, *of_law, own, wider=FLAT, start=start) for own, start in starts]
            places.append(np.stack(fits))
        values = [space.values(place) for place in places]
    return LeftOutFamilies(families, {name: np.stack([value[name][:, 0] for value in values]) for name in values[0]})
