"""The gate notices mistakes: ten, each made in a copy of the package, turn tests of the gate red.

Of each mistake the tests of its room are run, which are part of the gate: what turns them red turns the gate red.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COPIED = ("bayeslaw", "inference", "tests", "examples")
SOME_FAILED = 1


@dataclass(frozen=True)
class Mistake:
    """What is wrong in which file, and the tests that are to notice it.

    Attributes
    ----------
    file
        The file.
    right, wrong
        Text that stands in it once, and what it is replaced by.
    tests
        Files of tests of the gate.
    """

    file: str
    right: str
    wrong: str
    tests: str


MISTAKES = {
    "a formula": Mistake(
        "bayeslaw/laws/power.py",
        "jnp.exp(-jnp.asarray(exponent) * jnp.log(parameters))",
        "jnp.exp(-jnp.asarray(exponent) * jnp.log(parameters + 1))",
        "laws/test_laws.py",
    ),
    "a Jacobian": Mistake(
        "bayeslaw/fitting/law_coordinates.py",
        "jax.nn.log_sigmoid(drop - log_reducible) - jnp.log(decay)",
        "jax.nn.log_sigmoid(drop - log_reducible)",
        "posterior/test_coordinates.py",
    ),
    "a weight": Mistake(
        "inference/checkpoints/weight_plan.py",
        '("query", "key", "value").index(part)',
        '("query", "value", "key").index(part)',
        "inference/decoder/test_parity.py",
    ),
    "a window": Mistake(
        "inference/texts/windows.py",
        "first, stop = stop, min(length, stop + stride)",
        "first, stop = stop, min(length, stop + stride + 1)",
        "inference/texts/test_batches.py",
    ),
    "a tokenizer": Mistake(
        "inference/texts/tokens.py",
        "for choice in (prepended, facts.begin, facts.end):",
        "for choice in (facts.end, facts.begin, prepended):",
        "inference/texts/test_tokens.py",
    ),
    "a resume": Mistake(
        "inference/runs/batch_journal.py",
        "return (values, seconds) if values.shape",
        "return (values[::-1], seconds) if values.shape",
        "inference/runs/test_resume.py",
    ),
    "a unit": Mistake(
        "bayeslaw/losses/weighted_means.py",
        'return 1 / math.log(2) if "bytes" in losses and',
        'return 1 / math.log(2) if "tokens" in losses and',
        "losses/test_losses.py losses/test_loss_report.py",
    ),
    "a rule": Mistake(
        "bayeslaw/pools/mixture.py",
        "return np.log(nll.shape[1]) - logsumexp(-nll, axis=1)",
        "return -logsumexp(-nll, axis=1)",
        "pools/test_combine.py pools/test_pools.py",
    ),
    "a prior": Mistake(
        "bayeslaw/laws/power.py",
        '"exponent": log_normal(0.3, 0.5),',
        '"exponent": log_normal(3.0, 0.5),',
        "laws/test_laws.py laws/test_priors.py",
    ),
    "a band": Mistake(
        "bayeslaw/prediction/band_table.py",
        "tail = (1 - level) / 2",
        "tail = 1 - level",
        "prediction/test_predict.py",
    ),
}


@pytest.fixture
def copy(tmp_path):
    """Return a copy of the package and its tests."""
    for folder in COPIED:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def run_gate(copy, tests):
    """Run some files of the gate in a copy, which comes first on the path of ``python -m``."""
    files = [f"tests/{file}" for file in tests.split()]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n0", "-p", "no:cacheprovider", *files]
    settings = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    settings["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "true"
    return subprocess.run(command, cwd=copy, env=settings, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", MISTAKES)
def test_what_a_mistake_replaces_stands_where_it_is_looked_for(name):
    mistake = MISTAKES[name]
    assert (ROOT / mistake.file).read_text(encoding="utf-8").count(mistake.right) == 1
    assert all((ROOT / "tests" / file).is_file() for file in mistake.tests.split())


@pytest.mark.slow
@pytest.mark.parametrize("tests", sorted({mistake.tests for mistake in MISTAKES.values()}))
def test_without_a_mistake_they_pass(copy, tests):
    done = run_gate(copy, tests)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize("name", MISTAKES)
def test_the_gate_notices(copy, name):
    mistake = MISTAKES[name]
    text = (copy / mistake.file).read_text()
    (copy / mistake.file).write_text(text.replace(mistake.right, mistake.wrong))
    done = run_gate(copy, mistake.tests)
    assert done.returncode == SOME_FAILED, done.stdout[-2000:]
