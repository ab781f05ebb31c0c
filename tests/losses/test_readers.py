"""Files to loss tables and back."""

import json
import os

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from table_files import from_elsewhere

from bayeslaw.errors import InputError
from bayeslaw.inputs.manifests import read_manifest
from bayeslaw.inputs.output_paths import check_output_file, check_output_folder
from bayeslaw.losses import folders, readers
from bayeslaw.losses.folders import write_losses
from bayeslaw.losses.frames import losses_from_frames
from bayeslaw.losses.model_frames import models_from_frame
from bayeslaw.losses.readers import read_losses
from bayeslaw.storage import atomic_file, atomic_folder

MODELS = "model,family,parameters\na,x,1000000\nb,y,2e6\n"
LOSSES = 'docid,sentid,n_tokens,word,a,b\nd1,0,1,null,0.1,-0.0\nd1,1,2,None,2.5,3\nd2,0,1,"so, what",1.25,0.3\n'


@pytest.fixture
def wide(tmp_path):
    (tmp_path / "models.csv").write_text(MODELS)
    (tmp_path / "losses.csv").write_text(LOSSES)
    return tmp_path


def read(folder, **options):
    return read_losses(folder / "losses.csv", models=folder / "models.csv", **options)


def test_wide_csv(wide):
    table = read(wide, unit="word", cluster="docid,sentid")
    assert table["nll"].to_numpy().tolist() == [[0.1, 0.0], [2.5, 3.0], [1.25, 0.3]]
    assert table["lm"].to_numpy().tolist() == ["a", "b"]
    assert table["cluster"].to_numpy().tolist() == ["d1/0", "d1/1", "d2/0"]
    # Words that look like gaps are words.
    assert table["word"].to_numpy().tolist() == ["null", "None", "so, what"]
    assert table.attrs["unit"] == "word"
    assert table.attrs["source"] == "losses.csv"


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: "\n".join(",".join(f'"{f}"' for f in line.split(",")) for line in text.splitlines()).encode(),
        lambda text: text.replace(",", ", ").encode(),
    ],
    ids=["byte order mark", "windows newlines", "quoted", "spaces"],
)
def test_csv_dialects(tmp_path, encode):
    (tmp_path / "models.csv").write_bytes(encode(MODELS))
    (tmp_path / "losses.csv").write_bytes(encode("id,a,b\np,1,2\nq,3,4\n"))
    table = read(tmp_path)
    assert table["nll"].to_numpy().tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert table["sample"].to_numpy().tolist() == ["p", "q"]


def test_names_keep_leading_zeros(tmp_path):
    (tmp_path / "models.csv").write_text("model,family,params\n01,7,1\n1,7,2\n")
    (tmp_path / "losses.csv").write_text("id,doc,01,1\n001,01,1,2\n1,1,1,2\n")
    table = read(tmp_path, cluster="doc")
    assert table["lm"].to_numpy().tolist() == ["01", "1"]
    assert table["sample"].to_numpy().tolist() == ["001", "1"]
    assert table["cluster"].to_numpy().tolist() == ["01", "1"]


def test_missing_losses_in_a_csv(wide):
    (wide / "losses.csv").write_text("a,b\n1,\n2,NaN\n3,1\n")
    with pytest.raises(InputError, match="'b' lacks 2 of 3 losses"):
        read(wide)
    assert read(wide, missing="drop-models").sizes == {"sample": 3, "lm": 1}
    assert read(wide, missing="drop-samples").sizes == {"sample": 1, "lm": 2}


def test_a_forgotten_model_with_gaps_does_not_pass_as_text(wide):
    (wide / "losses.csv").write_text("a,b,c\n1,2,0.5\n2,3,\n")
    with pytest.raises(InputError, match="column 'c' holds floating-point numbers"):
        read(wide)
    assert "c" in read(wide, describe="c")


