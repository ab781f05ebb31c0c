"""Files of fits that were damaged or changed: refused in a sentence, never other numbers."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from bayeslaw.cli import app
from bayeslaw.diagnosis.checks import check
from bayeslaw.errors import InputError
from bayeslaw.fitting.fit_checks import check_fit
from bayeslaw.fitting.fit_file import OPTIONAL_GROUPS
from bayeslaw.fitting.fit_reading import load_fit
from bayeslaw.fitting.fit_seal import ATTRIBUTE, SEAL_LENGTH
from bayeslaw.fitting.fits import Fit
from bayeslaw.prediction.predictions import predict
from bayeslaw.reporting.summaries import summary

FLIPS = 60


def same(one: Fit, other: Fit) -> bool:
    """Say whether two fits hold the same groups, attributes and numbers."""
    return one.tree.identical(other.tree)


def read_or_refused(path: Path, whole: Fit) -> str:
    """Read a damaged file; fail where it gives anything but the whole fit or a refusal."""
    try:
        back = load_fit(path)
    except InputError:
        return "refused"
    assert same(back, whole), "damage gave other numbers"
    return "read"


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def test_no_flipped_bit_of_a_netcdf_file_gives_other_numbers(tiny_fit, tmp_path):
    path = tmp_path / "fit.nc"
    tiny_fit.keep(()).save(path)
    whole, content = load_fit(path), path.read_bytes()
    rng = np.random.default_rng(0)
    bits = rng.integers(8 * (len(content) - SEAL_LENGTH), size=FLIPS)
    for bit in bits:
        flip(path, int(bit))
        assert read_or_refused(path, whole) == "refused"
        path.write_bytes(content)
    # A seal that is not one, or is for other content.
    for byte in (len(content) - SEAL_LENGTH + 3, len(content) - 1):
        flip(path, 8 * byte)
        read_or_refused(path, whole)
        path.write_bytes(content)
    for lost in (1, 60, SEAL_LENGTH - 4):
        path.write_bytes(content[:-lost])
        assert read_or_refused(path, whole) == "refused"
    path.write_bytes(content[:-SEAL_LENGTH])
    assert read_or_refused(path, whole) == "read"


def test_no_flipped_bit_or_lost_file_of_a_zarr_folder_gives_other_numbers(tiny_fit, tmp_path):
    path = tmp_path / "fit.zarr"
    tiny_fit.keep(()).save(path)
    whole, rng = load_fit(path), np.random.default_rng(1)
    files = sorted(entry for entry in path.rglob("*") if entry.is_file())
    chosen = [*rng.choice(np.array(files, dtype=object), FLIPS), *[path / "zarr.json"] * 10]
    found = []
    for file in chosen:
        content = file.read_bytes()
        flip(file, int(rng.integers(8 * len(content))))
        found.append(read_or_refused(path, whole))
        file.write_bytes(content)
    assert found.count("refused") >= FLIPS
    # Zarr itself reads a chunk that is not there as its fill value.
    for file in (entry for entry in files if entry.name != "zarr.json"):
        content = file.read_bytes()
        file.unlink()
        assert read_or_refused(path, whole) == "refused"
        file.write_bytes(content)
    shutil.rmtree(path / "sample_stats")
    assert read_or_refused(path, whole) == "refused"


def test_groups_that_are_not_asked_for_are_not_looked_at(tiny_fit, tmp_path):
    path = tmp_path / "fit.zarr"
    tiny_fit.keep(["log_prior"]).save(path)
    shutil.rmtree(path / "log_prior")
    load_fit(path, keep=())
    with pytest.raises(InputError, match="the group log_prior is not as it was written"):
        load_fit(path)


def test_what_other_programs_write_needs_no_seal(tiny_fit, tmp_path):
    path, again = tmp_path / "fit.nc", tmp_path / "again.nc"
    tiny_fit.keep(()).save(path)
    with xr.open_datatree(path, engine="h5netcdf") as opened:
        write_tree(opened.load(), again)
    assert same(load_fit(again), load_fit(path))
    with h5py.File(path, "r+") as opened:
        floor = opened["posterior/floor"]
        assert isinstance(floor, h5py.Dataset)
        floor[0, 0] *= 2
    assert load_fit(path).values()["floor"][0] == 2 * tiny_fit.values()["floor"][0], "changed on purpose, by a program"


@pytest.mark.filterwarnings("ignore:.*Zarr:FutureWarning", "ignore:.*Zarr:UserWarning")
def test_a_zarr_folder_that_is_written_again_says_how_to_do_without_its_seal(tiny_fit, tmp_path):
    path, again = tmp_path / "fit.zarr", tmp_path / "again.zarr"
    tiny_fit.keep(()).save(path)
    assert ATTRIBUTE not in load_fit(path).tree.attrs
    tree = xr.open_datatree(path, engine="zarr", consolidated=False).load()
    tree.to_zarr(again, mode="w", consolidated=False)
    assert same(load_fit(again), load_fit(path))
    tree = with_array(tree, "posterior", "floor", setting(9.0))
    tree.to_zarr(again, mode="w", consolidated=False)
    with pytest.raises(InputError, match="remove the attribute bayeslaw_sha256"):
        load_fit(again)
    del tree.attrs[ATTRIBUTE]
    tree.to_zarr(again, mode="w", consolidated=False)
    assert load_fit(again).values()["floor"][0] == 9


def garbled(fit: Fit, name: str, **changes) -> dict[str, str]:
    """Return a JSON attribute with some of its entries changed; None removes one."""
    held = {**json.loads(fit.tree.attrs[name]), **changes}
    return {name: json.dumps({key: value for key, value in held.items() if value is not None})}


def one_family(fit: Fit, family) -> dict[str, str]:
    return {"families": json.dumps(dict.fromkeys(fit.observations.labels.tolist(), family))}


GARBLED = {
    "not JSON": lambda fit: {"law": fit.tree.attrs["law"][:-1]},
    "no object": lambda fit: {"law": "[1, 2]"},
    "a number": lambda fit: {"law": 3},
    "an unknown law": lambda fit: garbled(fit, "law", law="powr"),
    "a prior that is none": lambda fit: garbled(fit, "law", priors={"floor": {"Nrmal": [0, 1]}}),
    "priors that are a list": lambda fit: garbled(fit, "law", priors=[1]),
    "another law": lambda fit: garbled(fit, "law", law="chinchilla", priors={}),
    "another pooling": lambda fit: garbled(fit, "law", pooling="separate"),
    "an unknown setting of noise": lambda fit: garbled(fit, "noise", distribution="cauchy"),
    "another noise": lambda fit: garbled(fit, "noise", distribution="student_t"),
    "another response": lambda fit: garbled(fit, "noise", response="log_loss"),
    "noise not JSON": lambda fit: {"noise": "{"},
    "an unknown count": lambda fit: {"parameters_kind": "all"},
    "another dimension": lambda fit: {"row_dimension": "pool"},
    "a unit that is no text": lambda fit: {"unit": [1.0, 2.0]},
    "facts that are a list": lambda fit: {"facts": "[]"},
    "facts without overlapping": lambda fit: garbled(fit, "facts", overlapping=None),
    "facts of another shape": lambda fit: garbled(fit, "facts", clusters=[1, 2]),
    "a negative count": lambda fit: garbled(fit, "facts", samples=-3),
    "a fact that is text": lambda fit: garbled(fit, "facts", largest_winner_share="much"),
    "another reference": lambda fit: garbled(fit, "reference", parameters=7.0),
    "a reference of text": lambda fit: garbled(fit, "reference", parameters="7"),
    "a reference of others": lambda fit: garbled(fit, "reference", tokens=7.0),
    "families of other models": lambda fit: {"families": json.dumps({"other": "family"})},
    "families that are numbers": lambda fit: {
        "families": json.dumps(dict.fromkeys(fit.observations.labels.tolist(), 1))
    },
    "other families": lambda fit: {"families": json.dumps(dict.fromkeys(fit.observations.labels.tolist(), "other"))},
}


def refuse(tree: xr.DataTree, said: str) -> None:
    with pytest.raises(InputError, match=rf"'odd\.nc' cannot be used as a fit: .*{said}"):
        check_fit(Fit(tree), "odd.nc")


@pytest.mark.parametrize("kind", GARBLED)
def test_garbled_attributes_are_refused(tiny_fit, kind):
    tree = tiny_fit.keep(()).tree
    tree.attrs = tree.attrs | GARBLED[kind](tiny_fit)
    refuse(tree, "")


@pytest.mark.parametrize(
    "attrs", [{"format": [1, 2]}, {"format_version": [1, 1]}, {"law": "{"}, {"facts": "[]"}, {"unit": 1.0}]
)
def test_a_file_with_garbled_attributes_is_refused(tiny_fit, tmp_path, attrs):
    path = tmp_path / "garbled.nc"
    tree = tiny_fit.keep(()).tree
    write_tree(tree, path, tree.attrs | attrs)
    with pytest.raises(InputError, match=r"garbled\.nc"):
        load_fit(path)


def write_tree(tree: xr.DataTree, path: Path, attrs: dict | None = None) -> None:
    tree = tree.copy()
    tree.attrs = tree.attrs if attrs is None else attrs
    tree.to_netcdf(path, engine="h5netcdf")


def with_array(tree: xr.DataTree, group: str, name: str, change) -> xr.DataTree:
    """Return a tree with one array changed; None leaves it out."""
    dataset = tree[group].to_dataset()
    array = change(dataset[name].copy(deep=True))
    dataset = dataset.drop_vars(name) if array is None else dataset.assign({name: array})
    return tree.assign({group: xr.DataTree(dataset)})


def setting(value):
    def change(array):
        values = array.to_numpy().astype(object if isinstance(value, str) else array.dtype)
        values[(0,) * array.ndim] = value
        return (array.dims, values.astype(str) if isinstance(value, str) else values)

    return change


@pytest.mark.parametrize(
    ("group", "name", "change"),
    [
        ("posterior", "exponent", setting(np.nan)),
        ("posterior", "floor", setting(np.inf)),
        ("posterior", "floor", setting(-1.0)),
        ("posterior", "noise_scale", lambda array: None),
        ("posterior", "exponent", lambda array: array.isel(draw=0)),
        ("posterior", "amplitude", lambda array: array.astype(str)),
        ("posterior", "amplitude_1e9", setting(np.nan)),
        ("sample_stats", "diverging", lambda array: None),
        ("log_likelihood", "loss", setting(np.nan)),
        ("prior", "floor", setting(np.nan)),
        ("observed_data", "loss", setting(np.nan)),
        ("observed_data", "loss", lambda array: None),
        ("observed_data", "lm", setting("other")),
        ("constant_data", "parameters", setting(0.0)),
        ("constant_data", "parameters", setting(np.nan)),
        ("constant_data", "parameters", setting(7.0)),
    ],
)
def test_numbers_that_do_not_go_together_are_refused(tiny_fit, group, name, change):
    refuse(with_array(tiny_fit.keep(("prior", "log_likelihood")).tree, group, name, change), "")


@pytest.mark.parametrize(
    "name", ["quick_joint", "quick_few_rows", "collaboration", pytest.param("few_rows", marks=pytest.mark.slow)]
)
def test_fits_of_every_law_are_looked_at(file_of_fit, name):
    fit = load_fit(file_of_fit(name), keep=OPTIONAL_GROUPS)
    row, variable = fit.tree.attrs["row_dimension"], str(next(iter(fit.tree["posterior"].data_vars)))
    bare = fit.keep(()).tree
    refuse(with_array(bare, "posterior", variable, setting(np.nan)), f"{variable} in its posterior has")
    refuse(with_array(bare, "posterior", "amplitude", setting(-1.0)), "amplitude in its posterior has draws outside of")
    refuse(with_array(bare, "observed_data", row, setting("other")), "rows of observed_data")


def test_commands_say_what_is_wrong_with_a_damaged_fit(tiny_fit, tmp_path):
    path, whole = tmp_path / "fit.nc", tmp_path / "whole.nc"
    tiny_fit.save(path)
    shutil.copy(path, whole)
    flip(path, 8 * 5000)
    commands = (["check"], ["predict", "--parameters", "1e9"], ["plot", "--out", str(tmp_path / "f.png")], ["compare"])
    for command in commands:
        arguments = [command[0], str(path), *([str(whole)] if command[0] == "compare" else []), *command[1:]]
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 2, done.output
        assert "fit.nc' cannot be read as a fit: its content is not as it was written" in done.stderr


def test_draws_whose_losses_overflow_are_told_where_the_fit_is_used(tiny_fit):
    tree = tiny_fit.tree.copy()
    tree["posterior"] = xr.DataTree(
        tree["posterior"].to_dataset().assign(exponent=1000 * tree["posterior"]["exponent"])
    )
    changed = Fit(tree)
    for use in (check, summary, lambda fit: predict(fit, [1e3], kind="mean")):
        with pytest.raises(InputError, match="draws of the fit give losses that are not finite"):
            use(changed)


def test_a_tree_without_draws_is_no_fit(tiny_fit):
    for tree in (xr.DataTree(), tiny_fit.tree["posterior"].copy()):
        with pytest.raises(InputError, match="no group posterior"):
            Fit(xr.DataTree(tree.to_dataset()))
