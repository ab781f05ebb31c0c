"""The loss tables that come with the package: what they hold, how small they are, and that gates guard them."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from score_runs import command, works

import bayeslaw as bl
from bayeslaw.datasets.load import DATASETS, find_dataset
from bayeslaw.datasets.rescored import join_losses, largest_difference
from bayeslaw.inputs.manifests import read_manifest
from bayeslaw.losses.table_warnings import loss_warnings
from inference.checkpoints.checkpoint import open_checkpoint
from inference.texts.documents import read_texts

ZOO = find_dataset("zoo")
DATA = Path(os.environ.get("BAYESLAW_REFERENCE_DATA", Path(__file__).parents[3] / "shared" / "data"))
MEASURED = {
    "lambada_21models": ["lambada_final_word_nll"],
    "surprisal_pile14": [
        f"{name}_nll"
        for name in (
            "brothers_2021_word",
            "michaelov_2023_word",
            "natural_stories_sentence",
            "natural_stories_word",
            "szewczyk_2022_word",
        )
    ],
}
MEASURED_FILES = [f"{folder}/{name}.csv" for folder, names in MEASURED.items() for name in names]


@pytest.fixture(scope="module")
def zoo() -> dict[str, xr.Dataset]:
    return {unit: bl.load_dataset("zoo", unit=unit) for unit in ZOO.units}


def unaligned(losses):
    return [warning.message for warning in loss_warnings(losses) if warning.code == "unaligned"]


def size(path):
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def test_the_zoo_is_as_large_as_it_says(zoo):
    for unit, losses in zoo.items():
        assert losses.attrs["unit"] == unit
        assert losses.attrs["source"] == "zoo"
        assert losses.sizes["sample"] >= 2000
        assert len(np.unique(losses["domain"])) >= 3
        families, counts = np.unique(losses["family"], return_counts=True)
        assert len(families) >= 4
        assert counts.min() >= 6
        assert {"bytes", "cluster", "tokens", "scored_bytes", "tokenizer", "embedding_parameters"} <= {*losses}
        assert losses["nll"].dtype == np.float64
        assert (losses["nll"] > 0).all()
        assert (losses["bytes"] == losses["scored_bytes"]).all()
    assert bl.load_dataset("zoo").identical(zoo["document"])


def test_units_are_of_the_same_texts(zoo):
    shared = find_documents(zoo["line"])
    assert len(shared) >= 300
    sums = {}
    for unit, losses in zoo.items():
        frame = losses["nll"].to_pandas()
        sums[unit] = frame.groupby(find_names(losses)).sum().loc[shared]
    np.testing.assert_allclose(sums["paragraph"], sums["document"], rtol=1e-5)
    np.testing.assert_allclose(sums["line"], sums["document"], rtol=1e-5)


def find_names(losses):
    names = losses["sample"].to_numpy().astype(str)
    return names if losses.attrs["unit"] == "document" else np.array([name.rpartition(":")[0] for name in names])


def find_documents(losses):
    return sorted(set(find_names(losses)))


def test_the_dataset_is_small():
    assert sum(size(ZOO.folder / unit) for unit in ZOO.units) + ZOO.card.stat().st_size < 2_000_000
    assert size(ZOO.folder / "checkpoints") + ZOO.texts.stat().st_size < 5_000_000


def test_the_card_tells_of_every_model(zoo):
    card = ZOO.card.read_text(encoding="utf-8")
    for name in zoo["document"]["lm"].to_numpy():
        assert f"| {name} |" in card
    assert "$" not in card.replace("$unit", "")
    for heading in ("## What", "## Texts", "## How", "## Known limits", "## Licences"):
        assert heading in card


def test_only_names_of_models_and_files_are_kept():
    for unit in ZOO.units:
        manifest = read_manifest(ZOO.folder / unit, "losses")
        for name, facts in manifest["models"].items():
            assert facts["source"] == name
            assert all(part["gates"] == [] or part["gates"][0]["code"] for part in facts["parts"])
        for segment in manifest["scoring"]["segments"]:
            assert all("/" not in source for source in segment["sources"])


def test_checkpoints_are_those_that_were_scored(zoo):
    losses, manifest = zoo["document"], read_manifest(ZOO.folder / "document")
    assert len(ZOO.checkpoints) >= 8
    families = [str(losses["family"].sel(lm=folder.name).item()) for folder in ZOO.checkpoints]
    assert all(families.count(family) >= 2 for family in np.unique(losses["family"]))
    for folder in ZOO.checkpoints:
        assert open_checkpoint(folder).revision == manifest["models"][folder.name]["revision"]


def test_texts_are_in_every_table(zoo):
    texts = read_texts([ZOO.texts])
    assert len(texts.names) >= 24
    assert len(set(texts.domains or ())) >= 3
    for losses in zoo.values():
        assert set(texts.names) <= set(find_names(losses))
    known = zoo["document"].sel(sample=list(texts.names))
    np.testing.assert_array_equal(known["bytes"], [len(text.encode()) for text in texts.texts])
    np.testing.assert_array_equal(known["domain"], texts.domains)


def test_datasets_are_listed():
    listed = bl.list_datasets()
    for name, dataset in DATASETS.items():
        assert f"{name}\n===" in listed
        assert all(unit in listed for unit in dataset.units)
        assert str(dataset.card) in listed


def test_unknown_names_and_units():
    with pytest.raises(bl.InputError, match="no dataset 'zoos'"):
        bl.load_dataset("zoos")
    with pytest.raises(bl.InputError, match="unit 'word' is not known"):
        bl.load_dataset("zoo", unit="word")


def test_commands_take_a_dataset(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report = json.loads(works("losses", "zoo", "--unit", "line", "--json").stdout)
    assert report["unit"] == "line"
    works("pools", "zoo", "--max-size", 1, "--out", "pools")
    assert bl.read_pools("pools").sizes["pool"] == len(report["models"])
    result = command("losses", "zoo", "--unit", "word")
    assert result.exit_code == 2
    assert "unit 'word' is not known" in result.stderr


def test_a_folder_of_that_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("zoo").mkdir()
    result = command("losses", "zoo")
    assert result.exit_code == 2
    assert "manifest.json" in result.stderr


def test_honest_models_pass_the_gate(zoo):
    for losses in zoo.values():
        assert unaligned(losses) == []


@pytest.mark.parametrize("file", MEASURED_FILES)
def test_honest_models_of_measured_tables_pass_the_gate(file):
    if not DATA.is_dir():
        pytest.skip("no reference data")
    path = DATA / file
    losses = bl.read_losses(path, models=path.with_name("models.csv"), missing="drop-samples")
    assert unaligned(losses) == []
    assert_shuffles_are_caught(losses, range(0, losses.sizes["lm"], 5))


@pytest.mark.parametrize("unit", ZOO.units)
def test_shuffled_losses_are_caught(zoo, unit):
    assert_shuffles_are_caught(zoo[unit], range(0, zoo[unit].sizes["lm"], 5))


@pytest.mark.parametrize("unit", ZOO.units)
def test_shuffled_losses_per_byte_are_caught(zoo, unit):
    losses, weights = zoo[unit], zoo[unit]["bytes"].to_numpy()
    for column in range(0, losses.sizes["lm"], 5):
        nll = losses["nll"].to_numpy().copy()
        nll[:, column] = np.random.default_rng(column).permutation(nll[:, column] / weights) * weights
        [message] = unaligned(losses.assign(nll=(("sample", "lm"), nll)))
        assert str(losses["lm"].to_numpy()[column]) in message


def assert_shuffles_are_caught(losses, columns):
    for column in columns:
        nll = losses["nll"].to_numpy().copy()
        nll[:, column] = np.random.default_rng(column).permutation(nll[:, column])
        [message] = unaligned(losses.assign(nll=(("sample", "lm"), nll)))
        assert str(losses["lm"].to_numpy()[column]) in message


def test_exchanged_labels_of_a_family_are_caught(zoo):
    losses = zoo["document"]
    for family in np.unique(losses["family"]):
        of_family = losses["lm"].to_numpy()[losses["family"].to_numpy() == family]
        sizes = losses["parameters"].sel(lm=of_family).to_numpy()
        small, large = str(of_family[sizes.argmin()]), str(of_family[sizes.argmax()])
        exchanged = {small: large, large: small}
        names = [exchanged.get(name, name) for name in losses["lm"].to_numpy().tolist()]
        swapped = losses.assign(nll=losses["nll"].assign_coords(lm=names).sel(lm=losses["lm"]))
        seen = {(warning.code, large in warning.message) for warning in loss_warnings(swapped)}
        assert seen & {("larger-but-worse", True), ("out-of-line", True)}


@pytest.fixture
def rescored(zoo):
    """Return losses of a few samples and models, each a millionth higher than in the table."""
    few = zoo["document"].isel(sample=slice(5, 15), lm=slice(3, 7)).copy(deep=True)
    return few.assign(nll=few["nll"] * (1 + 1e-6)).isel(sample=slice(None, None, -1), lm=slice(None, None, -1))


def test_rescored_losses_take_their_places(zoo, rescored):
    table = zoo["document"]
    joined = join_losses(table, rescored)
    ratio = (joined["nll"] / table["nll"]).to_numpy()
    np.testing.assert_allclose(ratio[5:15, 3:7], 1 + 1e-6, rtol=1e-12)
    ratio[5:15, 3:7] = 1
    assert (ratio == 1).all()
    assert joined.drop_vars("nll").identical(table.drop_vars("nll"))
    expected = (rescored["nll"] * 1e-6 / rescored["tokens"]).max()
    assert largest_difference(table, rescored) == pytest.approx(float(expected), rel=1e-3)


def test_losses_of_another_model_are_refused(zoo, rescored):
    wrong = rescored.copy(deep=True)
    wrong["nll"][3, 1] += 2e-4 * float(wrong["tokens"][3, 1])
    with pytest.raises(bl.InputError, match="nats per token"):
        join_losses(zoo["document"], wrong)
    wrong["nll"][3, 1] = np.nan
    with pytest.raises(bl.InputError, match="nats per token"):
        join_losses(zoo["document"], wrong.fillna({"nll": np.inf}))
    with pytest.raises(bl.InputError, match="no lm 'another'"):
        join_losses(zoo["document"], rescored.assign_coords(lm=[*rescored["lm"].to_numpy()[:-1], "another"]))
    with pytest.raises(bl.InputError, match="the bytes of the samples"):
        join_losses(zoo["document"], rescored.assign(bytes=rescored["bytes"] + 1))
