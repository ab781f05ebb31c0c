"""Fits that are killed, run out of disk or meet a second writer, many times: nothing is lost, nothing half accepted."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from brute import WIDTHS
from dying import Killed, die_after
from joint_cases import small_losses
from known_gains import pools_of_known_gain
from shared_fits import tiny_law, tiny_noise
from tables import tiny_table
from test_kept_fit import identical

from bayeslaw.errors import InputError
from bayeslaw.fitting.fit_reading import load_fit
from bayeslaw.fitting.fits import Fit, fit
from bayeslaw.fitting.kept_fit import checkpoint_beside, fit_to_file
from bayeslaw.joint.law import JointLaw
from bayeslaw.laws import DiversityLaw, PowerLaw
from bayeslaw.losses.folders import write_losses
from bayeslaw.losses.readers import read_losses
from bayeslaw.posterior import kept_draws as checkpoint_module
from bayeslaw.simulation.tables import simulate_losses

pytestmark = pytest.mark.slow

KILLS, DISKS, WRITERS = 50, 10, 10
CHOICES = {"draws": 200, "chains": 2, "seed": 0, "parameters": "total", "progress": False}
LAWS = {"joint": lambda: (JointLaw(), small_losses()), "diversity": lambda: (DiversityLaw(), pools_of_known_gain())}


@pytest.fixture
def always_kept(monkeypatch):
    monkeypatch.setattr(checkpoint_module, "SECONDS_BETWEEN", 0.0)


@pytest.mark.parametrize("name", LAWS)
def test_interrupted_fits_of_every_kind_of_table_go_on_to_the_same_draws(name, tmp_path, always_kept):
    (law, table), told = LAWS[name](), list[str]()
    whole, path = fit(law, table, **CHOICES), tmp_path / "fit.nc"
    # At the mode, early in the chains, and later in them.
    for files in (2, 4, 12):
        with pytest.MonkeyPatch.context() as patch:
            die_after(patch, files)
            with pytest.raises(Killed):
                fit_to_file(law, table, path, say=told.append, **CHOICES)
        assert not path.exists()
    assert identical(fit_to_file(law, table, path, say=told.append, **CHOICES), whole)
    assert identical(load_fit(path), whole)
    assert len(told) == 3
    assert all(sentence.startswith("going on from the draws kept in ") for sentence in told)


def start(table: Path, out: Path) -> subprocess.Popen[bytes]:
    """Fit in a process of its own, compiled as users have it whichever fixture asks."""
    options = ["--law", "power", "--draws", "4000", "--chains", "2", "--out", str(out)]
    command = [
        sys.executable,
        str(Path(__file__).parents[1] / "support" / "killed_fits.py"),
        "--quiet",
        "fit",
        str(table),
    ]
    environment = os.environ | {"JAX_DISABLE_MOST_OPTIMIZATIONS": "false"}
    return subprocess.Popen([*command, *options], env=environment)


def wait_for(process: subprocess.Popen[bytes], file: Path) -> None:
    while process.poll() is None and not file.exists():
        time.sleep(0.01)


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("table") / "losses"
    write_losses(simulate_losses(samples=120, clusters=30, families=2, sizes=5), folder)
    return folder


@pytest.fixture(scope="module")
def whole(table) -> Fit:
    """Return the fit of an uninterrupted process."""
    assert start(table, table.parent / "whole.nc").wait() == 0
    return load_fit(table.parent / "whole.nc")


def test_a_fit_that_is_killed_at_any_moment_goes_on_to_the_same_file(table, whole, tmp_path):
    out, rng, kills = tmp_path / "f.nc", np.random.default_rng(0), 0
    kept = checkpoint_beside(out)
    while kills < KILLS:
        process = start(table, out)
        wait_for(process, kept / "start.npz")
        try:
            # From the first file that is kept to what comes after the fit is written.
            assert process.wait(rng.uniform(0, 12)) == 0
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
        if out.exists():
            assert identical(load_fit(out), whole)
        if process.returncode == 0:
            out.unlink()
    assert start(table, out).wait() == 0
    assert identical(load_fit(out), whole)
    assert not kept.exists()


def test_a_second_writer_is_refused_as_long_as_the_first_is_at_work(table, whole, tmp_path):
    out, losses = tmp_path / "f.nc", read_losses(table)
    process = start(table, out)
    wait_for(process, checkpoint_beside(out) / "start.npz")
    for _ in range(WRITERS):
        with pytest.raises(InputError, match="another process is at work"):
            fit_to_file(PowerLaw(), losses, out, **CHOICES)
        time.sleep(0.05)
    assert process.wait() == 0
    assert identical(load_fit(out), whole)
    assert [entry.name for entry in tmp_path.iterdir()] == ["f.nc"]


def test_a_disk_that_is_full_at_any_write_loses_nothing(tmp_path, monkeypatch, always_kept):
    law, losses, noise = tiny_law(WIDTHS), tiny_table(), tiny_noise("loss")
    expected = fit(law, losses, noise=noise, **CHOICES)
    write, written = Path.write_bytes, [0, float("inf")]

    def until_full(self, content):
        written[0] += 1
        if written[0] > written[1]:
            write(self, content[: len(content) // 2])
            raise OSError(28, "No space left on device")
        return write(self, content)

    def fitted(path: Path, room: float) -> int:
        """Fit while there is room for so many files, and return how many were written."""
        written[:] = 0, room
        assert identical(fit_to_file(law, losses, path, noise=noise, **CHOICES), expected)
        return written[0]

    monkeypatch.setattr(Path, "write_bytes", until_full)
    files = fitted(tmp_path / "whole.nc", float("inf"))
    assert files > DISKS
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    for number, room in enumerate(np.linspace(0, files - 1, DISKS).astype(int)):
        path = tmp_path / f"{number}.nc"
        with pytest.raises(InputError, match="No space left"):
            fitted(path, room)
        assert not path.exists()
        fitted(path, float("inf"))
        assert identical(load_fit(path), expected)
        assert not checkpoint_beside(path).exists()
