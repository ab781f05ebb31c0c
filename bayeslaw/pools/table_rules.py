"""Whether a rule can combine what a table holds."""

import xarray as xr

from bayeslaw.losses.metrics import are_votes, metric_of
from bayeslaw.losses.statistics import loss_unit
from bayeslaw.pools.rules import Rule
from bayeslaw.pools.rules_by_unit import check_combines


def check_of_table(rule: Rule, losses: xr.Dataset) -> Rule:
    """Return a rule that can combine the losses of a table.

    Parameters
    ----------
    rule
        The rule.
    losses
        A loss table.

    Returns
    -------
    Rule
        The rule, unchanged.

    Raises
    ------
    InputError
        As `bayeslaw.pools.rules_by_unit.check_combines`.
    """
    return check_combines(rule, loss_unit(losses), votes=holds_votes(losses))


def holds_votes(losses: xr.Dataset) -> bool:
    """Say whether a table holds answers that are right or wrong, none a share."""
    return "nll" in losses and not metric_of(losses).log_losses and are_votes(losses["nll"].to_numpy())