@settings(max_examples=30, deadline=None)
@example([(8.507058665e27, 7.156055210791083e29)])
@given(st.lists(st.tuples(*[st.floats(0, 1e30, allow_subnormal=True)] * 2), min_size=1, max_size=6))
def test_csv_numbers_are_read_exactly(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("exact")
    (folder / "models.csv").write_text(MODELS)
    (folder / "losses.csv").write_text("a,b\n" + "".join(f"{a!r},{b!r}\n" for a, b in rows))
    assert read(folder)["nll"].to_numpy().tolist() == [list(row) for row in rows]


LONG = b"x" * (readers.MOST_FIELD + 1)
BAD_FILES = {
    "long sample name": (b"sample,a,b\n" + b"y" * 1001 + b",1,2\n", "a sample name has 1,001 characters: 'yyy"),
    "long column name": (b"a,b," + b"y" * 1001 + b"\n1,2,3\n", "a column name has 1,001 characters"),
    "long field": (b"a,b,note\n1,2,z\n1,2," + LONG + b"\n", r"'note' of losses.csv has 4,194,305 characters in row 1"),
    "long number": (b"a,b\n1," + b"9" * 5000 + b"x\n", r"the loss by 'b' of '0' is '9{100}'\.\.\., which is not"),
    "many columns": (b"a,b" + b",c" * 20_000 + b"\n1,2\n", "has 20,002 columns"),
    "short rows": (b"a,b" + b",c" * 9_000 + b"\n" + b"1,2\n" * 15_000, "its 15,001 rows have 2.6 on average"),
    "too large to be added up": (b"id,a,b\ns,1,2\nt,1,1e308\n", "sample 't' by model 'b' is beyond 1e"),
    "empty": (b"", "the file is empty"),
    "blank": (b" \n\n", "the file is empty"),
    "header only": (b"a,b\n", "has no rows"),
    "binary": (b"\x89PNG\r\n\x1a\n\x00\x00", "it is binary"),
    "utf-16": ("a,b\n1,2\n".encode("utf-16"), "it is binary, or text in UTF-16"),
    "latin-1": ("id,a,b\nä,1,2\n".encode("latin-1"), "not text in UTF-8"),
    "semicolons": (b"a;b\n1;2\n", "not separated by commas"),
    "decimal commas": (b"a;b\n1,5;2,5\n", "not separated by commas"),
    "decimal commas in names": (b"x1,5;y;z\n1,5;2,5;3\n", "not separated by commas"),
    "for a spreadsheet": (b"sep=,\na,b\n1,2\n", "its first line is 'sep=,'"),
    "JSON lines": (b'{"a": 1, "b": 2}\n', "as JSON does"),
    "JSON": (b'[{"a": 1, "b": 2}]\n', "as JSON does"),
    "HTML": (b"<html><body>\n", "as HTML or XML does"),
    "Markdown": (b"| a | b |\n|---|---|\n", "as a table in Markdown does"),
    "rows too long": (b"a,b\n1,2\n1,2,3\n", "not a regular CSV"),
    "first row too long": (b"a,b\n1,2,3\n", "not a regular CSV"),
    "open quote": (b'a,b\n"1,2\n', "not a regular CSV"),
    "repeated column": (b"a,b,a\n1,2,3\n", "'a' is twice"),
    "text": (b"a,b\n1,2\n1,x2\n", "the loss by 'b' of '1' is 'x2'"),
    "negative": (b"a,b\n1,2\n1,-2\n", "is negative"),
    "infinite": (b"a,b\n1,2\n1,inf\n", "is infinite"),
    "overflow": (b"a,b\n1,2\n1,1e999\n", "is infinite"),
    "model without column": (b"a\n1\n", "model 'b' has no column"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files(wide, case):
    content, message = BAD_FILES[case]
    (wide / "losses.csv").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read(wide)


@pytest.mark.parametrize("content", [b"", b"\x00\x01", b"name,family,parameters\na,x,1\n", b"model,family\na,x\n"])
def test_bad_models_files(wide, content):
    (wide / "models.csv").write_bytes(content)
    with pytest.raises(InputError):
        read(wide)


def test_paths_that_are_no_table(wide):
    with pytest.raises(InputError, match="there is no such file"):
        read_losses(wide / "nowhere.csv", models=wide / "models.csv")
    with pytest.raises(InputError, match="there is no such file"):
        read_losses(wide / "losses.csv", models=wide / "nowhere.csv")
    with pytest.raises(InputError, match="no models CSV"):
        read_losses(wide / "losses.csv")
    with pytest.raises(InputError, match="has no manifest"):
        read_losses(wide)
    with pytest.raises(InputError, match="it is a folder"):
        read_losses(wide / "losses.csv", models=wide)


def test_whole_models_csv(tmp_path):
    (tmp_path / "points.csv").write_text("family,params,tokens,loss,used\nx,1e6,1e9,3.5,1\nx,2e6,2e9,3.25,0\n")
    table = read_losses(tmp_path / "points.csv")
    assert table["loss"].to_numpy().tolist() == [3.5, 3.25]
    assert table.attrs["kind"] == "models"
    with pytest.raises(InputError, match="without samples"):
        read_losses(tmp_path / "points.csv", cluster="family")


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_folder_round_trip(tmp_path_factory, data):
    rows = data.draw(st.integers(1, 8))
    column = st.lists(st.floats(0, 1e6), min_size=rows, max_size=rows)
    words = st.lists(st.text(max_size=5), min_size=rows, max_size=rows)
    losses = pd.DataFrame({"a": data.draw(column), "b": data.draw(column), "word": data.draw(words)})
    losses["bytes"], losses["doc"], losses["score"] = range(1, rows + 1), "d", 0.5
    models = pd.DataFrame({"model": ["b", "a"], "family": ["x", "y"], "params": [1e6, 2e6], "price": [None, 0.5]})
    table = losses_from_frames(losses, models, unit="word", cluster="doc", describe=["score"])
    folder = tmp_path_factory.mktemp("round") / "table"
    write_losses(table, folder)
    assert read_losses(folder).identical(table)


def test_folder_in_many_parts_and_any_order(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "ROWS_PER_PART", 4)
    losses = pd.DataFrame({"a": np.arange(9.0), "b": np.arange(9.0)[::-1], "doc": list("ppqqrrsst")})
    models = pd.DataFrame({"model": ["a", "b"], "family": ["x", "y"], "params": [1e6, 2e6]})
    table = losses_from_frames(losses, models, cluster="doc")
    write_losses(table, tmp_path / "t")
    assert len(list((tmp_path / "t").glob("part-*.parquet"))) == 5
    assert read_losses(tmp_path / "t").identical(table)

    part = from_elsewhere(tmp_path / "t") / "part-00000.parquet"
    rows = pq.read_table(part).to_pandas()
    rows["nll"] = rows["nll"].astype("float32")
    rows.iloc[::-1].to_parquet(part, index=False)
    shuffled = read_losses(tmp_path / "t").sortby("sample")
    assert shuffled["nll"].dtype == np.float64
    assert shuffled.identical(table.sortby("sample"))


def test_a_folder_names_other_clusters_and_keeps_its_unit(wide):
    write_losses(read(wide, unit="word", cluster="docid,sentid"), wide / "t")
    table = read_losses(wide / "t", cluster="docid")
    assert table["cluster"].to_numpy().tolist() == ["d1", "d1", "d2"]
    assert (table.attrs["unit"], table.attrs["cluster"]) == ("word", "docid")
    with pytest.raises(InputError, match=r"is 'word', not 'sentence'"):
        read_losses(wide / "t", unit="sentence")
    with pytest.raises(InputError, match="is a folder"):
        read_losses(wide / "t", models=wide / "models.csv")


def test_whole_models_round_trip(tmp_path):
    points = pd.DataFrame(
        {"family": "x", "params": [1e6, 2e6], "tokens": [1e9, 2e9], "loss": [3.0, 1.0], "se": [0.1, None]}
    )
    table = models_from_frame(points, unit="token")
    write_losses(table, tmp_path / "t")
    assert read_losses(tmp_path / "t").identical(table)


def change_rows(folder, change):
    part = from_elsewhere(folder) / "part-00000.parquet"
    change(pq.read_table(part).to_pandas()).to_parquet(part, index=False)


BAD_FOLDERS = {
    "truncated part": (lambda f: os.truncate(f / "part-00000.parquet", 100), "cannot be read"),
    "truncated models": (lambda f: os.truncate(f / "models.parquet", 100), "cannot be read"),
    "no models": (lambda f: (f / "models.parquet").unlink(), "cannot be read"),
    "no parts": (lambda f: (from_elsewhere(f) / "part-00000.parquet").unlink(), "has no losses"),
    "no manifest": (lambda f: (f / "manifest.json").unlink(), "has no manifest"),
    "broken manifest": (lambda f: (f / "manifest.json").write_text("{"), "cannot be read"),
    "foreign manifest": (lambda f: (f / "manifest.json").write_text("[1]"), "not one of ours"),
    "newer": (
        lambda f: (f / "manifest.json").write_text('{"kind": "losses", "format_version": 99, "attrs": {}}'),
        "format version 99",
    ),
    "pools": (
        lambda f: (f / "manifest.json").write_text('{"kind": "pools", "format_version": 1, "attrs": {}}'),
        "holds pools, not losses",
    ),
    "row twice": (lambda f: change_rows(f, lambda rows: pd.concat([rows, rows.iloc[:1]])), "is there twice"),
    "unknown model": (lambda f: change_rows(f, lambda rows: rows.replace({"lm": {"a": "c"}})), "no row in models"),
    "row missing": (lambda f: change_rows(f, lambda rows: rows.iloc[1:]), "'a' lacks 1 of 3"),
    "columns": (lambda f: change_rows(f, lambda rows: rows.drop(columns="nll")), "no column 'nll'"),
    "two descriptions": (
        lambda f: change_rows(f, lambda rows: rows.assign(word=[str(row) for row in range(len(rows))])),
        "differs between the models",
    ),
}


@pytest.mark.parametrize("case", BAD_FOLDERS)
def test_bad_folders(wide, case):
    spoil, message = BAD_FOLDERS[case]
    write_losses(read(wide), wide / "t")
    spoil(wide / "t")
    with pytest.raises(InputError, match=message):
        read_losses(wide / "t")


def test_output_folders(wide):
    table = read(wide)
    write_losses(table, wide / "new" / "deep" / "t")
    write_losses(table, wide / "new" / "deep" / "t")
    assert read_manifest(wide / "new" / "deep" / "t")["kind"] == "losses"
    (wide / "mine").mkdir()
    write_losses(table, wide / "mine")
    (wide / "mine" / "thesis.txt").write_text("work")
    with pytest.raises(InputError, match=r"holds 'thesis.txt'"):
        write_losses(table, wide / "mine")
    with pytest.raises(InputError, match="a file is in the way"):
        write_losses(table, wide / "losses.csv")
    with pytest.raises(InputError, match="is not a folder"):
        write_losses(table, wide / "losses.csv" / "t")
    with pytest.raises(InputError, match="is not a folder of pools"):
        check_output_folder(wide / "new" / "deep" / "t", "pools")
    assert sorted(entry.name for entry in wide.iterdir()) == ["losses.csv", "mine", "models.csv", "new"]
    assert (wide / "losses.csv").read_text() == LOSSES


def test_output_files(tmp_path):
    with atomic_file(tmp_path / "sub" / "f.json") as path:
        assert path.suffix == ".json"
        path.write_text("1")
    assert (tmp_path / "sub" / "f.json").read_text() == "1"
    with pytest.raises(InputError, match="it is a folder"):
        check_output_file(tmp_path / "sub")
    with pytest.raises(InputError, match="not a regular file"):
        check_output_file("/dev/null")


def test_no_permission(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(InputError, match="no permission"):
        check_output_file(tmp_path / "f")


def write_in_vain(output, error):
    with output as path:
        target = path if path.suffix else path / "part.parquet"
        target.write_text("new")
        raise error


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("stopped")])
def test_a_failed_write_leaves_what_was_there(tmp_path, error):
    (tmp_path / "f.json").write_text("old")
    with atomic_folder(tmp_path / "d", "losses") as folder:
        (folder / "manifest.json").write_text(json.dumps({"kind": "losses", "format_version": 1, "attrs": {}}))
    expected = InputError if isinstance(error, OSError) else RuntimeError
    for output in (atomic_file(tmp_path / "f.json"), atomic_folder(tmp_path / "d", "losses")):
        with pytest.raises(expected):
            write_in_vain(output, error)
    assert (tmp_path / "f.json").read_text() == "old"
    assert [entry.name for entry in (tmp_path / "d").iterdir()] == ["manifest.json"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["d", "f.json"]
