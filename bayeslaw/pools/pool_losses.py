"""Pools of models: which there are, what they lose, who wins in them, and how different their members are."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.inputs.arguments import LARGEST_SEED, a_choice, a_number, a_whole_number, accepts, optional, shown, texts
from bayeslaw.losses.parameter_counts import PARAMETER_COUNTS, parameter_counts
from bayeslaw.losses.statistics import loss_unit, sample_weights
from bayeslaw.losses.table_arguments import loss_table
from bayeslaw.losses.token_folders import TokenFolder, a_token_table
from bayeslaw.losses.weighted_means import cluster_codes, loss_scale
from bayeslaw.pools.designs import DESIGNS, MOST_POOLS, all_subsets, count_subsets, matched_pairs, stratified_subsets
from bayeslaw.pools.diversity_numbers import DIVERSITY_NUMBERS, PoolFacts, family_parameters, residual_correlation
from bayeslaw.pools.evaluate import Evaluation, evaluate_pools
from bayeslaw.pools.folds import check_two_clusters
from bayeslaw.pools.pool_files import read_pools, write_pools
from bayeslaw.pools.pool_members import check_table, member_positions
from bayeslaw.pools.regimes import REGIMES
from bayeslaw.pools.rules import USUAL_RULE, a_rule, find_rule, pool_rules, sample_rules
from bayeslaw.pools.table_rules import check_of_table
from bayeslaw.pools.table_tokens import TableTokens, span_table, table_tokens
from bayeslaw.pools.token_pools import evaluate_token_pools, token_correlation

__all__ = ["make_pools", "pools_of", "read_pools", "write_pools"]

USUAL_SIZE = 4
_seed = a_whole_number(lowest=0, highest=LARGEST_SEED, suggested=0, words="seed {value}")
a_tolerance = a_number(lowest=0, accepted="a difference of log budgets of at least zero", suggested=0.1)


def _lists_of_members(name: str, value: Any) -> list[list[str]]:
    """Accept the names of the members of each pool."""
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise InputError(f"{name} is {shown(value)}", "a list of names for each pool", f'write {name}=[["a", "b"]]')
    return [texts(f"{name}[{number}]", each) for number, each in enumerate(value)]


@accepts(
    losses=loss_table,
    rule=a_rule(pool_rules),
    max_size=optional(a_whole_number(lowest=1, suggested=USUAL_SIZE, words="max size {value}")),
    limit=optional(a_whole_number(lowest=1, suggested=20_000)),
    design=optional(a_choice(DESIGNS)),
    parameters=a_choice(PARAMETER_COUNTS),
    tolerance=a_tolerance,
    seed=_seed,
    token_losses=optional(a_token_table),
)
def make_pools(
    losses: xr.Dataset,
    *,
    rule: str = USUAL_RULE,
    max_size: int | None = None,
    limit: int | None = None,
    design: str | None = None,
    parameters: str = "total",
    tolerance: float = 0.1,
    seed: int = 0,
    token_losses: xr.Dataset | TokenFolder | None = None,
) -> xr.Dataset:
    """Make pools of the models of a table, and evaluate them.

    Parameters
    ----------
    losses
        A loss table with losses on samples.
    rule
        ``"oracle"``, ``"mixture"``, ``"stacked"``, ``"best"``, ``"token_oracle"`` or ``"token_mixture"``; see
        `bayeslaw.combine`. The rules of tokens make pools of the models that are in `token_losses`, and their samples
        are tokens: losses are in bits per byte of the tokens' bytes, and clusters are those of the table, or documents.
    max_size
        Largest number of members; by default 4, or all models where there are fewer.
    limit
        Largest number of pools.
    design
        ``"all"``: every subset; ``"stratified"``: up to `limit` subsets spread evenly over size, number of families and
        budget; ``"matched"``: each homogeneous pool with a heterogeneous one of its size and nearly its budget, not
        used for another. All hold every single model. By default all, or a stratified sample where `limit` is smaller
        than their count.
    parameters
        Which count of parameters a budget adds up: ``"total"``, ``"non-embedding"`` or ``"active"``.
    tolerance
        Of the matched design: largest absolute difference of natural log budgets in a pair.
    seed
        Seed of the sample, of the folds and of the shuffles.
    token_losses
        Losses of the tokens of the same texts, as `bayeslaw.read_token_losses` returns them, or the path of the folder
        that it would read, of which memory then holds a few tokens at a time; needed by, and of use to, the rules of
        tokens only. Of a folder, they are kept meanwhile where Python's `tempfile` keeps files: eight bytes a token and
        model, and for pools up to three times as much.

    Returns
    -------
    xarray.Dataset
        On ``pool``: ``loss`` and ``standard_error`` (in the attribute ``loss_unit``), ``size``, ``parameters``,
        ``families``, ``regime``, ``member`` [pool, slot] (positions on ``lm``, -1 where there is none), ``win_share``
        [pool, lm] (responsibilities for a mixture), ``best_loss`` (cross-fitted over folds of clusters), ``gain``
        (``best_loss - loss``), ``gain_independent`` and ``gain_comonotone`` (the same gain were the members' deviations
        from each sample's mean independent, and were their columns sorted), ``effective_families``, ``decorrelation``,
        ``win_entropy`` (NaN for single models), and for the matched design ``match`` (number of the pair, -1 for single
        models). ``sampling_factor`` [pool, direction] and ``sampling_remainder``: the covariance of the losses'
        sampling errors is about ``sampling_factor @ sampling_factor.T`` with ``sampling_remainder`` added to its
        diagonal, which is then the square of ``standard_error`` (see `bayeslaw.pools.sampling_factor`). On ``lm``:
        ``family``, ``lm_parameters``, ``lm_loss``. Where the table has one cluster, standard errors are NaN, and so are
        best losses and gains of pools of two or more, and there is no sampling factor.

    Raises
    ------
    InputError
        If a choice is not known, `max_size` is not between 1 and the number of models, `limit` leaves no room for the
        single models or contradicts the design, there are more pools than can be handled without a limit, the table is
        one of whole models or holds losses that are not finite, the parameter counts asked for are missing, or the rule
        ``"best"`` meets a table of one cluster, or a rule of tokens lacks the losses of tokens or is given others.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> pools = bl.make_pools(bl.load_dataset("zoo", unit="document"), rule="oracle", max_size=2)
    >>> pools.sizes["pool"] == 24 + 24 * 23 // 2
    True
    """
    wanted = check_of_table(find_rule(rule, of_losses=True), losses)
    losses = check_table(losses)
    tokens = table_tokens(losses, token_losses, rule=rule) if wanted.on_tokens else None
    if tokens is not None:
        losses = check_table(span_table(losses, tokens))
    budgets = parameter_counts(losses, parameters)
    codes = pd.factorize(losses["family"].to_numpy())[0]
    max_size = min(USUAL_SIZE, losses.sizes["lm"]) if max_size is None else max_size
    design = _check_request(losses.sizes["lm"], max_size, limit, design)
    generator = np.random.default_rng([seed, 0])
    match = None
    if design == "all":
        members = all_subsets(len(budgets), max_size)
    elif design == "stratified":
        wanted = min(limit or MOST_POOLS, count_subsets(len(budgets), max_size))
        members = stratified_subsets(codes, budgets, max_size, wanted, generator)
    else:
        members, match = matched_pairs(codes, budgets, max_size, limit=limit, tolerance=tolerance, generator=generator)
    choices = {"rule": rule, "seed": seed, "parameters": parameters, "tokens": tokens}
    pools = _evaluated(losses, members, budgets, attributes={"design": design, "max_size": int(max_size)}, **choices)
    if match is not None:
        pools["match"] = ("pool", match)
        pools.attrs["tolerance"] = float(tolerance)
    return pools


@accepts(
    losses=loss_table,
    members=_lists_of_members,
    rule=a_rule(sample_rules),
    parameters=a_choice(PARAMETER_COUNTS),
    seed=_seed,
)
def pools_of(
    losses: xr.Dataset,
    members: Sequence[Sequence[str]],
    *,
    rule: str = USUAL_RULE,
    parameters: str = "total",
    seed: int = 0,
) -> xr.Dataset:
    """Evaluate given pools of the models of a table.

    Parameters
    ----------
    losses
        A loss table with losses on samples.
    members
        Names of the members of each pool, in any order.
    rule
        ``"oracle"``, ``"mixture"``, ``"stacked"`` or ``"best"``; see `bayeslaw.combine`.
    parameters
        Which count of parameters a budget adds up: ``"total"``, ``"non-embedding"`` or ``"active"``.
    seed
        Seed of the folds and of the shuffles.

    Returns
    -------
    xarray.Dataset
        The pools in the order given, with the variables of `make_pools`; the attribute ``design`` is ``"given"``.

    Raises
    ------
    InputError
        If a choice or a member is not known, a member is named twice in a pool, a pool is named twice or none is, or
        the table is not one of losses on samples.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> losses = bl.load_dataset("zoo", unit="document")
    >>> bl.pools_of(losses, [["zoo-gpt2-1.5m", "zoo-llama-1.5m"]])["regime"].to_numpy().tolist()
    ['heterogeneous']
    """
    losses = check_table(losses)
    if len(members) == 0:
        raise InputError("no pool is named", "members of one pool or more", "name at least one pool")
    budgets = parameter_counts(losses, parameters)
    positions = [np.sort(member_positions(losses, names)) for names in members]
    padded = np.full((len(positions), max(map(len, positions))), -1)
    for row, members_of_pool in zip(padded, positions, strict=True):
        row[: len(members_of_pool)] = members_of_pool
    different, first = np.unique(padded, axis=0, return_index=True)
    if len(different) < len(padded):
        twice = min(set(range(len(padded))) - set(first.tolist()))
        raise InputError(
            f"the pool of {', '.join(members[twice])} is named twice", "each pool once", "leave out its copies"
        )
    attributes = {"design": "given", "max_size": padded.shape[1]}
    return _evaluated(losses, padded, budgets, rule=rule, seed=seed, parameters=parameters, attributes=attributes)


def _evaluated(
    losses: xr.Dataset,
    members: np.ndarray,
    budgets: np.ndarray,
    *,
    rule: str,
    seed: int,
    parameters: str,
    attributes: dict[str, Any],
    tokens: TableTokens | None = None,
) -> xr.Dataset:
    """Evaluate pools, members [pool, slot], and put what is known of them into a dataset."""
    weights, clusters = sample_weights(losses), cluster_codes(losses)
    wanted = check_of_table(find_rule(rule, of_losses=True), losses)
    if wanted.cross_fitted:
        check_two_clusters(clusters, rule)
    if tokens is None:
        nll = losses["nll"].to_numpy()
        evaluation = evaluate_pools(nll, members, weights=weights, clusters=clusters, rule=rule, seed=seed)
        correlation = residual_correlation(losses)
    else:
        kernels = wanted.functions.kernels
        assert kernels is not None, f"{rule} is a rule of tokens"
        evaluation = evaluate_token_pools(tokens, kernels, members, clusters=clusters, seed=seed)
        correlation = token_correlation(tokens)
    every = {
        "kind": "pools",
        "rule": rule,
        "unit": str(losses.attrs.get("unit", "sample")),
        "loss_unit": loss_unit(losses),
        **attributes,
        "seed": int(seed),
        "samples": int(losses.sizes["sample"]) if tokens is None else tokens.count,
        "clusters": int(clusters.max()) + 1,
        "parameters_kind": parameters,
        "source": str(losses.attrs.get("source", "")),
    }
    if wanted.on_tokens:
        every["tokenizer"] = str(losses.attrs["tokenizer"])
    return _assemble(losses, members, budgets, evaluation, correlation, attributes=every)


def _check_request(models: int, max_size: int, limit: int | None, design: str | None) -> str:
    """Check the numbers asked for before anything of their size is made, and return the design."""
    if max_size > models:
        raise InputError(
            f"max size {max_size!r} does not suit a table of {models} models",
            f"a whole number from 1 to {models}",
            f"use {models}",
        )
    if limit is not None and limit < models:
        raise InputError(
            f"limit {limit} leaves no room for the {models} single models, which are always among the pools",
            f"a whole number of {models} or more",
            f"use {models} or more, or fewer models",
        )
    if design == "matched":
        return design
    count = count_subsets(models, max_size)
    if limit is None and count > MOST_POOLS:
        raise InputError(
            f"{models} models have {count:,} pools of up to {max_size}",
            f"at most {MOST_POOLS:,} pools, or a limit",
            "give a limit to take a stratified sample (--limit 20000, or limit=20000), or a smaller max size",
        )
    if design == "all" and limit is not None and limit < count:
        raise InputError(
            f"the design 'all' has {count:,} pools and the limit is {limit:,}",
            f"a limit of {count:,} or more, or the design 'stratified'",
            "leave the design out to take a stratified sample",
        )
    if design is None:
        return "all" if limit is None or limit >= count else "stratified"
    return design


def _assemble(
    losses: xr.Dataset,
    members: np.ndarray,
    budgets: np.ndarray,
    evaluation: Evaluation,
    correlation: np.ndarray,
    *,
    attributes: dict[str, Any],
) -> xr.Dataset:
    families, names = losses["family"].to_numpy(), [str(name) for name in losses["lm"].to_numpy()]
    scale, weights = loss_scale(losses), sample_weights(losses)
    by_family = family_parameters(members, pd.factorize(families)[0], budgets)
    number, size = (by_family > 0).sum(axis=1), (members >= 0).sum(axis=1)
    shares = np.zeros((len(members), len(names)))
    rows, slots = np.nonzero(members >= 0)
    shares[rows, members[rows, slots]] = evaluation.shares[rows, slots]
    on_pool = {
        "loss": scale * evaluation.loss,
        "standard_error": scale * evaluation.standard_error,
        "size": size,
        "parameters": by_family.sum(axis=1),
        "families": number,
        "regime": np.array(REGIMES)[np.where(size == 1, 0, np.where(number == 1, 1, 2))],
        "best_loss": scale * evaluation.best,
        "gain": scale * (evaluation.best - evaluation.loss),
        "gain_independent": scale * (evaluation.best - evaluation.independent),
        "gain_comonotone": scale * (evaluation.best - evaluation.comonotone),
    }
    facts = PoolFacts(by_family, members, evaluation.shares, correlation)
    on_pool |= {
        name: np.where(size > 1, entry.values(facts), np.nan)
        for name, entry in DIVERSITY_NUMBERS.items()
        if name not in on_pool
    }
    shared = {}
    if evaluation.factor is not None:
        factor = scale * evaluation.factor
        remainder = np.maximum(on_pool["standard_error"] ** 2 - (factor**2).sum(axis=1), 0.0)
        shared = {"sampling_factor": (("pool", "direction"), factor), "sampling_remainder": ("pool", remainder)}
    return xr.Dataset(
        {
            **{name: ("pool", values) for name, values in on_pool.items()},
            **shared,
            "member": (("pool", "slot"), members),
            "win_share": (("pool", "lm"), shares),
            "family": ("lm", families),
            "lm_parameters": ("lm", budgets),
            "lm_loss": ("lm", scale * losses["nll"].to_numpy().sum(axis=0) / weights.sum()),
        },
        coords={"pool": _pool_names(members, names), "lm": names},
        attrs=attributes,
    )


def _pool_names(members: np.ndarray, names: list[str]) -> np.ndarray:
    # Padding reads the last entry, which adds nothing.
    following = np.array([*(f" + {name}" for name in names), ""], dtype=object)
    joined = np.array(names, dtype=object)[members[:, 0]]
    for column in members.T[1:]:
        joined = joined + following[column]
    return joined
