"""What is known of a pool beside its members' losses, for the rules that look at it."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.losses.parameter_counts import parameter_counts
from bayeslaw.losses.statistics import sample_weights
from bayeslaw.pools.rules import LOOKED_AT, Rule
from bayeslaw.pools.sample_features import OWN_COLUMNS, Features, own_columns

MOST_GIVEN = 32
"""Features of which a cascade may choose one: of very many one fits by chance."""
FIXES = {
    "features": "give columns of numbers, or a column text, one row a sample: features=FRAME (--features FILE)",
    "given": "give up to 32 columns of numbers, one row a sample: features=FRAME (--features FILE)",
    "parameters": "read the table with its models' parameters",
}
"""How to make known what a rule looks at."""


@dataclass(frozen=True)
class Known:
    """What is known of samples and members.

    Parameters
    ----------
    weights
        Weight of each sample, [sample].
    parameters
        Parameters of each member, [member]; None where the table does not tell.
    features
        What is known of each sample before any model has run; None where there is nothing.
    given
        That part of the features which the user brought; None where there is nothing.
    """

    weights: np.ndarray
    parameters: np.ndarray | None = None
    features: Features | None = None
    given: Features | None = None


def what_is_known(losses: xr.Dataset, positions: np.ndarray, given: Features | None) -> Known:
    """Read what is known of a pool.

    Parameters
    ----------
    losses
        A loss table.
    positions
        Positions of the members on ``lm``, [member].
    given
        What the user knows of the samples, in the order of the table; None where nothing.

    Returns
    -------
    Known
        That, with the table's own columns.
    """
    features = own_columns(losses, positions)
    if given is not None:
        features = features | given
    parameters = parameter_counts(losses, "total")[positions] if "parameters" in losses else None
    return Known(sample_weights(losses), parameters, features if features else None, given)


def lacking(rule: Rule, known: Known) -> str:
    """Say what a rule looks at and is not known; empty where nothing is lacking."""
    if "features" in rule.looks_at and known.features is None:
        columns = ", ".join(OWN_COLUMNS[:-1]) + f" nor {OWN_COLUMNS[-1]}"
        return f"nothing is known of the samples: the table has no {columns} that differ, and no features are given"
    if "parameters" in rule.looks_at and known.parameters is None:
        return "the table does not tell how many parameters the members have"
    numbers = 0 if known.given is None else len(known.given.numbers)
    if "given" in rule.looks_at and not 1 <= numbers <= MOST_GIVEN:
        return f"{numbers:,} columns of numbers are given, and it goes on by one of 1 to {MOST_GIVEN}"
    return ""


def check_known(rule: Rule, known: Known) -> None:
    """Refuse a rule that looks at what is not known.

    Parameters
    ----------
    rule
        The rule.
    known
        What is known.

    Raises
    ------
    InputError
        If something is lacking.
    """
    if why := lacking(rule, known):
        raise InputError(
            f"the rule {rule.name!r} cannot be computed: {why}",
            f"a table that tells {' and '.join(LOOKED_AT[each] for each in rule.looks_at)}",
            next(fix for each, fix in FIXES.items() if each in rule.looks_at),
        )
