"""What simulated tables are drawn from: the parameters of their laws, frozen."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bayeslaw.errors import InputError
from bayeslaw.inputs.arguments import a_number, an_instance, check_fields, plain, shown

_A_SHARE = a_number(lowest=0, accepted="a share in [0, 1]", suggested=0.2, words="{name} {value}")


def _check_positive(name: str, value: Any, *, zero: bool = False) -> None:
    number = plain(value)
    real = isinstance(number, int | float) and not isinstance(number, bool)
    if not (real and math.isfinite(number) and (number > 0 or (zero and number == 0))):
        accepted = "a number of at least zero" if zero else "a positive number"
        raise InputError(f"{name} {shown(number)} of a simulated truth", accepted, f"give {name} {accepted}")


@dataclass(frozen=True, kw_only=True)
class PowerTruth:
    """A power law ``floor + amplitude * (N / 1e9) ** -exponent``.

    Parameters
    ----------
    floor
        Loss of an infinitely large model, in the loss unit of the table.
    amplitude
        Reducible loss at 1e9 parameters, same unit.
    exponent
        How fast the reducible loss falls with the number of parameters N.
    """

    floor: float = 1.5
    amplitude: float = 1.5
    exponent: float = 0.3

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            _check_positive(name, value)

    def mean(self, parameters: ArrayLike) -> np.ndarray:
        """Mean loss at given numbers of parameters.

        Parameters
        ----------
        parameters
            Numbers of parameters, any shape.

        Returns
        -------
        np.ndarray
            Losses, the shape of `parameters`.
        """
        return self.floor + self.amplitude * (np.asarray(parameters, dtype=float) / 1e9) ** -self.exponent


@dataclass(frozen=True, kw_only=True)
class ChinchillaTruth:
    """A law ``floor + a (N / 1e9) ** -p + b (D / 1e10) ** -q`` of parameters N and training tokens D.

    Parameters
    ----------
    floor
        Irreducible loss, nats per token.
    parameter_amplitude, parameter_exponent
        ``a`` (nats per token) and ``p``.
    token_amplitude, token_exponent
        ``b`` (nats per token) and ``q``.
    noise
        Standard deviation of the log loss around the law.
    """

    floor: float = 2.0
    parameter_amplitude: float = 0.4
    parameter_exponent: float = 0.4
    token_amplitude: float = 0.5
    token_exponent: float = 0.3
    noise: float = 0.005

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            _check_positive(name, value, zero=name == "noise")

    def mean(self, parameters: ArrayLike, training_tokens: ArrayLike) -> np.ndarray:
        """Loss without noise.

        Parameters
        ----------
        parameters, training_tokens
            Numbers of parameters and of training tokens, shapes that broadcast.

        Returns
        -------
        np.ndarray
            Losses in nats per token, the broadcast shape.
        """
        size = self.parameter_amplitude * (np.asarray(parameters, dtype=float) / 1e9) ** -self.parameter_exponent
        data = self.token_amplitude * (np.asarray(training_tokens, dtype=float) / 1e10) ** -self.token_exponent
        return self.floor + size + data


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What a simulated loss table is drawn from.

    Each family has a power law of its own, scattered log-normally around `law`. The loss of a sample is its model's
    mean times ``exp(z - var(z) / 2)`` with ``z = difficulty d_s + family_part h_sf + own_part e_sm`` and standard
    normal d, h, e: positive factors with mean one, so that the law holds exactly in expectation.

    Parameters
    ----------
    law
        The median family's power law, in the loss unit of the table.
    family_spread
        Standard deviation over families of the log of floor, amplitude and exponent.
    difficulty
        Scale of what all models find hard in a sample.
    family_part
        Scale of what one family finds hard.
    own_part
        Scale of what one model finds hard.
    cluster_share
        Share of the difficulty's variance that is common to a cluster, in [0, 1].
    """

    law: PowerTruth = PowerTruth()
    family_spread: float = 0.1
    difficulty: float = 0.7
    family_part: float = 0.3
    own_part: float = 0.4
    cluster_share: float = 0.2

    def __post_init__(self) -> None:
        law = an_instance(PowerTruth, accepted="a power law", fix="write law=bayeslaw.PowerTruth()")
        check_fields(self, law=law, cluster_share=_A_SHARE)
        for name in ("family_spread", "difficulty", "family_part", "own_part"):
            _check_positive(name, getattr(self, name), zero=True)
        if self.cluster_share > 1:
            raise InputError(f"cluster_share {self.cluster_share!r}", "a share in [0, 1]", "give a share in [0, 1]")
