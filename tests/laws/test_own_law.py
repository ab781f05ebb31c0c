"""A law that a user brings: written here, and taken through all that the laws of the package go through."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from forms import FORMS
from matplotlib.text import Text
from quick_fits import quick_fits
from tables import family_table, rows
from typer.testing import CliRunner

import bayeslaw as bl
from bayeslaw.cli import app
from bayeslaw.fitting.given_rows import rows_of
from bayeslaw.fitting.row_posterior import row_posterior
from bayeslaw.laws.registry import LAWS
from bayeslaw.likelihood.law_model import LawModel
from bayeslaw.likelihood.noise import Noise
from bayeslaw.plotting.law_plot import plot_law
from bayeslaw.plotting.pictures import PLOTS

AT = {"parameters": [1e9, 1e11]}


def curved_log_law(parameters, *, level, slope, curvature):
    """Evaluate a loss that is a parabola in the log of the parameters: no floor, no amplitude, no exponent."""
    size = jnp.log(parameters)
    return level + slope * size + curvature * size**2


@dataclass(frozen=True)
class CurvedLogLaw(bl.Law):
    """``loss = level + slope log(N / N0) + curvature log(N / N0) ^ 2``."""

    level: Any = None
    slope: Any = None
    curvature: Any = None

    name = "curved_log"
    equation = "level + slope * log(N / N0) + curvature * log(N / N0) ** 2"
    function = staticmethod(curved_log_law)
    signed = ("slope", "curvature")

    def default_priors(self, observations):
        """Scale the priors to the mean loss."""
        middle = float(observations.loss.mean())
        normal = f"Normal(0, {0.3 * middle})"
        return {"level": f"LogNormal({np.log(middle)}, 0.5)", "slope": normal, "curvature": normal}


@contextmanager
def registered(*laws: type) -> Iterator[None]:
    """Register laws, and forget them at the end."""
    before = dict(LAWS._loaded)
    try:
        for law in laws:
            bl.register_law(law)
        yield
    finally:
        LAWS._loaded.clear()
        LAWS._loaded.update(before)


@pytest.fixture(scope="module", autouse=True)
def law_is_registered():
    with registered(CurvedLogLaw):
        yield


@pytest.fixture(scope="module")
def table():
    # Far fewer sizes would leave the rival too little to be told from.
    return family_table(one_law=True, noise=0.02)


@pytest.fixture(scope="module", params=FORMS)
def fits(table, request):
    pooling = "complete" if request.param else "partial"
    with quick_fits(request.param):
        return {
            name: bl.fit(law, table, draws=200, chains=2, seed=1)
            for name, law in (("own", CurvedLogLaw(pooling=pooling)), ("power", bl.PowerLaw(pooling=pooling)))
        }


@pytest.fixture(scope="module")
def file(fits, tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "own.nc"
    fits["own"].save(path)
    return path


def test_it_has_a_name_is_fitted_and_predicts(fits, table):
    assert "slope[family] ~ Normal(slope_population, slope_spread)" in str(bl.numpyro_model("curved_log", table))
    own = fits["own"]
    bands = bl.predict(own, AT, kind="mean").groupby("parameters")["median"].mean()
    seen = family_table(one_law=True, noise=0.0)
    truth = np.interp(np.log(1e9), np.log(seen["parameters"].to_numpy()[:8]), seen["loss"].to_numpy()[:8])
    assert bands[1e9] == pytest.approx(truth, rel=0.05)
    assert {"level", "slope", "curvature", "noise_scale"} <= set(map(str, own.tree["posterior"].data_vars))
    assert "slope ~ Normal" in str(own) or "slope[family] ~ Normal" in str(own)


READ = """
import json, sys
from pathlib import Path
import bayeslaw as bl
path = Path(sys.argv[1])
try:
    bl.load_fit(path)
except bl.InputError as error:
    refused = str(error)
