"""The open list of laws: what may be registered, what installed packages bring, and laws that are not there."""

import doctest
import json
import sys
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from quick_fits import quick_fits
from test_own_law import registered
from typer.testing import CliRunner

import bayeslaw as bl
from bayeslaw.cli import app
from bayeslaw.errors import InputError
from bayeslaw.fitting.fit_reading import load_fit
from bayeslaw.fitting.fits import Fit
from bayeslaw.inputs.former_names import FormerNameWarning
from bayeslaw.joint.law import JointLaw
from bayeslaw.laws import LAWS, law_from_specification
from bayeslaw.laws.kinds import KINDS
from bayeslaw.laws.registry import ENTRY_POINTS, NEEDED


@dataclass(frozen=True)
class Same(bl.Law):
    """A law of one loss for all."""

    level: Any = None

    name = "same"
    equation = "level"
    function = staticmethod(lambda parameters, *, level: level + 0 * parameters)

    def default_priors(self, observations):
        """Scale the prior to the losses."""
        return {"level": f"HalfNormal({float(observations.loss.mean())})"}


def test_every_law_keeps_the_protocol():
    for name, law in LAWS.items():
        assert law.name == name
        assert law.kind in KINDS
        assert [each for each in NEEDED if not hasattr(law, each)] == []
        assert LAWS.holds(law())
        assert law_from_specification(json.loads(json.dumps(law().specification))) == law()
        known = {*law.parameter_names}
        assert {each for exponents in law.exponents.values() for each in exponents} <= known
        assert law.asymptote is None or law.asymptote in known | {"floor"}


def test_the_documented_law_is_whole():
    with registered():
        [test] = [each for each in doctest.DocTestFinder().find(bl.Law, "Law", globs={}) if each.examples]
        assert sum(line.source.count("\n") for line in test.examples if "class LogLaw" in line.source) <= 20
        result = doctest.DocTestRunner().run(test)
    assert result.attempted > 4
    assert result.failed == 0
    assert "log" not in LAWS


def test_a_law_is_registered_once():
    with registered():
        assert bl.register_law(Same) is Same
        bl.register_law(Same)
        assert law_from_specification({"law": "same", "pooling": "complete"}) == Same(pooling="complete")
        # A cell that is run again defines its class anew.
        again = type("Same", (Same,), {"__module__": Same.__module__, "__qualname__": Same.__qualname__})
        bl.register_law(dataclass(frozen=True)(again))
        assert type(law_from_specification({"law": "same"})) is LAWS["same"] is not Same
        assert not LAWS.holds(Same())

        @dataclass(frozen=True)
        class Other(Same):
            pass

        with pytest.raises(InputError, match=r"the name 'same' of the class Other is that of the class Same"):
            bl.register_law(Other)
    with pytest.raises(InputError, match=r"the name 'power' .* of bayeslaw\.laws\.power"):
        bl.register_law(dataclass(frozen=True)(type("Mine", (Same,), {"name": "power"})))
    with pytest.raises(InputError, match="law is a Same, which is not registered"):
        bl.numpyro_model(Same(), bl.simulate_losses(samples=20, clusters=5))


def without_dataclass():
    class Bare(bl.Law):
        name = "bare"
        equation = "level"
        function = staticmethod(lambda parameters, *, level: level + 0 * parameters)
        level: Any = None

        def default_priors(self, observations):
            return {}

    return Bare


@dataclass(frozen=True)
class Half(bl.Law):
    level: Any = None
    name = "half"
    equation = "level"
    function = staticmethod(lambda parameters, *, level: level)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (3, "what was to be registered is 3"),
        (Same(), "the class of a law"),
        (dict, "is no law: it lacks kind, name, equation"),
        (bl.Law, "is no law: it lacks name, equation, covariates"),
        (Half, "does not say its default_priors"),
        (without_dataclass(), "above @dataclass(frozen=True)"),
        (dataclass(frozen=True)(type("Odd", (Same,), {"name": "my law"})), "the name of the class Odd is 'my law'"),
    ],
)
def test_what_is_no_law_is_refused(given, said):
    with pytest.raises(InputError) as found:
        bl.register_law(given)
    assert said in str(found.value)


@pytest.mark.parametrize(
    ("specification", "said"),
    [
        ({"law": "power", "link": "log"}, "the law power was given link\naccepted: link with the law joint"),
        (
            {"law": "joint", "pooling": "complete"},
            "the law joint was given pooling\naccepted: pooling with the law power, ",
        ),
        ({"law": "chinchilla", "diversity": ["families"]}, "diversity with the law diversity"),
        ({"law": "power", "priory": {}}, "fix: use 'priors'"),
    ],
)
def test_settings_are_those_that_the_law_takes(specification, said):
    with pytest.raises(InputError) as found:
        law_from_specification(specification)
    assert said in str(found.value)


