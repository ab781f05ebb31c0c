"""The folder of a table that is being scored: its files, its texts, its models."""

import json
import shutil
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from run_parts import KEYS, a_corpus, a_part, a_row, refused

from bayeslaw.errors import InputError
from bayeslaw.losses.readers import read_losses
from inference.runs.file_names import model_slug
from inference.runs.table_folder import TableFolder
from inference.scoring import gates
from inference.scoring.gates import drift_gates, model_gates, size_gates
from inference.scoring.sample_losses import Totals


@given(st.lists(st.text(max_size=30), unique=True, max_size=6))
@example(["../x", "..", ".", "", "/", "a/b", "a%2fb", "a_b", ".a", "a", "A", "a\n", "a ", "é", "e\u0301", "x" * 300])
def test_names_of_files_differ_and_stay_in_the_folder(names):
    slugs = [model_slug(name) for name in names]
    assert len({slug.casefold() for slug in slugs}) == len(names)
    for name, slug in zip(names, slugs, strict=True):
        file = f"{slug}-0000.parquet"
        assert file.isascii()
        assert not set(file) & set('/\\:*?"<>|\0\n')
        assert not file.startswith(".")
        assert len(file) < 130
        assert model_slug(name) == slug


def rows_of(name, segment=0):
    samples = [f"s{segment}", f"t{segment}"]
    return pa.table({"sample": samples, "lm": [name] * 2, "nll": [1.0, 3.0], "bytes": [2, 3], "cluster": samples})


def add_model(folder, name, segments=(0,), tokens=None):
    for segment in segments:
        facts = {"row": a_row(name), "keys": KEYS}
        folder.add_part(name, a_part(segment), rows=[rows_of(name, segment)], tokens=tokens, facts=facts)


def open_table(path):
    path.mkdir(exist_ok=True)
    folder = TableFolder(path, "word")
    folder.add_texts(a_corpus("a", "b"))
    return folder


def test_sums_over_parts(tmp_path):
    folder = open_table(tmp_path)
    add_model(folder, "m", (0, 2))
    again = TableFolder(tmp_path, "word").models["m"]
    assert (again["tokens"], again["seconds"], again["tokens_per_second"], again["segments"]) == (6, 2.5, 2.4, [0, 2])
    assert folder.has("m", 2)
    assert not folder.has("m", 1)
    assert not folder.has("n", 0)
    folder.remove_parts("m", [0])
    assert folder.models["m"]["tokens"] == 3
    assert sorted(path.name for path in tmp_path.glob("part-*")) == ["part-m-0002.parquet"]


def test_a_model_is_removed_with_all_its_files(tmp_path):
    folder = open_table(tmp_path)
    add_model(folder, "m", tokens=[rows_of("m")])
    add_model(folder, "n", tokens=[rows_of("n")])
    folder.remove_parts("n", [0])
    assert list(read_losses(tmp_path)["lm"].to_numpy()) == ["m"]
    assert [path.name for path in (tmp_path / "tokens").iterdir()] == ["m-0000.parquet"]
    folder.remove_parts("m", [0])
    assert not (tmp_path / "models.parquet").exists()
    assert TableFolder(tmp_path, "word").models == {}


def test_what_a_killed_run_left_is_swept_up(tmp_path):
    folder = open_table(tmp_path)
    add_model(folder, "m", tokens=[rows_of("m")])
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    stray = ["part-n-0000.parquet", "tokens/n-0000.parquet", "corpus/0001.parquet", ".manifest-0123abcd.json"]
    stray += ["part-m-0001.parquet", "tokens/.m-0000-0123abcd.parquet", "corpus/.0001-0123abcd.parquet"]
    own = ["notes.txt", "part-one.parquet", ".hidden"]
    for name in stray + own:
        (tmp_path / name).write_bytes(b"x")
    pq.write_table(pa.Table.from_pylist([a_row("m"), a_row("n")]), tmp_path / "models.parquet")
    TableFolder(tmp_path, "word").sweep()
    left = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == kept | {tmp_path / name: b"x" for name in own}


def test_a_folder_that_was_only_begun_is_gone_on_with(tmp_path):
    (tmp_path / "corpus").mkdir()
    (tmp_path / ".lock").touch()
    for name in ("corpus/0000.parquet", "corpus/.0000-0123abcd.parquet", ".manifest-0123abcd.json"):
        (tmp_path / name).write_bytes(b"x")
    assert open_table(tmp_path).segments[0]["documents"] == 2
    shutil.rmtree(tmp_path)
    (tmp_path / "corpus").mkdir(parents=True)
    (tmp_path / "corpus" / "mine.parquet").touch()
    with pytest.raises(InputError) as error:
        TableFolder(tmp_path, "word")
    refused(error, "is not a folder of losses")


