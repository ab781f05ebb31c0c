"""Law, grouping and noise, put together as a NumPyro model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from bayeslaw.laws.base import Law, Parameter
from bayeslaw.laws.observations import Observations
from bayeslaw.laws.priors import Prior
from bayeslaw.likelihood.compress import Compressed, compress_rows, compression_error
from bayeslaw.likelihood.dependence import Dependence
from bayeslaw.likelihood.law_trends import law_trends
from bayeslaw.likelihood.loadings import Trend
from bayeslaw.likelihood.noise import Noise, noise_priors, response_of
from bayeslaw.likelihood.noise_distributions import DISTRIBUTIONS
from bayeslaw.likelihood.responses import RESPONSES
from bayeslaw.likelihood.row_facts import LevelScales
from bayeslaw.likelihood.row_model import RowModel
from bayeslaw.likelihood.shared_errors import dependence_of
from bayeslaw.pools.regimes import REGIMES

COMPRESSION_PAYS = 200
COMPRESSION_ERROR = 1e-8
LEAST_DROP = 0.05
"""Least drop from the lowest to the highest budget that levels begin at, as a share of the loss."""


@partial(jax.jit, static_argnums=(0, 1))
def _located(
    function: Callable[..., Any], response: str, covariates: Sequence[np.ndarray], values: Mapping[str, np.ndarray]
) -> jax.Array:
    """Evaluate a law in the unit of the response as one program, and not operation by operation."""
    return RESPONSES[response].of_loss(jnp.asarray(function(*covariates, **values)))


@final
@dataclass(frozen=True)
class LawModel(RowModel):
    """A law with its noise and the rows it is fitted to.

    Parameters
    ----------
    law
        The law.
    noise
        The noise.
    observations
        The rows.
    """

    law: Law
    noise: Noise
    observations: Observations

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The law's parameters with priors."""
        return self.law.parameters(self.observations)

    @cached_property
    def _response_and_error(self) -> tuple[np.ndarray, np.ndarray | None]:
        return response_of(self.noise, self.observations)

    @property
    def response(self) -> np.ndarray:
        """Loss or log loss of each row, shape ``[row]``."""
        return self._response_and_error[0]

    @property
    def standard_error(self) -> np.ndarray | None:
        """Known standard error of the response of each row, shape ``[row]``, or None."""
        return self._response_and_error[1]

    @cached_property
    def noise_priors(self) -> dict[str, Prior]:
        """Priors of the noise's sites."""
        return noise_priors(self.noise, self.response, shared=self.dependence is not None)

    @cached_property
    def dependence(self) -> Dependence | None:
        """What the rows share, or None where they are independent."""
        return dependence_of(self.noise, self.observations, self.group_index, self.trends)

    def located(self, values: Mapping[str, np.ndarray], rows: np.ndarray) -> np.ndarray:
        """Evaluate the law in the unit of the response, [draw, row], at values of shape ``[draw, 1]`` and some rows."""
        covariates = [self.covariates[name][rows] for name in self.covariate_names]
        return _located(self.function, self.noise.response, covariates, values)

    def trends(self) -> list[Trend]:
        """Find where the law can take the rows of each group; see `bayeslaw.likelihood.law_trends`."""
        membership, groups = self.observations.membership, max(len(self.groups), 1)
        assert membership is not None
        located = (self.located, self.response, membership, self.group_index, groups)
        return law_trends(self.parameters, self.rest, *located)

    def rest(self, name: str, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Evaluate the law without a parameter at the largest budgets of all rows, at values of shape ``[draw]``."""
        largest = (column.max() for column in self.highest)
        return np.asarray(self.function(*largest, **{**values, name: 0.0}))

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups that have rows; empty where neither law nor noise varies by group."""
        names = self.observations.groups.get(self.law.group)
        if names is None or not (self.law.varies or self.noise_by_group):
            return ()
        present = {str(name) for name in names}
        order = REGIMES if self.law.group == "regime" else sorted(present)
        return tuple(name for name in order if name in present)

    @property
    def noise_by_group(self) -> bool:
        """Whether each group has a noise scale of its own."""
        wanted = self.law.noise_by_group if self.noise.by_group is None else self.noise.by_group
        return wanted and self.law.group in self.observations.groups

    @cached_property
    def group_index(self) -> np.ndarray:
        """Index of each row's group, shape ``[row]``; zeros where there are no groups."""
        if not self.groups:
            return np.zeros(len(self.response), dtype=int)
        return np.array([self.groups.index(str(name)) for name in self.observations.groups[self.law.group]])

    @cached_property
    def covariates(self) -> dict[str, np.ndarray]:
        """Covariates relative to their references, each of shape ``[row]``."""
        reference = self.observations.reference
        return {name: values / reference[name] for name, values in self.observations.covariates.items()}

    @property
    def function(self) -> Callable[..., Any]:
        """The law's function, from covariates and parameters to losses."""
        return type(self.law).function

    @property
    def covariate_names(self) -> tuple[str, ...]:
        """Names of the covariates, in the order of the function's arguments."""
        return self.law.covariates

    @property
    def plates(self) -> tuple[str, str]:
        """Names of the plates of groups and of rows."""
        return self.law.group, self.observations.row_dimension

    @property
    def group_count(self) -> int:
        """Number of groups; zero where neither law nor noise varies by group."""
        return len(self.groups)

    @cached_property
    def budget_range(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest log budget of each group, each of shape ``[group]``.

        Of a group of one budget it is the highest, at which the data tell its loss, and the range is that of all rows.
        Of a law of several covariates those of each, of shape ``[covariate, group]``.
        """
        ranges = [self._range_of(name) for name in self.law.covariates]
        low, high = (np.stack([each[end] for each in ranges]) for end in (0, 1))
        return (low[0], high[0]) if len(ranges) == 1 else (low, high)

    def _range_of(self, covariate: str) -> tuple[np.ndarray, np.ndarray]:
        log_budget, index = np.log(self.covariates[covariate]), self.group_index
        spans = [log_budget[index == group] for group in range(index.max() + 1)]
        low = [span.min() if np.ptp(span) > 0 else span.max() - np.ptp(log_budget) for span in spans]
        return np.array(low), np.array([span.max() for span in spans])

    @cached_property
    def level_scales(self) -> LevelScales:
        """Where the data put the levels of each group, and how far noise moves them there."""
        log_budget, loss = np.log(self.covariates[self.law.covariates[0]]), self.observations.loss
        members = [np.flatnonzero(self.group_index == group) for group in range(self.group_index.max() + 1)]
        smallest = 1e-3 * float(loss.max())

        def level(rows: np.ndarray) -> tuple[float, float, float]:
            budgets = log_budget[rows]
            top = max(float(loss[rows][budgets == budgets.max()].mean()), smallest)
            drop = float(loss[rows][budgets == budgets.min()].mean()) - top
            told = float(np.ptp(budgets) > 0)
            return top, max(drop, LEAST_DROP * top), told

        top, drop, told = (np.array(column) for column in zip(*map(level, members), strict=True))
        slope = RESPONSES[self.noise.response].loss_slope(top)
        error = self.standard_error
        squared = np.array([0.0 if error is None else float((error[rows] ** 2).mean()) for rows in members])
        return LevelScales(np.log(top), np.log(drop), slope / top, told * slope / drop, squared)

    @cached_property
    def highest(self) -> tuple[np.ndarray, ...]:
        """Largest value of each covariate by group, each of shape ``[group]``; empty where no prior is relative."""
        if not any(parameter.prior.relative for parameter in self.parameters):
            return ()
        index = self.group_index
        groups = range(max(len(self.groups), 1))
        columns = (self.covariates[name] for name in self.covariate_names)
        return tuple(np.array([column[index == group].max() for group in groups]) for column in columns)

    @cached_property
    def compressed(self) -> Compressed | None:
        """The rows' Gauss nodes, where they stand for the rows exactly and save work."""
        simple = (
            DISTRIBUTIONS[self.noise.distribution].compressible
            and self.standard_error is None
            and len(self.law.covariates) == 1
            and self.law.smooth
        )
        if not simple or len(self.response) < COMPRESSION_PAYS:
            return None
        abscissa = np.log(self.covariates[self.law.covariates[0]])
        loadings = None if self.dependence is None else self.dependence.loadings
        nodes = compress_rows(abscissa, self.response, self.group_index, max(len(self.groups), 1), loadings)
        exact = compression_error(nodes, abscissa, self.response, self.group_index, loadings) < COMPRESSION_ERROR
        return nodes if exact else None

    def with_priors(self, law: Law, noise: Noise) -> "LawModel":
        """Return the model of the same rows with other priors, which takes over what its rows share."""
        model = LawModel(law, noise, self.observations)
        # It takes longer than all else that is worked out of the rows, and follows from priors only where rows are few.
        object.__setattr__(model, "dependence", self.dependence)
        return model

    def __str__(self) -> str:
        """Equation, priors, grouping and noise."""
        noise = self.noise.describe(
            self.noise_priors,
            group=self.law.group if self.noise_by_group else None,
            standard_errors=self.standard_error is not None,
            shared=() if self.dependence is None else self.dependence.lines,
        )
        return f"{self.law.describe(self.observations)}\n{noise}"
