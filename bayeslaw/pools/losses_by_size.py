"""What pools lose by their number of members, from their best member alone to an oracle."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.errors import InputError, check_whole
from bayeslaw.inputs.arguments import a_seed, a_whole_number, accepts, optional, texts
from bayeslaw.losses.statistics import loss_unit
from bayeslaw.losses.table_arguments import loss_table
from bayeslaw.pools.pool_losses import make_pools
from bayeslaw.pools.rules import find_rule
from bayeslaw.pools.table_rules import check_of_table

USUAL_RULES = ("best", "mixture", "oracle")
USUAL_SIZE = 4
MOST_POOLS = 1000


@accepts(
    losses=loss_table,
    rules=optional(texts),
    max_size=optional(a_whole_number(lowest=2, suggested=USUAL_SIZE, words="max size {value}")),
    seed=a_seed,
)
def losses_by_size(
    losses: xr.Dataset,
    *,
    rules: Sequence[str] | None = None,
    max_size: int | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Average what pools lose by their number of members, by regime and rule.

    Parameters
    ----------
    losses
        A loss table with losses on samples.
    rules
        Rules of whole samples; by default the best member, the mixture where the unit of the losses allows it, and the
        oracle.
    max_size
        Largest number of members; by default 4, or all models where there are fewer.
    seed
        Seed of folds, and of the pools where there are more than a thousand: a sample spread evenly over sizes, numbers
        of families and budgets, the same for all rules.

    Returns
    -------
    pandas.DataFrame
        One row a rule, regime and size: ``rule``, ``regime``, ``size``, ``pools``, their mean ``loss`` and
        ``unit``. Single models are the pools of size one of either regime.

    Raises
    ------
    InputError
        If a rule is not known, does not suit the unit or is one of tokens, the table has one model, or a number is out
        of range.
    """
    unit, models = loss_unit(losses), losses.sizes["lm"]
    if models < 2:
        raise InputError("the table has one model, and no pools", "two models or more", "add models to the table")
    largest = min(USUAL_SIZE, models) if max_size is None else max_size
    check_whole("max size", largest, lowest=2, suggested=USUAL_SIZE)
    names = (
        _usual(losses) if rules is None else [find_rule(rule, on_tokens=False, of_losses=True).name for rule in rules]
    )
    if not names:
        raise InputError("no rule is given", f"such as {', '.join(USUAL_RULES)}", "leave rules out")
    found = []
    for rule in names:
        check_of_table(find_rule(rule), losses)
        pools = make_pools(losses, rule=rule, max_size=largest, limit=max(MOST_POOLS, models), seed=seed)
        found += _rows(pools, rule)
    columns = ["rule", "regime", "size", "pools", "loss"]
    return pd.DataFrame(found, columns=columns).assign(unit=unit)


def _usual(losses: xr.Dataset) -> list[str]:
    """Name the usual rules that suit a table."""
    suited = []
    for rule in USUAL_RULES:
        try:
            check_of_table(find_rule(rule), losses)
        except InputError:
            continue
        suited.append(rule)
    return suited


def _rows(pools: xr.Dataset, rule: str) -> list[tuple[str, str, int, int, float]]:
    size, regime, loss = (pools[name].to_numpy() for name in ("size", "regime", "loss"))
    rows = []
    for each in ("homogeneous", "heterogeneous"):
        if not (regime == each).any():
            continue
        for members in np.unique(size):
            in_cell = loss[(size == members) & ((regime == each) | (members == 1))]
            if len(in_cell) and np.isfinite(in_cell).all():
                rows.append((rule, each, int(members), len(in_cell), float(in_cell.mean())))
    return rows
