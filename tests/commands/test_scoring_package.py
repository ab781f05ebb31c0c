"""Another package called ``inference`` is told from ours in a sentence, and is not run."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import bayeslaw
from bayeslaw.commands import scoring_package
from bayeslaw.commands.scoring_package import MARK, require_scoring_package
from bayeslaw.errors import InputError

OTHER = "raise SystemExit('the other package was run')\n"


@pytest.fixture
def other(tmp_path, monkeypatch):
    """Put another package first on Python's path, with the record of the distribution that installed it."""
    (tmp_path / "inference").mkdir()
    (tmp_path / "inference" / "__init__.py").write_text(OTHER)
    record = tmp_path / "inference_server-1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: inference-server\nVersion: 1.0\n")
    (record / "top_level.txt").write_text("inference\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "inference", raising=False)
    return tmp_path


def test_ours_is_accepted():
    require_scoring_package()


def test_our_package_bears_the_mark():
    ours = Path(bayeslaw.__file__).parents[1] / "inference" / "__init__.py"
    assert MARK in ours.read_text()


def test_a_package_that_lies_before_ours(other):
    with pytest.raises(InputError, match="inference-server") as error:
        require_scoring_package()
    assert str(other / "inference" / "__init__.py") in error.value.problem
    assert "environment of its own" in error.value.fix


def test_a_package_that_took_the_place_of_ours(other, monkeypatch):
    monkeypatch.setattr(scoring_package, "bayeslaw", SimpleNamespace(__file__=str(other / "bayeslaw" / "__init__.py")))
    with pytest.raises(InputError, match="is of another package, which the distribution 'inference-server'") as error:
        require_scoring_package()
    assert "install bayeslaw again" in error.value.fix


def test_no_package_at_all(monkeypatch):
    monkeypatch.delitem(sys.modules, "inference", raising=False)
    monkeypatch.setattr(scoring_package, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="finds no package 'inference'"):
        require_scoring_package()


@pytest.mark.parametrize(
    "arguments",
    [
        ["score", "m", "--texts", "t.txt", "--out", "o"],
        pytest.param(["demo"], marks=pytest.mark.slow),
        pytest.param(
            ["import-completions", "--url", "http://127.0.0.1:9", "--model", "m", "--texts", "t.txt", "--out", "o"],
            marks=pytest.mark.slow,
        ),
    ],
    ids=["score", "demo", "import-completions"],
)
def test_commands_that_score_say_so(arguments, other):
    program = f"import sys; sys.argv = ['bayeslaw', *{arguments}]\nfrom bayeslaw.cli import main\nmain()"
    path = os.pathsep.join([str(other), str(Path(bayeslaw.__file__).parents[1])])
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, cwd=other, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("Error: `import inference` finds")
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["Error", "accepted", "fix"]
    assert sorted(path.name for path in other.iterdir()) == ["inference", "inference_server-1.0.dist-info"]
