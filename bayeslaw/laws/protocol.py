"""What every law offers, whatever its kind."""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self

from bayeslaw.errors import InputError, nearest
from bayeslaw.laws.parameter import FLOOR
from bayeslaw.laws.prior_argument import as_interval, read_prior
from bayeslaw.laws.priors import Prior
from bayeslaw.laws.quantile_priors import Between


class AnyLaw(Protocol):
    """What is asked of a law: all else is a verb of its kind (`bayeslaw.laws.kinds`).

    `bayeslaw.laws.base.Law`, from which users derive laws of their own, has all of it.
    """

    kind: ClassVar[str]
    """Key of `bayeslaw.laws.kinds.KINDS`."""
    name: ClassVar[str]
    """By which files and the command line name the law."""
    equation: ClassVar[str]
    """The loss in the terms of the parameters."""
    group: ClassVar[str]
    """What its parameters may differ by: ``"family"`` or ``"regime"``."""
    settings: ClassVar[tuple[str, ...]]
    """What it is told beside priors, such as ``"pooling"``: keys of `specification` and arguments of the class."""
    former_names: ClassVar[Mapping[str, str]]
    """Parameters that files of earlier versions call otherwise, from their name there to that of today."""
    exponents: ClassVar[Mapping[str, tuple[str, ...]]]
    """Parameters with which the influence of a covariate vanishes when all of them are zero, by covariate."""
    amplitudes: ClassVar[Mapping[str, tuple[str, str]]]
    """Covariate and exponent of each parameter that is the factor of a power of a covariate."""
    asymptote: ClassVar[str | None]
    """Parameter that is what is left at infinite budgets, if there is one."""
    units: ClassVar[Mapping[str, str]]
    """Unit of each variable whose unit does not follow from the rest, ``{unit}`` being that of the loss."""
    covariates: ClassVar[tuple[str, ...]]
    """What the loss depends on."""
    parameter_names: ClassVar[tuple[str, ...]]
    """Names of what has priors, in the order of the equation."""

    @property
    def varies(self) -> bool:
        """Whether any parameter differs between groups."""
        ...

    @property
    def specification(self) -> dict[str, Any]:
        """A mapping of plain values from which `from_specification` builds the same law."""
        ...

    @classmethod
    def from_specification(cls, specification: Mapping[str, Any]) -> Self:
        """Build the law from plain values.

        Parameters
        ----------
        specification
            As `specification` gives it; everything but ``law`` may be left out.

        Returns
        -------
        AnyLaw
            The law.

        Raises
        ------
        InputError
            If a prior or setting is not known or cannot be used.
        """
        ...


def read_priors(law: type[AnyLaw], priors: Any, sites: tuple[str, ...]) -> dict[str, Prior | Between]:
    """Read the priors of a law by the names of its sites.

    Parameters
    ----------
    law
        The law.
    priors
        A mapping from sites to anything that `bayeslaw.laws.prior_argument.read_prior` reads, or None.
    sites
        The sites that have priors.

    Returns
    -------
    dict
        The priors; intervals as they are, since the law knows what its parameters may be.

    Raises
    ------
    InputError
        If a site is not one of the law's, or a prior cannot be read.
    """
    for name in priors or {}:
        if name not in sites:
            raise InputError(
                f"the law {law.name} has no prior {name!r}", f"one of {', '.join(sites)}", nearest(name, sites)
            )
    return {
        name: as_interval(name, given) or read_prior(name, given, relative=name == FLOOR)
        for name, given in (priors or {}).items()
    }
