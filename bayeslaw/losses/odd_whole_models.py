"""Rows of a table of whole models that are no models, or whose loss cannot be one beside the others'."""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from bayeslaw.findings import Finding
from bayeslaw.losses.loss_text import loss_text
from bayeslaw.losses.model_names import listed
from bayeslaw.losses.odd_rows import NEAR_NAMED, SUMMARY_NAMES

FEWEST_MODELS = 5
# Measured: the loss of a model is at most 1.1 times that of a smaller one of its family that was trained on no more
# tokens, and the largest loss of a table at most 1.3 times the next.
MUCH_WORSE, FAR_APART = 1.5, 4.0
REPEATED_SHARE = 0.1
UNIFORM = 12.5


def odd_whole_models(losses: xr.Dataset) -> Iterator[Finding]:
    """Look for rows that are no models, and for losses that are out of all proportion.

    Parameters
    ----------
    losses
        A table of whole models.

    Yields
    ------
    Finding
        Of severity ``"error"``.
    """
    names = [str(name) for name in losses["lm"].to_numpy()]
    loss = losses["loss"].to_numpy().astype(float)
    if (loss == 0).any():
        zero = [name for name, value in zip(names, loss, strict=True) if value == 0]
        message = f"the loss of {listed(zero)} is exactly 0: what was not scored is missing. Leave its loss empty."
        yield Finding("zero-losses", "error", message)
    if len(names) < FEWEST_MODELS:
        return
    if losses.attrs.get("unit") == "token" and np.median(loss) > UNIFORM:
        message = (
            f"half of the losses are above {UNIFORM:g} nats per token, more than a uniform guess among 250,000 tokens: "
            "are these perplexities? Their logarithms are losses."
        )
        yield Finding("above-uniform", "error", message)
    yield from _constant(losses, loss)
    yield from _summary_rows(losses, names, loss)
    yield from _repeated(losses)
    yield from _out_of_proportion(losses, names, loss)


def _constant(losses: xr.Dataset, loss: np.ndarray) -> Iterator[Finding]:
    if np.ptp(loss) == 0 and np.ptp(losses["parameters"].to_numpy()) > 0:
        message = f"all {len(loss)} models have the loss {loss[0]:g}, whatever their sizes: was a mean filled in?"
        yield Finding("constant-losses", "error", message)


def _summary_rows(losses: xr.Dataset, names: list[str], loss: np.ndarray) -> Iterator[Finding]:
    for index, name in enumerate(names):
        others = np.delete(loss, index)
        means = np.array([others.mean(), np.median(others), others.sum()])
        if name.casefold() in SUMMARY_NAMES and (np.abs(loss[index] - means) <= NEAR_NAMED * means).any():
            message = f"the row {name!r} has the mean or the sum of all other losses: it is no model. Leave it out."
            yield Finding("summary-row", "error", message)


def _repeated(losses: xr.Dataset) -> Iterator[Finding]:
    columns = [losses[name].to_numpy() for name in ("loss", "parameters", "training_tokens") if name in losses]
    rows = list(zip(*(column.tolist() for column in (*columns, losses["family"].to_numpy())), strict=True))
    repeats = len(rows) - len(set(rows))
    if repeats >= max(2, REPEATED_SHARE * len(rows)):
        message = (
            f"{repeats} of {len(rows)} rows have the family, the size and the loss of another: models are there twice, "
            "and intervals too narrow. Give each model once."
        )
        yield Finding("repeated-rows", "error", message)


def _out_of_proportion(losses: xr.Dataset, names: list[str], loss: np.ndarray) -> Iterator[Finding]:
    """Find losses far from all others, or much above those of models of the family with less of everything."""
    sizes, families = losses["parameters"].to_numpy().astype(float), losses["family"].to_numpy()
    tokens = losses["training_tokens"].to_numpy().astype(float) if "training_tokens" in losses else np.ones(len(loss))
    ordered = np.sort(loss)
    for index, name in enumerate(names):
        less = (families == families[index]) & (sizes <= sizes[index]) & (tokens <= tokens[index])
        less[index] = False
        # One model that is too good would put all larger ones in the wrong.
        usual = float(np.median(loss[less])) if less.sum() > 1 else np.inf
        far = loss[index] > FAR_APART * ordered[-2] or 0 < loss[index] < ordered[1] / FAR_APART
        if far or loss[index] > MUCH_WORSE * usual:
            beside = f"{ordered[0]:.4g} to {ordered[-1]:.4g} in all"
            beside = f"smaller models of its family usually have {loss_text(usual)}" if not far else beside
            message = f"the loss of {name} is {loss_text(loss[index])}, and {beside}: check its unit and its column."
            yield Finding("loss-out-of-line", "error", message)
