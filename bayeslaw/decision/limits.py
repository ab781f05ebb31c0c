"""What a pool may be: its costs, the most of each that is allowed, and members that it must or must not have."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from bayeslaw.errors import InputError, nearest
from bayeslaw.losses.sizes import count_label, read_size

ROUNDING = 1e-9


def a_most(name: str, value: Any) -> float:
    """Accept the most of a cost: a number or a size such as 20B, zero or more."""
    most = read_size(name, value)
    if not 0 <= most < np.inf:
        raise InputError(f"{name} is {most!r}", "a number of at least zero, such as 20e9 or 20B", "correct it")
    return most


@dataclass(frozen=True)
class Cost:
    """Something that members of a pool add up to.

    Parameters
    ----------
    name
        The variable of a loss table, on ``lm``.
    words
        What it is called in sentences.
    option
        The argument that limits it.
    """

    name: str
    words: str
    option: str

    def of(self, losses: xr.Dataset) -> np.ndarray:
        """Return it for every model, [lm]; NaN where it is not known."""
        if self.name not in losses:
            return np.full(losses.sizes["lm"], np.nan)
        return losses[self.name].to_numpy().astype(np.float64)

    def label(self, amount: float) -> str:
        """Write an amount of it."""
        return count_label(amount) if "parameters" in self.name else f"{amount:.4g}"


COSTS: dict[str, Cost] = {
    cost.name: cost
    for cost in (
        Cost("parameters", "parameters", "max_parameters"),
        Cost("active_parameters", "active parameters", "max_active"),
        Cost("price", "price", "max_price"),
    )
}


@dataclass(frozen=True)
class Limits:
    """Limits on a pool.

    Parameters
    ----------
    max_size
        Largest number of members.
    most
        The most of each cost that is limited, by its name in `COSTS`.
    require, exclude
        Names of models that it must have, and must not have.
    """

    max_size: int
    most: dict[str, float] = field(default_factory=dict)
    require: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f"up to {self.max_size} member{'s' if self.max_size > 1 else ''}"]
        parts += [f"{COSTS[name].label(most)} {COSTS[name].words}" for name, most in self.most.items()]
        parts += [f"with {', '.join(self.require)}"] if self.require else []
        parts += [f"without {', '.join(self.exclude)}"] if self.exclude else []
        return ", ".join(parts)


@dataclass(frozen=True)
class Admitted:
    """The models that pools may be made of, those that every pool has first.

    Parameters
    ----------
    models
        Their positions in the table, [model].
    required
        How many of them every pool has.
    costs
        What is limited, of each model, [limit, model].
    most
        The limits, [limit].
    max_size
        Largest number of members.
    """

    models: np.ndarray
    required: int
    costs: np.ndarray
    most: np.ndarray
    max_size: int


def admit(losses: xr.Dataset, limits: Limits, *, told_in: str = "the table of models") -> Admitted:
    """Find the models that pools may be made of.

    Parameters
    ----------
    losses
        A loss table.
    limits
        The limits.
    told_in
        Where costs of models are told, for messages.

    Returns
    -------
    Admitted
        The models, with what is limited.

    Raises
    ------
    InputError
        If a name is not in the table, a model is both required and excluded, a limited cost is not known for a model
        that is not excluded, more models are required than a pool may have, or no pool is within the limits.
    """
    names = [str(name) for name in losses["lm"].to_numpy()]
    required, excluded = (_positions(names, given, word) for given, word in _named(limits))
    if both := set(required) & set(excluded):
        raise InputError(
            f"{', '.join(names[model] for model in sorted(both))} is both required and excluded",
            "each model in one of them",
            "leave it out of one",
        )
    if len(required) > limits.max_size:
        raise InputError(
            f"{len(required)} models are required of a pool of up to {limits.max_size}",
            "as many members as are required, or more",
            f"use max_size={len(required)}, or require fewer",
        )
    others = [model for model in range(len(names)) if model not in required and model not in excluded]
    models = np.array([*required, *others], dtype=np.int64)
    if not len(models):
        raise InputError("every model is excluded", "one model or more to choose from", "exclude fewer")
    costs = np.array([_known(losses, COSTS[name], names, models, told_in) for name in limits.most]).reshape(
        -1, len(models)
    )
    most = np.array(list(limits.most.values()), dtype=np.float64)
    smallest = [np.arange(len(required))] if required else list(np.arange(len(models))[:, None])
    _check_one_fits(limits, names, models, costs, most, smallest)
    within = (costs <= most[:, None] * (1 + ROUNDING)).all(axis=0)
    return Admitted(models[within], len(required), costs[:, within], most, limits.max_size)


def _named(limits: Limits) -> tuple[tuple[Sequence[str], str], ...]:
    return (limits.require, "require"), (limits.exclude, "exclude")


def _positions(names: list[str], given: Sequence[str], word: str) -> list[int]:
    for name in given:
        if name not in names:
            raise InputError(
                f"{word} names {name!r}, which is not in the table",
                "names of models of the table",
                nearest(name, names),
            )
    return [names.index(name) for name in dict.fromkeys(given)]


def _known(losses: xr.Dataset, cost: Cost, names: list[str], models: np.ndarray, told_in: str) -> np.ndarray:
    """Return a limited cost of the models, refusing those for which it is not known."""
    values = cost.of(losses)[models]
    unknown = [names[model] for model in models[np.isnan(values)]]
    if unknown:
        which = ", ".join(unknown[:5]) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
        raise InputError(
            f"{cost.option} is given, and the {cost.words} of {len(unknown)} of {len(models)} models is not known: "
            f"{which}",
            f"the {cost.words} of every model that is not excluded",
            f"add a column {cost.name} to {told_in}, exclude these models, or leave out {cost.option}",
        )
    return values


def _check_one_fits(
    limits: Limits,
    names: list[str],
    models: np.ndarray,
    costs: np.ndarray,
    most: np.ndarray,
    smallest: Sequence[np.ndarray],
) -> None:
    """Refuse limits under which there is no pool, naming the one that comes nearest."""
    if not len(most):
        return
    sums = np.array([costs[:, pool].sum(axis=1) for pool in smallest])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(sums > 0, sums / most, 0.0).max(axis=1)
    near = int(ratios.argmin())
    if ratios[near] <= 1 + ROUNDING:
        return
    pool = " + ".join(names[models[place]] for place in smallest[near])
    given = list(limits.most.items())
    needs = " and ".join(
        f"{COSTS[name].label(amount)} {COSTS[name].words}"
        for (name, allowed), amount in zip(given, sums[near], strict=True)
        if amount > allowed * (1 + ROUNDING)
    )
    raise InputError(
        f"no pool is within the limits ({limits}); the nearest, {pool}, has {needs}",
        "limits within which there is a pool",
        "use "
        + " and ".join(
            f"{COSTS[name].option}={amount:.6g} or more"
            for (name, allowed), amount in zip(given, sums[near], strict=True)
            if amount > allowed * (1 + ROUNDING)
        ),
    )
