"""What the reference check calls agreement, and what it says where there is no data."""

import importlib.util
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.tools

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "reference.py"


@pytest.fixture(scope="module")
def reference():
    specification = importlib.util.spec_from_file_location("reference_check", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("printed", "ours", "agrees"),
    [
        ("2.5776", 2.57769, True),
        ("2.5776", 2.5777, True),
        ("2.5776", 2.57771, False),
        ("2.5776", 2.57749, False),
        ("0.3590", 0.3592, False),
        ("14", 14.0, True),
        ("14", 15.0, False),
        ("14", float("nan"), False),
    ],
)
def test_agreement_is_one_unit_of_the_last_digit(reference, printed, ours, agrees):
    assert reference.to_last_digit("quantity", printed, ours).ok is agrees


def test_one_number_off_ends_with_one(reference, monkeypatch, tmp_path, capsys):
    right, wrong = (reference.to_last_digit(f"number {ours}", "1.50", ours) for ours in (1.5, 1.7))
    monkeypatch.setattr(reference, "FILES", ())
    monkeypatch.setattr(sys, "argv", ["reference.py", str(tmp_path)])
    monkeypatch.setattr(reference, "sections", lambda data: [("part", [right, wrong])])
    assert reference.main() == 1
    assert "1 of 2 ok" in (shown := capsys.readouterr().out)
    assert "off: number 1.7" in shown
    monkeypatch.setattr(reference, "sections", lambda data: [("part", [right])])
    assert reference.main() == 0


def test_without_data_it_says_so(reference, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sys, "argv", ["reference.py", str(tmp_path)])
    assert reference.main() == 2
    assert f"{str(tmp_path)!r} has no surprisal_pile14" in capsys.readouterr().err
