"""What `benchmarks/joint_builds.py` and `benchmarks/joint_peers.py` count, and that they run."""

import dataclasses
import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import bayeslaw as bl

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
pytestmark = pytest.mark.tools


@pytest.fixture(scope="module")
def benchmarks():
    sys.path.insert(0, str(BENCHMARKS))
    names = ("joint_builds", "joint_peers", "joint_peers_contenders", "joint_peers_density")
    try:
        return {name: importlib.import_module(name) for name in names}
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture
def builds(benchmarks):
    return benchmarks["joint_builds"]


@pytest.fixture
def peers(benchmarks):
    return benchmarks["joint_peers"]


def build_run(builds, build, kind, models, processor, **changes):
    figures = {"rhat": 1.004, "ess_bulk": 1900.0, "ess_tail": 1500.0, "divergences": 0, "attempts": 1, "memory": 250.0}
    return builds.BuildRun(build, kind, models, processor, wall=processor, **(figures | changes))


def test_the_quick_run_of_builds_fits_warm_and_cold(builds, capsys, tmp_path) -> None:
    assert builds.main(["--smoke", "--json", str(tmp_path / "runs.json")]) == 0
    warm, cold = json.loads((tmp_path / "runs.json").read_text())
    assert (warm["kind"], cold["kind"]) == ("warm", "cold")
    # The command starts a process, imports and compiles, all of which a second call has behind it.
    assert 0 < warm["processor"] < cold["processor"]
    assert 0 < warm["memory"] < cold["memory"]
    assert warm["attempts"] == cold["attempts"] == 1
    assert "8 models warm" in capsys.readouterr().out


def test_the_table_is_read_as_it_was_simulated(builds, tmp_path) -> None:
    losses, models = builds.write_table(tmp_path, 8, 100)
    found = bl.read_losses(losses, models=models, unit="document", cluster="file")
    expected = bl.simulate_losses(families=4, sizes=2, samples=100, clusters=10)
    found = found.sel(lm=expected["lm"])
    np.testing.assert_array_equal(found["nll"], expected["nll"])
    for name in ("family", "parameters"):
        np.testing.assert_array_equal(found[name], expected[name])
    assert len(np.unique(found["cluster"])) == 10


def test_costs_of_a_command_count_its_children_and_what_they_held(builds, tmp_path) -> None:
    spin = "import time\nwhile time.process_time() < 0.7: pass\nheld = bytearray(150 * 2**20)"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {spin!r}], check=True)"
    costs = builds._run([sys.executable, "-c", program], tmp_path)
    assert 0.7 <= costs["processor"] < 3
    assert costs["wall"] > 0.5
    # Not what this process has reached itself.
    assert 150 < costs["memory"] < 200
    with pytest.raises(RuntimeError, match="no such thing"):
        builds._run([sys.executable, "-c", "raise SystemExit('no such thing')"], tmp_path)


@pytest.mark.parametrize("changes", [{"rhat": 1.011}, {"ess_tail": 799.0}, {"ess_bulk": 799.0}, {"divergences": 1}])
def test_only_fits_that_went_well_count(builds, changes) -> None:
    assert build_run(builds, "this", "warm", 20, 8.0).counts
    assert not build_run(builds, "this", "warm", 20, 8.0, **changes).counts


def test_medians_stand_beside_the_targets(builds) -> None:
    runs = [
        *(build_run(builds, "this", "warm", 20, seconds) for seconds in (8.0, 10.0, 30.0)),
        *(build_run(builds, "before", "warm", 20, seconds) for seconds in (200.0, 240.0)),
        build_run(builds, "this", "cold", 20, 50.0, memory=900.0),
        build_run(builds, "before", "cold", 20, 300.0),
        build_run(builds, "this", "warm", 80, 100.0, memory=501.0),
        build_run(builds, "this", "cold", 80, 79.0),
    ]
    assert list(builds.summary(runs)) == [
        "20 models warm: 10.0 CPU s, before 220.0: 22.0 times (at least 20: met)",
        "20 models cold: 50.0 CPU s, before 300.0: 6.0 times (at least 7: MISSED)",
        "20 models: 250 MiB above import (at most 300: met)",
        "80 models warm: 100.0 CPU s, before 7000.0, as recorded: 70.0 times (at least 100: MISSED)",
        "80 models cold: 79.0 CPU s (at most 80: met)",
        "80 models: 501 MiB above import (at most 500: MISSED)",
    ]


