"""Outputs in the place of what was there: only of what is of their own kind, and of no input."""

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import bayeslaw as bl
from bayeslaw.cli import app
from bayeslaw.errors import InputError
from bayeslaw.losses.joining import join_models
from bayeslaw.plotting.pictures import check_plot


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_fit):
    """Return a folder of inputs, and one of outputs that are of no kind or hold more than their kind."""
    inputs, others = tmp_path_factory.mktemp("inputs"), tmp_path_factory.mktemp("others")
    rows = "".join(f"s{n},{2 + n % 3},{1 + n % 2}\n" for n in range(20))
    (inputs / "losses.csv").write_text("sample,a,b\n" + rows)
    (inputs / "models.csv").write_text("model,family,parameters\na,x,1e8\nb,y,1e9\n")
    (inputs / "config.yaml").write_text("law: power\n")
    tiny_fit.keep(()).save(inputs / "f.nc")
    bl.write_losses(bl.simulate_losses(families=2, sizes=3, samples=40, clusters=10), inputs / "table")
    for name in ("other.txt", "other.nc", "other.png"):
        (others / name).write_text("sample,a\n1,2\n")
    bl.write_pools(bl.make_pools(inputs / "table", max_size=2), others / "mixed")
    (others / "mixed/mine.parquet").write_text("mine")
    tiny_fit.keep(()).save(others / "zarr.zarr")
    (others / "zarr.zarr/mine.txt").write_text("mine")
    return inputs, others


@pytest.fixture
def place(made, tmp_path, monkeypatch):
    """Work in a copy of the inputs."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made[0], tmp_path, dirs_exist_ok=True)
    return tmp_path


def content(folder):
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def link(kind, target):
    """Return another name of a file."""
    path = Path("other.nc" if kind != "spelling" else f"./../{Path.cwd().name}/{target}")
    if kind in ("symbolic", "hard"):
        (os.symlink if kind == "symbolic" else os.link)(target, path)
    return str(path)


@pytest.mark.parametrize("target", ["losses.csv", "models.csv", "config.yaml"])
@pytest.mark.parametrize("kind", ["same", "spelling", "symbolic", "hard"])
def test_a_fit_replaces_none_of_its_inputs(place, target, kind):
    out = target if kind == "same" else link(kind, target)
    before = content(place)
    command = f"fit losses.csv --models models.csv --config config.yaml --out {out}"
    result = CliRunner().invoke(app, command.split())
    assert result.exit_code == 2
    assert "it is what the output is made of" in result.stderr
    assert content(place) == before


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("fit losses.csv --models models.csv --out other.txt", "another kind"),
        ("fit table --out other.nc", "another kind"),
        ("plot f.nc --out other.png", "another kind"),
        ("pools table --out table", "not a folder of pools"),
        ("pools table --out mixed", "holds 'mine.parquet'"),
        ("calibrate --law power --out table", "not a folder of calibration"),
        ("fit table --out zarr.zarr", "holds more"),
    ],
)
def test_what_is_of_another_kind_stays(made, place, command, said):
    shutil.copytree(made[1], place, dirs_exist_ok=True)
    before = content(place)
    result = CliRunner().invoke(app, command.split())
    assert result.exit_code == 2
    assert said in result.stderr
    assert content(place) == before


def test_what_is_of_the_same_kind_is_replaced(place, tiny_fit):
    Path("empty.nc").touch()
    for name in ("f.nc", "empty.nc", "f.zarr"):
        tiny_fit.keep(["prior"]).save(name)
        tiny_fit.keep(()).save(name)
        assert "prior" not in bl.load_fit(name).tree.children
    for name, start in (("f.png", b"\x89PNG\r\n\x1a\n"), ("f.svg", b"<?xml?>\n<svg>"), ("f.pdf", b"%PDF-1.4")):
        Path(name).write_bytes(start)
        check_plot(name)
    bl.save_plot(tiny_fit, "f.png")
    for _ in range(2):
        bl.write_losses(bl.read_losses("table"), "table")


@pytest.mark.parametrize("name", ["tokens", "notes.parquet", "part-mine.parquet"])
def test_a_table_that_holds_more_is_not_replaced(place, name):
    (place / "table" / name).mkdir()
    before = content(place)
    with pytest.raises(InputError, match=f"holds '{name}'"):
        bl.write_losses(bl.read_losses("losses.csv", models="models.csv"), "table")
    assert content(place) == before


def imported(names, *, samples=6, unit="document", size=10, **counts):
    frame = pd.DataFrame({name: 1.0 + place + np.arange(samples) for place, name in enumerate(names)})
    frame = frame.assign(sample=[f"t{row}" for row in range(samples)], bytes=size, **counts)
    models = pd.DataFrame({"model": names, "family": "f", "parameters": 1e8 + np.arange(len(names))})
    return bl.losses_from_frames(frame, models, unit=unit)


def test_models_are_added_to_a_table_and_take_the_place_of_those_of_their_name(place):
    held, new = imported(["a", "b"]), imported(["b", "c"]).isel(sample=slice(None, None, -1))
    joined = join_models(held, new, place)
    assert joined["lm"].to_numpy().tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(joined["nll"][:, 0], held["nll"][:, 0])
    np.testing.assert_array_equal(joined["nll"][:, 1:], new["nll"][::-1])
    bl.write_losses(joined, "joined")
    np.testing.assert_array_equal(bl.read_losses("joined")["nll"], joined["nll"])


@pytest.mark.parametrize(("held", "new"), [({"tokens": 4}, {}), ({}, {"tokens": 3}), ({"tokens": 4}, {"tokens": 3})])
def test_counts_of_tokens_are_kept_where_all_models_have_them(place, held, new):
    joined = join_models(imported(["a"], **held), imported(["b"], **new), place)
    bl.write_losses(joined, "joined")
    losses = bl.read_losses("joined")
    assert losses["lm"].to_numpy().tolist() == ["a", "b"]
    assert ("tokens" in losses) == bool(held and new)
    assert "tokens" not in losses or losses["tokens"].to_numpy().tolist() == [[4, 3]] * 6


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (imported(["c"], samples=5), "has the sample 't5'"),
        (imported(["c"], samples=7), "lacks the sample 't6'"),
        (imported(["c"], unit="word"), "has the unit 'document', not 'word'"),
        (imported(["c"], size=11), "the bytes of sample 't0' differs"),
    ],
)
def test_models_of_other_samples_are_not_added(place, new, said):
    with pytest.raises(InputError, match=said):
        join_models(imported(["a"]), new, place)


def test_a_server_that_is_not_there_leaves_nothing(place):
    Path("texts.txt").write_text("a text")
    before = content(place)
    command = "import-completions --url http://localhost:1/v1 --model a --texts texts.txt --retries 0 --out new"
    result = CliRunner().invoke(app, [*command.split(), "--models", "models.csv"])
    assert result.exit_code == 2
    assert content(place) == before


@pytest.mark.parametrize(
    "command",
    [
        "fit table --law power --out new",
        "pools table --out new",
        "predict f.nc --parameters 7e9",
        "advantage table",
        "attainability table --members a,b",
        "compare f.nc f2.nc --leave-out model",
        "calibrate --law power --out new",
        "demo --out new",
    ],
)
@pytest.mark.parametrize("seed", ["-1", "1.5", str(2**63)])
def test_a_seed_that_is_none_is_refused_before_anything_is_written(place, command, seed):
    shutil.copy("f.nc", "f2.nc")
    before = content(place)
    result = CliRunner().invoke(app, [*command.split(), f"--seed={seed}"])
    assert result.exit_code == 2
    assert "seed" in result.stderr
    assert content(place) == before