def test_texts_of_a_table(tmp_path):
    folder = TableFolder(tmp_path, "line")
    first = folder.add_texts(a_corpus("one", "two", names=["b", "a"], domains=("x", "y")))
    assert [segment.names for segment in first] == [("b", "a")]
    grown = a_corpus("three", "two", "one", names=["c", "a", "b"], domains=("z", "y", "x"))
    again = TableFolder(tmp_path, "line").add_texts(grown)
    assert [(segment.names, segment.texts, segment.domains) for segment in again] == [
        (("b", "a"), ("one", "two"), ("x", "y")),
        (("c",), ("three",), ("z",)),
    ]
    manifest = (tmp_path / "manifest.json").read_bytes()
    for changed, said in [
        (a_corpus("one", names=["b"], domains=("x",)), "2 of the texts|1 of the texts"),
        (
            a_corpus("one", "TWO", "three", names=["b", "a", "c"], domains=("x", "y", "z")),
            "the text 'a' is not the one",
        ),
        (a_corpus("one", "two", "three", names=["b", "a", "c"], domains=("x", "Y", "z")), "the domain of the text 'a'"),
        (a_corpus("one", "two", "three", names=["b", "a", "c"]), "have no domains|have domains"),
    ]:
        with pytest.raises(InputError, match=said) as error:
            TableFolder(tmp_path, "line").add_texts(changed)
        refused(error)
    assert (tmp_path / "manifest.json").read_bytes() == manifest


def test_clusters_of_a_table(tmp_path):
    TableFolder(tmp_path, "line").add_texts(a_corpus("one", "two", names=["b", "a"], clusters=("x", "y")))
    grown = a_corpus("three", "one", "two", names=["c", "b", "a"], clusters=("x", "x", "y"))
    assert [segment.clusters for segment in TableFolder(tmp_path, "line").add_texts(grown)] == [("x", "y"), ("x",)]
    for changed, said in [
        (a_corpus("one", "two", names=["b", "a"], clusters=("x", "z")), "the cluster of the text 'a' is 'z', and in"),
        (a_corpus("one", "two", names=["b", "a"]), "have clusters, and those given have none"),
    ]:
        with pytest.raises(InputError, match=said) as error:
            TableFolder(tmp_path, "line").add_texts(changed)
        refused(error)


def test_tables_that_cannot_be_added_to(tmp_path):
    open_table(tmp_path)
    with pytest.raises(InputError, match="has the unit 'word', not 'line'"):
        TableFolder(tmp_path, "line")
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    for scoring in (None, {"format": 99}):
        (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"scoring": scoring}))
        with pytest.raises(InputError, match="was not scored by this version"):
            TableFolder(tmp_path, "word")
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "corpus" / "0000.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match="cannot be read"):
        TableFolder(tmp_path, "word").add_texts(a_corpus("a", "b"))


def test_gates_of_one_model():
    totals = Totals(nll=300.0, samples=5, tokens=100, scored_bytes=400, bytes=400)
    assert model_gates("m", totals, vocabulary=21) == []
    found = model_gates("m", replace(totals, scored_bytes=399), vocabulary=20)
    assert [gate.code for gate in found] == ["uncovered-bytes", "worse-than-uniform"]
    assert "1 of 400 bytes (0.25%)" in found[0].message
    assert "3.000 nats" in found[1].message


def test_the_gate_of_drift():
    seen = {"dtype": "bfloat16", "documents": 3}
    assert drift_gates("m", None) == []
    assert drift_gates("m", seen | {"largest_relative": None}) == []
    assert drift_gates("m", seen | {"largest_relative": gates.LARGEST_DRIFT}) == []
    beyond = seen | {"largest_relative": gates.LARGEST_DRIFT * 1.01}
    assert [gate.code for gate in drift_gates("m", beyond)] == ["drift"]


def sized(losses, segments=(0,)):
    """Return models of growing size with some loss in nats per byte each."""
    models = {}
    for number, loss in enumerate(losses):
        parts = [a_part(segment, nll=loss * 1000, bytes=1000) for segment in segments]
        models[f"m{number}"] = {"parts": parts, "row": a_row(f"m{number}", 10 ** (6 + number / 3))}
    return models


def test_the_gate_of_sizes():
    losses = [1.0 * 0.9**number for number in range(12)]
    assert size_gates(sized(losses)) == {}
    odd = [*losses[:4], losses[4] * 3, *losses[5:]]
    found = size_gates(sized(odd, segments=(0, 1)))
    assert list(found) == ["m4"]
    assert [gate.code for gate in found["m4"]] == ["out-of-line"]
    assert size_gates({}) == {}
    apart = sized(odd)
    apart["m4"]["parts"][0]["segment"] = 1
    assert size_gates(apart) == {}