def test_a_checkout_without_an_environment_is_refused(builds, tmp_path, capsys) -> None:
    with pytest.raises(SystemExit):
        builds.main(["--before", str(tmp_path)])
    assert "uv sync" in capsys.readouterr().err


def test_the_quick_run_of_peers_says_what_it_leaves_out(peers, monkeypatch, capsys, tmp_path) -> None:
    # The test's own process keeps all its cores.
    monkeypatch.setattr(peers, "environment", lambda cores: {"cores": cores})
    monkeypatch.setattr(sys.modules["sampling"].importlib.util, "find_spec", lambda name: None)
    arguments = ["--smoke", "--contenders", "ours", "pymc-nutpie", "--json", str(tmp_path / "runs.json")]
    assert peers.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "PyMC peers skipped" in printed
    assert "NumPyro's at 8 places" in printed
    cold, warm = json.loads((tmp_path / "runs.json").read_text())["runs"]
    assert (cold["kind"], warm["kind"]) == ("cold", "warm")
    assert 0 < warm["processor"] < cold["processor"]


def test_another_density_is_refused_before_anything_is_timed(benchmarks, peers, monkeypatch) -> None:
    task = benchmarks["joint_peers_contenders"].JointTask(8, 100, 10, 1, 10)
    (line,) = peers.check_densities(task, with_pymc=False)
    assert "NumPyro's" in line
    losses = benchmarks["joint_peers_contenders"].simulated(task)
    other = bl.numpyro_model(bl.JointLaw(floor_spread="LogNormal(-2.0, 0.4)"), losses)
    monkeypatch.setattr(peers.bl, "numpyro_model", lambda law, losses: other)
    with pytest.raises(RuntimeError, match="NumPyro's"):
        list(peers.check_densities(task, with_pymc=False))


def test_pymc_has_the_density_of_the_package(benchmarks, peers) -> None:
    pytest.importorskip("pymc")
    task = benchmarks["joint_peers_contenders"].JointTask(8, 100, 10, 1, 10)
    assert len(list(peers.check_densities(task, with_pymc=True))) == 3


def drawn(shift: float, seed: int) -> xr.Dataset:
    values = np.random.default_rng(seed).standard_normal((4, 500, 3)) + np.array([0.0, 0.0, shift])
    return xr.Dataset({"b": (("chain", "draw", "b_0"), values), "a": (("chain", "draw"), values[..., 0])})


def test_means_are_apart_in_their_monte_carlo_errors(peers) -> None:
    assert peers._apart(drawn(0.0, 0), drawn(0.0, 1)) < 4
    # Each mean has a standard error of 1 / sqrt(2000).
    assert peers._apart(drawn(1.0, 0), drawn(0.0, 1)) == pytest.approx(1.0 / np.sqrt(2 / 2000), rel=0.15)


def test_rates_are_compared_by_their_medians(peers) -> None:
    ours = peers.JointRun("ours", "warm", 10.0, 10.0, 1.004, 2000.0, 1500.0, 0, 5.0, np.nan)
    slow = dataclasses.replace(ours, contender="numpyro", processor=100.0, ess_bulk=500.0)
    runs = [ours, slow, dataclasses.replace(slow, rhat=1.02), dataclasses.replace(slow, processor=1000.0)]
    assert list(peers.ratios(runs)) == [
        "numpyro warm: 5.0 effective draws a CPU second, ours 150.0: 30.0 times; chains agreed in 2 of 3 runs"
    ]
