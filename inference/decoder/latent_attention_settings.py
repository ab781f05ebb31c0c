"""Sizes of attention through latent vectors; free of JAX, so that families may name it."""

from dataclasses import dataclass

from inference.decoder.setting_checks import check_finite, refuse_setting


@dataclass(frozen=True)
class LatentAttention:
    """Attention whose keys and values are made of one short vector per position (DeepSeek-AI, DeepSeek-V2, 2024).

    A query and a key have two parts: one that is rotated, of which keys have one for all heads, and one that is not.

    Attributes
    ----------
    key_value_rank
        Width of the vector that keys and values are made of.
    plain_width, rotated_width
        Dimensions of a head's query and key that are not rotated, and those that are.
    value_width
        Dimensions of a head's value.
    query_rank
        Width of the vector that queries are made of; 0 where they are made of the hidden state.
    query_scale, key_value_scale
        Factors on the normed vectors.
    norm_epsilon
        Added to the variance by the norms of the two vectors.
    """

    key_value_rank: int
    plain_width: int
    rotated_width: int
    value_width: int
    query_rank: int = 0
    query_scale: float = 1.0
    key_value_scale: float = 1.0
    norm_epsilon: float = 1e-6

    def __post_init__(self) -> None:
        check_finite(self)
        for name in ("key_value_rank", "plain_width", "rotated_width", "value_width"):
            if getattr(self, name) < 1:
                raise refuse_setting(f"{name.replace('_', ' ')} of latent attention", getattr(self, name), "1 or more")
        if self.query_rank < 0:
            raise refuse_setting("query rank of latent attention", self.query_rank, "0 or more")
        if not (self.norm_epsilon > 0 and self.query_scale > 0 and self.key_value_scale > 0):
            values = (self.norm_epsilon, self.query_scale, self.key_value_scale)
            raise refuse_setting("norm epsilon and scales of latent attention", values, "numbers above 0")
