"""How a pool's loss on a sample follows from its members', and which share of the oracle's gain a rule attains."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from bayeslaw.errors import InputError, nearest
from bayeslaw.inputs.arguments import a_choice, a_level, a_seed, a_whole_number, accepts, optional, texts
from bayeslaw.losses.statistics import clustered_standard_error, loss_unit, sample_weights
from bayeslaw.losses.table_arguments import loss_table, untold_losses
from bayeslaw.losses.weighted_means import cluster_codes, loss_scale
from bayeslaw.pools.best_member import best_sums
from bayeslaw.pools.folds import assign_folds, check_two_clusters
from bayeslaw.pools.rules import RULES, USUAL_RULE, Rule, find_rule, rule_names
from bayeslaw.pools.token_rules import combine_tokens

DRAW_BLOCK = 64
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


@dataclass(frozen=True)
class Attainability:
    """How much of the way from the best member to the oracle a rule goes.

    Attributes
    ----------
    value
        ``(best - rule) / (best - oracle)``, with the oracle of whole samples; 1 where the rule is as good as the
        oracle, above 1 where a rule of tokens is better, negative where it is worse than the best member. NaN where
        undefined.
    lower, upper
        Equal-tailed bootstrap interval of `value`; NaN where undefined.
    interval
        Level of the interval.
    best, rule_loss, oracle
        Mean losses in `loss_unit`: the best member (cross-fitted), the rule and the oracle.
    loss_unit
        Unit of the losses.
    rule
        The rule.
    reason
        Why `value` is undefined; empty where it is defined.
    """

    value: float
    lower: float
    upper: float
    interval: float
    best: float
    rule_loss: float
    oracle: float
    loss_unit: str
    rule: str
    reason: str = ""


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
    """Say which share of the oracle's gain over the best member a rule attains.

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
        Number of bootstrap draws.
    seed
        Seed of the folds and of the bootstrap.
    token_losses
        Losses of tokens for the rules that need them, as in `combine`.

    Returns
    -------
    Attainability
        The share with a paired cluster bootstrap: each draw takes clusters with replacement, the same for best, rule
        and oracle, and chooses the best member anew. Undefined, with the reason, for a single model, for a table of one
        cluster, and where ``best - oracle`` is under two of its (clustered) standard errors.

    Raises
    ------
    InputError
        As `combine`, and if the interval is not inside (0, 1) or draws is below 1.
    """
    rule_values = combine(losses, members, rule=rule, seed=seed, token_losses=token_losses).to_numpy()
    losses = check_table(losses)
    weights, clusters = sample_weights(losses), cluster_codes(losses)
    nll = losses["nll"].to_numpy()[:, member_positions(losses, members)]
    factor = loss_scale(losses) / weights.sum()
    undefined = ""
    if nll.shape[1] == 1:
        undefined = "a single model is its own oracle"
    elif clusters.max() == 0:
        undefined = "the table has one cluster, so that the best member cannot be chosen on other clusters"
    folds = assign_folds(clusters, seed)
    best = np.full(len(nll), np.nan) if undefined else RULES["best"].functions.losses(nll, folds)
    oracle = RULES["oracle"].functions.losses(nll, folds)
    if not undefined:
        room = (best - oracle).sum() / weights.sum()
        error = float(clustered_standard_error(best - oracle, weights, clusters))
        if not room >= 2 * error or room <= 0:
            undefined = (
                f"the oracle is only {room * loss_scale(losses):.3g} {loss_unit(losses)} better than the best member, "
                f"under two of that difference's standard errors ({error * loss_scale(losses):.2g})"
            )
    value, bounds = np.nan, np.full(2, np.nan)
    if not undefined:
        value = (best - rule_values).sum() / (best - oracle).sum()
        columns = np.column_stack([nll, rule_values, oracle])
        sums = np.zeros((clusters.max() + 1, columns.shape[1]))
        np.add.at(sums, clusters, columns)
        fold_of_cluster = np.zeros(len(sums), dtype=np.int64)
        fold_of_cluster[clusters] = folds
        redrawn = find_rule(rule).functions.redrawn
        ratios = _bootstrap(sums, fold_of_cluster, redrawn, draws, np.random.default_rng([seed, 1]))
        bounds = np.nanquantile(ratios, [(1 - interval) / 2, (1 + interval) / 2])
    return Attainability(
        value=float(value),
        lower=float(bounds[0]),
        upper=float(bounds[1]),
        interval=interval,
        best=float(best.sum() * factor),
        rule_loss=float(rule_values.sum() * factor),
        oracle=float(oracle.sum() * factor),
        loss_unit=loss_unit(losses),
        rule=rule,
        reason=undefined,
    )


def _bootstrap(
    sums: np.ndarray,
    folds: np.ndarray,
    redrawn: Callable[[np.ndarray], np.ndarray] | None,
    draws: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Draw the ratio from sums of [members, rule, oracle] over clusters [cluster, column]."""
    number, ratios = len(sums), []
    for start in range(0, draws, DRAW_BLOCK):
        counts = generator.multinomial(number, np.full(number, 1 / number), size=min(DRAW_BLOCK, draws - start))
        by_fold = np.stack([counts[:, folds == fold] @ sums[folds == fold] for fold in range(folds.max() + 1)], axis=1)
        members, total = by_fold[..., :-2], by_fold.sum(axis=1)
        best = best_sums(members)
        rule_sum = total[:, -2] if redrawn is None else redrawn(members)
        room = best - total[:, -1]
        ratios.append(np.divide(best - rule_sum, room, out=np.full(len(room), np.nan), where=room > 0))
    return np.concatenate(ratios)
