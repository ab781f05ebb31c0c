"""How a pool's loss on a sample follows from its members', and which share of the oracle's gain a rule attains."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from bayeslaw.errors import InputError, nearest
from bayeslaw.inputs.arguments import a_choice, a_level, a_seed, a_whole_number, accepts, optional, texts
from bayeslaw.losses.statistics import loss_unit, sample_weights
from bayeslaw.losses.table_arguments import loss_table, untold_losses
from bayeslaw.losses.weighted_means import cluster_codes, loss_scale
from bayeslaw.pools.attained_gains import UNDEFINED, Attainability, gain_differences, too_small
from bayeslaw.pools.folds import assign_folds, check_two_clusters
from bayeslaw.pools.rules import RULES, USUAL_RULE, Rule, find_rule, rule_names
from bayeslaw.pools.token_rules import combine_tokens

MOST_DRAWS = 1_000_000


def check_table(losses: xr.Dataset) -> xr.Dataset:
    """Return a loss table that pools can be made of.

    Parameters
    ----------
    losses
        A table of losses on samples, ``nll`` [sample, lm] in nats.

    Returns
    -------
    xarray.Dataset
        The same table, with ``nll`` ordered (sample, lm).

    Raises
    ------
    InputError
        If it is a table of whole models, has no samples, or holds a loss that is not finite.
    """
    if losses.attrs.get("kind") == "models" or "nll" not in losses:
        raise InputError(
            "this table holds one loss per model, so what a pool would have lost on each sample is not known",
            "a table of losses on samples",
            "read a table of samples x models; whole models can be fitted without pools",
        )
    losses = losses.transpose("sample", "lm", ...)
    if losses.sizes["sample"] == 0 or losses.sizes["lm"] == 0:
        raise InputError("the loss table is empty", "at least one sample and one model", "check what was dropped")
    if not np.isfinite(losses["nll"].to_numpy()).all():
        raise InputError(
            "the loss table holds losses that are missing or infinite",
            "finite losses",
            "read it with missing='drop-models' or missing='drop-samples'",
        )
    return losses


def member_positions(losses: xr.Dataset, members: Sequence[str]) -> np.ndarray:
    """Find a pool's members among the models of a table.

    Parameters
    ----------
    losses
        A loss table.
    members
        Names of models.

    Returns
    -------
    np.ndarray
        Positions on ``lm``, in the order given.

    Raises
    ------
    InputError
        If there are no members, one is not in the table, or one is named twice.
    """
    names = [str(name) for name in losses["lm"].to_numpy()]
    members = [members] if isinstance(members, str) else [str(name) for name in members]
    if not members:
        raise InputError("the pool has no members", "names of models of the table", "name at least one model")
    for name in members:
        if name not in names:
            raise InputError(
                f"model {name!r} is not in the table", "names of models of the table", nearest(name, names)
            )
    if len(set(members)) < len(members):
        twice = sorted({name for name in members if members.count(name) > 1})
        raise InputError(f"the pool names {', '.join(twice)} twice", "each model once", "name each member once")
    return np.array([names.index(name) for name in members])


@accepts(
    losses=untold_losses,
    members=texts,
    rule=a_choice(rule_names),
    seed=a_seed,
    token_losses=optional(untold_losses),
)
def combine(
    losses: xr.Dataset,
    members: Sequence[str],
    *,
    rule: str = USUAL_RULE,
    seed: int = 0,
    token_losses: xr.Dataset | None = None,
) -> xr.DataArray:
    r"""Compute a pool's loss on every sample.

    Parameters
    ----------
    losses
        A loss table.
    members
        Names of the pool's models.
    rule
        ``"oracle"``: :math:`\min_m nll_{sm}`, a bound that is in general not attained. ``"mixture"``: :math:`-\log
        \frac1K \sum_m e^{-nll_{sm}}`, the ensemble that mixes whole samples. ``"best"``: the loss of the member that is
        best on the other folds of whole clusters. For members of one tokenizer, the sample's sum over its tokens t of:
        ``"token_mixture"``, :math:`-\log \frac1K \sum_m p_m(t)`, the ensemble that mixes the distributions of every
        token; ``"token_oracle"``, :math:`\min_m -\log p_m(t)`, which is at most the oracle's loss.
    seed
        Seed of the folds; of use to ``"best"`` only.
    token_losses
        Losses of the tokens of the same texts, as `bayeslaw.read_token_losses` returns them; needed by, and of use to,
        the rules of tokens only.

    Returns
    -------
    xarray.DataArray
        Loss of the whole sample in nats, [sample].

    Raises
    ------
    InputError
        If the rule or a member is not known, a member is named twice, ``"best"`` meets a table of one cluster, or a
        rule of tokens lacks the losses of tokens, is given those of other losses, or of models of other tokenizers.
    """
    wanted = find_rule(rule)
    losses = check_table(losses)
    positions = member_positions(losses, members)
    if wanted.on_tokens:
        names = [str(name) for name in losses["lm"].to_numpy()[positions]]
        values = combine_tokens(losses, names, rule=rule, token_losses=token_losses)
    else:
        values = _losses_of(wanted, losses["nll"].to_numpy()[:, positions], cluster_codes(losses), seed)
    attributes = {"rule": rule, "unit": f"nats per {losses.attrs.get('unit', 'sample')}"}
    return xr.DataArray(values, dims="sample", coords={"sample": losses["sample"]}, name="loss", attrs=attributes)


def _losses_of(rule: Rule, nll: np.ndarray, clusters: np.ndarray, seed: int) -> np.ndarray:
    """Return what a pool loses on each sample from its members' losses, [sample, member]."""
    if rule.cross_fitted:
        check_two_clusters(clusters, rule.name)
    return rule.functions.losses(nll, assign_folds(clusters, seed))


