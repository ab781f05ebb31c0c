"""Fits that several test files look at, made once a run and read back from their files."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import xarray as xr

from bayeslaw.fit import Fit, fit, load_fit
from bayeslaw.laws import ChinchillaLaw, CollaborationLaw, PowerLaw
from bayeslaw.losses import models_from_frame
from bayeslaw.noise import Noise
from bayeslaw.simulate import simulate_chinchilla, simulate_losses, simulate_pools

WAIT = 300.0


@pytest.fixture(scope="session")
def fits_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that all workers of this run share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def made_once(folder: Path, name: str, make: Callable[[], Fit]) -> Path:
    """Return the file of a fit, made by the first worker that asks while the others wait."""
    file, lock = folder / f"{name}.nc", folder / f"{name}.lock"
    try:
        lock.touch(exist_ok=False)
    except FileExistsError:
        end = time.monotonic() + WAIT
        while not file.exists() and lock.exists() and time.monotonic() < end:
            time.sleep(0.1)
        return file
    try:
        make().save(str(file))
    finally:
        if not file.exists():
            lock.unlink()
    return file


@pytest.fixture(scope="session")
def small_pools() -> xr.Dataset:
    """Return 171 pools of up to two of 18 models, drawn from a known law."""
    return simulate_pools()


@pytest.fixture(scope="session")
def collaboration_file(fits_folder: Path, small_pools: xr.Dataset) -> Path:
    return made_once(fits_folder, "collaboration", lambda: fit(CollaborationLaw(), small_pools))


@pytest.fixture(scope="session")
def power_file(fits_folder: Path) -> Path:
    losses = simulate_losses(samples=300, clusters=50, families=5, sizes=8)
    law = PowerLaw(pooling={"amplitude": "complete"})
    return made_once(fits_folder, "power", lambda: fit(law, losses))


@pytest.fixture(scope="session")
def chinchilla_file(fits_folder: Path) -> Path:
    noise = Noise(family="student_t", response="log_loss")
    models = models_from_frame(simulate_chinchilla(points=120))
    return made_once(fits_folder, "chinchilla", lambda: fit(ChinchillaLaw(), models, noise=noise))


@pytest.fixture(scope="session")
def collaboration_fit(collaboration_file: Path) -> Fit:
    """Return a saved and loaded fit of the collaboration law."""
    return load_fit(str(collaboration_file))


@pytest.fixture(scope="session")
def power_fit(power_file: Path) -> Fit:
    """Return a saved and loaded fit of the power law of five families, whose amplitude is one value."""
    return load_fit(str(power_file))


@pytest.fixture(scope="session")
def chinchilla_fit(chinchilla_file: Path) -> Fit:
    """Return a saved and loaded fit of the Chinchilla law with Student-t noise of log losses."""
    return load_fit(str(chinchilla_file))
