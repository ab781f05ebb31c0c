"""Rotary position embedding: what it is made of, checked."""

from dataclasses import dataclass
from typing import Literal, get_args

from inference.decoder.setting_checks import check_finite, refuse_setting

RopeKind = Literal["default", "linear", "dynamic", "llama3", "yarn", "longrope", "proportional"]


@dataclass(frozen=True)
class Rope:
    """Rotary position embedding of some of the layers.

    Attributes
    ----------
    theta
        Base of the frequencies.
    width
        Number of rotated dimensions of a head, even; the rest passes through.
    kind
        How frequencies are scaled to longer texts. ``"dynamic"`` equals ``"default"`` up to `max_length`, beyond which
        no window reaches.
    max_length
        Positions the model is made for.
    original_max_length
        Positions before scaling, for ``"llama3"``, ``"yarn"`` and ``"longrope"``.
    factor
        Ratio of the two.
    low_frequency_factor, high_frequency_factor
        Bounds of ``"llama3"``, in turns within the original length.
    beta_fast, beta_slow
        Bounds of ``"yarn"``, in turns within the original length.
    truncate
        Whether ``"yarn"`` rounds its bounds to whole dimensions.
    magnitude
        Factor on cosines and sines (``"yarn"`` and ``"longrope"``).
    share
        Of ``"proportional"``, which share of the pairs of dimensions turns, those of the shortest periods.
    backward
        Whether the rotation is by minus the angles.
    short_factors, long_factors
        Divisors of the frequencies of ``"longrope"``, [width / 2] each, for texts up to `original_max_length` and
        beyond.
    """

    theta: float
    width: int
    kind: RopeKind = "default"
    max_length: int = 0
    original_max_length: int = 0
    factor: float = 1.0
    low_frequency_factor: float = 1.0
    high_frequency_factor: float = 4.0
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    truncate: bool = True
    magnitude: float = 1.0
    share: float = 1.0
    backward: bool = False
    short_factors: tuple[float, ...] = ()
    long_factors: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        check_finite(self)
        if self.kind not in get_args(RopeKind):
            raise refuse_setting("the rope type", self.kind, f"one of {', '.join(get_args(RopeKind))}")
        if self.width < 2 or self.width % 2:
            raise refuse_setting("the number of rotated dimensions", self.width, "an even number of at least 2")
        if not (self.theta > 1 and self.factor > 0 and self.magnitude > 0):
            values = (self.theta, self.factor, self.magnitude)
            raise refuse_setting("rope theta, factor and magnitude", values, "theta above 1, the others above 0")
        if not 0 < self.share <= 1:
            raise refuse_setting("the share of dimensions that turn", self.share, "a number above 0 and at most 1")
        if self.kind in ("llama3", "yarn", "longrope") and self.original_max_length < 1:
            raise refuse_setting(
                f"original_max_position_embeddings of {self.kind}", self.original_max_length, "1 or more"
            )
        if self.kind == "llama3" and not self.high_frequency_factor > self.low_frequency_factor:
            values = (self.low_frequency_factor, self.high_frequency_factor)
            raise refuse_setting("low and high frequency factor", values, "the high one above the low one")
        if self.kind == "yarn" and not self.beta_fast >= self.beta_slow > 0:
            values = (self.beta_fast, self.beta_slow)
            raise refuse_setting("beta_fast and beta_slow", values, "the first at least the second, and both above 0")
        if self.kind == "longrope":
            for name, factors in (("short_factor", self.short_factors), ("long_factor", self.long_factors)):
                if len(factors) != self.width // 2 or min(factors, default=0) <= 0:
                    raise refuse_setting(name, factors, f"{self.width // 2} numbers above 0")
