"""One contender of `sampling.py`, run in a process of its own: reads the data file, samples twice, writes its draws.

The hierarchy is the same for all: for regime r and row i

    loss_i ~ Normal(floor_r + amplitude_r (N_i / N0) ** -exponent_r, noise_scale_r)
    theta_r ~ LogNormal(log theta_population, theta_spread)   for theta in (floor, amplitude, exponent)

with N0 the geometric mean of the rows' parameters.
"""

import argparse
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

REGIMES = ("single", "homogeneous", "heterogeneous")
PARAMETERS = ("floor", "amplitude", "exponent")
POOL_VARIABLES = ("loss", "size", "parameters", "families", "regime", "sampling_remainder")
DEPENDENT = "ours-dependent"
PACKAGES = ("bayeslaw", "jax", "numpyro", "pymc", "pytensor", "nutpie", "numba", "numpy", "arviz-stats")


class Task(NamedTuple):
    """What to fit and how long: the data file's arrays, draws per chain, warm-up per chain, chains."""

    data: Mapping[str, np.ndarray]
    draws: int
    warmup: int
    chains: int


class Draws(NamedTuple):
    """Posterior draws by parameter [chain, draw, ...], divergences, and mean gradients per draw.

    `sampling_seconds` is the time of warm-up and draws alone, where the contender does more than to draw and says so.
    """

    posterior: dict[str, np.ndarray]
    divergences: int
    steps: float
    sampling_seconds: float = float("nan")


Sampler = Callable[[int], Draws]


def level_to_natural(
    level: tuple[Any, Any, Any], log_low: Any, log_high: Any, xp: Any = np
) -> tuple[Any, Any, Any, Any]:
    """Turn levels into the logs of floor, amplitude and exponent.

    With L the loss at the high budget, D the drop from the low to the high one and f = floor / L, the reducible loss is
    R = (1 - f) L and the exponent b = log(1 + D / R) / (log_high - log_low). The derivatives of (log floor, log R,
    log b) by (log L, log D, logit f) are the rows (1, 0, 1 - f), (1, 0, -f), (-c, c, c f) with
    c = (D / (D + R)) / log(1 + D / R), and log amplitude = log R + b log_high adds only a multiple of the third row;
    so the determinant is c.

    Parameters
    ----------
    level
        log L, log D and logit f, each [regime].
    log_low, log_high
        Logs of the lowest and highest budget over N0, each [regime].
    xp
        Module with exp, log and log1p: NumPy or pytensor.tensor.

    Returns
    -------
    tuple
        log floor, log amplitude, log exponent, and the log determinant of the Jacobian, each [regime].
    """
    log_level, log_drop, logit_share = level
    log_floor = log_level - xp.log1p(xp.exp(-logit_share))
    log_reducible = log_level - xp.log1p(xp.exp(logit_share))
    ratio = log_drop - log_reducible
    decay = xp.log1p(xp.exp(ratio))
    exponent = decay / (log_high - log_low)
    log_amplitude = log_reducible + exponent * log_high
    return log_floor, log_amplitude, xp.log(exponent), -xp.log1p(xp.exp(-ratio)) - xp.log(decay)


