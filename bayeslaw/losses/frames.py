"""Pandas frames to the loss dataset: the role of every column, and the checks."""

from collections.abc import Hashable, Sequence
from difflib import get_close_matches

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.errors import InputError, nearest
from bayeslaw.inputs.arguments import a_choice, a_column_list, a_text, accepts, optional, some_columns
from bayeslaw.losses.columns import (
    check_losses,
    check_positive,
    check_unique,
    column_list,
    description,
    holds_fractions,
    joined_labels,
    labels,
    numbers,
    series,
    source_of,
    tidy,
)
from bayeslaw.losses.dataset_arguments import a_frame, a_unit
from bayeslaw.losses.metrics import METRICS, USUAL_METRIC, as_losses, metric_attribute
from bayeslaw.losses.missing import MISSING_POLICIES, drop_missing
from bayeslaw.losses.model_frames import OPTIONAL_COLUMNS, model_frame, model_variables
from bayeslaw.losses.warned_once import tell_errors

SAMPLE_COLUMNS = ("sample", "item_id", "id")
ON_SAMPLES = ("sample", "bytes", "tokens", "cluster")
RESERVED = {*ON_SAMPLES, *OPTIONAL_COLUMNS, "nll", "lm", "family", "parameters", "loss", "standard_error"}


@accepts(
    losses=a_frame,
    models=a_frame,
    unit=a_unit,
    cluster=some_columns,
    sample=optional(a_text),
    describe=a_column_list,
    missing=a_choice(MISSING_POLICIES),
    metric=a_choice(METRICS),
)
def losses_from_frames(
    losses: pd.DataFrame,
    models: pd.DataFrame,
    *,
    unit: str = "sample",
    cluster: str | Sequence[str] | None = None,
    sample: str | None = None,
    describe: str | Sequence[str] = (),
    missing: str = "error",
    metric: str = USUAL_METRIC,
) -> xr.Dataset:
    """Make a loss table of two pandas frames.

    Parameters
    ----------
    losses
        One row a sample. The columns named in `models` are losses in nats, each the sum over the whole sample. The
        others describe the samples: ``bytes``, ``tokens`` (or ``n_tokens``), ``cluster``, text and integers by
        themselves, numbers with a fraction where `describe` names them.
    models
        One row a model: ``model``, ``family``, ``parameters`` (or ``params``), optionally ``active_parameters``,
        ``embedding_parameters``, ``non_embedding_parameters``, ``training_tokens``, ``price``. Other columns are
        ignored.
    unit
        What a sample is: ``"document"``, ``"sentence"``, ``"word"`` and so on.
    cluster
        The columns, also as one text separated by commas, that together say which samples belong together. By default
        the column ``cluster`` where there is one.
    sample
        The column of sample names; by default the first of ``sample``, ``item_id``, ``id``, else the row number from 0.
    describe
        Columns of floating-point numbers that describe samples.
    missing
        ``"error"``, ``"drop-models"`` or ``"drop-samples"``: what to do where losses are missing.
    metric
        What the columns of models hold: ``"nll"``; ``"accuracy"``, 1 for a right answer and 0 for a wrong one, or a
        share of the answers to a sample; or ``"error_rate"``, one minus that. The table then holds the shares of wrong
        answers in the place of losses, each sample counts alike, and rules that mix probabilities are refused.

    Returns
    -------
    xarray.Dataset
        ``nll`` (sample, lm) in nats (or the share of wrong answers), float64; ``family`` and ``parameters`` (lm); what
        else is known of models and samples; attributes ``kind``, ``unit``, ``cluster`` (the columns), ``missing`` (JSON
        of what was dropped), ``source``, and ``metric`` where it is not ``"nll"``.

    Raises
    ------
    InputError
        If a column has no role, a model no column, a name is there twice, or a value is not what its column needs.

    Examples
    --------
    >>> import pandas as pd, bayeslaw as bl
    >>> table = pd.DataFrame({"sample": ["s1", "s2"], "small": [3.0, 2.0], "large": [2.5, 2.1]})
    >>> models = pd.DataFrame({"model": ["small", "large"], "family": ["a", "a"], "parameters": ["70M", "7B"]})
    >>> losses = bl.losses_from_frames(table, models)
    >>> losses["parameters"].to_numpy().tolist()
    [70000000.0, 7000000000.0]
    """
    table, lms = tidy(losses, "the losses"), model_frame(models)
    names = lms["model"].tolist()
    if table.empty:
        raise InputError(f"{source_of(losses, 'the losses')} has no rows", "one row a sample", "add the samples")
    cluster_columns = column_list(table, cluster) or [c for c in ("cluster",) if c in table and c not in names]
    sample_column = _sample_column(table, sample, names)
    absent = [name for name in names if name not in table]
    described = _described_columns(table, names, sample_column, cluster_columns, column_list(table, describe), absent)
    samples = _sample_names(table, sample_column)
    nll = _loss_matrix(table, names, samples, metric)
    dataset = assembled(table, lms, samples, nll, cluster=cluster_columns, described=described)
    dataset.attrs |= {"unit": unit, "source": source_of(losses, "frames")} | metric_attribute(metric)
    return tell_errors(drop_missing(dataset, missing))


