"""Posterior predictive check of a table's pools."""

import pandas as pd

from bayeslaw.errors import InputError, check_whole
from bayeslaw.fitting.fit_argument import a_fit
from bayeslaw.fitting.fits import Fit
from bayeslaw.inputs.arguments import a_level, a_seed, a_whole_number, accepts, as_given
from bayeslaw.laws.kinds import kind_of
from bayeslaw.pools.rules import USUAL_RULE, a_rule, sample_rules


@accepts(
    fit=a_fit,
    rule=a_rule(sample_rules),
    max_size=a_whole_number(lowest=1, suggested=4),
    interval=a_level,
    draws=as_given,
    seed=a_seed,
)
def pool_check(
    fit: Fit, *, rule: str = USUAL_RULE, max_size: int = 4, interval: float = 0.9, draws: int = 400, seed: int = 0
) -> pd.DataFrame:
    """Compare the losses of observed pools with those of replicates, by size and regime.

    Parameters
    ----------
    fit
        A fit of the joint law.
    rule
        ``"oracle"``, ``"mixture"``, ``"stacked"`` or ``"best"``.
    max_size
        Largest number of members.
    interval
        Level of the equal-tailed interval.
    draws
        Number of posterior draws, each of which gives one replicate of the table.
    seed
        Seed of pools and replicates.

    Returns
    -------
    pandas.DataFrame
        As `bayeslaw.diagnosis.joint_pool_check.check_pools` returns it.

    Raises
    ------
    InputError
        If the fit is of another law, or a number is out of range.

    Examples
    --------
    With a fit of the joint law:

    >>> import bayeslaw as bl
    >>> found = bl.pool_check(joint_fit, max_size=2, draws=50)
    >>> bool((found["lower"] <= found["upper"]).all())
    True
    """
    check_whole("draws", draws, lowest=20, suggested=400)
    choices = {"rule": rule, "max_size": max_size, "interval": interval, "draws": draws, "seed": seed}
    table = kind_of(fit.law).pool_check(fit, **choices)
    if table is None:
        raise InputError(
            f"this is a fit of the law {fit.law.name}",
            "a fit of the joint law, which replicates losses on samples",
            "use bayeslaw plot --what ppc, or ArviZ, for the rows of other laws",
        )
    return table
