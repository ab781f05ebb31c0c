"""One contender of `joint_peers.py`, run in a process of its own: samples twice, writes draws and what they cost.

The package's clock starts with its process; a peer's when the package is imported and the table put together, which a
user who writes the density by hand does not pay for. The second call is warm: all of `bl.fit` again for the package,
sampling alone for a peer, whose model is compiled already.
"""

import argparse
import os
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from joint_builds_fit import processor_seconds

FAMILIES = 4
KINDS = ("cold", "warm")


class JointTask(NamedTuple):
    """What to fit and how long: models and samples of the table, draws a chain, chains, NumPyro's warm-up."""

    models: int
    samples: int
    draws: int
    chains: int
    warmup: int


class JointDraws(NamedTuple):
    """Draws of every site [chain, draw, ...], divergences, and mean gradients a draw."""

    posterior: dict[str, np.ndarray]
    divergences: int
    steps: float


Sampler = Callable[[int], JointDraws]


def simulated(task: JointTask) -> Any:
    """Draw the table of losses that all contenders fit."""
    import bayeslaw as bl

    sizes, clusters = task.models // FAMILIES, task.samples // 10
    return bl.simulate_losses(families=FAMILIES, sizes=sizes, samples=task.samples, clusters=clusters)


def joint_model(losses: Any) -> Any:
    """Put the joint law and the table together."""
    from bayeslaw.joint.joint_model import JointModel
    from bayeslaw.joint.joint_table import joint_table
    from bayeslaw.joint.law import JointLaw

    law = JointLaw()
    table = joint_table(losses, link=law.link, parameters="total", seed=0)
    return JointModel(law.resolved(table.link.name), table)


def ours(task: JointTask, losses: Any, sites: tuple[str, ...]) -> Sampler:
    """Fit with the package, through its public function."""
    import bayeslaw as bl

    def sample(seed: int) -> JointDraws:
        return from_tree(bl.fit(bl.JointLaw(), losses, draws=task.draws, chains=task.chains, seed=seed).tree, sites)

    return sample


def numpyro_plain(task: JointTask, losses: Any, sites: tuple[str, ...]) -> Sampler:
    """Sample the package's NumPyro model by NumPyro's NUTS as it is without options, in float64.

    Chains are then drawn one after the other; beside each other they would be compiled anew at every call.
    """
    import numpyro

    numpyro.enable_x64()
    import jax

    import bayeslaw as bl

    sampler = numpyro.infer.MCMC(
        numpyro.infer.NUTS(bl.numpyro_model(bl.JointLaw(), losses)),
        num_warmup=task.warmup,
        num_samples=task.draws,
        num_chains=task.chains,
        progress_bar=False,
    )

    def sample(seed: int) -> JointDraws:
        sampler.run(jax.random.key(seed), extra_fields=("diverging", "num_steps"))
        fields = sampler.get_extra_fields()
        draws = sampler.get_samples(group_by_chain=True)
        posterior = {name: np.asarray(draws[name]) for name in sites}
        return JointDraws(posterior, int(fields["diverging"].sum()), float(fields["num_steps"].mean()))

    return sample


def pymc_nutpie(task: JointTask, losses: Any, sites: tuple[str, ...], adaptation: str = "diag") -> Sampler:
    """Sample the density as it is written in PyMC by nutpie, with as many tuning draws as it takes by itself."""
    import nutpie  # pyright: ignore[reportMissingImports]
    from joint_peers_density import pymc_model

    compiled = nutpie.compile_pymc_model(pymc_model(joint_model(losses)))
    length: dict[str, Any] = {"draws": task.draws, "chains": task.chains, "cores": len(os.sched_getaffinity(0))}
    quiet = {"save_warmup": False, "progress_bar": False}

    def sample(seed: int) -> JointDraws:
        return from_tree(nutpie.sample(compiled, seed=seed, adaptation=adaptation, **length, **quiet), sites)

    return sample


def from_tree(tree: Any, sites: tuple[str, ...]) -> JointDraws:
    """Take the sites and the sampler's statistics out of a tree."""
    posterior, statistics = tree["posterior"].dataset, tree["sample_stats"].dataset
    draws = {name: posterior[name].transpose("chain", "draw", ...).to_numpy() for name in sites}
    return JointDraws(draws, int(statistics["diverging"].sum()), float(statistics["n_steps"].mean()))


CONTENDERS: dict[str, Callable[[JointTask, Any, tuple[str, ...]], Sampler]] = {
    "ours": ours,
    "numpyro": numpyro_plain,
    "pymc-nutpie": pymc_nutpie,
    "pymc-nutpie-low-rank": partial(pymc_nutpie, adaptation="low_rank"),
}


def main() -> None:
    """Sample twice and write each call's draws and costs to a file of the folder, named by its kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contender", choices=CONTENDERS)
    parser.add_argument("folder", type=Path)
    for name in (*JointTask._fields, "seed"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--started", type=float, required=True, help="seconds since the epoch when the process began")
    options = parser.parse_args()
    # NumPyro says where it runs chains one after the other.
    warnings.filterwarnings("ignore", "There are not enough devices", UserWarning)
    task = JointTask(*(getattr(options, name) for name in JointTask._fields))
    losses = simulated(task)
    sites = tuple(joint_model(losses).sites)
    begun = (options.started, 0.0) if options.contender == "ours" else (time.time(), processor_seconds())
    sampler = CONTENDERS[options.contender](task, losses, sites)
    for number, kind in enumerate(KINDS):
        draws = sampler(options.seed + number)
        ended = time.time(), processor_seconds()
        costs = {"wall": ended[0] - begun[0], "processor": ended[1] - begun[1]}
        numbers = {**costs, "divergences": draws.divergences, "steps": draws.steps}
        np.savez(options.folder / f"{kind}.npz", **{f"draws_{k}": v for k, v in draws.posterior.items()}, **numbers)
        begun = time.time(), processor_seconds()


if __name__ == "__main__":
    main()
