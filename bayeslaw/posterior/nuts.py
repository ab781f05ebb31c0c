"""One transition of NUTS whose target acceptance and adaptation are arguments, so that a retry compiles nothing.

The trajectories, the adaptation of steps and masses, and the random numbers are those of `numpyro.infer.NUTS` with a
dense mass matrix, which fixes the length of the adaptation when it is compiled.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpyro.infer.hmc import momentum_generator
from numpyro.infer.hmc_util import (
    IntegratorState,
    build_adaptation_schedule,
    build_tree,
    dual_averaging,
    euclidean_kinetic_energy,
    velocity_verlet,
    welford_covariance,
)

DEEPEST_TREE = 10
MOST_WINDOWS = 32
NEVER = np.iinfo(np.int64).max
_begin_steps: Callable[..., Any]
_masses: Callable[..., Any]
_begin_steps, _update_steps = dual_averaging()
_begin_masses, _update_masses, _masses = welford_covariance(diagonal=False)


class Adaptation(NamedTuple):
    """How long, and towards what, a chain adapts.

    Parameters
    ----------
    steps
        Number of draws adapted on.
    ends
        Last draw of each window of the adaptation, shape ``[MOST_WINDOWS]``; the first and the last leave masses alone.
    windows
        Number of windows.
    target_accept
        Target acceptance probability.
    """

    steps: Any
    ends: Any
    windows: Any
    target_accept: Any


class ChainState(NamedTuple):
    """Where a chain is, and what it has learnt.

    Parameters
    ----------
    number
        Number of draws made.
    z, potential_energy, z_grad
        Position, potential and its gradient there.
    energy, num_steps, accept_prob, diverging
        Statistics of the last draw.
    step_size, inverse_mass, root_mass
        What trajectories are made with.
    steps_so_far, masses_so_far, window
        State of the adaptation.
    key
        JAX random key.
    """

    number: Any
    z: Any
    potential_energy: Any
    z_grad: Any
    energy: Any
    num_steps: Any
    accept_prob: Any
    diverging: Any
    step_size: Any
    inverse_mass: Any
    root_mass: Any
    steps_so_far: Any
    masses_so_far: Any
    window: Any
    key: Any


def adaptation(steps: int, target_accept: float) -> Adaptation:
    """Plan the windows of an adaptation as Stan does.

    Parameters
    ----------
    steps
        Number of draws adapted on.
    target_accept
        Target acceptance probability.

    Returns
    -------
    Adaptation
        Arrays whose shapes depend on nothing.
    """
    ends = [window.end for window in build_adaptation_schedule(steps)]
    padded = np.array(ends + [NEVER] * (MOST_WINDOWS - len(ends)))
    return Adaptation(np.asarray(steps), padded, np.asarray(len(ends)), np.asarray(float(target_accept)))


def begin(key: Array, z: Array, potential: Array, gradient: Array) -> ChainState:
    """Start a chain.

    Parameters
    ----------
    key
        JAX random key.
    z, potential, gradient
        Where it starts, the potential and its gradient there. Call under float64.

    Returns
    -------
    ChainState
        A chain that has drawn nothing.
    """
    size, masses = len(z), jnp.eye(len(z))
    return ChainState(
        number=jnp.zeros((), int),
        z=jnp.asarray(z),
        potential_energy=jnp.asarray(potential),
        z_grad=jnp.asarray(gradient),
        energy=jnp.asarray(potential),
        num_steps=jnp.zeros((), int),
        accept_prob=jnp.zeros(()),
        diverging=jnp.zeros((), bool),
        step_size=jnp.ones(()),
        inverse_mass=masses,
        root_mass=masses,
        steps_so_far=jax.tree.map(jnp.asarray, _begin_steps(jnp.log(10.0 * jnp.ones(())))),
        masses_so_far=jax.tree.map(jnp.asarray, _begin_masses(size)),
        window=jnp.zeros((), int),
        key=jax.random.split(jax.random.split(key)[0], 3)[0],
    )


def transition(potential: Callable[[Array], Array], state: ChainState, plan: Adaptation) -> ChainState:
    """Make one draw (Hoffman and Gelman 2014), and adapt where the plan says so.

    Parameters
    ----------
    potential
        Minus the log density of a position.
    state
        The chain.
    plan
        How it adapts.

    Returns
    -------
    ChainState
        The chain after the draw.
    """
    key, momentum_key, tree_key = jax.random.split(state.key, 3)
    momentum = momentum_generator(state.z, state.root_mass, momentum_key)
    place = IntegratorState(state.z, momentum, state.potential_energy, state.z_grad)
    tree = build_tree(
        velocity_verlet(potential, euclidean_kinetic_energy)[1],
        euclidean_kinetic_energy,
        place,
        state.inverse_mass,
        state.step_size,
        tree_key,
        max_tree_depth=DEEPEST_TREE,
    )
    drawn = state._replace(
        z=tree.z_proposal,
        potential_energy=tree.z_proposal_pe,
        z_grad=tree.z_proposal_grad,
        energy=tree.z_proposal_energy,
        num_steps=tree.num_proposals,
        accept_prob=tree.sum_accept_probs / tree.num_proposals,
        diverging=tree.diverging,
        key=key,
    )
    adapted = jax.lax.cond(state.number < plan.steps, lambda chain: _adapt(chain, plan), lambda chain: chain, drawn)
    return adapted._replace(number=state.number + 1)


def _adapt(state: ChainState, plan: Adaptation) -> ChainState:
    """Learn from the last draw: step sizes by dual averaging, masses by the covariance of the draws of a window."""
    steps = _update_steps(plan.target_accept - state.accept_prob, state.steps_so_far)
    # The last step taken is the average one.
    step_size = jnp.where(state.number == plan.steps - 1, jnp.exp(steps[1]), jnp.exp(steps[0]))
    limits = jnp.finfo(step_size.dtype)
    masses_adapt = (state.window > 0) & (state.window < plan.windows - 1)
    masses = jax.lax.cond(
        masses_adapt, lambda so_far: _update_masses(state.z, so_far), lambda so_far: so_far, state.masses_so_far
    )
    ends = state.number == plan.ends[state.window]
    learnt = state._replace(
        step_size=jnp.clip(step_size, limits.tiny, limits.max),
        steps_so_far=steps,
        masses_so_far=masses,
        window=jnp.where(ends, state.window + 1, state.window),
    )
    return jax.lax.cond(ends & masses_adapt, _end_window, lambda chain: chain, learnt)


def _end_window(state: ChainState) -> ChainState:
    """Take up the masses that the draws of a window tell, and look for steps anew."""
    inverse_mass, root_mass, _ = _masses(state.masses_so_far, regularize=True)
    return state._replace(
        inverse_mass=inverse_mass,
        root_mass=root_mass,
        steps_so_far=_begin_steps(jnp.log(10.0) + jnp.log(state.step_size)),
        masses_so_far=_begin_masses(inverse_mass.shape[-1]),
    )
