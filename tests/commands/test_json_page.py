"""The page about JSON and CSV names every key and column that commands print, and none that they do not."""

import csv
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from forms import in_gate
from house import REPOSITORY
from quick_fits import quick_fits
from typer.testing import CliRunner

from bayeslaw.cli import app
from bayeslaw.datasets.load import find_dataset
from bayeslaw.pools.pool_files import write_pools
from bayeslaw.simulation.simulated_pools import simulate_pools

PAGE = REPOSITORY / "docs" / "formats" / "json.md"
MEMBERS = "zoo-gpt2-1.5m,zoo-llama-1.5m"
ZOO = ("zoo", "--unit", "document")
TRUTH = "floor=0.3,amplitude=1.2,exponent=0.3,noise_scale=0.02"
# They fit anew; the gate looks at the keys of `check` in `test_json`.
WITH_LONG_FITS = {"calibrate", "check", "fit --prior-only"}
BY_NAME = ("weights", "truth")
"""Objects whose keys are names of what was given."""


def documented() -> dict[str, tuple[set[str], set[str]]]:
    """Read keys of JSON and columns of CSV off the page, by command."""
    found = {}
    for section in PAGE.read_text().split("\n## bayeslaw ")[1:]:
        name, _, body = section.partition("\n")
        keys, columns = body.split("\nCSV: ")
        found[name] = tuple(set(re.findall(r"^\| `([^`]+)` \|", part, re.M)) for part in (keys, columns))
    return found


