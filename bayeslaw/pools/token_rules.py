"""Rules that combine the members of a pool at every token: for models of one tokenizer."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from bayeslaw.losses.token_folders import TokenFolder
from bayeslaw.pools.rules import find_rule
from bayeslaw.pools.table_tokens import TableTokens, table_tokens


def combine_tokens(
    losses: xr.Dataset, members: Sequence[str], *, rule: str, token_losses: xr.Dataset | TokenFolder | None
) -> np.ndarray:
    r"""Combine models at every token, and add up the tokens of each sample.

    Parameters
    ----------
    losses
        A loss table.
    members
        Names of models of the table.
    rule
        ``"token_mixture"``: :math:`-\log \frac1K \sum_m p_m(t)` at every token t, a probability over texts cut by one
        tokenizer. ``"token_oracle"``: :math:`\min_m -\log p_m(t)`. Or another of `bayeslaw.pools.rules.RULES`.
    token_losses
        Losses of the tokens of the same texts, as `bayeslaw.read_token_losses` returns them, or the folder of them.

    Returns
    -------
    numpy.ndarray
        Loss of each sample of the table in nats, [sample].

    Raises
    ------
    InputError
        If there are no losses of tokens, members are not in them, or they do not add up to the losses of the table.
    """
    find_rule(rule, on_tokens=True)
    return token_losses_of(table_tokens(losses, token_losses, rule=rule, members=members), rule, losses.sizes["sample"])


def token_losses_of(tokens: TableTokens, rule: str, samples: int) -> np.ndarray:
    """Add up what all models together lose on the tokens of each sample.

    Parameters
    ----------
    tokens
        The tokens.
    rule
        A rule of tokens.
    samples
        Number of samples of the table.

    Returns
    -------
    numpy.ndarray
        In nats, [sample].
    """
    combined, of_spans = find_rule(rule, on_tokens=True).functions.losses, np.zeros(len(tokens.counts))
    for nll, _, span in tokens.batches():
        # A probability is at most one, which rounding may hide.
        values = np.maximum(combined(nll, np.zeros(len(nll), dtype=np.int64)), 0.0)
        found = np.bincount(span - span[0], values)
        of_spans[span[0] : span[0] + len(found)] += found
    return np.bincount(tokens.sample, of_spans, minlength=samples)
