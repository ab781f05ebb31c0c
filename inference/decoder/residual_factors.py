"""Factors on what branches add and on what they add to; free of JAX, so that families may name them."""

from dataclasses import dataclass

from inference.decoder.part_checks import check_positive


@dataclass(frozen=True)
class ResidualFactors:
    """Factors of the residual additions of a decoder.

    Attributes
    ----------
    mixers
        Kinds of mixers, with a factor on what they add to and one on what they add; 1 and 1 for those not named.
    feed_forward
        The same two of feed-forward parts.
    by_depth
        Whether the sum of n branches and the embedding is kept as large as one of them: what is added is divided by
        the square root of n + 1, and what it is added to multiplied by that of n / (n + 1), instead.

    Raises
    ------
    InputError
        If a factor is no finite number above zero.
    """

    mixers: tuple[tuple[str, tuple[float, float]], ...] = ()
    feed_forward: tuple[float, float] = (1.0, 1.0)
    by_depth: bool = False

    def __post_init__(self) -> None:
        check_positive(self, "feed_forward", "of_mixers")

    @property
    def of_mixers(self) -> tuple[float, ...]:
        """All factors of mixers."""
        return tuple(factor for _, factors in self.mixers for factor in factors)
