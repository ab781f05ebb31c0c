"""The command line where standard output is full, closed, narrow, or left by its reader."""

import os
import subprocess
import sys

import pytest

COMMAND = f"{sys.executable} -m bayeslaw.cli"


def run(line, **environment):
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=False, env=os.environ | environment, timeout=120
    )


@pytest.mark.parametrize("command", ["losses zoo", "--help"])
def test_a_reader_that_goes_away_is_no_mistake(command):
    result = run(f"{COMMAND} {command} | true; echo ${{PIPESTATUS[0]}}")
    assert result.stdout == "0\n"
    assert result.stderr == ""


FULL, CLOSED = ("> /dev/full", "No space left"), (">&-", "it is closed")


@pytest.mark.parametrize(
    ("command", "to", "said"),
    [
        ("losses zoo --json", *FULL),
        pytest.param("losses zoo --json", *CLOSED, marks=pytest.mark.slow),
        ("--version", *FULL),
        ("--version", *CLOSED),
    ],
)
def test_an_output_that_cannot_be_written_ends_in_a_message(command, to, said):
    result = run(f"{COMMAND} {command} {to}")
    assert result.returncode == 2
    assert result.stderr.startswith("Error: cannot write standard output: ")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("to", ["2> /dev/full", pytest.param(">&- 2>&-", marks=pytest.mark.slow)])
def test_messages_that_cannot_be_written_change_no_exit_code(to):
    assert run(f"{COMMAND} losses nowhere {to}").returncode == 2


def test_characters_that_an_output_does_not_have_are_replaced(tmp_path):
    (tmp_path / "m.csv").write_text("model,family,parameters,loss\nä,ü,7B,2\nb,ü,8B,1\n", encoding="utf-8")
    result = run(f"{COMMAND} losses {tmp_path / 'm.csv'}", PYTHONIOENCODING="ascii")
    assert result.returncode == 0
    assert "? " in result.stdout
    assert "note: 7B was read as 7,000,000,000" in result.stderr
