"""A power law in a pool's total parameters for each regime."""

from dataclasses import dataclass
from typing import Any, ClassVar, final

from bayeslaw.errors import InputError
from bayeslaw.laws.observations import Observations
from bayeslaw.laws.power import LawOfParameters


@final
@dataclass(frozen=True)
class CollaborationLaw(LawOfParameters):
    """``loss = floor + amplitude (N / N0) ^ -exponent`` of pools, its parameters pooled over regimes.

    ``N`` is the total number of parameters of a pool and ``N0`` its geometric mean over the rows fitted. The regimes
    are ``single`` (one model), ``homogeneous`` (members of one family) and ``heterogeneous`` (of several).

    Parameters
    ----------
    pooling
        ``"partial"`` (default), ``"complete"`` or ``"separate"`` over regimes, for all parameters or by name.
    spread
        Priors of the spreads between regimes by parameter, on the log scale for positive parameters.
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

    name: ClassVar[str] = "collaboration"
    group: ClassVar[str] = "regime"
    noise_by_group: ClassVar[bool] = True

    def observe(self, data: Any, *, parameters: str = "total") -> Observations:
        """Turn a pools table into rows; see `Law.observe`. Refuses tables without pools or with one family."""
        if data.attrs.get("kind") != "pools":
            raise InputError(
                f"the collaboration law was given a table of {data.attrs.get('kind')}",
                "a table of pools",
                "form pools first: bayeslaw pools TABLE --out POOLS",
            )
        observations = super().observe(data, parameters=parameters)
        if observations.facts["families"] == 1:
            raise InputError(
                "the pools are all of one family, so there is no heterogeneous pool to compare with",
                "models of two or more families",
                "add models of another family, or fit --law power to the loss table",
            )
        return observations
