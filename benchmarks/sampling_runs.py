"""Runs of the contenders of `sampling.py`: each in a process of its own, and judged from its draws."""

import math
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from arviz_stats.sampling_diagnostics import ess, rhat
from sampling_peers import PARAMETERS

SHARED = (*PARAMETERS, "noise_scale")
RHAT_LIMIT = 1.01
MEAN_LIMIT = 0.1
Moments = dict[str, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Run:
    """One sampling run and whether it counts.

    `ess` is the smaller of bulk and tail over all parameters; `mean_error` the largest distance from the reference
    means in its standard deviations; `seconds` include starting and compiling where `kind` is ``"cold"``, and whatever
    else a call does; `sampling_seconds` are those of warm-up and draws alone where the contender tells them apart.
    """

    contender: str
    kind: str
    draws: int
    warmup: int
    seconds: float
    sampling_seconds: float
    rhat: float
    ess: float
    ess_bulk: float
    ess_tail: float
    divergences: int
    steps: float
    mean_error: float

    @property
    def counts(self) -> bool:
        """Whether the run converged to the reference."""
        return self.rhat < RHAT_LIMIT and self.mean_error < MEAN_LIMIT

    @property
    def rate(self) -> float:
        """Smallest effective sample size per second: cold of the whole call, warm of its sampling without compiling."""
        timed = self.kind == "warm" and math.isfinite(self.sampling_seconds)
        return self.ess / (self.sampling_seconds if timed else self.seconds)


def sample(
    contender: str, data: Path, *, draws: int, warmup: int, chains: int, seed: int, limit: float, warm: bool
) -> dict[str, dict[str, np.ndarray]]:
    """Run a contender in a process of its own; return what it wrote, cold and warm, within `limit` seconds each."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        caches = {
            "XDG_CACHE_HOME": str(folder / "cache"),
            "JAX_ENABLE_COMPILATION_CACHE": "false",
            "PYTENSOR_FLAGS": f"compiledir={folder / 'pytensor'}",
            "NUMBA_CACHE_DIR": str(folder / "numba"),
        }
        options = {"draws": draws, "warmup": warmup, "chains": chains, "seed": seed, "started": time.time()}
        command = [sys.executable, str(Path(__file__).with_name("sampling_peers.py")), contender, str(data), name]
        command += [f"--{option}={value}" for option, value in options.items()] + ["--warm"] * warm
        with open(folder / "log", "w+") as log:
            process = subprocess.Popen(command, env={**os.environ, **caches}, stdout=log, stderr=subprocess.STDOUT)
            deadline, extended = time.monotonic() + limit, False
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.1)
                if not extended and (folder / "cold.npz").exists():
                    deadline, extended = time.monotonic() + limit, True
            if process.poll() is None:
                process.kill()
                process.wait()
            elif process.returncode:
                log.seek(0)
                raise RuntimeError(f"{contender} failed:\n{log.read()[-3000:]}")
        return {path.stem: dict(np.load(path)) for path in (folder / "cold.npz", folder / "warm.npz") if path.exists()}


def posterior(result: dict[str, np.ndarray]) -> xr.Dataset:
    """Draws as a dataset with dimensions chain, draw and what follows."""
    draws = {k.removeprefix("draws_"): v for k, v in result.items() if k.startswith("draws_")}
    return xr.Dataset({k: (("chain", "draw", *(f"{k}_{i}" for i in range(v.ndim - 2))), v) for k, v in draws.items()})


def moments(draws: xr.Dataset) -> Moments:
    """Mean and standard deviation of every shared parameter, each [regime]."""
    dims = ("chain", "draw")
    return {k: (draws[k].mean(dims).to_numpy(), draws[k].std(dims).to_numpy()) for k in SHARED}


def assess(contender: str, kind: str, result: dict[str, np.ndarray], reference: Moments | None, warmup: int = 0) -> Run:
    """Judge one run."""
    draws = posterior(result)
    # A parameter that does not move has no R-hat; it must not pass for a converged one.
    mixing, bulk, tail = (
        np.concatenate([np.ravel(v) for v in values.data_vars.values()])
        for values in (
            rhat(draws),
            ess(draws, method="bulk"),
            ess(draws, method="tail"),
        )
    )
    error = math.nan
    if reference is not None:
        own = moments(draws)
        error = float(max(np.abs((own[k][0] - mean) / sd).max() for k, (mean, sd) in reference.items()))
    return Run(
        contender=contender,
        kind=kind,
        draws=draws.sizes["draw"],
        warmup=warmup,
        seconds=float(result["seconds"]),
        sampling_seconds=float(result["sampling_seconds"]),
        rhat=float(mixing.max()),
        ess=float(min(bulk.min(), tail.min())),
        ess_bulk=float(bulk.min()),
        ess_tail=float(tail.min()),
        divergences=int(result["divergences"]),
        steps=float(result["steps"]),
        mean_error=error,
    )