def columns(data: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Losses, log(N / N0) and the index of the regime, each [row]."""
    log_parameters = np.log(data["parameters"])
    index = np.array([REGIMES.index(str(r)) for r in data["regime"]])
    return data["loss"], log_parameters - log_parameters.mean(), index


def sampled_law(loss: np.ndarray) -> Any:
    """Return the law that all contenders sample.

    Its floor has a log-normal prior in the unit of the loss, which the peers can write as it is: the package's default
    is a share of the loss, which depends on the other parameters.
    """
    import bayeslaw as bl

    return bl.CollaborationLaw(floor=f"LogNormal({np.log(0.6 * loss.min()):.4f}, 0.4)")


def ours(task: Task, dependence: str = "independent") -> Sampler:
    """Fit with the package, through its public function."""
    import xarray as xr

    import bayeslaw as bl

    data = task.data
    rows = {name: ("pool", data[name]) for name in POOL_VARIABLES}
    tables = {
        "member": (("pool", "slot"), data["member"]),
        "win_share": (("pool", "lm"), data["win_share"]),
        "sampling_factor": (("pool", "direction"), data["sampling_factor"]),
        "family": ("lm", data["family"]),
    }
    pools = xr.Dataset(
        {**rows, **tables},
        coords={"pool": data["pool"], "lm": data["lm"]},
        attrs={"kind": "pools", "rule": "oracle", "unit": "sample", "loss_unit": "nats per sample", "design": "all"},
    )
    law, noise = sampled_law(data["loss"]), bl.Noise(dependence=dependence)

    def sample(seed: int) -> Draws:
        tree = bl.fit(law, pools, noise=noise, seed=seed, draws=task.draws, chains=task.chains).tree
        return from_tree(tree, None)

    return sample


def numpyro_plain(task: Task) -> Sampler:
    """NumPyro as its tutorials write it: natural parameters, default NUTS, float64."""
    import numpyro

    numpyro.set_host_device_count(task.chains)
    numpyro.enable_x64()
    import jax
    import jax.numpy as jnp
    import numpyro.distributions as dist

    loss, x, regime = columns(task.data)

    def model() -> None:
        theta: dict[str, Any] = {}
        for name in PARAMETERS:
            population = numpyro.sample(f"{name}_population", dist.LogNormal(*task.data[f"prior_{name}_population"]))
            spread = numpyro.sample(f"{name}_spread", dist.LogNormal(*task.data[f"prior_{name}_spread"]))
            with numpyro.plate(f"{name}_regime", len(REGIMES)):
                theta[name] = numpyro.sample(name, dist.LogNormal(jnp.log(population), spread))
        with numpyro.plate("noise_regime", len(REGIMES)):
            noise_scale: Any = numpyro.sample("noise_scale", dist.LogNormal(*task.data["prior_noise_scale"]))
        mean = theta["floor"][regime] + theta["amplitude"][regime] * jnp.exp(-theta["exponent"][regime] * x)
        numpyro.sample("loss", dist.Normal(mean, noise_scale[regime]), obs=loss)

    sampler = numpyro.infer.MCMC(
        numpyro.infer.NUTS(model),
        num_warmup=task.warmup,
        num_samples=task.draws,
        num_chains=task.chains,
        progress_bar=False,
    )

    def sample(seed: int) -> Draws:
        sampler.run(jax.random.key(seed), extra_fields=("diverging", "num_steps"))
        fields = sampler.get_extra_fields()
        posterior = {k: np.asarray(v) for k, v in sampler.get_samples(group_by_chain=True).items()}
        return Draws(posterior, int(fields["diverging"].sum()), float(fields["num_steps"].mean()))

    return sample


def pymc_plain(task: Task) -> Sampler:
    """PyMC as its tutorials write it, sampled by nutpie."""
    import pymc as pm  # pyright: ignore[reportMissingImports]
    import pytensor.tensor as pt  # pyright: ignore[reportMissingImports]

    loss, x, regime = columns(task.data)
    with pm.Model() as model:
        theta: dict[str, Any] = {}
        for name in PARAMETERS:
            population, spread = _pymc_hyperpriors(pm, task, name)
            theta[name] = pm.LogNormal(name, pt.log(population), spread, shape=len(REGIMES))[regime]
        noise_scale = pm.LogNormal("noise_scale", *task.data["prior_noise_scale"], shape=len(REGIMES))
        mean = theta["floor"] + theta["amplitude"] * pt.exp(-theta["exponent"] * x)
        pm.Normal("loss", mean, noise_scale[regime], observed=loss)
    return _nutpie(model, task)


def pymc_level(task: Task, adaptation: str = "diag") -> Sampler:
    """Sample the same posterior over the losses at the ends of each regime's range, with nutpie."""
    import pymc as pm  # pyright: ignore[reportMissingImports]
    import pytensor.tensor as pt  # pyright: ignore[reportMissingImports]

    loss, x, regime = columns(task.data)
    low, high = (np.array([end(x[regime == r]) for r in range(len(REGIMES))]) for end in (np.min, np.max))
    bottom, top = (np.array([end(loss[regime == r]) for r in range(len(REGIMES))]) for end in (np.min, np.max))
    with pm.Model() as model:
        level = (
            pm.Flat("log_level", shape=len(REGIMES), initval=np.log(bottom)),
            pm.Flat("log_drop", shape=len(REGIMES), initval=np.log(top - bottom)),
            pm.Flat("logit_share", shape=len(REGIMES), initval=np.zeros(len(REGIMES))),
        )
        *logs, log_jacobian = level_to_natural(level, low, high, pt)
        theta: dict[str, Any] = {}
        for name, log_value in zip(PARAMETERS, logs, strict=True):
            population, spread = _pymc_hyperpriors(pm, task, name)
            pm.Potential(f"{name}_prior", pm.logp(pm.Normal.dist(pt.log(population), spread), log_value).sum())
            theta[name] = pm.Deterministic(name, pt.exp(log_value))[regime]
        pm.Potential("jacobian", log_jacobian.sum())
        noise_scale = pm.LogNormal("noise_scale", *task.data["prior_noise_scale"], shape=len(REGIMES))
        mean = theta["floor"] + theta["amplitude"] * pt.exp(-theta["exponent"] * x)
        pm.Normal("loss", mean, noise_scale[regime], observed=loss)
    return _nutpie(model, task, adaptation)


def _pymc_hyperpriors(pm: Any, task: Task, name: str) -> tuple[Any, Any]:
    population = pm.LogNormal(f"{name}_population", *task.data[f"prior_{name}_population"])
    return population, pm.LogNormal(f"{name}_spread", *task.data[f"prior_{name}_spread"])


def _nutpie(model: Any, task: Task, adaptation: str = "diag") -> Sampler:
    import nutpie  # pyright: ignore[reportMissingImports]

    compiled = nutpie.compile_pymc_model(model)
    names = {f"{name}{suffix}" for name in PARAMETERS for suffix in ("", "_population", "_spread")} | {"noise_scale"}
    cores = len(os.sched_getaffinity(0))

    def sample(seed: int) -> Draws:
        tree = nutpie.sample(
            compiled,
            draws=task.draws,
            tune=task.warmup,
            chains=task.chains,
            cores=cores,
            seed=seed,
            save_warmup=False,
            progress_bar=False,
            adaptation=adaptation,
        )
        return from_tree(tree, names)

    return sample


def from_tree(tree: Any, names: set[str] | None) -> Draws:
    """Take the named variables (all where None) and the sampler's statistics out of a tree."""
    posterior, stats = tree["posterior"].dataset, tree["sample_stats"].dataset
    # Groups in an order of their own would be compared with another group's.
    posterior = posterior.sel(regime=list(REGIMES)) if "regime" in posterior.coords else posterior
    draws = {
        str(k): v.transpose("chain", "draw", ...).to_numpy()
        for k, v in posterior.data_vars.items()
        if names is None or str(k) in names
    }
    steps = float(stats["n_steps"].mean()) if "n_steps" in stats else float("nan")
    return Draws(draws, int(stats["diverging"].sum()), steps, float(stats.attrs.get("sampling_time", "nan")))


CONTENDERS: dict[str, Callable[[Task], Sampler]] = {
    "ours": ours,
    DEPENDENT: partial(ours, dependence="shared"),
    "numpyro-plain": numpyro_plain,
    "pymc-plain": pymc_plain,
    "pymc-level": pymc_level,
    "pymc-level-low-rank": partial(pymc_level, adaptation="low_rank"),
}
WARMUP = dict.fromkeys(CONTENDERS, 1000) | {"pymc-level": 500, "pymc-level-low-rank": 500}


def versions() -> dict[str, str]:
    """Versions of what is installed, and how PyMC compiles where it is loaded."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def main() -> None:
    """Sample in this process: the first run counts from the start of the process, a second is warm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contender", choices=CONTENDERS)
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, required=True)
    parser.add_argument("--warmup", type=int, required=True)
    parser.add_argument("--chains", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--started", type=float, required=True, help="seconds since the epoch when the process began")
    parser.add_argument("--warm", action="store_true", help="sample a second time")
    arguments = parser.parse_args()
    with np.load(arguments.data) as file:
        data = dict(file)
    task = Task(data, arguments.draws, arguments.warmup, arguments.chains)
    started = arguments.started
    sampler = CONTENDERS[arguments.contender](task)
    for run, name in enumerate(("cold", "warm")[: 1 + arguments.warm]):
        draws = sampler(arguments.seed + run)
        seconds = time.time() - started
        unfinished = arguments.folder / f"{name}.part.npz"
        numbers = {"seconds": seconds, **{name: getattr(draws, name) for name in Draws._fields if name != "posterior"}}
        np.savez(unfinished, **{f"draws_{k}": v for k, v in draws.posterior.items()}, **numbers)
        unfinished.replace(arguments.folder / f"{name}.npz")
        started = time.time()


if __name__ == "__main__":
    main()
