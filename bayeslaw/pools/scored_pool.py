"""One pool of scored models, with all that rules combine: losses, folds, tokens, and what is known beside them."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.findings import Finding, LossTableWarning
from bayeslaw.losses.metrics import are_votes, metric_of
from bayeslaw.losses.statistics import sample_weights
from bayeslaw.losses.token_folders import TokenFolder
from bayeslaw.losses.weighted_means import cluster_codes
from bayeslaw.pools.feature_leaks import leaking_features
from bayeslaw.pools.folds import assign_folds, check_two_clusters
from bayeslaw.pools.known import Known, check_known, lacking, what_is_known
from bayeslaw.pools.pool_members import check_table, member_positions
from bayeslaw.pools.rule_functions import RuleFunctions
from bayeslaw.pools.rules import Rule
from bayeslaw.pools.sample_features import Features, given_features
from bayeslaw.pools.table_tokens import TableTokens, table_tokens
from bayeslaw.pools.token_rules import token_losses_of

PACKAGE = str(Path(__file__).parents[1])


@dataclass(frozen=True)
class ScoredPool:
    """A pool on a table.

    Parameters
    ----------
    losses
        The loss table, ``nll`` (sample, lm).
    names
        Names of the members, in the order given.
    nll
        Their losses in nats, [sample, member].
    weights, clusters, folds
        Weight, number of the cluster and number of the fold of each sample, [sample].
    positions
        Positions of the members on ``lm``, [member].
    given
        Features that the user brought; None where there are none.
    token_losses
        Losses of tokens, or their folder; None where there are none.
    leaks
        Features that were likely computed from losses.
    found_tokens
        The tokens of the samples, once a rule has asked for them.
    """

    losses: xr.Dataset
    names: tuple[str, ...]
    nll: np.ndarray
    weights: np.ndarray
    clusters: np.ndarray
    folds: np.ndarray
    positions: np.ndarray
    given: Features | None = None
    token_losses: xr.Dataset | TokenFolder | None = None
    leaks: list[Finding] = field(default_factory=list)
    found_tokens: list[TableTokens] = field(default_factory=list)

    @cached_property
    def known(self) -> Known:
        """What is known beside losses."""
        return what_is_known(self.losses, self.positions, self.given)

    def tokens(self, rule: Rule) -> TableTokens:
        """Return the tokens of the samples by all members, which are looked for once."""
        if not self.found_tokens:
            found = table_tokens(self.losses, self.token_losses, rule=rule.name, members=self.names)
            self.found_tokens.append(found)
        return self.found_tokens[0]

    def functions(self, rule: Rule) -> RuleFunctions:
        """Return what is computed by a rule on this pool."""
        return rule.functions if rule.of_losses else rule.functions_of(self.known)

    def lacks(self, rule: Rule) -> str:
        """Say what a rule needs and this pool does not have; empty where it has all."""
        if rule.mixes and not metric_of(self.losses).log_losses:
            return "the table holds right and wrong answers, of which there is no mixture"
        if rule.votes and not (are_votes(self.nll) and not metric_of(self.losses).log_losses):
            return "the table does not hold answers that are right or wrong, by which members vote"
        if rule.judged_by_itself and not metric_of(self.losses).log_losses:
            return "it would go on where an answer is wrong, and who knew that would know the answer"
        if rule.on_tokens:
            return "" if self.token_losses is not None else "no losses of tokens are given"
        if rule.cross_fitted and self.clusters.max() == 0:
            return "the table has one cluster, and what is chosen has to be judged on others"
        return "" if rule.of_losses else lacking(rule, self.known)

    def lost(self, rule: Rule) -> np.ndarray:
        """Return what the pool loses by a rule on each sample in nats, [sample].

        Parameters
        ----------
        rule
            The rule.

        Returns
        -------
        numpy.ndarray
            The losses.

        Raises
        ------
        InputError
            If the rule needs what is not there.
        """
        if rule.on_tokens:
            return token_losses_of(self.tokens(rule), rule.name, len(self.nll))
        if rule.cross_fitted:
            check_two_clusters(self.clusters, rule.name)
        if not rule.of_losses:
            check_known(rule, self.known)
        return self.functions(rule).losses(self.nll, self.folds)


def scored_pool(
    losses: xr.Dataset,
    members: Sequence[str],
    *,
    seed: int,
    token_losses: xr.Dataset | TokenFolder | None = None,
    features: pd.DataFrame | None = None,
) -> ScoredPool:
    """Take a pool of a table.

    Parameters
    ----------
    losses, members, seed, token_losses, features
        As in `bayeslaw.combine`.

    Returns
    -------
    ScoredPool
        The pool.

    Raises
    ------
    InputError
        If the table has no losses on samples, or a member or feature cannot be used.
    """
    losses = check_table(losses)
    positions = member_positions(losses, members)
    weights, clusters = sample_weights(losses), cluster_codes(losses)
    given, leaks, names = None, [], tuple(str(name) for name in losses["lm"].to_numpy()[positions])
    nll = losses["nll"].to_numpy()[:, positions]
    if features is not None:
        given = given_features(losses, features)
        leaks = leaking_features(given.numbers, nll, weights, names)
    folds = assign_folds(clusters, seed)
    return ScoredPool(losses, names, nll, weights, clusters, folds, positions, given, token_losses, leaks)


def tell_leaks(pool: ScoredPool) -> None:
    """Warn of features that were likely computed from losses.

    Parameters
    ----------
    pool
        The pool.

    Warns
    -----
    LossTableWarning
        For each.
    """
    for leak in pool.leaks:
        warnings.warn(str(leak), LossTableWarning, skip_file_prefixes=(PACKAGE,))


def known_prices(pool: ScoredPool) -> np.ndarray | None:
    """Give the members' prices of a sample, [member]; None where one's is not known, or none costs anything."""
    if "price" not in pool.losses:
        return None
    prices = pool.losses["price"].sel(lm=list(pool.names)).to_numpy().astype(float)
    return prices if np.isfinite(prices).all() and prices.max() > 0 else None
