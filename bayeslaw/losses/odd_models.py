"""What is said of models that cannot be: sizes against names, training tokens and prices in another unit."""

import re
from collections.abc import Iterator

import numpy as np
import xarray as xr

from bayeslaw.findings import Finding
from bayeslaw.losses.metrics import metric_of
from bayeslaw.losses.sizes import FACTORS, ROUNDED, count_label
from bayeslaw.losses.weighted_means import mean_losses

FEWEST_TOKENS = 10_000
# Of mixtures of experts of today at most a hundredth of the parameters is at work.
LEAST_PART = 1e-3
# Prices of a token a parameter differ by some tens of times.
PRICE_TIMES = 200.0
# Where so many names tell the size, and mean it, one that is far off has another unit.
FEWEST_NAMES, NAMED_SHARE, AGREES, FAR_OFF = 3, 0.6, 2.0, 30.0
NAMED_SIZE = re.compile(r"(?i)(?:^|[-_: ])(\d+(?:\.\d+)?)([mkbt])(?=$|[-_: ])")
# As of single sizes: a hundred times as many parameters make more than this of a difference.
SIZE_GAP, SIZE_GAIN = 100.0, 1.05


def odd_models(losses: xr.Dataset) -> Iterator[Finding]:
    """Look for sizes, training tokens and prices of models that are likely in another unit.

    Parameters
    ----------
    losses
        A loss table, or a table of whole models.

    Yields
    ------
    Finding
        Of severity ``"error"``.
    """
    yield from _parts(losses)
    yield from _training_tokens(losses)
    yield from _prices(losses)
    yield from _named_sizes(losses)
    yield from _family_sizes(losses)


def _error(code: str, message: str) -> Finding:
    return Finding(code, "error", message)


def _names(losses: xr.Dataset) -> list[str]:
    return [str(name) for name in losses["lm"].to_numpy()]


def _parts(losses: xr.Dataset) -> Iterator[Finding]:
    total = losses["parameters"].to_numpy().astype(float)
    for part in ("active_parameters", "non_embedding_parameters"):
        if part not in losses:
            continue
        count = losses[part].to_numpy().astype(float)
        for index in np.flatnonzero((count > ROUNDED * total) | (count < LEAST_PART * total)):
            message = (
                f"{_names(losses)[index]} is said to have {count[index]:.3g} {part.replace('_', ' ')} of "
                f"{total[index]:.3g} in all: check the units of both."
            )
            yield _error("part-above-total" if count[index] > total[index] else "part-below-total", message)


def _training_tokens(losses: xr.Dataset) -> Iterator[Finding]:
    if "training_tokens" not in losses:
        return
    tokens = losses["training_tokens"].to_numpy().astype(float)
    few = np.flatnonzero(tokens < FEWEST_TOKENS)
    if len(few):
        message = (
            f"{_names(losses)[few[0]]} is said to be trained on {tokens[few[0]]:g} tokens"
            f"{f', and {len(few) - 1} more on as few' if len(few) > 1 else ''}: are they given in millions or billions?"
        )
        yield _error("few-training-tokens", message)


def _prices(losses: xr.Dataset) -> Iterator[Finding]:
    if "price" not in losses:
        return
    size = losses["active_parameters" if "active_parameters" in losses else "parameters"].to_numpy().astype(float)
    each = losses["price"].to_numpy().astype(float) / np.where(np.isnan(size), losses["parameters"].to_numpy(), size)
    priced = np.flatnonzero(each > 0)
    if len(priced) < FEWEST_NAMES:
        return
    for index in priced:
        usual = float(np.median(each[priced[priced != index]]))
        times = each[index] / usual
        if not 1 / PRICE_TIMES < times < PRICE_TIMES:
            message = (
                f"the price of {_names(losses)[index]}, {losses['price'].to_numpy()[index]:g}, is {times:.3g} times "
                "what the other models usually cost a parameter: check that all prices are of as many tokens."
            )
            yield _error("price-out-of-line", message)


def _named_sizes(losses: xr.Dataset) -> Iterator[Finding]:
    """Find sizes that are not those in the names, where most are."""
    found = [NAMED_SIZE.findall(name) for name in _names(losses)]
    told = np.array([float(each[0][0]) * FACTORS[each[0][1].lower()] if len(each) == 1 else np.nan for each in found])
    ratio = losses["parameters"].to_numpy().astype(float) / told
    agrees = (ratio > 1 / AGREES) & (ratio < AGREES)
    if agrees.sum() < max(FEWEST_NAMES, NAMED_SHARE * np.isfinite(ratio).sum()):
        return
    for index in np.flatnonzero((ratio > FAR_OFF) | (ratio < 1 / FAR_OFF)):
        size = count_label(losses["parameters"].to_numpy()[index])
        message = (
            f"{_names(losses)[index]} is said to have {size} parameters, and the sizes in the names of the others are "
            "theirs: check the unit of its size."
        )
        yield _error("size-against-name", message)


def _family_sizes(losses: xr.Dataset) -> Iterator[Finding]:
    """Find families of which every model is no better than models of others a hundred times smaller."""
    if "nll" not in losses or not metric_of(losses).log_losses:
        return
    sizes, families = losses["parameters"].to_numpy().astype(float), losses["family"].to_numpy()
    loss = mean_losses(losses)["loss"].to_numpy()
    tokens = losses["training_tokens"].to_numpy() if "training_tokens" in losses else np.ones(len(sizes))
    smaller = (sizes[:, None] > SIZE_GAP * sizes) & (tokens[:, None] >= tokens) & (families[:, None] != families)
    no_better = (smaller & (loss[:, None] > loss / SIZE_GAIN)).any(axis=1)
    for family in np.unique(families):
        members = families == family
        if members.sum() > 1 and no_better[members].all():
            message = (
                f"each model of {family} loses as much as models of other families that are said to be a hundred times "
                "smaller: check the unit of its sizes."
            )
            yield _error("size-out-of-line", message)
