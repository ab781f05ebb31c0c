"""What is not loaded until it is needed."""

import ast
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import bayeslaw
import inference
from bayeslaw.inputs.former_names import FormerNameWarning

HEAVY = ["jax", "numpyro", "pandas", "xarray", "matplotlib", "transformers", "arviz", "scipy", "numpy"]


@pytest.mark.parametrize(
    "program",
    [
        "import bayeslaw; dir(bayeslaw)",
        "import bayeslaw.cli",
        "import inference; dir(inference)",
        "import sys; sys.argv = ['bayeslaw', '--help']\nfrom bayeslaw.cli import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code",
        "from bayeslaw.errors import InputError",
        "from bayeslaw.findings import Finding",
    ],
    ids=["package", "command line", "inference", "help", "errors", "findings"],
)
def test_nothing_heavy_is_loaded(program):
    look = f"\nimport sys\nprint([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    result = subprocess.run([sys.executable, "-c", program + look], capture_output=True, text=True, check=True)
    assert result.stderr.strip() == "[]"


def stub_names(package=bayeslaw):
    tree = ast.parse((Path(package.__file__).parent / "__init__.pyi").read_text())
    return [alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]


@pytest.mark.parametrize("package", [bayeslaw, inference])
def test_type_checkers_see_every_name(package):
    tree = ast.parse((Path(package.__file__).parent / "__init__.pyi").read_text())
    [exports] = [node.value for node in tree.body if isinstance(node, ast.Assign)]
    assert sorted(ast.literal_eval(exports)) == sorted(stub_names(package)) == sorted(package.__all__)


@pytest.mark.parametrize("package", [bayeslaw, inference])
def test_every_public_name_is_there_and_documented(package):
    assert sorted(stub_names(package)) == sorted(set(stub_names(package)))
    for name in stub_names(package):
        assert getattr(package, name).__doc__, name


def test_inference_is_not_needed():
    for path in Path(bayeslaw.__file__).parent.rglob("*.py"):
        modules = [
            node.module or "" for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)
        ]
        # Commands that score, read texts as those do, or list what they read ask for it when they are run.
        command = path.relative_to(Path(bayeslaw.__file__).parent).as_posix()
        asks = command in ("commands/score.py", "commands/import_.py", "commands/demo.py", "commands/families.py")
        assert asks or not any(module.split(".")[0] == "inference" for module in modules), path


def test_sampling_knows_no_law():
    allowed = {"posterior", "errors", "laws.priors", "laws.prior_densities", "likelihood.compiled", "progress"}
    allowed |= {"storage", "inputs.output_paths", "pools.cpu_cores"}
    for path in (Path(bayeslaw.__file__).parent / "posterior").glob("*.py"):
        modules = [
            (node.module or "").split(".")
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom)
        ]
        imported = {".".join(module[1:]) for module in modules if module[0] == "bayeslaw"}
        assert all(name in allowed or name.split(".")[0] in allowed for name in imported), (path, imported)


def test_scoring_needs_little_of_the_rest():
    allowed = {"errors", "findings", "storage", "progress", "losses", "inputs"}
    for path in Path(inference.__file__).parent.rglob("*.py"):
        modules = [
            (node.module or "").split(".")
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom)
        ]
        assert {parts[1] for parts in modules if parts[0] == "bayeslaw"} <= allowed, path


def test_a_module_is_what_its_path_says():
    import bayeslaw.fitting.fits as module

    assert module.Fit is bayeslaw.Fit
    assert module.fit is bayeslaw.fit


def test_the_version_is_that_of_the_package():
    assert bayeslaw.__version__ == version("bayeslaw")


def test_a_law_goes_by_its_former_name():
    with pytest.warns(FormerNameWarning, match="bayeslaw.FactorLaw is called bayeslaw.JointLaw"):
        assert bayeslaw.FactorLaw is bayeslaw.JointLaw
    assert "FactorLaw" not in dir(bayeslaw)
