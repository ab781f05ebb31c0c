"""Settings of a run, and what several test files look at: made once a run, and read back from files.

Nothing heavy is imported here: the process that starts the workers needs none of it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from forms import FORMS

if TYPE_CHECKING:
    import xarray as xr

    from bayeslaw.fitting.fits import Fit

WAIT = 300.0
OPTIMISATIONS_OFF = "jax_disable_most_optimizations"
# Fits of which tests of the gate look at a quick form.
IN_TWO_FORMS = ("chinchilla", "joint", "few_rows")


def pytest_configure(config: pytest.Config) -> None:
    """Let all workers, their children and the next run share what one of them has compiled."""
    cache = getattr(config, "cache", None)
    if cache is None:
        return
    # Where Python may not keep bytecode, hundreds of processes would each compile every package that they import.
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
        os.environ["PYTHONPYCACHEPREFIX"] = str(cache.mkdir("bytecode"))
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(cache.mkdir("compiled"))
    # Operations that tests compute one by one are compiled in hundredths of a second each, and in minutes together.
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    # Most tests compute little with what takes long to compile; what slow ones compile themselves is as users have it.
    os.environ.setdefault(OPTIMISATIONS_OFF.upper(), "true")
    # Each worker has a core of its own, so that no function's code is split over several.
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_parallel_codegen_split_count=1".strip()


@pytest.fixture(scope="session")
def fits_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that all workers of this run share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def file_of_fit(fits_folder: Path) -> Callable[[str], Path]:
    """Return a function that gives the file of one of `shared_fits.FITS`."""
    from shared_fits import FITS

    return lambda name: made_once(fits_folder, name, FITS[name])


@pytest.fixture(scope="session", autouse=True)
def fits_made_ahead(request: pytest.FixtureRequest, fits_folder: Path) -> None:
    """Make the fits that tests of this run name, each by whichever worker is free, so that none waits for another."""
    if "PYTEST_XDIST_WORKER" in os.environ and (wanted := fits_named(request.session.items)):
        from shared_fits import FITS

        for name in FITS:
            if name in wanted:
                made_once(fits_folder, name, FITS[name], wait=False)


def fits_named(tests: Iterable[pytest.Item]) -> set[str]:
    """Return the names in `shared_fits.FITS` of the fits that tests ask for by a fixture of this file."""
    found = set()
    for test in tests:
        forms = test.callspec.params if hasattr(test, "callspec") else {}
        for fixture in getattr(test, "fixturenames", ()):
            name, _, kind = fixture.rpartition("_")
            if kind in ("fit", "file"):
                found.add(f"quick_{name}" if name in IN_TWO_FORMS and forms.get(fixture, True) else name)
    return found


def made_once(folder: Path, name: str, make: Callable[[], Fit], *, wait: bool = True) -> Path:
    """Return the file of a fit, made by the first worker that asks while the others wait, if they are to."""
    file, lock = folder / f"{name}.nc", folder / f"{name}.lock"
    try:
        lock.touch(exist_ok=False)
    except FileExistsError:
        end = time.monotonic() + WAIT
        while wait and not file.exists() and lock.exists() and time.monotonic() < end:
            time.sleep(0.1)
        return file
    try:
        make().save(str(file))
    finally:
        if not file.exists():
            lock.unlink()
    return file


@pytest.fixture(autouse=True)
def compiled_as_by_users(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Compile with all optimisations in the body of a slow test and in its children; fits that tests share are not."""
    if "slow" not in request.keywords:
        yield
        return
    import jax

    from bayeslaw.likelihood.compiled import forget_compiled

    forget_compiled()
    before = jax.config.read(OPTIMISATIONS_OFF)
    jax.config.update(OPTIMISATIONS_OFF, False)
    monkeypatch.setenv(OPTIMISATIONS_OFF.upper(), "false")
    yield
    forget_compiled()
    jax.config.update(OPTIMISATIONS_OFF, before)


@pytest.fixture(scope="session")
def small_pools() -> xr.Dataset:
    """Return 171 pools of up to two of 18 models, drawn from a known law."""
    from bayeslaw.simulation.simulated_pools import simulate_pools

    return simulate_pools()


@pytest.fixture(scope="session")
def read_fit(file_of_fit: Callable[[str], Path]) -> Callable[[str], Fit]:
    """Return a function that gives one of `shared_fits.FITS`, saved and loaded once."""
    from bayeslaw.fitting.fit_reading import load_fit

    return cache(lambda name: load_fit(str(file_of_fit(name))))


@pytest.fixture(scope="session")
def collaboration_file(file_of_fit: Callable[[str], Path]) -> Path:
    return file_of_fit("collaboration")


@pytest.fixture(scope="session")
def power_file(file_of_fit: Callable[[str], Path]) -> Path:
    return file_of_fit("power")


@pytest.fixture(scope="session")
def chinchilla_file(file_of_fit: Callable[[str], Path]) -> Path:
    return file_of_fit("quick_chinchilla")


@pytest.fixture(scope="session", params=FORMS)
def joint_file(file_of_fit: Callable[[str], Path], request: pytest.FixtureRequest) -> Path:
    return file_of_fit("quick_joint" if request.param else "joint")


@pytest.fixture(scope="session")
def collaboration_fit(read_fit: Callable[[str], Fit]) -> Fit:
    return read_fit("collaboration")


@pytest.fixture(scope="session")
def power_fit(read_fit: Callable[[str], Fit]) -> Fit:
    return read_fit("power")


@pytest.fixture(scope="session")
def chinchilla_fit(read_fit: Callable[[str], Fit]) -> Fit:
    return read_fit("quick_chinchilla")


@pytest.fixture(scope="session", params=FORMS)
def joint_fit(read_fit: Callable[[str], Fit], request: pytest.FixtureRequest) -> Fit:
    return read_fit("quick_joint" if request.param else "joint")


@pytest.fixture(scope="session")
def tiny_fit(read_fit: Callable[[str], Fit]) -> Fit:
    return read_fit("tiny")


@pytest.fixture(scope="session")
def tiny_log_fit(read_fit: Callable[[str], Fit]) -> Fit:
    return read_fit("tiny_log")


@pytest.fixture(scope="session")
def partial_fit(read_fit: Callable[[str], Fit]) -> Fit:
    return read_fit("partial")


@pytest.fixture(scope="session", params=FORMS)
def few_rows_fit(read_fit: Callable[[str], Fit], request: pytest.FixtureRequest) -> Fit:
    return read_fit("quick_few_rows" if request.param else "few_rows")


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
