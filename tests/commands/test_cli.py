"""The frame of the command line, and ``bayeslaw losses``."""

import io
import json
import os
import subprocess
import sys

import pandas as pd
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from bayeslaw.cli import app
from bayeslaw.commands.common import print_json
from bayeslaw.commands.predict import _show

MODELS = "model,family,parameters\n" + "".join(f"{f}{n},{f},{10**n}\n" for f in "xy" for n in range(6, 11))
HEADER = "docid," + ",".join(f"{f}{n}" for f in "xy" for n in range(6, 11))
ROWS = "".join(
    f"d{row // 2},"
    + ",".join(f"{(1 + row % 7) * (11 - n) * (1 + 0.1 * ((row * n) % 3))}" for n in [*range(6, 11)] * 2)
    + "\n"
    for row in range(60)
)


@pytest.fixture
def files(tmp_path):
    (tmp_path / "models.csv").write_text(MODELS)
    (tmp_path / "losses.csv").write_text(f"{HEADER}\n{ROWS}")
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def losses(files, *arguments):
    return run("losses", files / "losses.csv", "--models", files / "models.csv", *arguments)


def test_losses_prints_counts_means_and_warnings(files):
    result = losses(files, "--unit", "word", "--cluster", "docid")
    assert result.exit_code == 0
    assert "60 samples (unit: word), 30 clusters, 10 models, 2 families" in result.stdout
    assert "nats per word" in result.stdout
    assert "duplicate-columns: x6, y6" in result.stdout
    assert "unused-column" in losses(files).stdout


def test_losses_as_json(files):
    result = losses(files, "--json", "--unit", "word")
    content = json.loads(result.stdout)
    assert content["unit"] == "word"
    assert content["samples"] == 60
    assert content["models"][0] | {"loss": 0, "standard_error": 0, "wins": 0} == {
        "model": "x6",
        "family": "x",
        "parameters": 1e6,
        "loss": 0,
        "standard_error": 0,
        "loss_unit": "nats per word",
        "wins": 0,
    }
    assert any(warning.startswith("duplicate-columns: ") for warning in content["warnings"])


def test_what_was_dropped_is_printed(files):
    lines = (files / "losses.csv").read_text().splitlines()
    lines[1] = lines[1].rsplit(",", 1)[0] + ","
    (files / "losses.csv").write_text("\n".join(lines))
    assert losses(files).exit_code == 2
    assert "y10" in losses(files, "--missing", "drop-models").stdout
    assert "1 sample with missing losses" in losses(files, "--missing", "drop-samples").stdout


def test_names_with_brackets_are_printed_as_they_are(files):
    for name in ("models.csv", "losses.csv"):
        (files / name).write_text((files / name).read_text().replace("y10", "[bold]y10"))
    assert "[bold]y10" in losses(files).stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["losses", "nowhere.csv"],
        ["losses"],
        ["losses", "x.csv", "--missing", "perhaps"],
        ["losses", "x.csv", "--no-such-option"],
        ["nosuchcommand"],
    ],
)
def test_bad_input_and_usage_end_with_two(arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert result.stderr


def test_bad_input_is_one_message(files):
    (files / "losses.csv").write_text(f"{HEADER}\n{ROWS}".replace("d3,", "d3,-", 1))
    result = losses(files)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert [line.split(":")[0] for line in result.stderr.splitlines()] == ["Error", "accepted", "fix"]
    assert "is negative" in result.stderr


def test_version_and_no_arguments():
    assert run("--version").stdout.startswith("bayeslaw ")
    assert run().exit_code == 2


def commands():
    group = typer.main.get_command(app)
    return sorted(group.commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", [None, *commands()])
def test_help_shows_an_example(command):
    result = run(*([command] if command else []), "--help")
    assert result.exit_code == 0
    assert f"Example: bayeslaw {command or ''}".strip() in " ".join(result.stdout.split())


def test_completion_is_there():
    assert "--install-completion" in run("--help").stdout


@pytest.mark.parametrize("before", [True, False])
def test_quiet_stands_anywhere(files, before):
    from bayeslaw import cli
    from bayeslaw.commands.common import Group, is_quiet

    seen = []
    probe = typer.Typer(cls=Group)
    probe.callback()(cli.bayeslaw)

    @probe.command()
    def look(ctx: typer.Context):
        seen.append(is_quiet(ctx))

    CliRunner().invoke(probe, ["--quiet", "look"] if before else ["look", "--quiet"], catch_exceptions=False)
    CliRunner().invoke(probe, ["look"], catch_exceptions=False)
    assert seen == [True, False]


def test_json_has_no_bare_nan(capsys):
    print_json({"a": [float("nan"), 1.5], "b": (float("inf"),)})
    assert json.loads(capsys.readouterr().out) == {"a": [None, 1.5], "b": [None]}


def test_a_closed_pipe_is_quiet():
    program = "import os, sys; os.close(1); r, w = os.pipe(); os.close(r); sys.argv = ['bayeslaw', '--version']\n"
    program += "assert w == 1 or os.dup2(w, 1) == 1\nfrom bayeslaw.cli import main\nmain()"
    result = subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True, check=False)
    assert result.stderr == ""


@pytest.mark.parametrize("level", [None, "2"])
def test_what_the_compiler_logs_stays_off_the_terminal(level):
    program = (
        "import sys; sys.argv = ['bayeslaw', '--version']\nfrom bayeslaw.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\nimport jax; jax.jit(lambda x: x + 1)(1.0)"
    )
    # The compiler cannot write there, which is an error to it, as a slow compilation is.
    settings = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    settings |= {"XLA_FLAGS": "--xla_dump_to=/proc/nowhere"} | ({"TF_CPP_MIN_LOG_LEVEL": level} if level else {})
    result = subprocess.run([sys.executable, "-c", program], env=settings, capture_output=True, text=True, check=True)
    assert bool(result.stderr) == (level is not None)


def test_names_of_targets_are_never_cut(monkeypatch):
    """However narrow a terminal is, each letter of a pool's members is there, and sizes and losses are in one form."""
    out = Console(file=io.StringIO(), width=60)
    monkeypatch.setattr("bayeslaw.commands.predict.console", lambda: out)
    members = "zoo-a-long-name-one,zoo-a-long-name-two"
    first = {"members": members, "parameters": 2e7, "kind": "new", "samples": "new", "interval": 0.9}
    _show(pd.DataFrame([first | {"interval_kind": "equal-tailed", "unit": "nats", "mean": 2.3, "lower": 0.0012}]), None)
    text = out.file.getvalue()
    column = "".join(row.split("│")[1].strip() for row in text.splitlines() if row.startswith("│"))
    assert column == members
    assert all(words in text for words in ("20M", "2.3000", "0.0012"))
