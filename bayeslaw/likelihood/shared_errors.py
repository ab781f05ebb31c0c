"""What rows of pools share: found from their members, their sampling errors and the trends of the law."""

from collections.abc import Callable, Sequence

import numpy as np

from bayeslaw.errors import InputError
from bayeslaw.laws.observations import Observations
from bayeslaw.likelihood.dependence import Dependence, share
from bayeslaw.likelihood.loadings import Trend, model_factors_of, sampling_factor_of, smooth_part
from bayeslaw.likelihood.noise import Noise
from bayeslaw.likelihood.noise_distributions import DISTRIBUTIONS
from bayeslaw.likelihood.responses import RESPONSES


def dependence_of(
    noise: Noise, observations: Observations, group: np.ndarray, trends_of: Callable[[], Sequence[Trend]]
) -> Dependence | None:
    """Find what the rows share, on the scale on which the noise is additive.

    Parameters
    ----------
    noise
        The noise.
    observations
        The rows.
    group
        Index of each row's group of variance, shape ``[row]``.
    trends_of
        Gives the trend of each group, on that scale; asked where rows share errors.

    Returns
    -------
    Dependence or None
        None for independent rows. Sampling errors of log losses follow by the delta method; member effects on them are
        relative.

    Raises
    ------
    InputError
        If rows that are no pools are to share errors, or a prior of member effects is given for them.
    """
    shares, factor = observations.shares, observations.sampling_factor
    if shares is None and (noise.shares_errors or noise.member_scale is not None):
        raise InputError(
            "rows are to share members, and the rows of this table are no pools",
            "shared errors with a table of pools",
            "leave out dependence and member_scale, or make pools first: bayeslaw pools TABLE --out POOLS",
        )
    wanted = noise.shares_errors
    if wanted is None:
        wanted = DISTRIBUTIONS[noise.distribution].shares_errors and not noise.standard_errors
    if shares is None or observations.membership is None or not wanted:
        return None
    loss = observations.loss
    factor = np.zeros((len(loss), 0)) if factor is None else factor
    remainder = observations.sampling_remainder
    remainder = np.zeros(len(loss)) if remainder is None else remainder
    slope = RESPONSES[noise.response].loss_slope(loss)
    factor, remainder = factor / slope[:, None], remainder / slope**2
    trends = trends_of()
    return share(
        sampling_factor_of(factor, trends),
        *model_factors_of(observations.membership, trends),
        shares - smooth_part(shares, trends),
        remainder=remainder,
        inflation=np.array([trend.inflation for trend in trends]),
        group=group,
        groups=len(trends),
    )
