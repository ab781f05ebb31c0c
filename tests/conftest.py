"""Fits that several test files look at, made once a run and read back from their files."""

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpyro.distributions as dist
import pytest
import xarray as xr
from brute import WIDTHS
from factor_cases import small_losses
from tables import TINY_MEDIANS, family_table, few_rows_table, tiny_table

from bayeslaw.fit import Fit, fit, load_fit
from bayeslaw.laws import ChinchillaLaw, CollaborationLaw, FactorLaw, PowerLaw
from bayeslaw.losses import models_from_frame
from bayeslaw.noise import Noise
from bayeslaw.simulate import simulate_chinchilla, simulate_losses, simulate_pools

WAIT = 300.0
OPTIMISATIONS_OFF = "jax_disable_most_optimizations"


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
        with all_optimisations():
            make().save(str(file))
    finally:
        if not file.exists():
            lock.unlink()
    return file


@contextmanager
def all_optimisations() -> Iterator[None]:
    """Compile what all tests share as users do, whichever test asks first: other code rounds otherwise."""
    import jax

    before = jax.config.read(OPTIMISATIONS_OFF)
    jax.config.update(OPTIMISATIONS_OFF, False)
    try:
        yield
    finally:
        jax.config.update(OPTIMISATIONS_OFF, before)


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
def factor_file(fits_folder: Path) -> Path:
    return made_once(fits_folder, "factor", lambda: fit(FactorLaw(), small_losses(), draws=400, chains=2))


@pytest.fixture(scope="session")
def factor_fit(factor_file: Path) -> Fit:
    """Return a saved and loaded fit of the factor law."""
    return load_fit(str(factor_file))


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


def tiny_law(widths: dict[str, float]) -> PowerLaw:
    """Return one law of all families with log-normal priors around `TINY_MEDIANS`."""
    priors = {
        name: dist.LogNormal(math.log(TINY_MEDIANS[name]), width)
        for name, width in widths.items()
        if name != "noise_scale"
    }
    return PowerLaw(pooling="complete", **priors)


def tiny_noise(response: str) -> Noise:
    scale = dist.LogNormal(math.log(TINY_MEDIANS["noise_scale"]), WIDTHS["noise_scale"])
    return Noise(response=response, standard_errors=False, scale=scale)


@pytest.fixture(scope="session")
def tiny_fit(fits_folder: Path) -> Fit:
    """Return a fit of eight models of one law."""
    return load_fit(
        made_once(fits_folder, "tiny", lambda: fit(tiny_law(WIDTHS), tiny_table(), noise=tiny_noise("loss")))
    )


@pytest.fixture(scope="session")
def tiny_log_fit(fits_folder: Path) -> Fit:
    """Return the same with noise of log losses."""
    return load_fit(
        made_once(fits_folder, "tiny_log", lambda: fit(tiny_law(WIDTHS), tiny_table(), noise=tiny_noise("log_loss")))
    )


@pytest.fixture(scope="session")
def partial_fit(fits_folder: Path) -> Fit:
    """Return a fit of three families of eight models, every parameter partially pooled, with standard errors."""
    table = family_table(standard_error=[0.005] * 24)
    return load_fit(made_once(fits_folder, "partial", lambda: fit(PowerLaw(), table, chains=2)))


@pytest.fixture(scope="session")
def few_rows_fit(fits_folder: Path) -> Fit:
    """Return a fit of families of four, two and one model."""
    return load_fit(made_once(fits_folder, "few_rows", lambda: fit(PowerLaw(), few_rows_table(), chains=2)))


@pytest.fixture(scope="session")
def home(fits_folder: Path) -> Path:
    """Return a folder with small checkpoints of nine families and files of texts."""
    from make_checkpoints import make_checkpoints
    from score_runs import DOCUMENTS, FEW, made_once, write_jsonl

    def make(folder: Path) -> None:
        make_checkpoints(folder)
        write_jsonl(folder / "corpus.jsonl", DOCUMENTS)
        write_jsonl(folder / "few.jsonl", FEW)

    return made_once(fits_folder, "checkpoints", make)


@pytest.fixture(scope="module")
def quick_compiles() -> Iterator[None]:
    """Compile without optimisations, which take longer than they save where little is computed."""
    import jax

    before = jax.config.read(OPTIMISATIONS_OFF)
    jax.config.update(OPTIMISATIONS_OFF, True)
    yield
    jax.config.update(OPTIMISATIONS_OFF, before)
