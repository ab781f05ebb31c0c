"""A table fitted several times in one process by the build whose Python runs this: what each call cost, as JSON.

Run by `joint_builds.py`; it uses nothing of a build but what all builds have.
"""

import argparse
import importlib
import json
import resource
import time
from pathlib import Path
from typing import Any

import bayeslaw as bl

LOADED = ("jax", "numpyro", "xarray", "arviz_stats", "scipy.linalg", "bayeslaw.fitting.fits")
"""Imported before memory is looked at, as any fit needs them."""


def processor_seconds() -> float:
    """User and system seconds of this process and of the children that it waited for."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def peak_memory() -> float:
    """Largest resident size that this process had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fit_again(losses: Any, folder: Path, *, draws: int, calls: int, seed: int) -> list[dict[str, float]]:
    """Fit the joint law so many times, keep the last fit as ``fit.nc``; return what each call cost."""
    costs = []
    for call in range(calls):
        wall, processor = time.perf_counter(), processor_seconds()
        fitted = bl.fit(bl.JointLaw(), losses, draws=draws, seed=seed + call)
        costs.append({"processor": processor_seconds() - processor, "wall": time.perf_counter() - wall})
        if call == calls - 1:
            fitted.save(folder / "fit.nc")
    return costs


def main() -> None:
    """Fit, and write ``costs.json`` to the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("losses", type=Path)
    parser.add_argument("models", type=Path)
    parser.add_argument("folder", type=Path)
    for name in ("draws", "calls", "seed"):
        parser.add_argument(f"--{name}", type=int, required=True)
    options = parser.parse_args()
    for name in LOADED:
        importlib.import_module(name)
    losses = bl.read_losses(options.losses, models=options.models, unit="document", cluster="file")
    imported = peak_memory()
    costs = fit_again(losses, options.folder, draws=options.draws, calls=options.calls, seed=options.seed)
    record = {"build": bl.__file__, "calls": costs, "imported": imported, "peak": peak_memory()}
    (options.folder / "costs.json").write_text(json.dumps(record))


if __name__ == "__main__":
    main()
