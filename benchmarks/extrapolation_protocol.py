"""The extrapolation protocol: models up to a cut are known, pools that hold larger ones are predicted, and then scored.

1. The loss of a pool is that of its oracle, in the table's own unit.
2. Training pools are of models with at most `cut` parameters: every single model; of sizes 2 to 5 all pools, or 800
   drawn without replacement where there are more, and the first 200 pools of one family in lexicographic order.
3. Target pools are drawn until there are 1,500: the size uniform on 1 to 5, members uniform without replacement from
   all models; a pool counts if a member is larger than the cut.
4. A law sees the losses of the training models and, of each target's members, name, family and parameters.
5. Predictions are scored by root mean squared error, continuous ranked probability score (CRPS), and coverage and mean
   width of the central 90 % band.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from math import comb

import numpy as np
import xarray as xr
from extrapolation_scores import Prediction

from bayeslaw.errors import InputError
from bayeslaw.pools.pool_losses import pools_of
from bayeslaw.pools.pool_members import check_table
from bayeslaw.pools.regimes import regime_of

SEED = 1
TARGETS = 1500
LARGEST_POOL = 5
MOST_OF_A_SIZE = 800
FIRST_OF_ONE_FAMILY = 200


@dataclass(frozen=True)
class Member:
    """What may be known of a member of a target pool."""

    name: str
    family: str
    parameters: float


Pool = tuple[Member, ...]


@dataclass(frozen=True)
class Task:
    """All that a law may use.

    Attributes
    ----------
    losses
        The loss table of the models up to the cut.
    pools
        The training pools, as `pool_table` makes them.
    targets
        The pools to predict, each with at least one model that `losses` does not hold.
    seed
        Seed for the law.
    """

    losses: xr.Dataset
    pools: xr.Dataset
    targets: Sequence[Pool]
    seed: int = SEED


@dataclass(frozen=True)
class Split:
    """A task, and the losses of its targets, shape [target]."""

    task: Task
    target_losses: np.ndarray


Law = Callable[[Task], Prediction]


def split_at(losses: xr.Dataset, cut: float, *, targets: int = TARGETS, seed: int = SEED) -> Split:
    """Split a table into what is known up to a size and what is to be predicted.

    Parameters
    ----------
    losses
        A loss table of complete losses.
    cut
        Largest number of parameters of a model that is known.
    targets
        Number of target pools.
    seed
        Seed of the training pools and, after them, of the targets.

    Returns
    -------
    Split
        The task and its answers.

    Raises
    ------
    InputError
        If the table has no samples, or all its models or none are larger than the cut.
    """
    losses = check_table(losses)
    parameters = losses["parameters"].to_numpy()
    known = parameters <= cut
    if known.all() or not known.any():
        raise InputError(
            f"{'no model is' if known.all() else 'every model is'} larger than the cut {cut:.4g}",
            f"a cut from {parameters.min():.4g} to below {parameters.max():.4g} parameters",
            f"use the median, {np.sort(parameters)[(len(parameters) - 1) // 2]:.4g}",
        )
    training = losses.isel(lm=np.flatnonzero(known))
    # A simulated table tells there what every model was expected to lose.
    training.attrs = {name: value for name, value in losses.attrs.items() if name != "truth"}
    generator = np.random.default_rng(seed)
    members = training_members(training["family"].to_numpy(), generator)
    wanted = target_members(~known, targets, generator)
    rows, back = np.unique(wanted, axis=0, return_inverse=True)
    task = Task(training, pool_table(training, members), name_members(losses, wanted))
    return Split(task, pool_table(losses, rows)["loss"].to_numpy()[back.ravel()])


def training_members(families: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Choose the training pools.

    Parameters
    ----------
    families
        Family of each training model, [lm].
    generator
        Where the randomness comes from.

    Returns
    -------
    np.ndarray
        Positions of members in ascending order, [pool, slot], padded with -1; pools in lexicographic order.
    """
    models = len(families)
    pools: set[tuple[int, ...]] = {(model,) for model in range(models)}
    for size in range(2, LARGEST_POOL + 1):
        total = comb(models, size)
        many = total > MOST_OF_A_SIZE
        chosen = generator.choice(total, MOST_OF_A_SIZE, replace=False) if many else range(total)
        pools.update(combination_at(int(rank), models, size) for rank in chosen)
        pools.update(islice(_of_one_family(families, size), FIRST_OF_ONE_FAMILY))
    return _padded(sorted(pools))


def combination_at(rank: int, models: int, size: int) -> tuple[int, ...]:
    """Return the combination of a rank in lexicographic order, without making those before it."""
    members: list[int] = []
    following = 0
    for left in range(size - 1, -1, -1):
        while rank >= (count := comb(models - following - 1, left)):
            rank -= count
            following += 1
        members.append(following)
        following += 1
    return tuple(members)


def _of_one_family(families: np.ndarray, size: int) -> Iterator[tuple[int, ...]]:
    for first, family in enumerate(families):
        later = (first + 1 + np.flatnonzero(families[first + 1 :] == family)).tolist()
        yield from ((first, *rest) for rest in combinations(later, size - 1))


def target_members(larger: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """Draw the target pools.

    Parameters
    ----------
    larger
        Whether each model is larger than the cut, [lm]; at least one is.
    count
        Number of pools.
    generator
        Where the randomness comes from.

    Returns
    -------
    np.ndarray
        Positions of members in ascending order, [target, slot], padded with -1; a pool may be there more than once.
    """
    pools: list[list[int]] = []
    largest = min(LARGEST_POOL, len(larger))
    while len(pools) < count:
        size = generator.integers(1, largest + 1)
        members = generator.choice(len(larger), size, replace=False)
        if larger[members].any():
            pools.append(sorted(members.tolist()))
    return _padded(pools)


def _padded(pools: Sequence[Sequence[int]]) -> np.ndarray:
    members = np.full((len(pools), LARGEST_POOL), -1)
    for row, pool in zip(members, pools, strict=True):
        row[: len(pool)] = pool
    return members


def name_members(losses: xr.Dataset, members: np.ndarray) -> list[Pool]:
    """Turn positions on ``lm``, [pool, slot] padded with -1, into what may be known of the members."""
    columns = (losses[name].to_numpy().tolist() for name in ("lm", "family", "parameters"))
    models = [Member(str(name), str(family), float(count)) for name, family, count in zip(*columns, strict=True)]
    return [tuple(models[member] for member in row if member >= 0) for row in members.tolist()]


def pool_table(losses: xr.Dataset, members: np.ndarray) -> xr.Dataset:
    """Evaluate pools by the oracle rule.

    Parameters
    ----------
    losses
        A loss table.
    members
        Positions of members on ``lm`` in ascending order, [pool, slot], padded with -1; no pool twice.

    Returns
    -------
    xarray.Dataset
        A table of pools that laws can be fitted to, as `bayeslaw.pools_of` makes it.
    """
    return pools_of(losses, [[member.name for member in pool] for pool in name_members(losses, members)])


def total_parameters(pools: Sequence[Pool]) -> np.ndarray:
    """Return the total parameters of each pool, [pool]."""
    return np.array([sum(member.parameters for member in pool) for pool in pools])


def regimes(pools: Sequence[Pool]) -> np.ndarray:
    """Return the name of the regime of each pool, [pool]."""
    return np.array([regime_of([member.family for member in pool]) for pool in pools])