def test_a_law_has_settings_of_its_own():
    @dataclass(frozen=True)
    class Scaled(Same):
        scale: float = 2.0
        name: ClassVar[str] = "scaled"
        settings: ClassVar[tuple[str, ...]] = ("pooling", "scale")

    with registered(Scaled):
        law = law_from_specification(json.loads(json.dumps(Scaled(scale=3.0, level="HalfNormal(1)").specification)))
        assert law == Scaled(scale=3.0, level="HalfNormal(1)")
        with pytest.raises(InputError, match="scale with the law scaled"):
            law_from_specification({"law": "power", "scale": 3})


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Return a function that installs a package which brings a law."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(name: str, target: str, source: str = "") -> None:
        module = target.partition(":")[0]
        if source:
            (tmp_path / f"{module}.py").write_text(source)
        monkeypatch.delitem(sys.modules, module, raising=False)
        folder = tmp_path / f"{module}_package-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}-package\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[{ENTRY_POINTS}]\n{name} = {target}\n")

    with registered():
        yield install


SOURCE = """
from dataclasses import dataclass
from test_own_law import CurvedLogLaw

@dataclass(frozen=True)
class Brought(CurvedLogLaw):
    name = "brought"
"""


def test_an_installed_package_brings_a_law_when_it_is_asked_for(installed):
    installed("brought", "brought_law:Brought", SOURCE)
    assert "brought" in LAWS.names()
    assert "brought" not in LAWS
    law_from_specification({"law": "power"})
    assert "brought_law" not in sys.modules, "known laws load nothing"
    law = law_from_specification({"law": "brought", "priors": {"slope": "Normal(0, 1)"}})
    assert type(law).__name__ == "Brought"
    assert LAWS.holds(law)


def test_the_command_line_fits_a_law_that_a_package_brings(installed, tmp_path):
    installed("brought", "brought_law:Brought", SOURCE)
    table = tmp_path / "models.csv"
    sizes = np.geomspace(1e7, 1e10, 8)
    rows = [f"m{i},f,{size:.0f},{2 - 0.1 * np.log(size / 1e8) + 0.01 * (i % 3)}" for i, size in enumerate(sizes)]
    table.write_text("\n".join(["model,family,parameters,loss", *rows]))
    (tmp_path / "fit.yaml").write_text("law: brought\npooling: complete\n")
    out = tmp_path / "f.nc"
    arguments = ["fit", str(table), "--config", str(tmp_path / "fit.yaml"), "--draws", "60", "--chains", "1"]
    with quick_fits():
        done = CliRunner().invoke(app, [*arguments, "--out", str(out)])
    # Written, and not to be trusted: one chain of a few draws.
    assert done.exit_code == 1, done.output
    assert "error one-chain" in done.output
    LAWS._loaded.pop("brought")
    done = CliRunner().invoke(app, ["predict", str(out), "--parameters", "1e9"])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("name", "source", "said"),
    [
        ("brought", "raise ValueError('no luck')", "cannot be loaded: ValueError: no luck"),
        ("brought", "Brought = 3", "is 3, whose name is None"),
        ("carried", SOURCE, "the class Brought, whose name is 'brought'"),
    ],
)
def test_a_package_that_brings_no_law_is_named(installed, name, source, said):
    installed(name, "brought_law:Brought", source)
    with pytest.raises(InputError, match=r"of brought_law-package ") as found:
        law_from_specification({"law": name})
    assert said in str(found.value)


def test_no_package_takes_the_name_of_a_law_that_is_there(installed):
    installed("power", "brought_law:Brought", "raise ValueError('no luck')")
    assert law_from_specification({"law": "power"}) == bl.PowerLaw()


def test_a_fit_of_a_law_that_is_not_registered_names_it(tmp_path, tiny_fit):
    tree = tiny_fit.keep(()).tree
    tree.attrs = {**tree.attrs, "law": tree.attrs["law"].replace('"power"', '"powr"')}
    Fit(tree).save(tmp_path / "f.nc")
    with pytest.raises(InputError, match=r"is a fit of the law 'powr', the class PowerLaw of the module bayeslaw"):
        bl.load_fit(tmp_path / "f.nc")


def test_a_law_is_found_by_its_former_name(tmp_path):
    with pytest.warns(FormerNameWarning, match="the law factor is called joint; the former name will go"):
        assert law_from_specification({"law": "factor"}) == JointLaw()
    assert "factor" not in LAWS


@pytest.mark.slow
def test_a_fit_that_names_a_law_by_its_former_name_is_read(file_of_fit, tmp_path):
    fit = load_fit(file_of_fit("quick_joint"))
    held = json.loads(fit.tree.attrs["law"])
    tree = fit.tree.copy()
    tree.attrs = fit.tree.attrs | {"law": json.dumps(held | {"law": "factor"})}
    tree.attrs.pop("law_class", None)
    Fit(tree).save(tmp_path / "before.nc")
    with pytest.warns(FormerNameWarning, match="the law factor is called joint") as said:
        read = load_fit(tmp_path / "before.nc")
    assert len(said) == 1
    assert read.law == fit.law
    assert json.loads(read.tree.attrs["law"])["law"] == "joint"
    np.testing.assert_array_equal(read.values()["floor"], fit.values()["floor"])


def test_the_command_line_notes_a_former_name_once(tmp_path):
    (tmp_path / "fit.yaml").write_text("law: factor\npooling: complete\n")
    done = CliRunner().invoke(app, ["calibrate", "--config", str(tmp_path / "fit.yaml")])
    assert done.exit_code == 2
    assert done.stderr.splitlines()[0] == "note: the law factor is called joint; the former name will go"
    assert done.stderr.count("note:") == 1
    assert "the law joint was given pooling" in done.stderr
