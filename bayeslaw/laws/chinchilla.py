"""Loss falls to a floor as powers of parameters and of training tokens."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from bayeslaw.laws.base import Law
from bayeslaw.laws.observations import Observations
from bayeslaw.laws.power import data_scaled_priors
from bayeslaw.laws.priors import Prior, log_normal


def chinchilla_law(
    parameters: ArrayLike,
    training_tokens: ArrayLike,
    *,
    floor: ArrayLike,
    parameter_amplitude: ArrayLike,
    parameter_exponent: ArrayLike,
    token_amplitude: ArrayLike,
    token_exponent: ArrayLike,
) -> Array:
    """Evaluate ``floor + a parameters ** -p + b training_tokens ** -q``.

    The form is that of Hoffmann et al. 2022 (arXiv 2203.15556), approach 3.

    Parameters
    ----------
    parameters
        Number of parameters relative to the reference ``N0``, any shape.
    training_tokens
        Number of training tokens relative to the reference ``D0``, any shape.
    floor
        Loss at infinite size and data, in the loss unit.
    parameter_amplitude, token_amplitude
        Loss added by finite size and by finite data at the reference, in the loss unit.
    parameter_exponent, token_exponent
        Decay per unit of log size and of log data.

    Returns
    -------
    Array
        Expected loss, broadcast over the arguments.
    """
    size = jnp.asarray(parameter_amplitude) * jnp.exp(-jnp.asarray(parameter_exponent) * jnp.log(parameters))
    data = jnp.asarray(token_amplitude) * jnp.exp(-jnp.asarray(token_exponent) * jnp.log(training_tokens))
    return jnp.asarray(floor) + size + data


@final
@dataclass(frozen=True)
class ChinchillaLaw(Law):
    """``loss = floor + a (N / N0) ^ -p + b (D / D0) ^ -q``: parameters and training tokens.

    Parameters
    ----------
    pooling
        ``"complete"`` (default), ``"partial"`` or ``"separate"`` over families, for all parameters or by name.
    spread
        Priors of the spreads between families by parameter, on the log scale for positive parameters.
    floor, parameter_amplitude, token_amplitude
        Priors, in the loss unit; positive. Where None those of the amplitudes are scaled to the data, and that of the
        floor uniform on its share of the loss at the most parameters and tokens, ``"Share(1, 1)"``.
    parameter_exponent, token_exponent
        Priors of the exponents; may have any sign.

    Raises
    ------
    InputError
        If a prior cannot be read, or one of a positive parameter reaches below zero.
    """

    pooling: str | Mapping[str, str] = "complete"
    floor: Any = None
    parameter_amplitude: Any = None
    parameter_exponent: Any = None
    token_amplitude: Any = None
    token_exponent: Any = None

    name: ClassVar[str] = "chinchilla"
    equation: ClassVar[str] = (
        "floor + parameter_amplitude * (N / N0) ** -parameter_exponent + token_amplitude * (D / D0) ** -token_exponent"
    )
    group: ClassVar[str] = "family"
    function: ClassVar[Any] = staticmethod(chinchilla_law)
    signed: ClassVar[tuple[str, ...]] = ("parameter_exponent", "token_exponent")
    exponents: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "parameters": ("parameter_exponent",),
        "training_tokens": ("token_exponent",),
    }
    amplitudes: ClassVar[Mapping[str, tuple[str, str]]] = {
        "parameter_amplitude": ("parameters", "parameter_exponent"),
        "token_amplitude": ("training_tokens", "token_exponent"),
    }
    accepted_table: ClassVar[str] = "models with training tokens"
    fix_for_table: ClassVar[str] = "fit the law to a loss table or a table of whole models"

    def default_priors(self, observations: Observations) -> dict[str, Prior]:
        """Scale the priors to the data: half of a power law's amplitude for each of the two sources of loss."""
        priors = data_scaled_priors(observations)
        location = dict(priors["amplitude"].arguments)["loc"]
        half = Prior("LogNormal", (("loc", round(location - 0.6931, 4)), ("scale", 1.4)))
        return {
            "floor": priors["floor"],
            "parameter_amplitude": half,
            "parameter_exponent": log_normal(0.3, 0.5),
            "token_amplitude": half,
            "token_exponent": log_normal(0.3, 0.5),
        }
