"""What is suspicious in a loss table: sentences with codes."""

import json
import re
from collections.abc import Iterator

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.findings import Finding
from bayeslaw.losses.by_model import unscored_bytes
from bayeslaw.losses.loss_text import loss_text
from bayeslaw.losses.missing import missing_note
from bayeslaw.losses.model_names import listed
from bayeslaw.losses.near_names import near_families, near_names
from bayeslaw.losses.odd_columns import near_copies
from bayeslaw.losses.table_errors import loss_errors
from bayeslaw.losses.weighted_means import (
    cluster_codes,
    clustered_standard_error,
    loss_scale,
    loss_unit,
    mean_losses,
    sample_weights,
    win_shares,
)

FEW_CLUSTERS = 20
FEW_SIZES = 5
FEWEST_PARAMETERS = 10_000
NEARLY_ALWAYS, NEARLY_NEVER = 0.95, 0.001
# On six real tables the largest residual was 0.46 at 3.5 robust deviations, and the most deviations 5.6, at a
# residual of 0.08: both at once is what a wrong unit or a swapped column makes.
LARGE_RESIDUAL, MANY_DEVIATIONS = 0.2, 5.0
# On random parts of these tables the most was 0.28; bits in place of nats make 0.37.
SURELY_WRONG, SURE_SAMPLES = 0.32, 200
WORSE_BY_ERRORS, WORSE_BY_SHARE = 4.0, 0.01
DOCUMENT_NAME = re.compile(
    r"(^|[_.-])(doc|document|sent|sentence|para|paragraph|passage|story|article|chapter|book|page|file|url|source)s?"
    r"([_.-]?(id|no|nr|num|number|index|idx|name))?$",
    re.IGNORECASE,
)


def loss_warnings(losses: xr.Dataset) -> list[Finding]:
    """Look for what is suspicious in a loss table.

    Parameters
    ----------
    losses
        A loss table, or a table of whole models.

    Returns
    -------
    list of Finding
        What was dropped first, then doubts about models, then about the design.
    """
    found = []
    if note := missing_note(losses):
        found.append(Finding("dropped", "warning", note))
    if "nll" in losses:
        found += [*_rebuilt_tokenizers(losses), *_unscored(losses)]
    found += loss_errors(losses)
    if "nll" in losses:
        found += _winners(losses)
    found += [*_tiny_models(losses), *_out_of_line(losses), *_larger_but_worse(losses), *_few_sizes(losses)]
    found += near_families(losses)
    if "nll" in losses:
        found += [*near_copies(losses), *_few_clusters(losses), *_unused_columns(losses), *near_names(losses)]
    return found


def table_errors(losses: xr.Dataset) -> list[Finding]:
    """Look for what is likely wrong in a loss table.

    Parameters
    ----------
    losses
        A loss table, or a table of whole models.

    Returns
    -------
    list of Finding
        Those of `loss_warnings` that are errors.
    """
    found = [*(_rebuilt_tokenizers(losses) if "nll" in losses else ()), *loss_errors(losses)]
    found += [*_tiny_models(losses), *_out_of_line(losses)]
    return [finding for finding in found if finding.is_error]


def _rebuilt_tokenizers(losses: xr.Dataset) -> Iterator[Finding]:
    given = set(json.loads(losses.attrs.get("rebuilt_tokenizers", "[]")))
    names = [name for name in losses["lm"].to_numpy().tolist() if name in given]
    if names:
        message = (
            f"{listed(names)}: scored by a version that cut texts as the class of the tokenizer does, not as its "
            "tokenizer.json says: where the two differ its losses are wrong. Score again; what agrees stays."
        )
        yield Finding("rebuilt-tokenizer", "error", message)


def _unscored(losses: xr.Dataset) -> Iterator[Finding]:
    for name, left_out in zip(losses["lm"].to_numpy(), unscored_bytes(losses), strict=False):
        total = left_out.clip(0).sum()
        if total > 0:
            message = (
                f"{name} scored {np.count_nonzero(left_out > 0):,} of {len(left_out):,} samples only in part: "
                f"{total:,.0f} bytes ({total / sample_weights(losses).sum():.2%}) have no score, so that its losses "
                "are likely too low."
            )
            yield Finding("unscored-bytes", "warning", message)


