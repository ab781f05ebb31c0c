"""What there is to know about a table, a model's scores or a fit: sentences with codes."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bayeslaw.markup import BREAK, Html, element

SEVERITIES = ("error", "warning", "info")
"""From what forbids a use to what is good to know."""

CODES: Mapping[str, str] = MappingProxyType(
    {
        # Of a table of losses.
        "above-uniform": "losses above those of a uniform guess among many tokens",
        "bits-for-nats": "losses of one model in bits, of the others in nats",
        "bits-per-byte": "losses per byte that no text has: a wrong unit",
        "constant-losses": "a model loses the same on every sample",
        "dropped": "samples or models were left out",
        "duplicate-columns": "models have the same losses",
        "few-clusters": "standard errors rest on few clusters",
        "few-sizes": "few different sizes of models",
        "few-training-tokens": "so few training tokens that their unit is likely wrong",
        "filled-losses": "one value on many samples: a stand-in for what is missing, or a bound",
        "fractional-bytes": "lengths of samples that are no whole numbers of bytes",
        "larger-but-worse": "a model loses more than a smaller one of its family",
        "lengths": "losses do not go with the bytes or tokens of their samples",
        "loss-as-feature": "a feature of samples was likely computed from losses",
        "loss-out-of-line": "a whole model's loss is far from those of others of its size",
        "near-copies": "models have nearly the same losses",
        "near-families": "names of families that differ in case, spaces or signs alone",
        "near-name": "a column is likely bytes or names of samples",
        "never-wins": "models that are best on next to no sample",
        "out-of-line": "a model's loss is far from what its size lets expect",
        "part-above-total": "more active or non-embedding parameters than parameters",
        "part-below-total": "so few active or non-embedding parameters that their unit is likely wrong",
        "price-out-of-line": "a price far from those of others of its size",
        "rebuilt-tokenizer": "scores were made with a tokenizer that cut texts in another way",
        "repeated-rows": "samples or models are there twice under other names",
        "scaled-columns": "all models have one mean loss: ranks, or columns made alike",
        "scores": "scores of right and wrong answers in the place of losses",
        "single-family": "all models are of one family",
        "size-against-name": "a size that contradicts the one in the model's name",
        "size-out-of-line": "a size far beyond all others",
        "sorted-columns": "the losses of each model are sorted by themselves",
        "summary-row": "a row that sums up others is read as a sample or a model",
        "tiny-models": "sizes so small that their unit is likely wrong",
        "unaligned": "rows of a model are in another order, or of other texts",
        "unscored-bytes": "a model scored some samples only in part",
        "unused-column": "a column likely names the documents that samples come from",
        "wins-nearly-always": "a model is best on nearly every sample",
        "zero-losses": "losses of zero in the place of missing ones",
        # Of a model's scores.
        "drift": "losses are off those in float32",
        "uncovered-bytes": "part of the text was not scored",
        "worse-than-uniform": "a loss above that of a uniform guess over the vocabulary",
        # Of a fit.
        "bent-rows": "rows bend in another way than the law",
        "bfmi": "tails of the posterior are explored slowly",
        "collinear-diversity": "a diversity number follows from what else is known of a pool",
        "collinear-size": "budget and number of members go together",
        "divergences": "trajectories diverged",
        "ess": "the draws are worth few independent ones",
        "exponent-prior": "the prior decides an exponent",
        "floor-prior": "the prior decides a floor",
        "members-law": "the law of the pools' members is not to be trusted",
        "misses-rows": "the law's mean lies off its own rows at some budgets",
        "negative-losses": "bands reach below zero, where no loss lies",
        "no-log-prior": "the fit was saved without its log prior",
        "no-prior": "the fit was saved without its prior",
        "no-sampling-error": "the table does not tell how sampling errors go together",
        "one-chain": "one chain does not show whether it has converged",
        "one-winner": "one model is best in nearly all pools",
        "outlying-rows": "rows far from the law by the scatter of the others",
        "overlapping-pools": "pools share models and samples, and the noise ignores it",
        "pools-misfit": "replicates of pools do not lose what the pools do",
        "prior-data-conflict": "prior and data both move predictions where there are data",
        "prior-sensitive": "the prior moves predictions where the data say little",
        "rising-loss": "losses rise where the law falls",
        "rhat": "chains disagree",
        "strained-sampling-error": "the law has the wrong form for these pools",
        "tree-depth": "trajectories reached the maximum tree depth",
        "unused-tokens": "models differ in training tokens, at which the law does not look",
    }
)
"""What each code stands for; a code stays the same between versions. Laws of users may have codes of their own."""


class LossTableWarning(UserWarning):
    """Losses, sizes or rows of a table are likely wrong; `bayeslaw.loss_report` says all that deserves a look."""


@dataclass(frozen=True)
class Finding:
    """One thing to know about a table, a model's scores or a fit.

    Parameters
    ----------
    code
        Stable name, such as ``"rhat"``; see `CODES`.
    severity
        ``"error"``: make nothing of it before it is corrected; ``"warning"``: use it with care; ``"info"``: good to
        know.
    message
        What was found and what it means.
    remedy
        What to do about it; empty where the message says it.
    """

    code: str
    severity: str
    message: str
    remedy: str = ""

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise ValueError(f"{self.code}: severity {self.severity!r} is not one of {', '.join(SEVERITIES)}")

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    @property
    def is_error(self) -> bool:
        """Whether nothing should be made of what it is about."""
        return self.severity == "error"

    def _repr_html_(self) -> Html:
        remedy = (BREAK, f"remedy: {self.remedy}") if self.remedy else ()
        return element("p", element("strong", f"{self.severity} {self.code}"), f": {self.message}", *remedy)
