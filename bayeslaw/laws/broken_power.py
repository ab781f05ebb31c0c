"""Loss falls to a floor as a power of the parameters whose exponent changes at some size."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from bayeslaw.laws.base import Law
from bayeslaw.laws.observations import Observations
from bayeslaw.laws.power import data_scaled_priors, log_normal
from bayeslaw.laws.priors import Prior

CHANGE_DEVIATION = 0.3
"""Standard deviation of the prior of the change of the exponent, which is of the order of exponents themselves."""
WIDTH_SHARE = 0.1
"""Share of the observed range of log sizes that a break is expected to take."""


def broken_power_law(
    parameters: ArrayLike,
    *,
    floor: ArrayLike,
    amplitude: ArrayLike,
    exponent: ArrayLike,
    exponent_change: ArrayLike,
    break_size: ArrayLike,
    break_width: ArrayLike,
) -> Array:
    """Evaluate ``floor + a n ** -p * (1 + (n / s) ** (1 / w)) ** (-c w)``.

    The form is that of Caballero et al. 2023, Broken neural scaling laws (arXiv 2210.14891), equation 1 with one break.

    Parameters
    ----------
    parameters
        Number ``n`` of parameters relative to the reference ``N0``, without unit, any shape.
    floor
        Loss at infinite size, in the loss unit.
    amplitude
        Loss ``a`` above the floor at the reference size, were there no break, in the loss unit.
    exponent
        Decay ``p`` per unit of log size far below the break.
    exponent_change
        What is added to it far above the break, ``c``.
    break_size
        Size ``s`` at the break, relative to the reference.
    break_width
        Width ``w`` of the break in units of log size.

    Returns
    -------
    Array
        Expected loss, broadcast over the arguments.
    """
    size, width = jnp.log(parameters), jnp.asarray(break_width)
    beyond = width * jax.nn.softplus((size - jnp.log(break_size)) / width)
    above = jnp.exp(-jnp.asarray(exponent) * size - jnp.asarray(exponent_change) * beyond)
    return jnp.asarray(floor) + jnp.asarray(amplitude) * above


@final
@dataclass(frozen=True)
class BrokenPowerLaw(Law):
    r"""A power law of the parameters with one smooth break.

    .. math:: \text{loss} = \text{floor} + \text{amplitude} \left(\frac{N}{N_0}\right)^{-\text{exponent}}
        \left[1 + \left(\frac{N / N_0}{\text{break\_size}}\right)^{1 / \text{break\_width}}
        \right]^{-\text{exponent\_change} \cdot \text{break\_width}}

    ``N`` is the number of parameters of a model and ``N0`` the geometric mean over the rows fitted: the exponent is
    ``exponent`` for models much smaller than ``break_size * N0`` and ``exponent + exponent_change`` for much larger
    ones. The form is that of Caballero et al. 2023, Broken neural scaling laws (arXiv 2210.14891), with one break.

    Parameters
    ----------
    pooling
        ``"complete"`` (default), ``"partial"`` or ``"separate"`` over families, for all parameters or by name.
    spread
        Priors of the spreads between families by parameter, on the log scale for positive parameters.
    floor, amplitude
        Priors, in the loss unit; positive. Where None that of the amplitude is scaled to the data, and that of the
        floor uniform on its share of the loss at the largest budget, ``"Share(1, 1)"``.
    exponent
        Prior of the exponent below the break; may have any sign.
    exponent_change
        Prior of its change; may have any sign, and is normal around zero where None: no break.
    break_size, break_width
        Priors of where the break is, relative to ``N0``, and of its width in log size; positive. Where None they are
        scaled to the sizes seen: the break lies among them (95 %), and takes about a tenth of their range.

    Raises
    ------
    InputError
        If a prior cannot be read, or one of a positive parameter reaches below zero.
    """

    pooling: str | Mapping[str, str] = "complete"
    floor: Any = None
    amplitude: Any = None
    exponent: Any = None
    exponent_change: Any = None
    break_size: Any = None
    break_width: Any = None

    name: ClassVar[str] = "broken_power"
    equation: ClassVar[str] = (
        "floor + amplitude * (N / N0) ** -exponent "
        "* (1 + (N / N0 / break_size) ** (1 / break_width)) ** (-exponent_change * break_width)"
    )
    function: ClassVar[Any] = staticmethod(broken_power_law)
    signed: ClassVar[tuple[str, ...]] = ("exponent", "exponent_change")
    exponents: ClassVar[Mapping[str, tuple[str, ...]]] = {"parameters": ("exponent", "exponent_change")}
    units: ClassVar[Mapping[str, str]] = {
        "amplitude": "{unit} at {N0} parameters without the break",
        "break_size": "times {N0} parameters",
        "break_width": "units of log parameters",
    }
    accepted_table: ClassVar[str] = "single models, or pools whose members are of one family"
    fix_for_table: ClassVar[str] = "use pooling='complete', or fit the law to the loss table"

    def default_priors(self, observations: Observations) -> dict[str, Prior]:
        """Scale the priors to the losses, as those of a power law, and to the range of log sizes."""
        span = float(np.ptp(np.log(observations.covariates["parameters"])))
        return data_scaled_priors(observations) | {
            "exponent_change": Prior("Normal", (("loc", 0.0), ("scale", CHANGE_DEVIATION))),
            "break_size": log_normal(1.0, round(span / 4, 4)),
            "break_width": log_normal(WIDTH_SHARE * span, 0.5),
        }