def keys_of(value: Any, path: str = "") -> Iterator[str]:
    """Name what is in a JSON value, as the page does."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from keys_of(each, f"{path}.{'*' if path in BY_NAME else key}".removeprefix("."))
    elif isinstance(value, list):
        if not value:
            yield f"{path}[]"
        for each in value:
            yield from keys_of(each, f"{path}[]")
    else:
        yield path


@pytest.fixture(scope="module")
def runs(file_of_fit, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    fits = {name: file_of_fit(name) for name in ("collaboration", "power", "quick_joint", "quick_chinchilla", "tiny")}
    twin = folder / "twin.nc"
    shutil.copy(fits["tiny"], twin)
    candidates = folder / "candidates.csv"
    candidates.write_text("name,family,parameters\nmore,alder,1e9\n")
    made, texts, law = folder / "made", folder / "texts.txt", folder / "law.yaml"
    write_pools(simulate_pools(), made)
    texts.write_text("One line.\nAnother one.\n")
    law.write_text("law: power\npooling: complete\n")
    checkpoint = find_dataset("zoo").checkpoints[0]
    quick = ("--draws", "60", "--chains", "2")
    return {
        "losses": [("losses", *ZOO)],
        "pools": [("pools", *ZOO, "--max-size", "2", "--out", folder / "pools")],
        "fit": [("fit", made, "--law", "collaboration", *quick, "--out", folder / "f.nc")],
        "fit --prior-only": [("fit", *ZOO, "--law", "power", *quick, "--prior-only")],
        "summary": [("summary", fits["collaboration"])],
        "check": [("check", fits["collaboration"]), ("check", fits["quick_joint"])],
        "predict": [
            ("predict", fits["collaboration"], "--parameters", "7e9"),
            ("predict", fits["collaboration"], "--members", "7e9:alder,3e9:birch"),
            ("predict", fits["power"], "--parameters", "7e9"),
            ("predict", fits["quick_chinchilla"], "--parameters", "7e9", "--training-tokens", "1e11"),
        ],
        "when": [("when", fits["collaboration"], "--budgets", "7B")],
        "choose": [("choose", *ZOO, "--max-size", "2")],
        "next": [("next", fits["quick_joint"], "--candidates", candidates, "--draws", "50")],
        "attainability": [("attainability", *ZOO, "--members", MEMBERS, "--rules", "oracle,mixture,best")],
        "attainability --co-failure": [("attainability", *ZOO, "--members", MEMBERS, "--co-failure")],
        "compare": [("compare", fits["tiny"], twin), ("compare", fits["tiny"], twin, "--stack")],
        "advantage": [("advantage", *ZOO)],
        "score": [("score", checkpoint, "--texts", texts, "--unit", "line", "--out", folder / "scored")],
        "families": [("families", "--all")],
        "calibrate": [("calibrate", "--config", law, "--simulations", "10")],
        "calibrate --truth": [("calibrate", "--config", law, "--simulations", "10", "--truth", TRUTH)],
    }


def done(command: tuple[object, ...], *more: object) -> str:
    with quick_fits():
        result = CliRunner().invoke(app, [*map(str, command), *map(str, more)])
    assert result.exit_code in (0, 1), result.output
    return result.stdout


def test_every_command_that_prints_json_is_on_the_page():
    takes = [
        command.name or getattr(command.callback, "__name__", "").rstrip("_")
        for command in app.registered_commands
        if "as_json" in getattr(command.callback, "__annotations__", {})
    ]
    assert {name.split()[0] for name in documented()} == set(takes)


@pytest.mark.parametrize("name", in_gate(documented().keys() - WITH_LONG_FITS, sorted(documented())))
def test_keys_and_columns_are_those_of_the_page(name, runs, tmp_path):
    told, told_columns = documented()[name]
    keys, columns = set(), set()
    for number, command in enumerate(runs[name]):
        file = tmp_path / f"{number}.csv"
        record = json.loads(done(command, "--json", *(("--csv", file) if told_columns else ())))
        keys |= set(keys_of(record))
        columns |= set(next(csv.reader(io.StringIO(file.read_text())))) if told_columns else set()
    # Nothing tells what a list that is empty would hold.
    empty = {key for key in keys if key.endswith("[]")} - told
    may_be = {key for key in told if key.startswith(tuple(f"{each}." for each in empty))}
    assert (keys - empty | may_be, columns) == (told, told_columns)


def test_csv_is_on_standard_output_and_nothing_else_there(collaboration_file, tmp_path):
    command = ("predict", collaboration_file, "--parameters", "7e9")
    text = done(command, "--csv", "-")
    assert text == csv_of(command, tmp_path)
    assert text.count("\n") == 4
    bands = json.loads(done(command, "--json"))
    assert [float(row["lower"]) for row in csv.DictReader(io.StringIO(text))] == [band["lower"] for band in bands]


def csv_of(command: tuple[object, ...], folder: Path) -> str:
    done(command, "--csv", folder / "rows.csv")
    return (folder / "rows.csv").read_text()


def test_a_csv_takes_the_place_of_its_own_kind_alone(collaboration_file, tmp_path):
    command = ("predict", collaboration_file, "--parameters", "7e9")
    before = csv_of(command, tmp_path)
    assert csv_of(command, tmp_path) == before
    rows = tmp_path / "rows.csv"
    summary = ["summary", str(collaboration_file), "--csv", str(rows)]
    for mine in (before, "model,family\na,b\n", "\x00\xff"):
        rows.write_text(mine)
        refused = CliRunner().invoke(app, summary)
        assert refused.exit_code == 2
        assert "a file of another kind is there" in refused.stderr
        assert rows.read_text() == mine
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_two_results_do_not_share_standard_output(collaboration_file):
    result = CliRunner().invoke(app, ["summary", str(collaboration_file), "--json", "--csv", "-"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "JSON and CSV are both to go to standard output" in result.stderr


def test_texts_from_outside_do_not_steer_a_terminal(tmp_path):
    (tmp_path / "losses.csv").write_text("sample,a,b\ns1,1,2\ns2,2,1\ns3,3,1\n")
    (tmp_path / "models.csv").write_text('model,family,parameters\na,"=x,y\u202e",1e7\nb,z,1e8\n')
    result = CliRunner().invoke(
        app, ["losses", str(tmp_path / "losses.csv"), "--models", str(tmp_path / "models.csv"), "--csv", "-"]
    )
    assert "\u202e" not in result.output
