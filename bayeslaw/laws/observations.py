"""What a law is fitted to: one row a model or a pool, whatever table it came from."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import xarray as xr

from bayeslaw.errors import InputError, check_choice
from bayeslaw.losses.loss_text import loss_text
from bayeslaw.losses.parameter_counts import PARAMETER_COUNTS, parameter_counts
from bayeslaw.losses.sizes import count_label
from bayeslaw.losses.statistics import loss_unit, mean_losses
from bayeslaw.pools.regimes import REGIMES

MINIMUM_SIZES = 3
BUDGETS = ("parameters", "training_tokens")
ROUNDING = 1e-12


@dataclass(frozen=True)
class Observations:
    """Rows of a law.

    Parameters
    ----------
    loss
        Loss of each row in `unit`, shape ``[row]``.
    covariates
        Positive covariates by name, each of shape ``[row]``.
    labels
        Name of each row, unique.
    row_dimension
        ``"lm"`` for models, ``"pool"`` for pools.
    unit
        Unit of the loss, such as ``"nats per word"``.
    groups
        Group of each row by grouping variable (``"family"``, ``"regime"``), each of shape ``[row]``.
    standard_error
        Sampling standard error of each loss in `unit`, shape ``[row]``, or None where unknown.
    sampling_factor
        Factor of the sampling covariance of the losses in `unit`, shape ``[row, direction]``, or None where unknown.
    sampling_remainder
        Sampling variance of each loss outside of the factor in `unit` squared, shape ``[row]``; None with the factor.
    shares
        Share of each member in each row's loss, shape ``[row, member]``; None for rows that are no pools.
    membership
        Whether each member is in each row, shape ``[row, member]``; None for rows that are no pools.
    members
        Names of the members that `shares` and `membership` are of; all of them are in some row.
    facts
        What the diagnostics need to know of the table, such as ``overlapping``, ``samples``, ``clusters``,
        ``largest_winner_share``.
    """

    loss: np.ndarray
    covariates: Mapping[str, np.ndarray]
    labels: np.ndarray
    row_dimension: str
    unit: str
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)
    standard_error: np.ndarray | None = None
    sampling_factor: np.ndarray | None = None
    sampling_remainder: np.ndarray | None = None
    shares: np.ndarray | None = None
    membership: np.ndarray | None = None
    members: tuple[str, ...] = ()
    facts: Mapping[str, float | str | bool] = field(default_factory=dict)

    @property
    def reference(self) -> dict[str, float]:
        """Geometric mean of each budget over the rows, the ``N0`` and ``D0`` of the laws; 1 for other covariates."""
        return {
            name: float(np.exp(np.log(values).mean())) if name in BUDGETS else 1.0
            for name, values in self.covariates.items()
        }


def observe(data: xr.Dataset, covariates: tuple[str, ...], *, parameters: str = "total") -> Observations:
    """Turn a table of losses, of whole models, or of pools into rows.

    Parameters
    ----------
    data
        A dataset made by `read_losses`, `make_pools` or their relatives.
    covariates
        Covariates that the law takes: ``"parameters"``, ``"training_tokens"``.
    parameters
        Which count of parameters: ``"total"``, ``"non-embedding"`` or ``"active"``. A pools table fixes it.

    Returns
    -------
    Observations
        One row a model or a pool.

    Raises
    ------
    InputError
        If a covariate is missing or not positive, the sizes are too few or all equal, all losses are equal, or the
        table is of another kind.
    """
    check_choice("count of parameters", parameters, PARAMETER_COUNTS)
    kind = check_choice("kind of table", str(data.attrs.get("kind", "")), ("losses", "models", "pools"))
    rows = _pool_rows(data, parameters) if kind == "pools" else _model_rows(data, kind)
    values = {name: _covariate(data, name, rows.row_dimension, parameters) for name in covariates}
    for name, column in values.items():
        _check_sizes(name, column)
    _check_losses(rows)
    facts = {**rows.facts, **unused_tokens(data, covariates)}
    return replace(rows, covariates=values, labels=_unique(np.array(rows.labels, dtype=str)), facts=facts)


def unused_tokens(data: xr.Dataset, covariates: tuple[str, ...] = ()) -> dict[str, str]:
    """Say which range of training tokens a table has that a law does not take.

    Parameters
    ----------
    data
        A table of losses, of whole models, or of pools.
    covariates
        Covariates that the law takes.

    Returns
    -------
    dict
        The fact ``unused_tokens``, such as ``"300B to 2T"``; empty where the law takes them, or models do not
        differ in them.
    """
    if "training_tokens" in covariates or "training_tokens" not in data:
        return {}
    tokens = data["training_tokens"].to_numpy().astype(float)
    tokens = np.unique(tokens[np.isfinite(tokens)])
    return {"unused_tokens": f"{count_label(tokens[0])} to {count_label(tokens[-1])}"} if len(tokens) > 1 else {}


def _model_rows(data: xr.Dataset, kind: str) -> Observations:
    if kind == "losses":
        means = mean_losses(data)
        loss, error, unit = means["loss"].to_numpy(), means["standard_error"].to_numpy(), loss_unit(data)
    else:
        loss, unit = data["loss"].to_numpy().astype(float), str(data.attrs.get("loss_unit", "nats"))
        error = data["standard_error"].to_numpy().astype(float) if "standard_error" in data else None
    facts: dict[str, float | str | bool] = {"overlapping": False, "table": kind}
    if kind == "losses":
        facts |= {"samples": data.sizes["sample"], "clusters": _cluster_count(data)}
    return Observations(
        loss=loss,
        covariates={},
        labels=data["lm"].to_numpy(),
        row_dimension="lm",
        unit=unit,
        groups={"family": data["family"].to_numpy().astype(str)},
        standard_error=error,
        facts=facts,
    )


def _cluster_count(data: xr.Dataset) -> int:
    return len(np.unique(data["cluster"].to_numpy())) if "cluster" in data else data.sizes["sample"]


def _pool_rows(data: xr.Dataset, parameters: str) -> Observations:
    made_with = data.attrs.get("parameters_kind", "total")
    if parameters not in ("total", made_with):
        raise InputError(
            f"the pools were made with {made_with} parameters, not {parameters}",
            f"--params {made_with}",
            f"make the pools again with --params {parameters}",
        )
    regimes = data["regime"].to_numpy().astype(str)
    for name in np.unique(regimes):
        check_choice("regime", str(name), REGIMES)
    families = data["family"].to_numpy().astype(str)[data["member"].to_numpy()[:, 0]]
    groups = {"regime": regimes}
    if "heterogeneous" not in regimes:
        groups["family"] = families
    facts: dict[str, float | str | bool] = {
        "overlapping": bool((data["size"].to_numpy() > 1).any()),
        "table": "pools",
        "rule": str(data.attrs.get("rule", "")),
        "families": len(np.unique(data["family"].to_numpy())),
    }
    facts |= {name: int(data.attrs[name]) for name in ("samples", "clusters") if name in data.attrs}
    if len(np.unique(data["size"])) > 1:
        correlation = np.corrcoef(np.log(data["parameters"].to_numpy()), data["size"].to_numpy())[0, 1]
        facts["size_budget_correlation"] = float(correlation)
    if "win_share" in data:
        facts |= _largest_winner(data)
    shares, membership, members = _shares(data)
    factor, remainder = (
        (data["sampling_factor"].transpose("pool", ...).to_numpy(), data["sampling_remainder"].to_numpy())
        if "sampling_factor" in data
        else (None, None)
    )
    return Observations(
        loss=data["loss"].to_numpy().astype(float),
        covariates={},
        labels=data["pool"].to_numpy(),
        row_dimension="pool",
        unit=str(data.attrs["loss_unit"]),
        groups=groups,
        standard_error=data["standard_error"].to_numpy().astype(float) if "standard_error" in data else None,
        sampling_factor=factor,
        sampling_remainder=remainder,
        shares=shares,
        membership=membership,
        members=members,
        facts=facts,
    )


def _shares(data: xr.Dataset) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Win shares, or equal shares where none are known, and membership [row, member] of the models in some pool."""
    member = data["member"].transpose("pool", "slot").to_numpy()
    held = np.zeros((len(member), data.sizes["lm"]), dtype=bool)
    rows, slots = np.nonzero(member >= 0)
    held[rows, member[rows, slots]] = True
    present = held.any(axis=0)
    shares = data["win_share"].transpose("pool", "lm").to_numpy() if "win_share" in data else None
    shares = held / held.sum(axis=1, keepdims=True) if shares is None else shares
    return shares[:, present], held[:, present], tuple(str(name) for name in data["lm"].to_numpy()[present])


