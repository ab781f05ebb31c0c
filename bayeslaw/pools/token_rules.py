"""Rules that combine the members of a pool at every token: for models of one tokenizer."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.losses.frames import on_samples
from bayeslaw.losses.token_losses import check_token_sums, tokenizer_groups
from bayeslaw.pools.rules import find_rule

TOKEN_BLOCK = 1 << 18


def combine_tokens(
    losses: xr.Dataset, members: Sequence[str], *, rule: str, token_losses: xr.Dataset | None
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
        Losses of the tokens of the same texts, as `bayeslaw.read_token_losses` returns them.

    Returns
    -------
    numpy.ndarray
        Loss of each sample of the table in nats, [sample].

    Raises
    ------
    InputError
        If there are no losses of tokens, members are not in them, or they do not add up to the losses of the table.
    """
    combined = find_rule(rule, on_tokens=True).functions.losses
    rows = token_rows(losses, token_losses, rule=rule, members=members)
    nll, sample = rows["nll"].to_numpy(), rows["number_of_sample"].to_numpy()
    total = np.zeros(losses.sizes["sample"])
    no_folds = np.zeros(len(nll), dtype=np.int64)
    for start in range(0, len(nll), TOKEN_BLOCK):
        block = slice(start, start + TOKEN_BLOCK)
        # A probability is at most one, which rounding may hide.
        values = np.maximum(combined(nll[block], no_folds[block]), 0.0)
        total += np.bincount(sample[block], values, minlength=len(total))
    return total


def token_rows(
    losses: xr.Dataset, token_losses: xr.Dataset | None, *, rule: str, members: Sequence[str] | None = None
) -> xr.Dataset:
    """Make a loss table of the tokens of a table's samples.

    Parameters
    ----------
    losses
        A loss table, ``nll`` (sample, lm) in nats.
    token_losses
        Losses of the tokens of the same texts, as `bayeslaw.read_token_losses` returns them.
    rule
        The rule that needs them, for messages.
    members
        Names of the models wanted; by default those of `losses` that are also in `token_losses`.

    Returns
    -------
    xarray.Dataset
        ``nll`` (sample, lm) of the tokens of the samples in `losses`, in the order of those; ``bytes``, ``cluster``
        (that of the token's sample in `losses`, else in `token_losses`) and ``number_of_sample``;
        what `losses` knows of the models; attributes with unit ``"token"``.

    Raises
    ------
    InputError
        If there are no losses of tokens, members are not in them, or they do not add up to the losses of the table.
    """
    tokens = _check_token_losses(token_losses, rule)
    names = _shared_models(losses, tokens, rule, members)
    samples = losses["sample"].to_numpy().astype(str)
    place = pd.Index(samples.astype(object)).get_indexer(pd.Index(tokens["sample_of_token"].to_numpy(), dtype=object))
    rows = _in_order(place)
    number = place[rows]
    columns = pd.Index(tokens["lm"].to_numpy().astype(str).astype(object)).get_indexer(pd.Index(names, dtype=object))
    nll = tokens["nll"].transpose("sample", "lm").to_numpy()[rows]
    if not np.array_equal(columns, np.arange(nll.shape[1])):
        nll = nll[:, columns]
    of_models = losses.sel(lm=names)
    check_token_sums(nll, number, of_models["nll"].to_numpy(), samples=samples, names=names)
    cluster = losses["cluster"].to_numpy()[number] if "cluster" in losses else tokens["cluster"].to_numpy()[rows]
    on_models = of_models.drop_dims("sample").reset_coords(drop=True)
    made = on_models.assign(
        nll=(("sample", "lm"), nll),
        bytes=("sample", tokens["bytes"].to_numpy()[rows]),
        cluster=on_samples(cluster),
        number_of_sample=("sample", number),
    )
    attributes = {"kind": "losses", "unit": "token", "source": losses.attrs.get("source", "")}
    made.attrs = attributes | {"tokenizer": tokens.attrs.get("tokenizer", "")}
    return made


def _in_order(place: np.ndarray) -> np.ndarray | slice:
    """Return which tokens belong to samples of a table, in the order of these, from the sample of each; -1 for none."""
    if len(place) and place[0] >= 0 and (place[1:] >= place[:-1]).all():
        # As tokens are read: nothing is copied.
        return slice(None)
    rows = np.flatnonzero(place >= 0)
    # Stable, so that clusters come in the order of the table and are dealt to the same folds.
    return rows[np.argsort(place[rows], kind="stable")]


def _check_token_losses(token_losses: xr.Dataset | None, rule: str) -> xr.Dataset:
    if token_losses is None:
        raise InputError(
            f"the rule {rule!r} needs the loss of every token",
            "token_losses, as read_token_losses returns them",
            "score the texts with --tokens, and give token_losses=read_token_losses(folder)",
        )
    if not {"nll", "bytes", "cluster", "sample_of_token"} <= {*token_losses.data_vars}:
        raise InputError(
            "token_losses is not a table of tokens",
            "token_losses, as read_token_losses returns them",
            "give token_losses=read_token_losses(folder)",
        )
    return token_losses


def _shared_models(losses: xr.Dataset, tokens: xr.Dataset, rule: str, members: Sequence[str] | None) -> list[str]:
    there = {str(name) for name in tokens["lm"].to_numpy()}
    known = [str(name) for name in losses["lm"].to_numpy()]
    names = [name for name in known if name in there] if members is None else list(members)
    absent = [name for name in names if name not in there]
    if not absent and names:
        return names
    hashes = dict.fromkeys(there, str(tokens.attrs.get("tokenizer", "")))
    if "tokenizer" in losses:
        hashes |= dict(zip(known, losses["tokenizer"].to_numpy().tolist(), strict=True))
    raise InputError(
        f"the rule {rule!r} cannot combine {tokenizer_groups(names or known, hashes)}: the losses of tokens are those "
        f"of {tokenizer_groups(sorted(there), hashes)}, and a mixture of the probabilities of tokens is a probability "
        "only where all members cut the text by one tokenizer",
        "members that are all in token_losses",
        "name members of one tokenizer, or read the losses of tokens of these",
    )
