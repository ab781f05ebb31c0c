"""What to score next: by how much each further score is expected to lower the regret of choosing, for what it costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import pandas as pd

from bayeslaw.decision.candidates import some_candidates
from bayeslaw.decision.choice_rows import counted
from bayeslaw.decision.limits import a_most
from bayeslaw.errors import InputError
from bayeslaw.fitting.fit_argument import a_fit
from bayeslaw.fitting.fits import Fit
from bayeslaw.inputs.arguments import a_seed, a_whole_number, accepts, optional, shown
from bayeslaw.inputs.foreign_text import excerpt
from bayeslaw.laws.kinds import kind_of
from bayeslaw.losses.loss_text import loss_text
from bayeslaw.losses.sizes import count_label, some_counts
from bayeslaw.markup import Html, answer, frame_table
from bayeslaw.pools.rules import a_rule, sample_rules

USUAL_SIZE = 3
USUAL_DRAWS = 200
MOST_SAMPLES = 10**15


@dataclass(frozen=True)
class ScoreValue:
    """What one further score is worth.

    Attributes
    ----------
    model
        The candidate that would be scored on the samples of the table; None where more samples would be.
    samples
        How many more samples all models of the table would be scored on; None where a candidate would be.
    cost
        What it costs, in `NextScores.cost_unit`.
    expected_regret_now, expected_regret_after
        Expected loss of the pool chosen beyond that of the best one, before and after.
    per_cost
        Their difference divided by the cost.
    error
        Monte Carlo standard error of the difference of these regrets.
    effective_draws
        How many draws of equal weight stand behind what the score tells of other candidates; None where it tells
        nothing of any.
    now_error, after_error
        Monte Carlo standard errors of the regrets before and after.
    """

    model: str | None
    samples: int | None
    cost: float
    expected_regret_now: float
    expected_regret_after: float
    per_cost: float
    error: float
    effective_draws: float | None
    now_error: float
    after_error: float

    @property
    def per_cost_error(self) -> float:
        """Monte Carlo standard error of `per_cost`."""
        return self.error / self.cost

    @property
    def words(self) -> str:
        """What would be scored."""
        return f"{self.samples:,} more samples of the models scored" if self.model is None else self.model


@dataclass(frozen=True)
class NextScores:
    """What further scores are worth, the most for its cost first.

    Attributes
    ----------
    rows
        One a score that could be had.
    choice
        Members of the pool that would be chosen now.
    loss, loss_unit
        What that pool is expected to lose, and its unit.
    rule
        How members combine.
    cost_unit
        What costs are in.
    pools
        Number of pools that were compared.
    limits
        What pools may be, in words.
    notes
        What is to know of the candidates, in sentences.
    """

    rows: tuple[ScoreValue, ...]
    choice: tuple[str, ...]
    loss: float
    loss_unit: str
    rule: str
    cost_unit: str
    pools: int
    limits: str
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<NextScores: {excerpt(self.rows[0].words)} first of {len(self.rows)}>"

    def _repr_html_(self) -> Html:
        caption = self.units
        return answer(self.sentences, frame_table(self.table, caption=caption))

    @property
    def units(self) -> str:
        """What regrets, costs and reductions of regret per cost are in, and what errors are, in words."""
        return (
            f"regrets in {self.loss_unit}, costs {self.cost_unit}, per cost: {self.loss_unit} for one unit of cost; "
            "± Monte Carlo standard error"
        )

    @property
    def table(self) -> pd.DataFrame:
        """One row a score: ``score``, ``cost``, regrets before and after, ``per_cost``, and their Monte Carlo errors.

        ``error`` is that of the difference of the regrets.
        """
        regrets = ("expected_regret_now", "now_error", "expected_regret_after", "after_error", "error")
        columns = ("cost", *regrets, "per_cost", "per_cost_error")
        return pd.DataFrame(
            [{"score": row.words} | {name: getattr(row, name) for name in columns} for row in self.rows]
        )

    def as_list(self) -> list[dict[str, Any]]:
        """Give plain values for JSON: a list of scores, the most for its cost first."""
        names = ("cost", "expected_regret_now", "expected_regret_after", "per_cost", "error")
        return [
            ({"samples": row.samples} if row.model is None else {"model": row.model})
            | {name: getattr(row, name) for name in names}
            for row in self.rows
        ]

    @property
    def sentences(self) -> list[str]:
        """The answer in words."""
        first = self.rows[0]
        now, after = first.expected_regret_now, first.expected_regret_after
        chosen = " + ".join(self.choice)
        found = [
            f"Now, of {counted(self.pools, 'pool')} of {self.limits}, with at most one candidate in each, by the rule "
            f"{self.rule}, {chosen} is chosen: on new samples it is expected to lose {loss_text(self.loss)} "
            f"{self.loss_unit}, {loss_text(now)} more than the pool that is in truth best (the expected regret; "
            f"Monte Carlo error {first.now_error:.1g})."
        ]
        if now - after <= 2 * first.error:
            found.append("No score looked at is expected to lower that by more than two of its Monte Carlo errors.")
        else:
            found.append(
                f"Score {first.words} next: most for its cost ({first.cost:.3g} {self.cost_unit}). It is expected to "
                f"lower the regret by {loss_text(now - after)} {self.loss_unit} (Monte Carlo error {first.error:.1g}), "
                f"to {loss_text(after)}."
            )
        found.append("What a candidate's score tells of others is told by its mean loss alone.")
        found += [*self.notes]
        return found


def _counts(name: str, value: Any) -> tuple[int, ...]:
    """Accept one or more whole numbers of samples, which may be written as sizes."""
    counts = some_counts(name, value, of="samples", example="1000")
    if any(count > MOST_SAMPLES or count != round(count) for count in counts):
        raise InputError(f"{name} is {shown(value)}", "whole numbers of samples, 1 or more", f"write {name}=[1000]")
    return tuple(dict.fromkeys(round(count) for count in counts))


@accepts(
    fit=a_fit,
    candidates=optional(some_candidates),
    samples=optional(_counts),
    max_parameters=optional(a_most),
    max_size=a_whole_number(lowest=1, suggested=USUAL_SIZE),
    rule=optional(a_rule(sample_rules)),
    draws=a_whole_number(lowest=50, highest=10_000, suggested=USUAL_DRAWS),
    seed=a_seed,
)
def next_scores(
    fit: Fit,
    candidates: str | PathLike[str] | pd.DataFrame | Mapping[str, Any] | None = None,
    *,
    samples: int | str | Sequence[int | str] | None = None,
    max_parameters: float | str | None = None,
    max_size: int = USUAL_SIZE,
    rule: str | None = None,
    draws: int = USUAL_DRAWS,
    seed: int = 0,
) -> NextScores:
    r"""Say which model to score next, or on how many more samples, by expected reduction of regret per cost.

    Also found as ``bayeslaw.next``.

    Parameters
    ----------
    fit
        A fit of the joint law.
    candidates
        Models that could be had: a frame, a mapping of columns or a CSV with ``name``, ``family``, ``parameters`` and
        optionally ``cost`` (of scoring it on the samples of the table, in any unit) or ``price`` (of a sample). None:
        only more samples are looked at.
    samples
        Numbers of samples that the models of the table could be scored on besides; None: as many as the table has.
    max_parameters
        The most total parameters of a pool; sizes may be written ``"20B"``.
    max_size
        Largest number of members.
    rule
        How members combine; see `bayeslaw.combine`. None: ``"mixture"``, or ``"best"`` of right and wrong answers.
    draws
        How many posterior draws to use; as many outcomes are looked at.
    seed
        Seed.

    Returns
    -------
    NextScores
        What each score is worth, the most for its cost first.

    Raises
    ------
    InputError
        If the fit is of another law, a candidate cannot be read or is scored already, or no pool is within the limits.

    Notes
    -----
    The decision is which pool to use: of scored models and at most one candidate, within the limits, by expected loss
    on new samples. Its *expected regret* is :math:`\min_a E[L_a] - E[\min_a L_a]` over posterior draws of the losses
    :math:`L_a`, clusters of samples being drawn again. A score has outcomes :math:`y`; the regret expected after it is
    :math:`E_y \min_a E[L_a \mid y] - E[\min_a L_a]` (Raiffa and Schlaifer 1961). Outcomes of a candidate are columns of
    losses drawn from the joint law; what its mean loss tells of other candidates is had by weighting the draws by its
    density. Outcomes of more samples move means as normal means of known variance are moved. Without a column ``cost``
    a score costs the price of what is scored, where every candidate has one, or else its parameters, times the number
    of samples.

    Examples
    --------
    With a fit of the joint law:

    >>> import bayeslaw as bl
    >>> found = bl.next_scores(joint_fit, {"name": ["big"], "family": ["alder"], "parameters": [1e11]}, draws=50)
    >>> sorted(row.words for row in found.rows)
    ['240 more samples of the models scored', 'big']
    """
    choices = {"samples": samples, "max_parameters": max_parameters, "max_size": max_size, "rule": rule}
    return kind_of(fit.law).next_scores(fit, candidates or (), draws=draws, seed=seed, **choices)


def no_next_scores(fit: Fit, candidates: Sequence[Any], **choices: Any) -> NextScores:
    """Refuse a fit of a law that does not know losses on samples; arguments as of `next_scores`.

    Raises
    ------
    InputError
        Always.
    """
    del candidates, choices
    raise InputError(
        f"this is a fit of the law {fit.law.name}, which knows no losses of single models on samples",
        "a fit of the joint law",
        "fit the loss table: bayeslaw fit TABLE --law joint",
    )


def size_words(max_size: int, max_parameters: float | None) -> str:
    """Say what pools may be."""
    limit = "" if max_parameters is None else f" and {count_label(max_parameters)} parameters"
    return f"up to {max_size} member{'s' if max_size > 1 else ''}{limit}"