def _largest_winner(data: xr.Dataset) -> dict[str, float | str]:
    """Mean share of each model over the pools of two or more that hold it; the largest says whether one model rules."""
    pools = data["size"].to_numpy() > 1
    if not pools.any():
        return {}
    shares = data["win_share"].to_numpy()[pools]
    member = data["member"].to_numpy()[pools]
    held = np.zeros(shares.shape, dtype=bool)
    rows, slots = np.nonzero(member >= 0)
    held[rows, member[rows, slots]] = True
    mean = np.where(held, shares, 0).sum(0) / np.maximum(held.sum(0), 1)
    return {"largest_winner": str(data["lm"].to_numpy()[mean.argmax()]), "largest_winner_share": float(mean.max())}


def _covariate(data: xr.Dataset, name: str, row_dimension: str, parameters: str) -> np.ndarray:
    if name == "parameters" and row_dimension == "lm":
        return parameter_counts(data, parameters)
    if name not in data or row_dimension not in data[name].dims:
        raise InputError(
            f"the table has no {name}",
            f"a column {name} for every {'model' if row_dimension == 'lm' else 'pool'}",
            f"add {name} to the models CSV" if row_dimension == "lm" else "use a law of parameters alone for pools",
        )
    values = data[name].to_numpy().astype(float)
    wrong = ~(np.isfinite(values) & (values > 0))
    if wrong.any():
        worst = data[row_dimension].to_numpy()[wrong][0]
        raise InputError(f"{name} of {worst} is not a positive number", "positive numbers", "correct or remove the row")
    return values