def _winners(losses: xr.Dataset) -> Iterator[Finding]:
    names, wins = losses["lm"].to_numpy(), win_shares(losses)
    of = "bytes" if "bytes" in losses else "samples"
    if len(names) == 1:
        return
    for name, share in zip(names[wins > NEARLY_ALWAYS], wins[wins > NEARLY_ALWAYS], strict=True):
        message = f"{name} has the lowest loss on {share:.1%} of the {of}: no pool can gain much over it."
        yield Finding("wins-nearly-always", "warning", message)
    never = names[wins < NEARLY_NEVER].tolist()
    if never:
        has = "has" if len(never) == 1 else "have"
        message = f"{listed(never)} {has} the lowest loss of all models on under {NEARLY_NEVER:.1%} of the {of}."
        yield Finding("never-wins", "warning", message)


def _same_training(losses: xr.Dataset) -> bool:
    return "training_tokens" not in losses or len(np.unique(losses["training_tokens"].to_numpy())) == 1


def _out_of_line(losses: xr.Dataset) -> Iterator[Finding]:
    # A model trained on less data loses more, and no unit is wrong.
    known = "training_tokens" in losses and _same_training(losses)
    enough = known and losses.sizes.get("sample", SURE_SAMPLES) >= SURE_SAMPLES
    surely = out_of_line(losses, beyond=SURELY_WRONG) if enough else {}
    for name, message in out_of_line(losses).items():
        yield Finding("out-of-line", "error" if name in surely else "warning", message)


def out_of_line(losses: xr.Dataset, *, beyond: float = LARGE_RESIDUAL) -> dict[str, str]:
    """Find models whose mean loss is far from what their size lets expect beside the other models.

    Parameters
    ----------
    losses
        A loss table, or a table of whole models.
    beyond
        How far the log of the loss has to be off.

    Returns
    -------
    dict
        What was seen of each such model, by name; none where there are too few sizes to tell.
    """
    means = mean_losses(losses)["loss"].to_numpy()
    sizes = losses["parameters"].to_numpy()
    if len(np.unique(sizes)) < FEW_SIZES or (means <= 0).any() or ("nll" not in losses and not _same_training(losses)):
        return {}
    residuals = _robust_residuals(np.log(sizes), np.log(means))
    # 1.4826 makes the median absolute deviation of a normal sample its standard deviation.
    deviations = np.abs(residuals) / max(1.4826 * float(np.median(np.abs(residuals))), 1e-12)
    found = {}
    for index in np.flatnonzero((np.abs(residuals) > beyond) & (deviations > MANY_DEVIATIONS)):
        name = str(losses["lm"].to_numpy()[index])
        found[name] = (
            f"the mean loss of {name}, {loss_text(means[index])} {loss_unit(losses)}, is "
            f"{np.exp(residuals[index]):.2f} times what its size lets expect beside the other models "
            f"({deviations[index]:.0f} robust deviations): check its unit, its column and its parameters."
        )
    return found


