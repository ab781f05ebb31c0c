"""Loss falls to a floor as a power of the parameters."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from bayeslaw.laws.base import Law
from bayeslaw.laws.observations import Observations
from bayeslaw.laws.priors import Prior, log_normal

ANY_SHARE = Prior("Share", (("concentration1", 1.0), ("concentration0", 1.0)))
"""Prior of a floor of which nothing is expected: uniform on its share of the loss at the largest budgets fitted."""
AMPLITUDE_DEVIATION = 1.2


def power_law(parameters: ArrayLike, *, floor: ArrayLike, amplitude: ArrayLike, exponent: ArrayLike) -> Array:
    """Evaluate ``floor + amplitude * parameters ** -exponent``.

    Parameters
    ----------
    parameters
        Number of parameters relative to the reference ``N0``, without unit, any shape.
    floor
        Loss at infinite size, in the loss unit.
    amplitude
        Loss above the floor at the reference size, in the loss unit.
    exponent
        Decay per unit of log size.

    Returns
    -------
    Array
        Expected loss, broadcast over the arguments.
    """
    return jnp.asarray(floor) + jnp.asarray(amplitude) * jnp.exp(-jnp.asarray(exponent) * jnp.log(parameters))


def data_scaled_priors(observations: Observations) -> dict[str, Prior]:
    """Scale the priors of a power law to the losses seen.

    Any share of the floor in the law's loss at the largest budget fitted is as likely as any other, from none to all of
    it: data of two decades say little of it, and a prior that expects some share decides how the law goes on where
    theirs is another. The amplitude is expected around 40 % of the median loss (95 %: a factor of ten either way), wide
    enough for what such floors leave above them, and the exponent around 0.3 (95 %: 0.1 to 0.8), which spans the
    exponents that losses of language models have been described with.

    Parameters
    ----------
    observations
        The rows to be fitted.

    Returns
    -------
    dict
        Priors of floor, amplitude and exponent.

    Notes
    -----
    ``benchmarks/floor_coverage.py`` tells how often bands beyond the data hold the truth by its share.
    """
    smallest, amplitude = 1e-3 * observations.loss.max(), 0.4 * np.median(observations.loss)
    return {
        "floor": ANY_SHARE,
        "amplitude": log_normal(max(amplitude, smallest), AMPLITUDE_DEVIATION),
        "exponent": log_normal(0.3, 0.5),
    }


@dataclass(frozen=True)
class LawOfParameters(Law):
    """Base of the laws ``loss = floor + amplitude (N / N0) ^ -exponent``; they differ in what they pool over."""

    floor: Any = None
    amplitude: Any = None
    exponent: Any = None

    equation: ClassVar[str] = "floor + amplitude * (N / N0) ** -exponent"
    function: ClassVar[Any] = staticmethod(power_law)
    signed: ClassVar[tuple[str, ...]] = ("exponent",)
    exponents: ClassVar[Mapping[str, tuple[str, ...]]] = {"parameters": ("exponent",)}
    amplitudes: ClassVar[Mapping[str, tuple[str, str]]] = {"amplitude": ("parameters", "exponent")}
    smooth: ClassVar[bool] = True

    def default_priors(self, observations: Observations) -> dict[str, Prior]:
        """Scale the priors to the data; see `data_scaled_priors`."""
        return data_scaled_priors(observations)


@final
@dataclass(frozen=True)
class PowerLaw(LawOfParameters):
    """``loss = floor + amplitude (N / N0) ^ -exponent``, its parameters pooled over families.

    ``N`` is the number of parameters of a model and ``N0`` the geometric mean over the rows fitted.

    Parameters
    ----------
    pooling
        ``"partial"`` (default), ``"complete"`` or ``"separate"`` over families, for all parameters or by name.
    spread
        Priors of the spreads between families by parameter, on the log scale for positive parameters.
    floor, amplitude
        Priors, in the loss unit; positive. Where None that of the amplitude is scaled to the data, and that of the
        floor uniform on its share of the loss at the largest budget, ``"Share(1, 1)"``.
    exponent
        Prior of the exponent; may have any sign.

    Raises
    ------
    InputError
        If a prior cannot be read, or the floor's or amplitude's reaches below zero.
    """

    name: ClassVar[str] = "power"
    group: ClassVar[str] = "family"
    accepted_table: ClassVar[str] = "single models, or pools whose members are of one family"
    fix_for_table: ClassVar[str] = "use the collaboration law for pools, or fit the power law to the loss table"