def budget_text(name: str, value: float) -> str:
    """Write a covariate: budgets as sizes, such as ``"7B"``, other numbers in four digits."""
    return count_label(value) if name in BUDGETS else f"{value:.4g}"


def _check_losses(rows: Observations) -> None:
    if np.ptp(rows.loss) <= ROUNDING * np.abs(rows.loss).max():
        raise InputError(
            f"all {len(rows.loss)} rows have the same loss, {loss_text(float(rows.loss[0]))} {rows.unit}",
            "losses that differ: without that there is no law and no noise to be told",
            "check which column the losses were read from",
        )


def _check_sizes(name: str, values: np.ndarray) -> None:
    distinct = len(np.unique(values))
    if distinct == 1:
        raise InputError(
            f"all rows have the same {name}, {budget_text(name, float(values[0]))}",
            f"{MINIMUM_SIZES} or more different values of {name}",
            f"add rows with other {name}",
        )
    if distinct < MINIMUM_SIZES:
        raise InputError(
            f"the table has {distinct} different values of {name}",
            f"{MINIMUM_SIZES} or more: floor, amplitude and exponent cannot be told apart from fewer",
            f"add rows with other {name}",
        )


def _unique(labels: np.ndarray) -> np.ndarray:
    seen, counts = np.unique(labels, return_counts=True)
    if (counts > 1).any():
        worst = seen[counts.argmax()]
        raise InputError(
            f"{worst!r} stands {counts.max()} times in the table", "one row a name", "rename or remove the copies"
        )
    return labels
