"""What every rule gains over the best member of a pool, and which share of the oracle's gain that is."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.findings import Finding
from bayeslaw.inputs.arguments import a_level, a_seed, a_whole_number, accepts, optional, texts
from bayeslaw.inputs.foreign_text import excerpt
from bayeslaw.losses.statistics import clustered_standard_error, loss_unit
from bayeslaw.losses.table_arguments import loss_table
from bayeslaw.losses.token_folders import TokenFolder, a_token_table
from bayeslaw.losses.weighted_means import loss_scale
from bayeslaw.markup import Html, answer, frame_table
from bayeslaw.pools.attained_gains import UNDEFINED, Attainability, gain_differences, negated, too_small
from bayeslaw.pools.cluster_intervals import INTERVAL_KIND, ClusterDifferences, Estimate, quantiles_together
from bayeslaw.pools.rules import RULES, Rule, find_rule
from bayeslaw.pools.sample_features import a_features_table
from bayeslaw.pools.scored_pool import ScoredPool, known_prices, scored_pool, tell_leaks
from bayeslaw.pools.table_rules import check_of_table

MOST_DRAWS = 1_000_000
DEFINITION = (
    "Difference: loss of the rule minus loss of the best member, chosen on other clusters; below zero the rule is "
    "better. Share: of the oracle's gain over that member, what the rule gains. Intervals are for other samples of the "
    "same models."
)
"""What the columns are, in words."""


@dataclass(frozen=True)
class Attainabilities:
    """What rules lose on a pool, beside its best member and its oracle.

    Attributes
    ----------
    of_rules
        Each rule's `Attainability`, by its name; also ``found[name]``.
    members
        Names of the members.
    win_shares
        One row a rule and member: ``rule``, ``member``, ``share`` of the estimand's weight that the member has in what
        the rule loses (of a mixture its responsibility, of a choice how often it is taken, of the oracle how often it
        wins) and its ``standard_error`` over clusters. Rules of tokens are left out.
    parameters
        Parameters that run on a sample on average, by the name of the rule: those of all members, or of those taken;
        empty where the table does not tell.
    left_out
        Rules that were not asked for by name and cannot be computed, with the reason.
    unit
        Unit of losses and differences.
    interval, interval_kind
        Level of the intervals, and what they are.
    reason
        Why there are no shares; empty where there are.
    findings
        Features that were likely computed from losses.
    definition
        What the columns of the table are, in words.
    prices
        What running members on a sample costs on average, by the name of the rule; empty where a price is not known.
    """

    of_rules: dict[str, Attainability]
    members: tuple[str, ...]
    win_shares: pd.DataFrame
    parameters: dict[str, float]
    left_out: dict[str, str]
    unit: str
    interval: float
    interval_kind: str
    reason: str
    findings: tuple[Finding, ...] = ()
    definition: str = DEFINITION
    prices: dict[str, float] = field(default_factory=dict)

    def __getitem__(self, rule: str) -> Attainability:
        return self.of_rules[rule]

    @property
    def records(self) -> list[dict[str, str | float]]:
        """One entry a rule, as in `table`."""
        return [
            {
                "rule": name,
                "loss": found.rule_loss,
                "difference": found.difference.value,
                "difference_lower": found.difference.lower,
                "difference_upper": found.difference.upper,
                "share": found.value,
                "share_lower": found.lower,
                "share_upper": found.upper,
                "unit": found.loss_unit,
            }
            for name, found in self.of_rules.items()
        ]

    @property
    def table(self) -> pd.DataFrame:
        """One row a rule.

        ``rule``, ``loss``, ``difference``, ``difference_lower``, ``difference_upper`` (in ``unit``; see `definition`),
        ``share``, ``share_lower``, ``share_upper`` (NaN where the gain is too small) and ``unit``.
        """
        return pd.DataFrame(self.records)

    def __str__(self) -> str:
        kind = f"{self.interval:.0%} intervals, {self.interval_kind}"
        return f"{self.table.to_string(index=False)}\n{self.definition} ({kind})"

    def __repr__(self) -> str:
        return f"<Attainabilities of {excerpt(', '.join(self.members))} by {', '.join(self.of_rules)}>"

    def _repr_html_(self) -> Html:
        found = [f"{finding.severity} {finding}" for finding in self.findings]
        caption = f"rules for {', '.join(self.members)}, {self.interval:.0%} intervals, {self.interval_kind}"
        return answer([*found, self.definition], frame_table(self.table, caption=caption))


def _some_rules(name: str, value: object) -> list[str]:
    found = texts(name, value)
    if not found:
        raise InputError(f"{name} is empty", "one rule or more", f"leave {name} out for all")
    return [find_rule(each).name for each in dict.fromkeys(found)]


@accepts(
    losses=loss_table,
    members=texts,
    rules=optional(_some_rules),
    interval=a_level,
    draws=a_whole_number(lowest=1, highest=MOST_DRAWS, suggested=1000),
    seed=a_seed,
    token_losses=optional(a_token_table),
    features=optional(a_features_table),
)
def attainability(
    losses: xr.Dataset,
    members: Sequence[str],
    *,
    rules: str | Sequence[str] | None = None,
    interval: float = 0.9,
    draws: int = 1000,
    seed: int = 0,
    token_losses: xr.Dataset | TokenFolder | None = None,
    features: pd.DataFrame | None = None,
) -> Attainabilities:
    r"""Say what rules gain over the best member, and which share of the oracle's gain that is.

    Parameters
    ----------
    losses
        A loss table.
    members
        Names of the pool's models.
    rules
        The rules, as in `combine`, or one of them; by default all for which the table, the tokens and the features
        given have what they need.
    interval
        Level of the intervals, inside (0, 1).
    draws
        Number of bootstrap samples of clusters, whose studentised differences give the quantiles of the intervals.
    seed
        Seed of the folds, of the clusters left out and of the bootstrap.
    token_losses
        Losses of tokens for the rules that need them, or the path of their folder, as in `combine`.
    features
        What is known of each sample before any model has run, as in `combine`.

    Returns
    -------
    Attainabilities
        A table of all rules; ``found["mixture"]`` is that of one. Differences are paired over clusters. They are
        undefined, with the reason, for a single model and a table of one cluster. Shares alone are undefined where the
        oracle's gain is under 1 % of the best member's loss or under two of its own standard errors: what they are
        divided by is then nearly nothing.

    Raises
    ------
    InputError
        As `combine`, and if the interval is not inside (0, 1) or draws is below 1.

    Warns
    -----
    LossTableWarning
        If a feature was likely computed from losses.

    Notes
    -----
    What is estimated, for a pool of these models and a table of as many clusters of this kind:

    .. math:: \theta = \operatorname{E}\bigl[\ell_{\text{rule}} - \ell_{\hat m}\bigr],

    the mean over new samples, from clusters that no choice has seen, of the loss of the rule minus that of the member
    :math:`\hat m`. That member is the one of lowest mean loss on four fifths of a table's clusters (folds are of whole
    clusters: five, or as many as there are clusters), and the expectation is over such tables too. Where one member is
    clearly best the difference is to that member's mean loss; where several lose nearly alike, to a mean over those
    that may be chosen. Weights, routers and thresholds are chosen on such four fifths as well. The gain is the negative
    of the same with the oracle in the place of the rule, and the share is :math:`\theta_{\text{rule}} /
    \theta_{\text{oracle}}`. Nothing is said of other models.

    The estimate takes, for each fold, what is best on the others. Its interval is described in
    `bayeslaw.pools.cluster_intervals`; what a rule would choose on other clusters is in its error. Of
    ``"cascade_by_feature"`` the feature is held at what was chosen. `benchmarks/intervals.py` measures how often
    intervals hold the truth.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> losses = bl.load_dataset("zoo", unit="document")
    >>> found = bl.attainability(losses, ["zoo-gpt2-1.5m", "zoo-llama-1.5m"], rules=["oracle", "mixture"], draws=100)
    >>> found["oracle"].value, found["mixture"].value < 1
    (1.0, True)
    """
    pool = scored_pool(losses, members, seed=seed, token_losses=token_losses, features=features)
    tell_leaks(pool)
    wanted, left_out = _wanted(pool, rules)
    compared = _Compared(pool, interval, draws, seed)
    found = compared.to(wanted)
    return Attainabilities(
        of_rules=found,
        members=pool.names,
        win_shares=pd.concat([_win_shares(pool, rule) for rule in wanted], ignore_index=True),
        parameters=_run(pool, wanted, pool.known.parameters),
        prices=_run(pool, wanted, known_prices(pool)),
        left_out=left_out,
        unit=loss_unit(pool.losses),
        interval=interval,
        interval_kind=INTERVAL_KIND,
        reason=compared.reason,
        findings=tuple(pool.leaks),
    )


def _wanted(pool: ScoredPool, names: Sequence[str] | None) -> tuple[list[Rule], dict[str, str]]:
    """Return the rules asked for, those that nobody can run first, and why others cannot be computed."""
    if names is not None:
        return [check_of_table(RULES[name], pool.losses) for name in names], {}
    lacks = {name: pool.lacks(rule) for name, rule in RULES.items()}
    wanted = [rule for name, rule in RULES.items() if not lacks[name]]
    return sorted(wanted, key=lambda rule: rule.attainable), {name: why for name, why in lacks.items() if why}


class _Compared:
    """A pool's best member and oracle, which every rule is compared with."""

    def __init__(self, pool: ScoredPool, interval: float, draws: int, seed: int) -> None:
        self.pool, self.interval, self.draws, self.seed = pool, interval, draws, seed
        self.undefined = ""
        if pool.nll.shape[1] == 1:
            self.undefined = "a single model is its own oracle"
        elif pool.clusters.max() == 0:
            self.undefined = "the table has one cluster, so that the best member cannot be chosen on other clusters"
        self.oracle = pool.lost(RULES["oracle"])
        self.best = np.full(len(pool.nll), np.nan) if self.undefined else pool.lost(RULES["best"])
        # In the unit of the losses, what sums of nats are divided by.
        self.weights, self.unit = pool.weights / loss_scale(pool.losses), loss_unit(pool.losses)
        self.reason = self.undefined

    def mean(self, lost: np.ndarray) -> float:
        return float(lost.sum() / self.weights.sum())

    def to(self, rules: Sequence[Rule]) -> dict[str, Attainability]:
        """Compare rules, all on the same bootstrap samples of clusters."""
        lost = [self.pool.lost(rule) for rule in rules]
        shown = [(UNDEFINED,) * 3] * len(rules) if self.undefined else self._shown(rules, lost)
        found = {}
        for rule, values, (difference, gain, share) in zip(rules, lost, shown, strict=True):
            found[rule.name] = Attainability(
                difference=negated(difference),
                gain=gain,
                value=share.value,
                lower=share.lower,
                upper=share.upper,
                interval=self.interval,
                best=self.mean(self.best),
                rule_loss=self.mean(values),
                oracle=self.mean(self.oracle),
                loss_unit=self.unit,
                rule=rule.name,
                reason=self.reason,
            )
        return found

    def _shown(self, rules: Sequence[Rule], lost: Sequence[np.ndarray]) -> list[tuple[Estimate, Estimate, Estimate]]:
        """Return each rule's difference, the gain and the share."""
        several = [self._differences(rule, values) for rule, values in zip(rules, lost, strict=True)]
        gain, error = several[0].values[1], float(np.sqrt(several[0].covariance[1, 1]))
        self.reason = too_small(float(gain), error, self.mean(self.best), self.unit)
        contrasts = [np.eye(2) if self.reason else np.vstack([np.eye(2), each.of_ratio]) for each in several]
        found = []
        for each, quantiles in zip(
            several, quantiles_together(several, contrasts, self.interval, self.draws), strict=True
        ):
            share = UNDEFINED if self.reason else each.ratio_at(quantiles[2])
            found.append((*each.estimates_at(quantiles[:2]), share))
        return found

    def _differences(self, rule: Rule, lost: np.ndarray) -> ClusterDifferences:
        pool = self.pool
        columns = np.column_stack([pool.nll, lost, self.oracle, self.best])
        redrawn = None if rule.on_tokens else pool.functions(rule).redrawn
        return gain_differences(columns, self.weights, pool.clusters, pool.folds, redrawn, self.seed)


def _win_shares(pool: ScoredPool, rule: Rule) -> pd.DataFrame:
    columns = ["rule", "member", "share", "standard_error"]
    if rule.on_tokens:
        return pd.DataFrame(columns=columns)
    won = pool.weights[:, None] * pool.functions(rule).gradients(pool.nll, pool.folds)
    errors = clustered_standard_error(won, pool.weights, pool.clusters)
    shares = won.sum(axis=0) / pool.weights.sum()
    rows = zip([rule.name] * len(shares), pool.names, shares, errors, strict=True)
    return pd.DataFrame(list(rows), columns=columns)


def _run(pool: ScoredPool, rules: Sequence[Rule], counts: np.ndarray | None) -> dict[str, float]:
    """Add up what running members takes, [member], on a sample on average, by the name of the rule."""
    if counts is None:
        return {}
    found = {}
    for rule in rules:
        runs = None if rule.on_tokens else pool.functions(rule).runs
        found[rule.name] = float(counts.sum() if runs is None else (runs(pool.nll, pool.folds) @ counts).mean())
    return found
