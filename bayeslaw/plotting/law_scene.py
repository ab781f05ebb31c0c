"""What all panels of one picture of a law share: its curves, rows and ranges, and the words for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bayeslaw.errors import InputError, check_choice
from bayeslaw.fitting.fits import Fit
from bayeslaw.laws.observations import BUDGETS
from bayeslaw.plotting.law_curves import Curve, Floor, floor_of, law_curve, rows_of, shown_groups, token_levels
from bayeslaw.plotting.size_marks import SizeMark, size_marks
from bayeslaw.prediction.predictions import KINDS
from bayeslaw.prediction.targets import NEW_FAMILY

GROUP_WORDS = {
    "single": "single models",
    "homogeneous": "homogeneous pools",
    "heterogeneous": "heterogeneous pools",
    NEW_FAMILY: "a family not seen",
}
FARTHEST, NEAREST = 10.0, 2.0
BAND_ROOM = 0.3
"""How far bands may widen the axis on either side, as a share of what data and lines take of it."""
AIR = 0.04


@dataclass(frozen=True)
class LawChoices:
    """What of a law is drawn.

    Parameters
    ----------
    interval
        Level of the equal-tailed intervals.
    kinds
        Which bands: ``"mean"``, ``"new"``.
    beyond
        Where curves end, in multiples of the largest budget observed; None for as far as the data reach.
    groups
        Regimes or families that were asked for; None where none were.
    """

    interval: float
    kinds: tuple[str, ...] = KINDS
    beyond: float | None = None
    groups: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for kind in self.kinds:
            check_choice("kind", kind, KINDS)


@dataclass(frozen=True)
class Scene:
    """What all panels of one picture of a law share.

    Parameters
    ----------
    fit
        The fit.
    curves
        Its curves, group by group, within a group by training tokens.
    groups
        Groups that are drawn.
    floors
        One a group, in the order of the groups; none where the law has no floor.
    interval
        Level of the intervals.
    beyond
        Where the curves end, in multiples of the largest budget observed.
    """

    fit: Fit
    curves: tuple[Curve, ...]
    groups: tuple[str, ...]
    floors: tuple[Floor, ...]
    interval: float
    beyond: float

    @property
    def budgets(self) -> np.ndarray:
        """Budget of each row, shape ``[row]``."""
        return self.fit.observations.covariates["parameters"]

    @property
    def losses(self) -> np.ndarray:
        """Loss of each row, shape ``[row]``."""
        return self.fit.observations.loss

    @property
    def tokens(self) -> np.ndarray | None:
        """Training tokens of each row, shape ``[row]``, where the law has them."""
        return self.fit.observations.covariates.get("training_tokens")

    @property
    def row(self) -> str:
        """What a row is."""
        return "pool" if self.fit.observations.row_dimension == "pool" else "model"

    @cached_property
    def sizes(self) -> np.ndarray:
        """Number of members of each row, shape ``[row]``; one for models."""
        membership = self.fit.observations.membership
        return np.ones(len(self.losses), dtype=int) if membership is None else membership.sum(axis=1)

    @cached_property
    def marks(self) -> dict[int, SizeMark]:
        """Marks of the sizes of pools."""
        return size_marks(self.sizes, alone="1 member" if self.row == "pool" else "model observed")

    @property
    def loss_range(self) -> tuple[float, float]:
        """Range of data and lines, a little wider for bands; floors never widen it."""
        positive = np.concatenate([self.losses, *(curve.centre for curve in self.curves)])
        low, high = np.log([positive[positive > 0].min(), positive.max()])
        room = BAND_ROOM * max(high - low, 0.02)
        ends = [end for curve in self.curves for band in curve.bands.values() for end in band]
        drawn = np.log(np.maximum(np.concatenate([positive, *ends]), np.finfo(float).tiny))
        low, high = max(drawn.min(), low - room), min(drawn.max(), high + room)
        air = AIR * max(high - low, 0.02)
        return float(np.exp(low - air)), float(np.exp(high + air))

    def label(self, group: str) -> str:
        """Words for a group."""
        return GROUP_WORDS.get(group, group or f"all {self.row}s")

    def curves_of(self, group: str) -> tuple[Curve, ...]:
        """Curves of one group."""
        return tuple(curve for curve in self.curves if curve.group == group)

    def own_rows(self, group: str) -> np.ndarray:
        """Rows of a group, shape ``[row]``: none for a family not seen."""
        return rows_of(self.fit, group) & (group != NEW_FAMILY)

    def floor(self, group: str) -> Floor | None:
        """Floor of one group, where the law has one."""
        return next((floor for floor in self.floors if floor.group == group), None)

    def largest_of(self, group: str) -> float:
        """Largest budget observed in a group; of all rows for a family not seen."""
        of_group = self.own_rows(group)
        return float(self.budgets[of_group].max() if of_group.any() else self.budgets.max())


def scene_of(fit: Fit, choices: LawChoices) -> Scene:
    """Evaluate a law of budgets for its picture.

    Raises
    ------
    InputError
        If the law depends on more than budgets, or a group is not known.
    """
    if set(fit.law.covariates) - set(BUDGETS) or BUDGETS[0] not in fit.law.covariates:
        raise InputError(
            f"the law {fit.law.name} depends on {', '.join(fit.law.covariates)}",
            "a picture of a law of budgets alone",
            "draw another: forest, pair, trace, ppc or prior_posterior",
        )
    names = shown_groups(fit, choices.groups)
    budgets = fit.observations.covariates["parameters"]
    beyond = choices.beyond or float(np.clip(budgets.max() / budgets.min(), NEAREST, FARTHEST))
    end, level = float(budgets.max() * beyond), choices.interval
    tokens = fit.observations.covariates.get("training_tokens")
    levels: Sequence[float | None] = [None] if tokens is None else token_levels(tokens).tolist()
    curves = tuple(
        law_curve(fit, name, kinds=choices.kinds, interval=level, end=end, training_tokens=each)
        for name in names
        for each in levels
    )
    floors = [floor_of(fit, name, interval=level) for name in names]
    return Scene(fit, curves, names, tuple(floor for floor in floors if floor is not None), level, beyond)
