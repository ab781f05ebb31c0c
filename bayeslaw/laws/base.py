"""What a law of rows is: a pure function of covariates and parameters, plus default priors."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Self

from jax import Array

from bayeslaw.errors import InputError, check_choice
from bayeslaw.inputs.arguments import shown
from bayeslaw.laws.observations import Observations, budget_text, observe
from bayeslaw.laws.parameter import FLOOR, POOLING, POPULATION, SPREAD, Parameter, default_spread
from bayeslaw.laws.prior_argument import read_prior
from bayeslaw.laws.priors import Prior, check_positive
from bayeslaw.laws.protocol import read_priors
from bayeslaw.laws.quantile_priors import EXPONENT, POSITIVE, SIGNED
from bayeslaw.losses.sizes import count_label
from bayeslaw.markup import Html, element

BUDGET_SYMBOLS = {"parameters": "N", "training_tokens": "D"}
REFERENCE_SYMBOLS = {"parameters": "N0", "training_tokens": "D0"}


@dataclass(frozen=True)
class Law(ABC):
    """A law of loss: derive from it to bring a law of your own.

    Parameters
    ----------
    pooling
        ``"partial"``, ``"complete"`` or ``"separate"`` for every parameter, or a mapping from parameter to one of them.
    spread
        Priors of the spreads between groups by parameter; defaults for those not named.

    Notes
    -----
    A law is a frozen dataclass with a field for the prior of each parameter, None for the default one, and these class
    attributes; the first three are needed.

    name
        By which files and the command line name it: letters, digits, ``_`` and ``-``.
    equation
        The loss in the terms of the parameters, for people.
    function
        The same as a function of JAX, whose positional arguments are the covariates (columns of the table that are
        positive numbers; ``parameters`` and ``training_tokens`` relative to their geometric means over the rows) and
        whose keyword arguments are the parameters. It broadcasts.
    group
        What parameters may differ by: ``"family"`` (default) or ``"regime"``.
    signed
        Parameters that may be negative. All others are positive, and vary between groups on the log scale.
    exponents
        By covariate the parameters with which its influence vanishes when all of them are zero. Findings tell where
        the prior decides them.
    amplitudes
        Covariate and exponent of each parameter that is the factor of a power; it is reported at a billion too.
    asymptote
        Parameter that is left at infinite budgets, which pictures mark; by default ``floor``, if there is one. A
        parameter of that name is what the others add to: its prior may be ``"Share(1, 1)"``, of its share of the law's
        loss at the largest budgets fitted.
    units
        Unit of each parameter that is neither the asymptote, an exponent nor an amplitude, for summaries; in it
        ``{unit}`` is that of the loss, ``{N0}`` and ``{D0}`` are the references. One that is not named has no unit.
    settings
        Fields beside the priors: texts, numbers or lists of them, kept in files. ``pooling`` is one.
    smooth
        Whether the loss is nearly a polynomial in the log of its only covariate, as powers are: thousands of rows are
        then replaced by a few.
    noise_by_group
        Whether each group has a noise scale of its own by default.

    A law that needs more of a table, or refuses some, has an `observe` of its own.

    Examples
    --------
    A law that falls with the logarithm of the parameters. Once registered, it is fitted, saved and read back,
    predicted, compared, calibrated and drawn like the laws of the package, in Python also by its name:

    >>> from dataclasses import dataclass
    >>> import jax.numpy as jnp, bayeslaw as bl
    >>> def log_law(parameters, *, level, slope):
    ...     return level - slope * jnp.log(parameters)
    >>> @bl.register_law
    ... @dataclass(frozen=True)
    ... class LogLaw(bl.Law):
    ...     level: object = None
    ...     slope: object = None
    ...     name = "log"
    ...     equation = "level - slope * log(N / N0)"
    ...     function = staticmethod(log_law)
    ...     signed = ("slope",)
    ...     units = {"level": "{unit}", "slope": "{unit} per unit of log parameters"}
    ...
    ...     def default_priors(self, observations):
    ...         middle = float(observations.loss.mean())
    ...         return {"level": f"HalfNormal({2 * middle})", "slope": f"Normal(0, {middle / 5})"}
    >>> print(LogLaw(slope="Normal(0, 1)", pooling="complete"))
    LogLaw
      loss = level - slope * log(N / N0)
      level ~ scaled to the data   [one value]
      slope ~ Normal(loc=0, scale=1)   [one value]
    >>> fit = bl.fit("log", bl.load_dataset("zoo", unit="document"))  # doctest: +SKIP
    """

    pooling: str | Mapping[str, str] = "partial"
    spread: Mapping[str, Any] = field(default_factory=dict)

    kind: ClassVar[str] = "rows"
    name: ClassVar[str]
    equation: ClassVar[str]
    function: ClassVar[Callable[..., Array]]
    group: ClassVar[str] = "family"
    covariates: ClassVar[tuple[str, ...]]
    parameter_names: ClassVar[tuple[str, ...]]
    signed: ClassVar[tuple[str, ...]] = ()
    exponents: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    amplitudes: ClassVar[Mapping[str, tuple[str, str]]] = {}
    asymptote: ClassVar[str | None] = None
    units: ClassVar[Mapping[str, str]] = {}
    settings: ClassVar[tuple[str, ...]] = ("pooling",)
    former_names: ClassVar[Mapping[str, str]] = {}
    smooth: ClassVar[bool] = False
    noise_by_group: ClassVar[bool] = False

    @property
    def pooling_by_parameter(self) -> dict[str, str]:
        """Pooling of every parameter by name."""
        return (
            dict.fromkeys(self.parameter_names, self.pooling) if isinstance(self.pooling, str) else dict(self.pooling)
        )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Read covariates and parameters off the signature of the law's function."""
        super().__init_subclass__(**kwargs)
        function = cls.__dict__.get("function")
        if function is None:
            return
        signature = inspect.signature(getattr(function, "__func__", function)).parameters.values()
        if "covariates" not in cls.__dict__:
            cls.covariates = tuple(p.name for p in signature if p.kind is not p.KEYWORD_ONLY)
        if "parameter_names" not in cls.__dict__:
            cls.parameter_names = tuple(p.name for p in signature if p.kind is p.KEYWORD_ONLY)
        if "asymptote" not in cls.__dict__ and FLOOR in cls.parameter_names:
            cls.asymptote = FLOOR

    def __post_init__(self) -> None:
        accepted, every = {f.name for f in fields(self)} - {*self.settings, "spread"}, type(self).parameter_names
        if accepted != set(every):
            raise TypeError(f"{type(self).__name__} has priors {sorted(accepted)} for parameters {sorted(every)}")
        if not isinstance(self.spread, Mapping):
            problem = f"spread is {shown(self.spread)}"
            raise InputError(
                problem, "a mapping from parameters to priors", 'write spread={"floor": "HalfNormal(0.1)"}'
            )
        for name in self.parameter_names:
            given = getattr(self, name)
            if given is not None:
                object.__setattr__(self, name, self._prior(name, given))
        for name in self.spread:
            check_choice(f"parameter of {self.name}", name, self.parameter_names)
        spreads = {
            name: check_positive(name + SPREAD, read_prior(name + SPREAD, given)) for name, given in self.spread.items()
        }
        object.__setattr__(self, "spread", spreads)
        object.__setattr__(self, "pooling", self._pooling())
        for name in spreads:
            if self.pooling_by_parameter[name] != "partial":
                kind = self.pooling_by_parameter[name]
                raise InputError(
                    f"{name}{SPREAD} has a prior, but {name} has no spread: its pooling is {kind}",
                    "spreads of partially pooled parameters",
                    f"leave out {name}{SPREAD}, or use partial pooling",
                )

    def _prior(self, name: str, given: Any) -> Prior:
        signed = name in self.signed
        exponent = any(name in names for names in self.exponents.values())
        values = POSITIVE if not signed else EXPONENT if exponent else SIGNED
        prior = read_prior(name, given, values=values, relative=name == FLOOR and not signed)
        return prior if signed else check_positive(name, prior)

    def _pooling(self) -> dict[str, str]:
        if not isinstance(self.pooling, (str, Mapping)):
            raise InputError(
                f"pooling is {shown(self.pooling)}",
                f"one of {', '.join(POOLING)}, or one of them for each parameter",
                "write pooling: partial",
            )
        given = self.pooling_by_parameter
        for name, kind in given.items():
            check_choice(f"parameter of {self.name}", name, self.parameter_names)
            check_choice(f"pooling of {name}", str(kind), POOLING)
        default = str(type(self).__dataclass_fields__["pooling"].default)
        return {name: given.get(name, default) for name in self.parameter_names}

    @abstractmethod
    def default_priors(self, observations: Observations) -> Mapping[str, Any]:
        """Give weakly informative priors in the units of the data, one a parameter; anything that reads as a prior."""

    def observe(self, data: Any, *, parameters: str = "total") -> Observations:
        """Turn a table into the rows that this law is fitted to.

        Parameters
        ----------
        data
            A dataset of losses, of whole models or of pools.
        parameters
            Which count of parameters; see `bayeslaw.laws.observations.observe`.

        Returns
        -------
        Observations
            The rows.

        Raises
        ------
        InputError
            If the law cannot be fitted to this table.
        """
        observations = observe(data, self.covariates, parameters=parameters)
        if self.group not in observations.groups and self.varies:
            raise InputError(
                f"the rows of this table have no single {self.group}", self.accepted_table, self.fix_for_table
            )
        return observations

    accepted_table: ClassVar[str] = "a table in which every row belongs to one group"
    fix_for_table: ClassVar[str] = "use another law, or pooling='complete'"

    @property
    def varies(self) -> bool:
        """Whether any parameter differs between groups."""
        return any(kind != "complete" for kind in self.pooling_by_parameter.values())

    def parameters(self, observations: Observations) -> tuple[Parameter, ...]:
        """Complete the law with default priors in the units of the data.

        Parameters
        ----------
        observations
            The rows to be fitted.

        Returns
        -------
        tuple of Parameter
            One entry a parameter, in the order of the equation.
        """
        pooling = self.pooling_by_parameter
        # A law that has all of its priors asks nothing of the rows.
        whole = all(getattr(self, name) for name in self.parameter_names)
        defaults = {} if whole else self.default_priors(observations)
        result = []
        for name in self.parameter_names:
            prior = getattr(self, name) or self._prior(name, defaults.get(name))
            partial = pooling[name] == "partial"
            spread = (self.spread.get(name) or default_spread(prior)) if partial else None
            result.append(Parameter(name, pooling[name], prior, spread))
        return tuple(result)

    @property
    def specification(self) -> dict[str, Any]:
        """A mapping of plain values from which `law_from_specification` builds the same law."""
        priors = {
            name: getattr(self, name).specification for name in self.parameter_names if getattr(self, name) is not None
        }
        priors |= {name + SPREAD: prior.specification for name, prior in self.spread.items()}
        settings = {name: _plain(getattr(self, name)) for name in self.settings}
        return {"law": self.name, "priors": priors, **settings, "pooling": self.pooling_by_parameter}

    @classmethod
    def from_specification(cls, specification: Mapping[str, Any]) -> Self:
        """Build the law from plain values.

        Parameters
        ----------
        specification
            As `specification` gives it; ``priors``, by site such as ``exponent`` or ``exponent_spread``, and settings
            may be left out.

        Returns
        -------
        Law
            The law.

        Raises
        ------
        InputError
            If a site is not one of the law's, or a prior or setting cannot be used.
        """
        sites = (*cls.parameter_names, *(name + SPREAD for name in cls.parameter_names))
        priors = read_priors(cls, specification.get("priors"), sites)
        given: dict[str, Any] = {name: prior for name, prior in priors.items() if name in cls.parameter_names}
        given["spread"] = {name.removesuffix(SPREAD): prior for name, prior in priors.items() if name not in given}
        given |= {name: specification[name] for name in cls.settings if specification.get(name) is not None}
        return cls(**given)

    def __str__(self) -> str:
        lines = [type(self).__name__, f"  loss = {self.equation}"]
        for name in self.parameter_names:
            prior = getattr(self, name) or "scaled to the data"
            kind = self.pooling_by_parameter[name]
            spread = (
                f", spread ~ {self.spread.get(name, default_spread(getattr(self, name)))}" if kind == "partial" else ""
            )
            grouping = "one value" if kind == "complete" else f"{kind} over {self.group}"
            lines.append(f"  {name} ~ {prior}   [{grouping}{spread}]")
        return "\n".join(lines)

    def _repr_html_(self) -> Html:
        return element("pre", str(self))

    def describe(self, observations: Observations) -> str:
        """Print the law with the priors that the given rows lead to.

        Parameters
        ----------
        observations
            The rows.

        Returns
        -------
        str
            Equation, reference values, and one line a site with prior and grouping.
        """
        reference = ", ".join(
            f"{symbol} = {count_label(observations.reference[name])}"
            for name, symbol in REFERENCE_SYMBOLS.items()
            if name in self.covariates
        )
        relative = f"   with {reference}" if reference else ""
        lines = [f"{type(self).__name__} of {observations.unit}", f"  loss = {self.equation}{relative}"]
        for parameter in self.parameters(observations):
            if parameter.pooling == "partial":
                name, scale = parameter.name, "log " if parameter.positive else ""
                lines.append(f"  {name}{POPULATION} ~ {parameter.prior}{self._of_total(parameter, observations)}")
                lines.append(f"  {name}{SPREAD} ~ {parameter.spread}")
                lines.append(f"  {scale}{name}[{self.group}] ~ Normal({scale}{name}{POPULATION}, {name}{SPREAD})")
            else:
                index = f"[{self.group}]" if parameter.grouped else ""
                lines.append(f"  {parameter.name}{index} ~ {parameter.prior}{self._of_total(parameter, observations)}")
        return "\n".join(lines)

    def _of_total(self, parameter: Parameter, observations: Observations) -> str:
        """Say what a relative prior is a share of, at the end of its line; nothing of other priors."""
        if not parameter.prior.relative:
            return ""
        highest = (
            f"{BUDGET_SYMBOLS.get(name, name)} = {budget_text(name, float(observations.covariates[name].max()))}"
            for name in self.covariates
        )
        whose = f", or the largest of its {self.group}" if parameter.pooling == "separate" else ""
        return f"   of the loss at {', '.join(highest)}{whose}"


def _plain(value: Any) -> Any:
    """Return a setting as files keep it."""
    return list(value) if isinstance(value, tuple) else value
