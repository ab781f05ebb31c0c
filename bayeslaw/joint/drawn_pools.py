"""Losses of pools of known and new models, by simulation on the samples seen."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bayeslaw.errors import check_choice
from bayeslaw.joint.hypothetical import Candidates, Member, read_candidates
from bayeslaw.joint.joint_model import JointModel
from bayeslaw.joint.new_columns import NewColumns, sample_scales, seen_models
from bayeslaw.likelihood.compiled import compile_for
from bayeslaw.pools.cpu_cores import usable_cores
from bayeslaw.pools.repeated_means import PoolMeans
from bayeslaw.pools.rules import USUAL_RULE

SAMPLES = ("same", "new")


def draw_pools(
    model: JointModel,
    values: Mapping[str, np.ndarray],
    pools: Sequence[Sequence[Member]],
    *,
    rule: str = USUAL_RULE,
    samples: str = "same",
    own_part: bool = True,
    seed: int = 0,
) -> np.ndarray:
    """Draw losses of pools from their predictive distribution.

    Parameters
    ----------
    model
        The joint law with its table.
    values
        Draws of every site, each [draw, ...]; one table of losses is simulated for each.
    pools
        Members of each pool.
    rule
        ``"oracle"``, ``"mixture"`` or ``"best"``.
    samples
        ``"same"``: the loss on the samples of the table, on which models seen keep the losses they have; ``"new"``: on
        as many new samples of the same kind, by a bootstrap of the clusters (Efron 1979).
    own_part
        Whether new models have a part of their own, or follow the curve of their family.
    seed
        Seed.

    Returns
    -------
    np.ndarray
        Losses in the unit of the table, [draw, pool].

    Raises
    ------
    InputError
        If a pool is not usable, or a choice not known.
    """
    check_choice("samples", samples, SAMPLES)
    candidates = read_candidates(list(model.table.names), pools)
    with jax.enable_x64(True):
        simulate = _simulator(model, values, candidates, own_part)
        return _draw(model, values, candidates, simulate, rule=rule, samples=samples, seed=seed)


Simulate = Callable[[Mapping[str, np.ndarray], Array], Array]


def _simulator(
    model: JointModel, values: Mapping[str, np.ndarray], candidates: Candidates, own_part: bool
) -> Simulate | None:
    """Compile the simulation of the new models' columns; None where there are no new models."""
    if not candidates.new:
        return None
    table, families = model.table, list(model.groups)
    numbered = [*families, *dict.fromkeys(new.family for new in candidates.new if new.family not in families)]
    middle = {name: jnp.asarray(np.asarray(draws).mean(axis=0)) for name, draws in values.items()}
    columns = NewColumns(
        seen_models(model),
        sample_scales(model, np.asarray(model.dependence.structure(middle))),
        np.log(np.array([new.parameters for new in candidates.new]) / table.reference),
        np.array([numbered.index(new.family) for new in candidates.new]),
        own_part,
    )
    weights = jnp.asarray(table.weights)

    def simulate(one: Mapping[str, Array], key: Array) -> Array:
        return columns.draw(one, weights, key)[0].astype(jnp.float32)

    one = {name: jnp.asarray(draws[0]) for name, draws in values.items()}
    return compile_for(simulate, one, jax.random.PRNGKey(0))


def _draw(
    model: JointModel,
    values: Mapping[str, np.ndarray],
    candidates: Candidates,
    simulate: Simulate | None,
    *,
    rule: str,
    samples: str,
    seed: int,
) -> np.ndarray:
    table, models = model.table, len(model.table.names)
    # Only the columns that are needed, numbered anew; padding reads the last entry.
    known = np.unique(candidates.members[(candidates.members >= 0) & (candidates.members < models)])
    place = np.full(models + len(candidates.new) + 1, -1)
    place[known] = np.arange(len(known))
    place[models:-1] = len(known) + np.arange(len(candidates.new))
    means = PoolMeans(place[candidates.members], len(known) + len(candidates.new), table.clusters, rule)
    seen, to_nats = table.nll[known], table.weights / table.scale
    count = len(next(iter(values.values())))
    keys = np.asarray(jax.random.split(jax.random.PRNGKey(seed), count))

    def one(number: int) -> np.ndarray:
        columns = seen
        if simulate is not None:
            # The switch to float64 is local to a thread.
            with jax.enable_x64(True):
                drawn = simulate({name: draws[number] for name, draws in values.items()}, keys[number])
            columns = np.concatenate([seen, np.asarray(drawn) * to_nats])
        rows = _resampled(table.clusters, [seed, number]) if samples == "new" else None
        total = table.weights.sum() if rows is None else table.weights[rows].sum()
        return table.scale * means(columns if rows is None else columns[:, rows], total, rows)

    with ThreadPoolExecutor(max_workers=usable_cores()) as executor:
        return np.stack(list(executor.map(one, range(count))))


def _resampled(clusters: np.ndarray, seed: Sequence[int]) -> np.ndarray:
    """Draw as many clusters as there are with replacement, and return the samples in them."""
    count = int(clusters.max()) + 1
    chosen = np.random.default_rng(seed).integers(count, size=count)
    order = np.argsort(clusters, kind="stable")
    sizes = np.bincount(clusters, minlength=count)
    starts = np.cumsum(sizes) - sizes
    return np.concatenate([order[starts[cluster] : starts[cluster] + sizes[cluster]] for cluster in chosen])
