"""Files of a folder that are not as they were written, or not its own."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pytest
from pool_tables import random_table
from run_parts import KEYS, a_corpus, a_part, a_row, refused
from scored_folders import scored_folder
from table_files import from_elsewhere

import bayeslaw as bl
from bayeslaw.datasets.load import DATASETS
from bayeslaw.errors import InputError
from bayeslaw.inputs.manifests import read_manifest
from bayeslaw.losses import folders
from bayeslaw.losses.file_digests import FILES, folder_files
from bayeslaw.storage import write_manifest
from inference.runs.table_folder import TableFolder

TABLE = random_table(40, 4, families=["a", "a", "b", "b"]).assign_attrs(kind="losses", unit="line", missing="{}")


def written(folder, kind):
    """Write a folder of a kind, and return what reads it."""
    if kind == "losses":
        bl.write_losses(TABLE, folder)
        return lambda: bl.read_losses(folder)
    if kind == "pools":
        bl.write_pools(bl.make_pools(TABLE, max_size=2), folder)
        return lambda: bl.read_pools(folder)
    scored_folder(folder, "ab")
    manifest = read_manifest(folder)
    sections = {name: manifest[name] for name in ("models", "scoring")} | {FILES: folder_files(folder)}
    write_manifest(folder, "losses", manifest["attrs"], sections=sections)
    return lambda: bl.read_token_losses(folder)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(folders, "ROWS_PER_PART", 64)


@pytest.mark.parametrize("kind", ["losses", "pools", "tokens"])
def test_flipped_bits_are_refused(tmp_path, kind):
    read = written(tmp_path / "t", kind)
    expected, generator = read(), np.random.default_rng(7)
    for path in sorted((tmp_path / "t").rglob("*.parquet")):
        whole = path.read_bytes()
        for place in generator.integers(0, 8 * len(whole), 10):
            changed = bytearray(whole)
            changed[place // 8] ^= 1 << place % 8
            path.write_bytes(changed)
            with pytest.raises(InputError, match=f"{path.name} in .* cannot be read: it is not the file") as error:
                read()
            refused(error, "put the file back as it was")
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(InputError, match=rf"it has [\d,]+ bytes, and {len(whole):,} were written"):
            read()
        path.unlink()
        with pytest.raises(InputError, match=f"{path.name} in .* it is missing"):
            read()
        path.write_bytes(whole)
    assert read().identical(expected)


def test_parts_that_are_not_those_of_the_table(tmp_path):
    read = written(tmp_path / "t", "losses")
    written(tmp_path / "same", "losses")
    bl.write_losses(TABLE.assign(nll=TABLE["nll"] + 1), tmp_path / "other")
    first, second = (tmp_path / "t" / f"part-0000{part}.parquet" for part in range(2))
    assert read().identical(bl.read_losses(tmp_path / "same"))
    kept = first.read_bytes()
    shutil.copy(tmp_path / "other" / first.name, first)
    with pytest.raises(InputError, match=r"part-00000\.parquet .* cannot be read"):
        read()
    shutil.copy(second, first)
    second.write_bytes(kept)
    with pytest.raises(InputError, match=r"part-00000\.parquet .* cannot be read"):
        read()
    shutil.copytree(tmp_path / "same", tmp_path / "t", dirs_exist_ok=True)
    shutil.copy(first, tmp_path / "t" / "part-00000b.parquet")
    with pytest.raises(InputError, match=r"part-00000b\.parquet .* is not one of the files") as error:
        read()
    refused(error, "move it out of the folder")


def test_a_folder_that_does_not_say_what_its_files_are_is_read(tmp_path):
    for kind in ("losses", "pools", "tokens"):
        read = written(tmp_path / kind, kind)
        expected = read()
        assert FILES not in read_manifest(from_elsewhere(tmp_path / kind))
        assert read().identical(expected)
    manifest = read_manifest(tmp_path / "losses")
    (tmp_path / "losses" / "manifest.json").write_text(json.dumps(manifest | {FILES: ["part-00000.parquet"]}))
    with pytest.raises(InputError, match="does not say how large"):
        bl.read_losses(tmp_path / "losses")


def test_what_ships_says_what_its_files_are():
    for name, dataset in DATASETS.items():
        for unit in dataset.units:
            assert read_manifest(dataset.folder / unit)[FILES] == folder_files(dataset.folder / unit), name


def rows_of(name):
    losses = {"nll": [1.0 + ord(name), 3.0], "bytes": [2, 3], "cluster": ["d", "d"]}
    return pa.table({"sample": ["s", "t"], "lm": [name] * 2} | losses)


def scored(path, models="ab"):
    path.mkdir()
    folder = TableFolder(path, "word")
    folder.add_texts(a_corpus("a", "b"))
    for name in models:
        facts = {"row": a_row(name), "keys": KEYS}
        folder.add_part(name, a_part(), rows=[rows_of(name)], tokens=[rows_of(name)], facts=facts)
    return path


def test_files_of_a_run(tmp_path):
    table = scored(tmp_path / "t")
    files = read_manifest(table)[FILES]
    assert sorted(files) == [
        "corpus/0000.parquet",
        *(f"{w}{n}-0000.parquet" for w in ("part-", "tokens/") for n in "ab"),
    ]
    expected = bl.read_losses(table)
    # What a killed run left is passed over, and what somebody put there is not.
    shutil.copy(table / "part-b-0000.parquet", table / "part-c-0000.parquet")
    (table / "journal" / "c-0000").mkdir(parents=True)
    assert bl.read_losses(table).identical(expected)
    (table / "journal" / "c-0000").rmdir()
    with pytest.raises(InputError, match=r"part-c-0000\.parquet .* is not one of the files") as error:
        bl.read_losses(table)
    refused(error, "bayeslaw score")
    TableFolder(table, "word").sweep()
    assert bl.read_losses(table).identical(expected)


def test_a_run_scores_a_missing_part_again_and_refuses_another(tmp_path):
    table = scored(tmp_path / "t")
    whole = (table / "part-a-0000.parquet").read_bytes()
    shutil.copy(table / "part-b-0000.parquet", table / "part-a-0000.parquet")
    for use in (lambda: bl.read_losses(table), TableFolder(table, "word").sweep):
        with pytest.raises(InputError, match=r"part-a-0000\.parquet .* cannot be read") as error:
            use()
        refused(error, "remove it and run bayeslaw score with the same --out again")
    (table / "part-a-0000.parquet").unlink()
    folder = TableFolder(table, "word")
    folder.sweep()
    assert not folder.has("a", 0)
    assert folder.has("b", 0)
    assert bl.read_losses(table)["lm"].to_numpy().tolist() == ["b"]
    folder.add_part("a", a_part(), rows=[rows_of("a")], tokens=None, facts={"row": a_row("a"), "keys": KEYS})
    assert (table / "part-a-0000.parquet").read_bytes() == whole
    assert bl.read_losses(table).sizes["lm"] == 2


def test_a_run_takes_over_files_that_its_manifest_does_not_describe(tmp_path):
    table = from_elsewhere(scored(tmp_path / "t"))
    TableFolder(table, "word").set_facts("a", {"device": "none"})
    assert len(read_manifest(table)[FILES]) == 5
    bl.read_losses(table)
    shutil.copy(table / "part-b-0000.parquet", table / "part-a-0000.parquet")
    TableFolder(table, "word").set_facts("b", {"device": "none"})
    with pytest.raises(InputError, match=r"part-a-0000\.parquet .* cannot be read"):
        bl.read_losses(table)


def test_models_other_than_a_run_wrote(tmp_path):
    table, other = scored(tmp_path / "t"), scored(tmp_path / "other")
    TableFolder(other, "word").set_facts("a", {"row": a_row("a", parameters=200)})
    shutil.copy(other / "models.parquet", table / "models.parquet")
    with pytest.raises(InputError, match=r"does not say of model 'a' what manifest\.json does") as error:
        bl.read_losses(table)
    refused(error, "run bayeslaw score with the same --out again")
    TableFolder(table, "word").sweep()
    assert bl.read_losses(table)["parameters"].to_numpy().tolist() == [100, 100]
