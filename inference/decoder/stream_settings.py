"""What blocks have beside a mixer and a feed-forward part: settings, free of JAX, so that families may name them."""

from dataclasses import dataclass

from bayeslaw.errors import InputError
from inference.decoder.part_checks import check_sizes


@dataclass(frozen=True)
class AlternatingUpdates:
    """Several streams of hidden states, of which blocks compute with the first (Baykal et al., AltUp, 2023).

    Attributes
    ----------
    streams
        How many.
    scaled
        Whether stored weights multiply the first stream where embeddings of layers are gated by it.
    """

    streams: int
    scaled: bool = True

    def __post_init__(self) -> None:
        check_sizes(self, "streams")
        if self.streams < 2:
            problem = f"streams of AlternatingUpdates is {self.streams}"
            raise InputError(problem, "2 or more", "correct config.json, or use another checkpoint")


@dataclass(frozen=True)
class LayerEmbeddings:
    """Embeddings of tokens that each layer has besides: a gate of hidden states lets them through.

    Attributes
    ----------
    vocabulary
        Rows of their table; tokens beyond it have those of token 0.
    width
        Width of the embedding of one layer.
    """

    vocabulary: int
    width: int

    def __post_init__(self) -> None:
        check_sizes(self, "vocabulary", "width")


@dataclass(frozen=True)
class LowRankResidual:
    """A map of low rank beside the mixer, whose results are added up and divided by the square root of two.

    Attributes
    ----------
    rank
        Width between its two linear maps (Menghani et al., LAuReL, 2024).
    """

    rank: int

    def __post_init__(self) -> None:
        check_sizes(self, "rank")