import test_own_law
bl.register_law(test_own_law.CurvedLogLaw)
bands = bl.predict(bl.load_fit(path), test_own_law.AT)
print(json.dumps([refused, bands["median"].tolist()]))
"""


@pytest.mark.slow
def test_a_new_process_reads_it_back_once_it_is_registered(fits, file):
    done = subprocess.run(
        [sys.executable, "-c", READ, str(file)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    refused, medians = json.loads(done.stdout)
    assert "own.nc' is a fit of the law 'curved_log', the class CurvedLogLaw of the module test_own_law" in refused
    assert "import test_own_law that registers it by bayeslaw.register_law" in refused
    np.testing.assert_allclose(medians, bl.predict(fits["own"], AT)["median"], rtol=1e-12)


def test_the_command_line_says_what_it_needs(file, tmp_path):
    with registered():
        LAWS._loaded.pop("curved_log")
        done = CliRunner().invoke(app, ["predict", str(file), "--parameters", "1e9"])
    assert done.exit_code == 2
    assert "is not registered here" in done.stderr
    assert "entry point of that name in the group bayeslaw.laws" in done.stderr
    assert CliRunner().invoke(app, ["predict", str(file), "--parameters", "1e9"]).exit_code == 0
    (tmp_path / "fit.yaml").write_text("law: curved_log\npriors: {slop: 'Normal(0, 1)'}\n")
    done = CliRunner().invoke(app, ["calibrate", "--config", str(tmp_path / "fit.yaml")])
    assert "use 'slope'" in done.stderr


def test_it_is_compared_and_checked(fits):
    comparison = bl.compare(fits)
    assert set(comparison.table.index) == {"own", "power"}
    assert np.isfinite(comparison.table["elpd"]).all()
    codes = {finding.code for finding in bl.check(fits["own"])}
    assert not codes & {"floor-prior", "exponent-prior", "few-sizes"}
    assert bl.claims(fits["own"]) == ()
    with pytest.raises(bl.InputError, match="curved_log"):
        bl.pool_check(fits["own"])


def test_it_is_drawn(fits, tmp_path):
    for what in ("law", "pair"):
        assert what in PLOTS
        bl.save_plot(fits["own"], tmp_path / f"{what}.png", what=what)
    figure = plot_law(fits["own"])
    assert "Curved log law" in " ".join(text.get_text() for text in figure.findobj(Text))
    # A law without a floor has no strip for it.
    assert not figure.axes[0].child_axes


@pytest.mark.slow
def test_it_is_left_out_and_stacked(table):
    with quick_fits():
        two = {
            name: bl.fit(law, table, draws=300, chains=2, seed=1)
            for name, law in (("own", CurvedLogLaw(pooling="complete")), ("power", bl.PowerLaw(pooling="complete")))
        }
    left_out = {name: bl.leave_out(fit, by="family", draws=200, chains=1) for name, fit in two.items()}
    assert all(np.isfinite(each.scores()).all() for each in left_out.values())
    stack = bl.stack(two, left_out)
    assert sum(stack.weights.values()) == pytest.approx(1)
    assert np.isfinite(stack.predict({"parameters": [1e10]})["median"]).all()


@pytest.mark.slow
def test_it_is_calibrated(table):
    # Sampled: draws around the mode hold the scale of the noise too low, which 40 tables show.
    result = bl.calibrate(CurvedLogLaw(pooling="complete"), table, simulations=40, seed=0)
    assert result.law == "curved_log"
    assert result.failed == 0
    assert {"level", "slope", "curvature", "noise_scale", "log_likelihood"} == set(result.ranks)
    assert result.calibrated, (result.rank_table, result.coverage)


def compute_law(parameters, training_tokens, *, floor, amplitude, exponent):
    """Evaluate a power law of the product of parameters and training tokens."""
    return floor + amplitude * (parameters * training_tokens) ** -exponent


@dataclass(frozen=True)
class ComputeLaw(bl.Law):
    """``loss = floor + amplitude (N D / (N0 D0)) ^ -exponent``: parameters called as those of the power law."""

    floor: Any = None
    amplitude: Any = None
    exponent: Any = None

    name = "compute"
    equation = "floor + amplitude * (N * D / (N0 * D0)) ** -exponent"
    function = staticmethod(compute_law)

    def default_priors(self, observations):
        """Scale the priors to the mean loss."""
        middle = np.log(observations.loss.mean())
        return {
            "floor": f"LogNormal({middle - 1}, 0.5)",
            "amplitude": f"LogNormal({middle}, 0.5)",
            "exponent": "LogNormal(-1.5, 0.5)",
        }


@pytest.mark.parametrize("pooling", ["complete", "separate", "partial"])
def test_a_law_of_two_covariates_has_a_density_whatever_its_parameters_are_called(pooling):
    model = LawModel(ComputeLaw(pooling=pooling), Noise(), rows())
    with jax.enable_x64(True):
        posterior = row_posterior(model)
        assert np.isfinite(float(posterior.potential(posterior.start, rows_of(model))))