def losses_from_matrix(
    table: pd.DataFrame, lms: pd.DataFrame, samples: pd.Index, nll: np.ndarray, there: np.ndarray
) -> xr.Dataset:
    """Make a loss table of a matrix of losses and of what describes its samples.

    Parameters
    ----------
    table
        What describes the samples, one row a sample; all columns have a role.
    lms
        The models, as `model_frame` returns them.
    samples
        Names of the samples, none twice.
    nll
        Losses in nats, [sample, lm], NaN where there is none; becomes the table's own.
    there
        Which models have losses at all, [lm].

    Returns
    -------
    xarray.Dataset
        As `losses_from_frames` makes it, gaps and all.

    Raises
    ------
    InputError
        If a model has no losses, or a value is not what its column needs.
    """
    names = lms["model"].tolist()
    cluster = [name for name in ("cluster",) if name in table]
    declared = [str(name) for name in table.columns if name not in ("bytes", "tokens", "cluster")]
    absent = [name for name, has in zip(names, there, strict=True) if not has]
    described = _described_columns(table, names, None, cluster, declared, absent)
    _check_matrix(nll, names, samples)
    return assembled(table, lms, samples, nll, cluster=cluster, described=described)


def assembled(
    table: pd.DataFrame,
    lms: pd.DataFrame,
    samples: np.ndarray | pd.Index,
    nll: np.ndarray,
    *,
    cluster: list[str],
    described: list[str],
) -> xr.Dataset:
    """Put losses and what is known of samples and models into one dataset; arguments as in `losses_from_matrix`."""
    names = lms["model"].tolist()
    dataset = xr.Dataset(coords={"sample": ("sample", samples), "lm": ("lm", np.array(names, dtype=str))})
    dataset["nll"] = (("sample", "lm"), nll)
    dataset = dataset.assign(model_variables(lms)).assign(_sample_variables(table, names, samples, cluster))
    dataset = dataset.assign({name: on_samples(description(series(table, name))) for name in described})
    dataset.attrs = {"kind": "losses", "unit": "sample", "cluster": ",".join(cluster), "missing": "{}"}
    return dataset


def _sample_column(table: pd.DataFrame, given: str | None, names: list[str]) -> str | None:
    if given is not None:
        return column_list(table, [given])[0]
    return next((name for name in SAMPLE_COLUMNS if name in table and name not in names), None)


def _sample_names(table: pd.DataFrame, column: str | None) -> np.ndarray:
    if column is None:
        return np.array([str(row) for row in range(len(table))])
    names = labels(series(table, column), "sample name")
    check_unique(names, "sample", f"column {column!r}")
    return names


