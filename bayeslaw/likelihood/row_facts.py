"""What a law, its noise and rows give to the density of the rows: arrays, which JAX may be tracing, and priors."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

from bayeslaw.laws.base import Parameter
from bayeslaw.laws.priors import Prior
from bayeslaw.likelihood.compress import Compressed
from bayeslaw.likelihood.dependence import Dependence
from bayeslaw.likelihood.noise import Noise


class LevelScales(NamedTuple):
    """Where data put the loss of each group at its highest budget and the drop down to it, all of shape ``[group]``.

    Parameters
    ----------
    log_top, log_drop
        Logarithms of the two, in the loss unit.
    of_top, of_drop
        How far a unit of noise of a row, in the unit of the response, moves each logarithm; zero for a drop that no two
        budgets tell.
    squared_error
        Known squared standard error of a row's response.
    """

    log_top: Any
    log_drop: Any
    of_top: Any
    of_drop: Any
    squared_error: Any


class RowFacts(ABC):
    """What the density of a law, its noise and rows is made of.

    Its two kinds are `bayeslaw.likelihood.law_model.LawModel`, which works everything out of a table, and
    `bayeslaw.fitting.given_rows.GivenRows`, whose arrays are arguments of a compiled function.
    """

    noise: Noise

    @property
    @abstractmethod
    def function(self) -> Callable[..., Any]:
        """The law's function, from covariates and parameters to losses."""
        ...

    @property
    @abstractmethod
    def covariate_names(self) -> tuple[str, ...]:
        """Names of the covariates, in the order of the function's arguments."""
        ...

    @property
    @abstractmethod
    def plates(self) -> tuple[str, str]:
        """Names of the plates of groups and of rows."""
        ...

    @property
    @abstractmethod
    def group_count(self) -> int:
        """Number of groups; zero where neither law nor noise varies by group."""
        ...

    @cached_property
    @abstractmethod
    def parameters(self) -> tuple[Parameter, ...]:
        """The law's parameters with priors."""
        ...

    @cached_property
    @abstractmethod
    def noise_priors(self) -> dict[str, Prior]:
        """Priors of the noise's sites."""
        ...

    @property
    @abstractmethod
    def noise_by_group(self) -> bool:
        """Whether each group has a noise scale of its own."""
        ...

    @property
    @abstractmethod
    def response(self) -> Any:
        """Loss or log loss of each row, shape ``[row]``."""
        ...

    @property
    @abstractmethod
    def standard_error(self) -> Any:
        """Known standard error of the response of each row, shape ``[row]``, or None."""
        ...

    @cached_property
    @abstractmethod
    def dependence(self) -> Dependence | None:
        """What the rows share, or None where they are independent."""
        ...

    @cached_property
    @abstractmethod
    def group_index(self) -> Any:
        """Index of each row's group, shape ``[row]``; zeros where there are no groups."""
        ...

    @cached_property
    @abstractmethod
    def covariates(self) -> dict[str, Any]:
        """Covariates relative to their references, each of shape ``[row]``."""
        ...

    @cached_property
    @abstractmethod
    def compressed(self) -> Compressed | None:
        """The rows' Gauss nodes, where they stand for the rows exactly and save work."""
        ...

    @cached_property
    @abstractmethod
    def budget_range(self) -> tuple[Any, Any]:
        """Lowest and highest log budget of each group, each of shape ``[group]``; of all rows for a group of one.

        Of a law of several covariates those of each, of shape ``[covariate, group]``.
        """
        ...

    @cached_property
    @abstractmethod
    def level_scales(self) -> LevelScales:
        """Where the data put the levels of each group, and how far noise moves them there."""
        ...

    @cached_property
    @abstractmethod
    def highest(self) -> tuple[Any, ...]:
        """Largest value of each covariate by group, relative to its reference, each of shape ``[group]``.

        Empty where no prior is of a share of the law's loss there.
        """
        ...
