"""What is not loaded until it is needed."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import bayeslaw
import inference

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


@pytest.mark.slow
def test_functions_are_not_hidden_by_submodules_in_a_process_of_its_own():
    program = "import bayeslaw as bl; from bayeslaw.plotting.pictures import save_plot\n"
    program += "import bayeslaw.prediction.predictions\n"
    program += "bl.load_fit, bl.Comparison, bl.Attainability, bl.predict_draws\n"
    program += "import inference, inference.score; assert callable(inference.score)\n"
    program += "assert callable(bl.fit) and callable(bl.compare) and callable(bl.combine) and callable(bl.predict)"
    subprocess.run([sys.executable, "-c", program], check=True)


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
        # Commands that score, or read texts as those do, ask for it when they are run.
        command = path.relative_to(Path(bayeslaw.__file__).parent).as_posix()
        asks = command in ("commands/score.py", "commands/import_.py", "commands/demo.py")
        assert asks or not any(module.split(".")[0] == "inference" for module in modules), path


def test_sampling_knows_no_law():
    allowed = {"posterior", "errors", "priors", "progress", "storage"}
    for path in (Path(bayeslaw.__file__).parent / "posterior").glob("*.py"):
        modules = [
            (node.module or "").split(".")
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom)
        ]
        assert {module[1] for module in modules if module[0] == "bayeslaw"} <= allowed, path


def test_scoring_needs_little_of_the_rest():
    allowed = {"errors", "findings", "storage", "progress", "losses", "lazy_package", "tables"}
    allowed |= {"foreign_files", "foreign_json", "foreign_text", "foreign_yaml"}
    for path in Path(inference.__file__).parent.rglob("*.py"):
        modules = [
            (node.module or "").split(".")
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom)
        ]
        assert {parts[1] for parts in modules if parts[0] == "bayeslaw"} <= allowed, path


@pytest.mark.parametrize("package", [bayeslaw, inference])
def test_functions_are_not_hidden_by_submodules_of_their_name(package) -> None:
    alike = [name for name in stub_names(package) if (Path(package.__file__).parent / f"{name}.py").is_file()]
    assert alike
    for name in alike:
        module = importlib.import_module(f"{package.__name__}.{name}")
        assert getattr(package, name) is getattr(module, name)
