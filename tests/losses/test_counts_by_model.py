"""Tokens and scored bytes that differ between the models of a sample; what a folder of losses may hold besides."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scored_folders import ONE, OTHER, scored_folder

import bayeslaw as bl
from bayeslaw.errors import InputError
from bayeslaw.inputs.manifests import read_manifest
from bayeslaw.inputs.output_paths import check_output_folder
from bayeslaw.losses.table_warnings import loss_warnings
from bayeslaw.storage import atomic_folder, write_manifest


def edit_part(folder, change, name="part-b-00000.parquet"):
    change(pd.read_parquet(folder / name)).to_parquet(folder / name, index=False)


def warnings_of(losses):
    return [warning.message for warning in loss_warnings(losses) if warning.code == "unscored-bytes"]


def test_counts_of_a_scored_folder(tmp_path):
    folder = scored_folder(tmp_path / "t", "abc", other="b")
    losses = bl.read_losses(folder)
    assert losses["tokens"].dims == ("sample", "lm")
    assert losses["tokens"].dtype == np.int64
    assert losses["scored_bytes"].dims == ("sample",)
    assert losses["tokenizer"].to_numpy().tolist() == [ONE, OTHER, ONE]
    for name in "abc":
        parts = [pd.read_parquet(path) for path in folder.glob(f"part-{name}-*")]
        counts = pd.concat(parts).set_index("sample")["tokens"]
        expected = counts.loc[losses["sample"].to_numpy()]
        np.testing.assert_array_equal(losses["tokens"].sel(lm=name), expected)
    same = bl.read_losses(scored_folder(tmp_path / "same", "ac"))
    assert same["tokens"].dims == ("sample",)


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_counts_survive_a_round_trip(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("round")
    samples = data.draw(st.integers(1, 5))
    frame = pd.DataFrame({"a": np.arange(samples) + 0.5, "b": 1.0, "bytes": 9})
    models = pd.DataFrame({"model": ["b", "a"], "family": ["x", "y"], "parameters": [1e6, 2e6]})
    table = bl.losses_from_frames(frame, models)
    counts = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=samples, max_size=samples)
    for name in data.draw(st.sets(st.sampled_from(["tokens", "scored_bytes"]))):
        table[name] = (("sample", "lm"), np.array(data.draw(counts), dtype=np.int64))
    table["tokenizer"] = ("lm", np.array([ONE, data.draw(st.sampled_from(["", OTHER]))]))
    bl.write_losses(table, folder / "t")
    assert bl.read_losses(folder / "t").identical(table)


def test_counts_that_agree_stay_counts_by_model(tmp_path):
    table = bl.read_losses(scored_folder(tmp_path / "t", "ab", other="b"))
    table["tokens"] = xr.zeros_like(table["tokens"]) + 3
    bl.write_losses(table, tmp_path / "again")
    assert bl.read_losses(tmp_path / "again").identical(table)


def test_counts_of_what_is_left_after_gaps(tmp_path):
    folder = scored_folder(tmp_path / "t", "abc", other="c")
    whole = bl.read_losses(folder)
    (folder / "part-b-00000.parquet").unlink()
    with pytest.raises(InputError, match="'b' lacks 10 of 20"):
        bl.read_losses(folder)
    models = bl.read_losses(folder, missing="drop-models")
    samples = bl.read_losses(folder, missing="drop-samples")
    assert (models.sizes["lm"], samples.sizes["sample"]) == (2, 10)
    for table in (models, samples):
        assert table["tokens"].dtype == np.int64
        there = whole["tokens"].sel(sample=table["sample"], lm=table["lm"])
        np.testing.assert_array_equal(table["tokens"], there)
        bl.write_losses(table, tmp_path / "again")
        assert bl.read_losses(tmp_path / "again").identical(table)


BAD_COUNTS = {
    "fraction": (lambda rows: rows.assign(tokens=rows["tokens"] + 0.5), r"tokens of sample 'd0:0' by model 'b': \d.5"),
    "negative": (lambda rows: rows.assign(tokens=-3), "tokens of sample 'd0:0' by model 'b': -3"),
    "missing": (lambda rows: rows.drop(columns="tokens"), "tokens of sample 'd0:0' by model 'b': missing"),
    "more than there are": (
        lambda rows: rows.assign(scored_bytes=rows["bytes"] + 2),
        "model 'b' scored 2 bytes more of sample 'd0:0'",
    ),
    "other column": (lambda rows: rows.assign(bytes=rows["bytes"] + 1), "column 'bytes' differs"),
}


@pytest.mark.parametrize("case", BAD_COUNTS)
def test_bad_counts(tmp_path, case):
    change, message = BAD_COUNTS[case]
    folder = scored_folder(tmp_path / "t", "ab")
    edit_part(folder, change)
    with pytest.raises(InputError, match=message):
        bl.read_losses(folder)


def test_bytes_without_a_score_are_warned_about(tmp_path):
    folder = scored_folder(tmp_path / "t", "ab")
    assert warnings_of(bl.read_losses(folder)) == []
    edit_part(folder, lambda rows: rows.assign(scored_bytes=rows["scored_bytes"] - (rows.index == rows.index[2]) * 2))
    losses = bl.read_losses(folder)
    [message] = warnings_of(losses)
    total = losses["bytes"].to_numpy().sum()
    assert message.startswith(f"b scored 1 of 20 samples only in part: 2 bytes ({2 / total:.2%})")
    alike = losses.assign(scored_bytes=losses["scored_bytes"].sel(lm="b"))
    assert [message.split()[0] for message in warnings_of(alike)] == ["a", "b"]
    assert warnings_of(losses.drop_vars("bytes")) == []
    assert not any(warning.code == "unused-column" for warning in loss_warnings(alike))


def test_a_manifest_keeps_its_sections(tmp_path):
    scored_folder(tmp_path / "t", "ab")
    manifest = read_manifest(tmp_path / "t", "losses")
    assert manifest["models"]["a"] == {"tokenizer": ONE, "revision": "main"}
    assert manifest["scoring"] == {"window": 8}
    assert list(manifest)[:3] == ["kind", "format_version", "attrs"]
    with pytest.raises(ValueError, match="cannot be called 'attrs'"):
        write_manifest(tmp_path / "t", "losses", {}, sections={"attrs": {}})


@pytest.mark.parametrize("section", [None, 3, ["a"], {"a": 3}, {"a": {"tokenizer": 3}}])
def test_strange_sections_are_passed_over(tmp_path, section):
    folder = scored_folder(tmp_path / "t", "ab")
    content = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(content | {"models": section, "by_model": section}))
    assert "tokenizer" not in bl.read_losses(folder)


def test_a_scored_folder_is_not_replaced(tmp_path):
    folder = scored_folder(tmp_path / "t", "ab")
    (folder / "journal").mkdir()
    (folder / "journal" / "a.jsonl").write_text("{}")
    with pytest.raises(InputError, match="bayeslaw score wrote"):
        check_output_folder(folder, "losses")
    with pytest.raises(InputError, match=r"holds '(tokens|journal)'"):
        check_output_folder(folder, "pools")
    (folder / "notes").mkdir()
    with pytest.raises(InputError, match="holds 'notes'"):
        check_output_folder(folder, "losses")
    (folder / "notes").rmdir()
    with pytest.raises(InputError, match="bayeslaw score wrote"):
        bl.write_losses(bl.read_losses(folder), folder)
    assert (folder / "journal" / "a.jsonl").read_text() == "{}"


def test_tokens_do_not_make_a_folder_ours(tmp_path):
    (tmp_path / "mine" / "tokens").mkdir(parents=True)
    with pytest.raises(InputError, match="is not a folder of losses"):
        check_output_folder(tmp_path / "mine", "losses")
    with atomic_folder(tmp_path / "p", "pools") as folder:
        write_manifest(folder, "pools", {})
        (folder / "tokens").mkdir()
    with pytest.raises(InputError, match="holds 'tokens'"):
        check_output_folder(tmp_path / "p", "pools")
    (tmp_path / "t").mkdir()
    write_manifest(tmp_path / "t", "losses", {})
    (tmp_path / "t" / "journal").write_text("a file")
    with pytest.raises(InputError, match="holds 'journal'"):
        check_output_folder(tmp_path / "t", "losses")
