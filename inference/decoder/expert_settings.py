"""What routed experts are made of and how tokens are given to them; free of JAX, so that families may name it."""

from dataclasses import dataclass
from typing import Literal, get_args

from inference.decoder.setting_checks import check_finite, refuse_setting

Scores = Literal["softmax", "sigmoid", "logits"]
Shares = Literal["scores", "normalised", "softmax", "sigmoid", "normalised_sigmoid"]
GroupScore = Literal["best", "two_best"]
Choice = Literal["best", "sparse_mixer"]


@dataclass(frozen=True)
class Experts:
    """Routed experts: a router gives every token to a few of many small MLPs.

    There is no capacity: an expert takes every token that is given to it, so that a text's losses do not depend on the
    other texts of a batch. Noise, auxiliary losses and dropout belong to training and are left out.

    Attributes
    ----------
    count, chosen
        Number of experts, and of those that a token goes through.
    width
        Width inside an expert.
    choice
        Whether the experts of the best scores are chosen, or two by SparseMixer (Liu et al., 2023): the share of each
        is its softmax among those experts that come near it, the first one left out for the second.
    tolerance
        How near experts come: by at most twice this share of their score or of the best one, whichever is larger.
    scores
        What the router's logits become before experts are chosen: probabilities over all experts, the logistic function
        of each, or the logits themselves.
    shares
        What weights the outputs of the chosen experts: their scores, these divided by their sum, the softmax or the
        logistic function of the chosen scores, or the latter divided by its sum.
    smallest_sum, added_sum
        Lowest sum that scores are divided by; what is added to that sum.
    scale
        Factor on shares.
    corrected
        Whether a stored number per expert is added to scores for the choice alone, not for the shares (Wang et al.,
        Auxiliary-Loss-Free Load Balancing, 2024).
    groups, chosen_groups, group_score
        Into how many groups experts fall, of how many of them a token's experts come, and whether a group is worth its
        best score or the sum of its two best (DeepSeek-AI, DeepSeek-V3, 2024, section 2.1.2).
    input_scaled
        Whether shares weight the inputs of experts instead of their outputs.
    identities
        Number of further experts that give a token back as it is (LongCat team, LongCat-Flash, 2025, section 2.1.1).
    router_bias, bias, sum_bias
        Whether the router, the linear maps of experts, and the sum over a token's experts have biases.
    shared_width
        Width inside the MLP that every token goes through beside its experts; 0 for none.
    shared_scale
        Factor on that MLP's output.
    shared_gated
        Whether that MLP's output is weighted by a logistic function of a linear map of the token.
    output_norm
        Whether what all give together is normed.
    gate_bound, gate_slope
        Where a bound is given, experts compute ``gate sigmoid(slope gate) (up + 1)`` of a gate of at most the bound and
        an up between minus and plus it (gpt-oss); by default activation(gate) * up.
    """

    count: int
    chosen: int
    width: int
    choice: Choice = "best"
    tolerance: float = 0.0
    scores: Scores = "softmax"
    shares: Shares = "normalised"
    smallest_sum: float = 0.0
    added_sum: float = 0.0
    scale: float = 1.0
    corrected: bool = False
    groups: int = 1
    chosen_groups: int = 1
    group_score: GroupScore = "two_best"
    input_scaled: bool = False
    identities: int = 0
    router_bias: bool = False
    bias: bool = False
    sum_bias: bool = False
    shared_width: int = 0
    shared_scale: float = 1.0
    shared_gated: bool = False
    output_norm: bool = False
    gate_bound: float | None = None
    gate_slope: float = 1.702

    def __post_init__(self) -> None:
        check_finite(self)
        kinds = {"choice": Choice, "scores": Scores, "shares": Shares, "group_score": GroupScore}
        for name, kind in kinds.items():
            if getattr(self, name) not in get_args(kind):
                accepted = f"one of {', '.join(get_args(kind))}"
                raise refuse_setting(f"{name.replace('_', ' ')} of experts", getattr(self, name), accepted)
        for name in ("count", "chosen", "width", "groups", "chosen_groups"):
            if getattr(self, name) < 1:
                raise refuse_setting(f"{name.replace('_', ' ')} of experts", getattr(self, name), "1 or more")
        if self.identities < 0 or (self.identities and (self.groups > 1 or self.choice != "best")):
            accepted = "0 or more, and 0 where experts fall into groups or a sparse mixer chooses"
            raise refuse_setting("the number of experts that change nothing", self.identities, accepted)
        if self.count % self.groups:
            raise refuse_setting("the number of groups of experts", self.groups, f"a divisor of {self.count}")
        if self.chosen_groups > self.groups:
            raise refuse_setting("the number of chosen groups", self.chosen_groups, f"at most {self.groups}")
        available = self.count // self.groups * self.chosen_groups + self.identities
        if self.chosen > available:
            raise refuse_setting("experts per token", self.chosen, f"at most {available}, the experts to choose from")
        if self.group_score == "two_best" and self.groups > 1 and self.count // self.groups < 2:
            raise refuse_setting("the number of groups of experts", self.groups, "groups of two or more experts")
        if min(self.shared_width, self.smallest_sum, self.added_sum) < 0 or min(self.scale, self.shared_scale) <= 0:
            values = (self.shared_width, self.smallest_sum, self.added_sum, self.scale, self.shared_scale)
            name = "shared width, smallest and added sum, scale and shared scale"
            raise refuse_setting(name, values, "0 or more; scales above 0")
        if self.tolerance < 0 or (self.choice == "sparse_mixer" and self.chosen != 2):
            values = (self.tolerance, self.chosen)
            raise refuse_setting("tolerance and experts per token of a sparse mixer", values, "0 or more, and 2")
        if self.gate_bound is not None and not self.gate_bound > 0:
            raise refuse_setting("the bound on gates", self.gate_bound, "a number above 0, or none")
