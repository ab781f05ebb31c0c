"""``bayeslaw score`` as a new user types it, in every unit, and the commands that read what it writes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from forms import in_gate
from make_checkpoints import KINDS, MADE, SIZES
from safetensors.numpy import load_file
from score_runs import DOCUMENTS, command, made_once, manifest, rows, score, slow_log_probabilities, token_ids, works

UNITS = ("document", "paragraph", "line", "word")
# Models of the slow tier: all by document, and by the smaller units one of each kind of tokenizer.
ONE_OF_EACH = tuple({KINDS[family].tokenizer: (family, size) for family, size in MADE}.values())
ALL = dict.fromkeys(UNITS, ONE_OF_EACH) | {"document": MADE}
# Those of the gate: one of each kind of tokenizer by document, all sizes of one family, and few by smaller units.
KIND = (("llama", "small"), ("gpt2", "small"), ("qwen3", "small"), ("gemma", "medium"))
MORE = tuple(("llama", size) for size in ("medium", "large"))
FEW = {"document": KIND + MORE, "paragraph": KIND[:1], "line": KIND[1:2], "word": KIND[2:]}
BYTES = sum(len(document["text"].encode()) for document in DOCUMENTS)


@pytest.fixture(
    scope="module", params=[pytest.param(FEW, id="few"), pytest.param(ALL, id="all", marks=pytest.mark.slow)]
)
def scored(request: pytest.FixtureRequest) -> dict[str, tuple[tuple[str, str], ...]]:
    """Return family and size of the models that are scored by each unit."""
    return request.param


@pytest.fixture(scope="module")
def tables(home: Path, fits_folder: Path, scored: dict[str, tuple[tuple[str, str], ...]]) -> dict[str, Path]:
    """Return a table of each unit, and what the runs said."""

    def make(folder: Path) -> None:
        folder.mkdir()
        for unit, made in scored.items():
            models = [home / f"{family}-{size}" for family, size in made]
            result = score(models, home / "corpus.jsonl", folder / unit, "--unit", unit)
            (folder / f"{unit}.txt").write_text(result.stderr)

    folder = made_once(fits_folder, f"tables-of-{len(scored['document'])}", make)
    return {unit: folder / unit for unit in UNITS}


def test_every_unit_is_scored_without_complaint(tables, scored):
    for unit, table in tables.items():
        lines = Path(f"{table}.txt").read_text().splitlines()
        made = scored[unit]
        assert len(lines) == 2 * len(made)
        assert sum("opening" in line for line in lines) == len(made)
        assert sum(f"(unit: {unit})" in line and "bits per byte" in line for line in lines) == len(made)
        report = json.loads(works("losses", table, "--json").stdout)
        assert report["unit"] == unit
        assert len(report["models"]) == len(made)
        assert len({model["family"] for model in report["models"]}) == len({family for family, _ in made})
        expected = {"never-wins"} if made == MADE else {"never-wins", "few-sizes"}
        expected |= {"single-family"} if len(made) == 1 else set()
        assert {warning.partition(":")[0] for warning in report["warnings"]} <= expected


def test_samples_of_every_unit_add_up_to_the_documents(tables):
    whole = rows(tables["document"])
    for unit in UNITS:
        table = rows(tables[unit])
        sums = table.groupby(["lm", "cluster"])[["nll", "bytes", "tokens", "scored_bytes"]].sum()
        sums.index = sums.index.set_names(["lm", "sample"])
        of_same = whole.loc[sums.index]
        np.testing.assert_allclose(sums["nll"], of_same["nll"], rtol=1e-6)
        for name in ("bytes", "tokens", "scored_bytes"):
            np.testing.assert_array_equal(sums[name], of_same[name])
        np.testing.assert_array_equal(table["scored_bytes"], table["bytes"])
        assert (table.groupby("lm")["bytes"].sum() == BYTES).all()
        domains = {document["id"]: document["domain"] for document in DOCUMENTS}
        assert (table["domain"] == table["cluster"].map(domains)).all()


def test_samples_are_the_spans_of_each_unit(tables):
    def count(split: Any) -> int:
        return sum(len([part for part in split(document["text"]) if part.strip()]) for document in DOCUMENTS)

    counts = {
        "document": len(DOCUMENTS),
        "paragraph": count(lambda text: text.split("\n\n")),
        "line": count(str.splitlines),
        "word": count(str.split),
    }
    assert len(set(counts.values())) == len(UNITS)
    for unit, table in tables.items():
        assert (rows(table).groupby("lm").size() == counts[unit]).all()


@pytest.mark.parametrize(
    "name", in_gate(["llama-small", "gemma-medium"], ["llama-small", "gpt2-small", "qwen3-small", "gemma-medium"])
)
def test_numbers_are_those_of_a_slow_computation(home, tables, name):
    table = rows(tables["document"]).loc[name]
    for document in DOCUMENTS[:8]:
        ids = token_ids(home / name, document["text"])
        slow = -slow_log_probabilities(home / name, ids).sum()
        assert table.loc[document["id"], "nll"] == pytest.approx(slow, rel=2e-6)
        assert table.loc[document["id"], "tokens"] == len(ids) - 1


def test_losses_fall_with_size(tables, scored):
    losses = rows(tables["document"])["nll"].groupby("lm").sum()
    for family in {family for family, size in scored["document"] if size == "large"}:
        sizes = [losses[f"{family}-{size}"] for size in SIZES]
        assert sizes == sorted(sizes, reverse=True), family


@pytest.mark.slow
def test_pools_and_laws_are_made_of_a_table(tables, scored, tmp_path):
    works("pools", tables["document"], "--max-size", 2, "--out", tmp_path / "pools")
    law = tmp_path / "law.yaml"
    law.write_text("law: power\npooling: complete\n")
    quick = ("--draws", 50, "--chains", 1, "--keep", "none")
    result = command("fit", tables["document"], "--config", law, *quick, "--out", tmp_path / "fit.nc")
    # One chain of a few draws is not to be trusted, and written all the same.
    assert result.exit_code == 1
    assert f"{len(scored['document'])} models" in result.stdout
    assert (tmp_path / "fit.nc").exists()


def test_the_command_line_says_nothing_but_what_it_did(home, tables):
    models = [str(home / f"{family}-{size}") for family, size in MADE[:2]]
    arguments = ["score", *models, "--texts", str(home / "corpus.jsonl"), "--out", str(tables["document"])]
    code = f"import sys; sys.argv = {['bayeslaw', *arguments]!r}; from bayeslaw.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert [line for line in lines if not line.endswith(": all texts are scored already")] == [
        f"{Path(model).name}: opening {model}" for model in models
    ]
    assert len(lines) == 4


def counted(folder: Path, *, embeddings: tuple[str, ...]) -> dict[str, int]:
    """Count parameters in the files themselves."""
    sizes = {name: values.size for path in folder.glob("*.safetensors") for name, values in load_file(path).items()}
    total = sum(sizes.values())
    return {"total": total, "embedding": sum(sizes[f"{name}.weight"] for name in embeddings), "active": total}


def test_the_manifest_says_where_scores_come_from(home, tables, scored):
    table = manifest(tables["document"])
    assert table["scoring"]["unit"] == "document"
    made = scored["document"]
    assert set(table["models"]) == {f"{family}-{size}" for family, size in made}
    llama, gpt2 = table["models"]["llama-large"], table["models"]["gpt2-small"]
    assert llama["parameters"] == counted(home / "llama-large", embeddings=("lm_head", "model.embed_tokens"))
    assert gpt2["parameters"] == counted(home / "gpt2-small", embeddings=("transformer.wte", "transformer.wpe"))
    for name, model in table["models"].items():
        assert model["source"] == str(home / name)
        assert model["revision"].startswith("sha256:")
        assert (model["model_type"], model["dtype"]) == (name.split("-")[0], "float32")
        assert len(model["tokenizer"]) == 64
        assert model["drift"] is None
        assert {"bayeslaw", "jax", "flax", "transformers", "tokenizers", "python"} <= set(model["versions"])
        assert model["device"].startswith(f"{jax.device_count()} x")
        assert model["seconds"] > 0 < model["load_seconds"]
        assert model["tokens"] == rows(tables["document"]).loc[name, "tokens"].sum()
        assert model["tokens_per_second"] == pytest.approx(model["tokens"] / model["seconds"], rel=0.05)
        assert model["scored_at"].endswith("Z")
    assert len({model["revision"] for model in table["models"].values()}) == len(made)
    assert (llama["prefix_text"], gpt2["prefix_text"]) == ("<s>", "<|endoftext|>")