def _described_columns(
    table: pd.DataFrame,
    names: list[str],
    sample: str | None,
    cluster: list[str],
    declared: list[str],
    absent: list[str],
) -> list[str]:
    with_role = {sample, "bytes", token_column(table), "cluster" if "cluster" in cluster else None, *names}
    rest = [str(column) for column in table.columns if column not in with_role]
    if both := next((name for name in declared if name in names), None):
        problem = f"column {both!r} is declared to describe samples, and holds the losses of the model of this name"
        raise InputError(problem, "a column of losses, or one that describes", f"leave out --describe {both}")
    stray = [name for name in rest if name not in {*cluster, *declared} and holds_fractions(series(table, name))]
    if stray:
        problem = f"column {stray[0]!r} holds floating-point numbers, and no model has this name"
        if absent:
            problem += f" (model {absent[0]!r} has no column)"
        fix = f"add it to the table of models, or declare it with --describe {stray[0]}"
        if near := next(iter(get_close_matches(_letters(stray[0]), map(_letters, absent), n=1)), None):
            model = next(name for name in absent if _letters(name) == near)
            fix = f"give column {stray[0]!r} and model {model!r} one name, if they are the same"
        raise InputError(problem, "a model's losses, or a declared description", fix)
    if absent:
        problem = f"model {absent[0]!r} has no column of losses" + _and_more(absent)
        free = [name for name in rest if name not in {*cluster, *declared}]
        fix = nearest(absent[0], free) if free else "add its column, or leave it out of the table of models"
        raise InputError(problem, "one column for every model", fix)
    clash = [name for name in rest if name in RESERVED]
    if clash:
        raise InputError(f"column {clash[0]!r} has a name with a meaning of its own", "another name", "rename it")
    return rest


def _letters(name: str) -> str:
    """Return a name as it is compared with others: without its owner, case and signs."""
    return "".join(letter for letter in name.rpartition("/")[2].casefold() if letter.isalnum())


def _and_more(names: Sequence[Hashable]) -> str:
    return f", nor have {len(names) - 1} others" if len(names) > 1 else ""


def token_column(table: pd.DataFrame) -> str | None:
    """Return the column that counts the tokens of each sample, if there is one."""
    return next((name for name in ("tokens", "n_tokens") if name in table), None)


def _loss_matrix(table: pd.DataFrame, names: list[str], samples: np.ndarray, metric: str) -> np.ndarray:
    nll = np.empty((len(table), len(names)))
    for column, name in enumerate(names):
        nll[:, column] = numbers(series(table, name), f"loss by {name!r}", samples)
    nll = as_losses(nll, metric, lambda place: f"sample {str(samples[place[0]])!r} by model {names[place[1]]!r}")
    _check_matrix(nll, names, samples)
    return nll


def _check_matrix(nll: np.ndarray, names: list[str], samples: np.ndarray | pd.Index) -> None:
    """Check losses, [sample, lm], and write zero for minus zero."""
    check_losses(nll, lambda index: f"sample {str(samples[index[0]])!r} by model {names[index[1]]!r}")
    nll += 0.0


def _sample_variables(
    table: pd.DataFrame, names: list[str], samples: np.ndarray | pd.Index, cluster: list[str]
) -> dict[str, xr.Variable]:
    variables = {}
    for role, column in (("bytes", "bytes"), ("tokens", token_column(table))):
        if column is None or column not in table or column in names:
            continue
        values = numbers(series(table, column), role, samples)
        if np.isnan(values).any():
            problem = f"the {role} of {str(samples[np.isnan(values).argmax()])!r} are missing"
            raise InputError(problem, f"{role} for every sample", f"fill the column {column} in, or remove it")
        check_positive(values, role, samples, zero=role == "tokens")
        variables[role] = on_samples(values)
    if cluster:
        variables["cluster"] = on_samples(joined_labels([labels(series(table, column), column) for column in cluster]))
    return variables


def on_samples(values: np.ndarray) -> xr.Variable:
    """Return values of samples as a variable that holds the array itself: text that repeats is there once."""
    return xr.Variable(("sample",), values, fastpath=True)