@accepts(
    losses=loss_table,
    members=texts,
    rule=a_choice(rule_names),
    interval=a_level,
    draws=a_whole_number(lowest=1, highest=MOST_DRAWS, suggested=1000),
    seed=a_seed,
    token_losses=optional(untold_losses),
)
def attainability(
    losses: xr.Dataset,
    members: Sequence[str],
    *,
    rule: str = "mixture",
    interval: float = 0.9,
    draws: int = 1000,
    seed: int = 0,
    token_losses: xr.Dataset | None = None,
) -> Attainability:
    r"""Say what a rule gains over the best member, and which share of the oracle's gain that is.

    Parameters
    ----------
    losses
        A loss table.
    members
        Names of the pool's models.
    rule
        The rule, as in `combine`.
    interval
        Level of the interval, inside (0, 1).
    draws
        Number of bootstrap samples of clusters, whose studentised differences give the quantiles of the interval.
    seed
        Seed of the folds, of the clusters left out and of the bootstrap.
    token_losses
        Losses of tokens for the rules that need them, as in `combine`.

    Returns
    -------
    Attainability
        The difference to the best member in the unit of the losses, and the share. Undefined, with the reason, for a
        single model and a table of one cluster. The share alone is undefined where the oracle's gain is under 1 % of
        the best member's loss or under two of its own standard errors: what it is divided by is then nearly nothing.

    Raises
    ------
    InputError
        As `combine`, and if the interval is not inside (0, 1) or draws is below 1.

    Notes
    -----
    What is estimated, for a pool of these models and a table of as many clusters of this kind:

    .. math:: \theta = \operatorname{E}\bigl[\ell_{\hat m} - \ell_{\text{rule}}\bigr],

    the mean over new samples, from clusters that no choice has seen, of the loss of the member :math:`\hat m` minus
    that of the rule. That member is the one of lowest mean loss on four fifths of a table's clusters (folds are of
    whole clusters: five, or as many as there are clusters), and the expectation is over such tables too. Where one
    member is clearly best it is that member's mean loss minus the rule's; where several lose nearly alike, it is a mean
    over those that may be chosen. The gain is the same with the oracle in the place of the rule, and the share is
    :math:`\theta_{\text{rule}} / \theta_{\text{oracle}}`. Nothing is said of other models.

    The estimate takes, for each fold, the member that is best on the others. Its interval is described in
    `bayeslaw.pools.cluster_intervals`; `benchmarks/intervals.py` measures how often it holds the truth.
    """
    rule_values = combine(losses, members, rule=rule, seed=seed, token_losses=token_losses).to_numpy()
    losses = check_table(losses)
    weights, clusters = sample_weights(losses), cluster_codes(losses)
    nll = losses["nll"].to_numpy()[:, member_positions(losses, members)]
    factor, folds = loss_scale(losses), assign_folds(clusters, seed)
    oracle = RULES["oracle"].functions.losses(nll, folds)
    undefined = ""
    if nll.shape[1] == 1:
        undefined = "a single model is its own oracle"
    elif clusters.max() == 0:
        undefined = "the table has one cluster, so that the best member cannot be chosen on other clusters"
    best = np.full(len(nll), np.nan) if undefined else RULES["best"].functions.losses(nll, folds)
    best_loss, rule_loss, oracle_loss = (
        float(factor * values.sum() / weights.sum()) for values in (best, rule_values, oracle)
    )
    difference = gain = share = UNDEFINED
    if not undefined:
        columns = factor * np.column_stack([nll, rule_values, oracle, best])
        found = gain_differences(columns, weights, clusters, folds, find_rule(rule).functions.redrawn, seed)
        difference, gain = found.estimates(interval, draws)
        undefined = too_small(gain.value, float(np.sqrt(found.covariance[1, 1])), best_loss, loss_unit(losses))
        share = share if undefined else found.ratio(interval, draws)
    return Attainability(
        difference=difference,
        gain=gain,
        value=share.value,
        lower=share.lower,
        upper=share.upper,
        interval=interval,
        best=best_loss,
        rule_loss=rule_loss,
        oracle=oracle_loss,
        loss_unit=loss_unit(losses),
        rule=rule,
        reason=undefined,
    )
