"""The zoo goes into the package as it was scored: same numbers, its own checkpoints and texts, a data card."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml
from embed import embed
from list_models import list_models
from make_checkpoints import make_checkpoint, make_documents
from score_runs import made_once, score, write_jsonl

import bayeslaw as bl

ZOO = Path(__file__).parents[2] / "examples" / "zoo"

pytestmark = pytest.mark.tools
UNITS = ("document", "paragraph", "line")
FAMILIES, SIZES = ("llama", "gpt2"), ("small", "medium")
SOURCES = [
    {"name": "sea", "domain": "sea", "licence": "MIT", "origin": "a shore", "version": "1", "redistributable": True}
]

LOOK = {
    "tokens": 2_500_000,
    "training_nats_per_token": 3.0,
    "tokens_per_second": 9,
    "validation_nats_per_byte": {"sea": 1},
}
TRAINED = {"plan": {"peak_rate": 0.01}, "log": [LOOK]}


@pytest.fixture(scope="module")
def made(fits_folder):
    """Return a folder with checkpoints, their training records, texts and scored tables."""

    def make(folder):
        for family in FAMILIES:
            for size in SIZES:
                name = f"zoo-{family}-{size}"
                make_checkpoint(folder / "models" / name, family, size)
                record = {"family": family, "tokens": 2_500_000, "parameters": {"total": len(size)}} | TRAINED
                path = folder / "models" / ".training" / name / "training.json"
                path.parent.mkdir(parents=True)
                path.write_text(json.dumps(record))
        documents = make_documents(12)
        write_jsonl(folder / "held_out.jsonl", documents)
        write_jsonl(folder / "shipped.jsonl", documents[2:5])
        models = list_models(folder / "models", relative_to=folder)
        for model in models:
            model["model"] = str(folder / model["model"])
        (folder / "models.yaml").write_text(yaml.safe_dump(models))
        for unit in UNITS:
            score([folder / "models.yaml"], folder / "held_out.jsonl", folder / unit, "--unit", unit, "--offline")

    return made_once(fits_folder, "zoo_to_embed", make)


def embedded(made, out, **changed):
    given = {"scored": {unit: made / unit for unit in UNITS}, "checkpoints": made / "models"}
    given |= {"texts": made / "shipped.jsonl", "out": out, "sources": SOURCES, "smallest": 1}
    return embed(**(given | changed))


def test_embedded_tables_are_the_scored_ones_in_float32(made, tmp_path):
    embedded(made, tmp_path / "zoo")
    for unit in UNITS:
        before, after = bl.read_losses(made / unit), bl.read_losses(tmp_path / "zoo" / unit)
        assert after.attrs["source"] == "zoo"
        assert after.attrs["unit"] == unit
        assert {"training_tokens", "embedding_parameters", "tokenizer", "cluster", "domain"} <= {*after}
        after = after.sel(sample=before["sample"], lm=before["lm"])
        np.testing.assert_array_equal(after["nll"], before["nll"].astype(np.float32).astype(np.float64))
        assert not np.array_equal(after["nll"], before["nll"])
        xr.testing.assert_equal(after.drop_vars("nll"), before.drop_vars("nll"))


def test_checkpoints_texts_and_card_go_with_them(made, tmp_path):
    out = tmp_path / "zoo"
    sizes = embedded(made, out)
    assert sorted(entry.name for entry in (out / "checkpoints").iterdir()) == ["zoo-gpt2-small", "zoo-llama-small"]
    weights = "zoo-llama-small/model.safetensors"
    assert (out / "checkpoints" / weights).read_bytes() == (made / "models" / weights).read_bytes()
    assert (out / "texts.jsonl").read_text() == (made / "shipped.jsonl").read_text()
    card = (out / "zoo.md").read_text()
    assert "| zoo-gpt2-medium | gpt2 |" in card
    assert "| document | 12 | 12 |" in card
    assert "| sea | sea | MIT | a shore, 1 | yes |" in card
    assert str(made) not in card + "".join(path.read_text() for path in out.glob("*/manifest.json"))
    assert sum(sizes.values()) == sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    assert embedded(made, out) == sizes


def test_a_checkpoint_that_was_not_scored_is_refused(made, tmp_path):
    shutil.copytree(made / "models", tmp_path / "models")
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(made / "models/zoo-llama-medium" / name, tmp_path / "models/zoo-llama-small" / name)
    refused("not the model that was scored", made, tmp_path, checkpoints=tmp_path / "models")


def test_a_text_that_was_not_scored_is_refused(made, tmp_path):
    changed = [{"id": document["id"], "text": document["text"] + "!"} for document in make_documents(3)]
    refused("not one that was scored", made, tmp_path, texts=write_jsonl(tmp_path / "texts.jsonl", changed))


def test_tables_of_different_models_are_refused(made, tmp_path):
    score(
        [made / "models" / f"zoo-llama-{size}" for size in SIZES],
        made / "held_out.jsonl",
        tmp_path / "line",
        "--unit",
        "line",
        "--offline",
    )
    tables = {unit: made / unit for unit in UNITS} | {"line": tmp_path / "line"}
    refused("are of different models", made, tmp_path, scored=tables)


def test_families_too_small_to_choose_from_are_refused(made, tmp_path):
    refused("has 2 models", made, tmp_path, smallest=2)


def test_a_folder_that_holds_other_things_is_left_alone(made, tmp_path):
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / "mine.txt").touch()
    with pytest.raises(bl.InputError, match=r"mine\.txt"):
        embedded(made, tmp_path / "zoo")
    assert (tmp_path / "zoo" / "mine.txt").exists()


def refused(said, made, tmp_path, **changed):
    with pytest.raises(bl.InputError, match=said):
        embedded(made, tmp_path / "zoo", **changed)
    assert not (tmp_path / "zoo").exists()


def test_models_are_listed_by_family_and_size(made, tmp_path):
    listed = list_models(made / "models", relative_to=made)
    # The record of a medium model has one parameter more than that of a small one.
    names = [f"zoo-{family}-{size}" for family in ("gpt2", "llama") for size in SIZES]
    assert [entry["name"] for entry in listed] == names
    assert listed[0] == {
        "model": "models/zoo-gpt2-small",
        "name": "zoo-gpt2-small",
        "family": "gpt2",
        "training_tokens": 2.5e6,
    }
    with pytest.raises(bl.InputError, match="no checkpoints"):
        list_models(tmp_path, relative_to=tmp_path)
