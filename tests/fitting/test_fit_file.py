"""The file of a fit: the same predictions elsewhere, and a sentence where it cannot be read or written."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.fitting.fit_file import OPTIONAL_GROUPS, check_fit_output, kept_groups
from bayeslaw.fitting.fit_reading import load_fit
from bayeslaw.fitting.fits import Fit
from bayeslaw.prediction.predictions import predict

ELSEWHERE = """
import json, sys
from bayeslaw.fitting.fit_reading import load_fit
from bayeslaw.prediction.predictions import predict
fit = load_fit(sys.argv[1])
frame = predict(fit, json.loads(sys.argv[2]), seed=3)
print(json.dumps({"frame": frame.to_dict("list"), "law": str(fit.law), "model": str(fit.model)}))
"""

FULL = OSError(28, "No space left on device")


@pytest.fixture
def copied(tiny_fit, tmp_path):
    """Return a file of a fit that a test may spoil."""
    path = tmp_path / "fit.nc"
    tiny_fit.save(path)
    return path


def resaved(fit, path, **attrs):
    """Save a fit with other attributes; None removes one."""
    tree = fit.tree.copy()
    tree.attrs = {name: value for name, value in {**tree.attrs, **attrs}.items() if value is not None}
    tree.to_netcdf(path, engine="h5netcdf")
    return path


@pytest.mark.parametrize("ending", ["nc", pytest.param("zarr", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["collaboration_fit", pytest.param("chinchilla_fit", marks=pytest.mark.slow)])
def test_a_new_process_predicts_the_same(request, tmp_path, name, ending):
    fit = request.getfixturevalue(name)
    path = tmp_path / f"fit.{ending}"
    fit.save(path)
    at = {"parameters": [3e9, 7e11]} | ({"training_tokens": 1e11} if name == "chinchilla_fit" else {})
    if (name, ending) == ("chinchilla_fit", "zarr"):
        frame, law, model = predict(load_fit(path), at, seed=3), str(load_fit(path).law), str(load_fit(path).model)
    else:
        environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
        done = subprocess.run(
            [sys.executable, "-c", ELSEWHERE, str(path), json.dumps(at)],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        told = json.loads(done.stdout)
        frame, law, model = pd.DataFrame(told["frame"]), told["law"], told["model"]
    # In the slow tier the other process compiles with optimisations some of what this one has compiled without.
    alike = (name, ending) == ("collaboration_fit", "nc")
    pd.testing.assert_frame_equal(frame, predict(fit, at, seed=3), check_exact=alike, rtol=1e-12)
    assert law == str(fit.law)
    assert model == str(fit.model)


@pytest.mark.parametrize("ending", ["nc", "zarr"])
def test_everything_comes_back(partial_fit, tmp_path, ending):
    path = tmp_path / f"fit.{ending}"
    partial_fit.save(path)
    back = load_fit(path)
    assert set(back.tree.children) == set(partial_fit.tree.children)
    for name, group in partial_fit.tree.children.items():
        xr.testing.assert_equal(back.tree[name].dataset, group.dataset)
    for own, other in ((back.law, partial_fit.law), (back.noise, partial_fit.noise), (back.unit, partial_fit.unit)):
        assert own == other
    one, other = back.observations, partial_fit.observations
    for name in ("loss", "labels", "standard_error"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert (one.reference, one.facts, one.unit, one.row_dimension) == (
        other.reference,
        other.facts,
        other.unit,
        other.row_dimension,
    )
    np.testing.assert_array_equal(one.groups["family"], other.groups["family"])
    assert back.tree.attrs == partial_fit.tree.attrs


def test_what_is_left_out_is_left_out_and_predictions_stay(tiny_fit, tmp_path):
    path, whole = tmp_path / "small.nc", tmp_path / "whole.nc"
    tiny_fit.save(whole)
    tiny_fit.keep(["prior"]).save(path)
    small = load_fit(path)
    assert set(small.tree.children) & set(OPTIONAL_GROUPS) == {"prior"}
    assert small.tree.attrs == tiny_fit.tree.attrs
    assert path.stat().st_size < whole.stat().st_size
    at = {"parameters": [1e9, 1e12]}
    pd.testing.assert_frame_equal(predict(small, at), predict(tiny_fit, at), check_exact=True)
    bare = tiny_fit.keep([])
    assert set(tiny_fit.tree.children) >= set(OPTIONAL_GROUPS), "the fit itself is as it was"
    with pytest.raises(InputError, match="saved without its prior"):
        bare.values("prior")
    bare.values("posterior")


def test_kept_groups_are_read_from_text():
    assert kept_groups("all") == OPTIONAL_GROUPS
    assert kept_groups("none") == ()
    assert kept_groups("small") is None
    assert kept_groups("prior, log_likelihood") == ("prior", "log_likelihood")
    with pytest.raises(InputError, match="use 'prior'"):
        kept_groups("priors")
    with pytest.raises(InputError, match="small, all, none, prior"):
        kept_groups("foo")
    with pytest.raises(InputError, match="'small' stands beside other groups"):
        kept_groups("small,log_prior")


def test_a_truncated_file_is_refused(copied):
    whole = copied.read_bytes()
    for share in (0.0, 0.01, 0.5, 0.95):
        copied.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError, match=r"fit\.nc.*cannot be read as a fit"):
            load_fit(copied)


def test_a_zarr_folder_that_lost_a_group_is_refused(tiny_fit, tmp_path):
    path = tmp_path / "fit.zarr"
    tiny_fit.save(path)
    shutil.rmtree(path / "posterior")
    with pytest.raises(InputError, match="posterior"):
        load_fit(path)


@pytest.mark.parametrize(
    ("attrs", "said"),
    [
        ({"format_version": 2}, "has fit format version 2"),
        pytest.param({"format_version": 0}, "has fit format version 0", marks=pytest.mark.slow),
        ({"format_version": None}, "has fit format version None"),
        ({"format": "other"}, "is not a fit of bayeslaw"),
        pytest.param({"format": None}, "is not a fit of bayeslaw", marks=pytest.mark.slow),
        ({"law": None}, "lacks law"),
        ({"reference": None}, "lacks reference"),
    ],
)
def test_a_file_of_another_version_or_maker_is_refused(tiny_fit, tmp_path, attrs, said):
    path = resaved(tiny_fit.keep([]), tmp_path / "odd.nc", **attrs)
    with pytest.raises(InputError, match=said) as caught:
        load_fit(path)
    assert caught.value.fix


def test_a_foreign_file_is_refused(tmp_path):
    foreign = tmp_path / "weather.nc"
    xr.Dataset({"rain": ("day", [1.0, 2.0])}).to_netcdf(foreign, engine="h5netcdf")
    with pytest.raises(InputError, match="is not a fit of bayeslaw"):
        load_fit(foreign)
    text = tmp_path / "notes.nc"
    text.write_text("not a netCDF file")
    folder = tmp_path / "folder"
    folder.mkdir()
    for path in (text, folder):
        with pytest.raises(InputError, match="cannot be read as a fit"):
            load_fit(path)
    with pytest.raises(InputError, match="there is no fit"):
        load_fit(tmp_path / "nothing.nc")


def test_a_fit_without_a_needed_group_is_refused(tiny_fit, tmp_path):
    path = tmp_path / "headless.nc"
    Fit(tiny_fit.tree.filter(lambda node: node.name != "constant_data")).save(path)
    with pytest.raises(InputError, match="lacks constant_data"):
        load_fit(path)


def test_an_output_that_cannot_be_written_is_refused_before_and_after(tiny_fit, tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    folder = tmp_path / "folder.nc"
    folder.mkdir()
    foreign = tmp_path / "foreign.zarr"
    foreign.mkdir()
    (foreign / "mine.txt").write_text("x")
    for path in (file / "fit.nc", folder, foreign, "/dev/null", ""):
        for refuse in (check_fit_output, tiny_fit.save):
            with pytest.raises(InputError, match=r"cannot write|folder"):
                refuse(path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.nc", "foreign.zarr"]
    assert (foreign / "mine.txt").read_text() == "x"


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_may_not_be_written_to_is_refused(tiny_fit, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="no permission"):
        tiny_fit.save(tmp_path / "fit.nc")


@pytest.mark.parametrize(
    ("ending", "error"),
    [
        ("nc", FULL),
        ("zarr", FULL),
        ("nc", KeyboardInterrupt()),
        pytest.param("zarr", KeyboardInterrupt(), marks=pytest.mark.slow),
    ],
)
def test_an_existing_file_stays_when_writing_fails(tiny_fit, tmp_path, monkeypatch, ending, error):
    path, bare = tmp_path / f"fit.{ending}", tiny_fit.keep(())
    bare.save(path)
    before = predict(load_fit(path), {"parameters": 1e9})

    def half(self, content, **_):
        with (self if ending == "nc" else content / "part").open("wb") as file:
            file.write(b"half")
        raise error

    # HDF5 writes to memory, and its bytes to the file in one piece; Zarr writes its files itself.
    monkeypatch.setattr(*((Path, "write_bytes", half) if ending == "nc" else (xr.DataTree, "to_zarr", half)))
    with pytest.raises(InputError if isinstance(error, OSError) else KeyboardInterrupt) as caught:
        bare.save(path)
    if isinstance(error, OSError):
        assert "No space left" in str(caught.value)
    assert [entry.name for entry in tmp_path.iterdir()] == [f"fit.{ending}"]
    monkeypatch.undo()
    pd.testing.assert_frame_equal(predict(load_fit(path), {"parameters": 1e9}), before)


@pytest.mark.parametrize("ending", ["nc", "zarr"])
def test_saving_again_replaces(tiny_fit, partial_fit, tmp_path, ending):
    path = tmp_path / "new" / f"fit.{ending}"
    tiny_fit.keep(()).save(path)
    partial_fit.keep(()).save(path)
    assert load_fit(path).model.groups == partial_fit.model.groups
    assert len(list(path.parent.iterdir())) == 1


def test_a_file_may_be_replaced_while_its_fit_is_in_use(copied):
    fit = load_fit(copied)
    fit.keep([]).save(copied)
    assert re.search("8 rows", str(fit))
    assert "prior" in fit.tree.children
    assert "prior" not in load_fit(copied).tree.children