def _robust_residuals(sizes: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Return what the line of Theil and Sen leaves: the median of the slopes of all pairs, through both medians."""
    # In place of scipy.stats, which takes as much memory to load as a table of a million losses.
    one, other = np.triu_indices(len(sizes), 1)
    apart = sizes[one] != sizes[other]
    slope = np.median((losses[other] - losses[one])[apart] / (sizes[other] - sizes[one])[apart])
    return losses - np.median(losses) - slope * (sizes - np.median(sizes))


def _larger_but_worse(losses: xr.Dataset) -> Iterator[Finding]:
    means = mean_losses(losses)
    names, families = losses["lm"].to_numpy(), losses["family"].to_numpy()
    loss, sizes = means["loss"].to_numpy(), losses["parameters"].to_numpy()
    tokens = losses["training_tokens"].to_numpy() if "training_tokens" in losses else np.zeros(len(loss))
    for larger in range(len(loss)):
        # A smaller model trained on more data may well be better.
        fair = (families == families[larger]) & (sizes < sizes[larger]) & (tokens <= tokens[larger])
        smaller = int(np.argmin(np.where(fair, loss, np.inf)))
        difference = loss[larger] - loss[smaller]
        if not fair.any() or difference <= WORSE_BY_SHARE * loss[smaller]:
            continue
        error = _error_of_difference(losses, means, larger, smaller)
        if difference > WORSE_BY_ERRORS * error:
            message = (
                f"{names[larger]} has a higher loss than the smaller {names[smaller]} of its family: "
                f"{loss_text(loss[larger])} against {loss_text(loss[smaller])} {loss_unit(losses)}, with a "
                f"standard error of the difference of {loss_text(error)}."
            )
            yield Finding("larger-but-worse", "warning", message)


def _error_of_difference(losses: xr.Dataset, means: xr.Dataset, one: int, other: int) -> float:
    if "nll" not in losses:
        return float(np.hypot(*means["standard_error"].to_numpy()[[one, other]]))
    nll = losses["nll"].to_numpy()
    clusters = cluster_codes(losses) if "cluster" in losses else None
    error = clustered_standard_error(nll[:, one] - nll[:, other], sample_weights(losses), clusters)
    return float(loss_scale(losses) * error)


def _few_sizes(losses: xr.Dataset) -> Iterator[Finding]:
    families = np.unique(losses["family"].to_numpy())
    sizes = len(np.unique(losses["parameters"].to_numpy()))
    if len(families) == 1:
        message = f"all models are of the family {families[0]}: pools of several families cannot be formed."
        yield Finding("single-family", "warning", message)
    if sizes < FEW_SIZES:
        message = f"the models have {sizes} different sizes: floor, amplitude and exponent are hardly determined."
        yield Finding("few-sizes", "warning", message)


def _tiny_models(losses: xr.Dataset) -> Iterator[Finding]:
    parameters = losses["parameters"].to_numpy()
    tiny = [str(name) for name in losses["lm"].to_numpy()[parameters < FEWEST_PARAMETERS]]
    if tiny:
        message = f"{listed(tiny)}: under {FEWEST_PARAMETERS:,} parameters; are they given in millions or billions?"
        yield Finding("tiny-models", "error", message)


def _few_clusters(losses: xr.Dataset) -> Iterator[Finding]:
    count = int(cluster_codes(losses).max()) + 1
    if count < FEW_CLUSTERS:
        what = "cluster" if "cluster" in losses else "sample"
        are = f"is 1 {what}" if count == 1 else f"are {count} {what}s"
        message = f"there {are}, under {FEW_CLUSTERS}: standard errors are uncertain, likely too small."
        yield Finding("few-clusters", "warning", message)


def _unused_columns(losses: xr.Dataset) -> Iterator[Finding]:
    declared = str(losses.attrs.get("cluster", "")).split(",")
    codes = cluster_codes(losses)
    per_sample = losses["nll"].to_numpy().mean(axis=1)
    weights = sample_weights(losses)
    error = float(clustered_standard_error(per_sample, weights, codes))
    seen = []
    for name, column in losses.data_vars.items():
        if (
            column.dims != ("sample",)
            or name in ("bytes", "tokens", "scored_bytes", "cluster", *declared)
            or column.dtype.kind == "f"
        ):
            continue
        groups = pd.factorize(column.to_numpy())[0]
        if not _is_coarser(groups, codes):
            continue
        factor = float(clustered_standard_error(per_sample, weights, groups)) / error if error > 0 else 1.0
        if DOCUMENT_NAME.search(str(name)) or (_comes_in_runs(groups) and factor > _chance_factor(groups)):
            seen.append(f"{name} ({groups.max() + 1} values; standard errors {factor:.1f} times as large)")
    if seen:
        message = f"samples may come from the same document: {listed(seen)}. Declare the column with --cluster."
        yield Finding("unused-column", "warning", message)


def _is_coarser(groups: np.ndarray, codes: np.ndarray) -> bool:
    count, clusters = groups.max() + 1, codes.max() + 1
    if not 2 <= count <= clusters / 2:
        return False
    first = np.full(clusters, -1)
    first[codes[::-1]] = groups[::-1]
    return bool((first[codes] == groups).all())


def _chance_factor(groups: np.ndarray) -> float:
    # A standard error from C groups is itself known to one part in sqrt(2 (C - 1)).
    return 1 + 2 / np.sqrt(2 * groups.max())


def _comes_in_runs(groups: np.ndarray) -> bool:
    runs = 1 + np.count_nonzero(np.diff(groups))
    return bool(runs <= 1.1 * (groups.max() + 1))
