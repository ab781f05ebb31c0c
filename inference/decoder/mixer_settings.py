"""Settings that one kind of recurrent mixer alone needs; free of JAX, so that families may name them."""

from dataclasses import dataclass
from typing import Literal, get_args

from bayeslaw.errors import InputError
from inference.decoder.configuration import Activation
from inference.decoder.part_checks import check_groups, check_positive, check_sizes

GateOrder = Literal["before", "after"]
Projection = Literal["grouped", "split"]


@dataclass(frozen=True)
class Mamba:
    """Settings of the mixer.

    Attributes
    ----------
    inner_width, state_width, step_rank
        Channels that are scanned, numbers of state of each, and width that step lengths are made of.
    taps
        Positions that a convolution reaches, its own included.
    bias, convolution_bias
        Whether the maps in and out have a bias, and the convolution.
    selection_norm, selection_norm_weight
        Epsilon of root-mean-square norms on what steps, inputs and outputs of the state are made of, None for no such
        norms; whether they have weights.
    activation
        After the convolution.
    """

    inner_width: int
    state_width: int
    step_rank: int
    taps: int
    bias: bool = False
    convolution_bias: bool = True
    selection_norm: float | None = None
    selection_norm_weight: bool = False
    activation: Activation = "silu"

    def __post_init__(self) -> None:
        check_sizes(self, "inner_width", "state_width", "step_rank", "taps")
        if self.selection_norm is not None:
            check_positive(self, "selection_norm")


@dataclass(frozen=True)
class Mamba2:
    """Settings of the mixer.

    Attributes
    ----------
    heads, head_width, groups, state_width
        Heads and their width; groups of heads that share how the state takes in and gives out; width of a head's state.
    taps
        Positions that a convolution reaches, its own included.
    input_bias, output_bias, convolution_bias
        Which maps have a bias.
    shortest_step, longest_step
        Bounds of the length of steps; the longest may be infinite.
    norm_order, norm_epsilon, norm_groups
        Whether the gate multiplies before or after the norm, None for a gate without a norm; the norm's epsilon; parts
        that are normed apart.
    activation
        After the convolution.
    scales
        Factors on the projected gate, values, inputs and outputs of the state, and steps.
    """

    heads: int
    head_width: int
    groups: int
    state_width: int
    taps: int
    input_bias: bool = False
    output_bias: bool = False
    convolution_bias: bool = True
    shortest_step: float = 0.0
    longest_step: float = float("inf")
    norm_order: GateOrder | None = "before"
    norm_epsilon: float = 1e-5
    norm_groups: int = 1
    activation: Activation = "silu"
    scales: tuple[float, float, float, float, float] = (1.0, 1.0, 1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        check_sizes(self, "heads", "head_width", "groups", "state_width", "taps", "norm_groups")
        check_positive(self, "norm_epsilon", "scales")
        check_groups(self, "heads", "groups")
        check_groups(self, "inner_width", "norm_groups")
        if not 0 <= self.shortest_step < self.longest_step:
            problem = f"the length of steps is limited to {self.shortest_step} and {self.longest_step}"
            raise InputError(problem, "two numbers, the first at least 0 and below the second", "correct config.json")

    @property
    def inner_width(self) -> int:
        """Width of all heads."""
        return self.heads * self.head_width

    @property
    def shared_width(self) -> int:
        """Width of what the states of all groups take in, and give out."""
        return self.groups * self.state_width

    @property
    def parts(self) -> tuple[int, ...]:
        """Widths of the projected gate, values, inputs and outputs of the state, and steps."""
        return (self.inner_width, self.inner_width, self.shared_width, self.shared_width, self.heads)


@dataclass(frozen=True)
class SideBySide:
    """Settings of the mixer.

    Attributes
    ----------
    attention_in, attention_out, mamba2_in, mamba2_out
        Factors on what comes into and out of either part.
    """

    attention_in: float = 1.0
    attention_out: float = 1.0
    mamba2_in: float = 1.0
    mamba2_out: float = 1.0

    def __post_init__(self) -> None:
        check_positive(self, "attention_in", "attention_out", "mamba2_in", "mamba2_out")


@dataclass(frozen=True)
class SharedBlock:
    """Settings of the mixer.

    Attributes
    ----------
    rank
        Width between the two linear maps that a layer adds to each one of a block that layers share.
    attention_adapters
        Whether it adds some to the maps of queries, keys and values, beside those to the MLP.
    """

    rank: int
    attention_adapters: bool = False

    def __post_init__(self) -> None:
        check_sizes(self, "rank")


@dataclass(frozen=True)
class GatedDelta:
    """Settings of the mixer.

    Attributes
    ----------
    key_heads, value_heads, key_width, value_width
        Heads of queries and keys, and of values, which share them in groups; width of each.
    taps
        Positions that a convolution reaches, its own included.
    projection
        How the maps in are stored: two of them with rows by group of heads (``"grouped"``), or one for queries, keys
        and values and one each for gates, strengths and decays (``"split"``).
    norm_epsilon
        Of the norm of each head's result.
    strongest
        Bound of the strength of writing: beyond 1 the memory of a key may change its sign.
    activation
        After the convolution.
    """

    key_heads: int
    value_heads: int
    key_width: int
    value_width: int
    taps: int
    projection: Projection = "split"
    norm_epsilon: float = 1e-6
    strongest: float = 1.0
    activation: Activation = "silu"

    def __post_init__(self) -> None:
        check_sizes(self, "key_heads", "value_heads", "key_width", "value_width", "taps")
        check_positive(self, "norm_epsilon", "strongest")
        check_groups(self, "value_heads", "key_heads")
        if self.projection not in get_args(Projection):
            accepted = f"one of {', '.join(get_args(Projection))}"
            raise InputError(f"the projection of GatedDelta is {self.projection!r}", accepted, "use another checkpoint")

    @property
    def widths(self) -> tuple[int, int, int]:
        """Widths of all queries, keys and values."""
        keys = self.key_heads * self.key_width
        return keys, keys, self.value_heads * self.value_width


@dataclass(frozen=True)
class GatedLinearUnit:
    """Settings of the mixer.

    Attributes
    ----------
    inner_width, blocks
        Width of the recurrent unit, and blocks of it whose gates are maps of their block.
    taps
        Positions that the convolution reaches, its own included.
    """

    inner_width: int
    blocks: int
    taps: int

    def __post_init__(self) -> None:
        check_sizes(self, "inner_width", "blocks", "taps")
        check_groups(self, "inner_width", "blocks")


@dataclass(frozen=True)
class ShortConvolution:
    """Settings of the mixer.

    Attributes
    ----------
    taps
        Positions that the convolution reaches, its own included.
    bias
        Whether its maps have biases.
    """

    taps: int
    bias: bool = False

    def __post_init__(self) -> None:
        check_sizes(self, "taps")
