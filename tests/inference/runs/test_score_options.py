"""Options of ``bayeslaw score``: forms of texts, windows, tokens, gates, lists of models, types; runs that go on."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from huggingface_hub import constants
from make_checkpoints import make_checkpoint, write_weights
from safetensors.numpy import load_file
from score_runs import (
    FEW,
    PAIR,
    command,
    content,
    made_once,
    manifest,
    rows,
    score,
    slow_log_probabilities,
    texts_options,
    token_ids,
    token_rows,
    works,
    write_jsonl,
)

from bayeslaw.losses.readers import read_losses
from inference.scoring import gates

WINDOW, STRIDE = 10, 3


@pytest.fixture(scope="module")
def plain(home: Path, fits_folder: Path) -> Path:
    """Return a table of two models and few texts."""
    return made_once(fits_folder, "plain", lambda folder: score(pair(home), home / "few.jsonl", folder))


@pytest.fixture(scope="module")
def kept(home: Path, fits_folder: Path) -> Path:
    """Return a table of two models and few texts in windows, with their tokens; copy it before anything is added."""
    options = ("--tokens", "--window", WINDOW, "--stride", STRIDE)
    return made_once(fits_folder, "kept", lambda folder: score(pair(home), home / "few.jsonl", folder, *options))


def pair(home: Path) -> list[Path]:
    return [home / name for name in PAIR]


def test_texts_of_all_forms_score_alike(home, plain, tmp_path):
    pd.DataFrame(FEW).to_parquet(tmp_path / "few.parquet")
    files = []
    for document in FEW:
        files.append(tmp_path / f"{document['id']}.txt")
        files[-1].write_text(document["text"])
    expected = rows(plain).loc[["llama-small"]]
    for texts in (home / "few.jsonl", tmp_path / "few.parquet", files):
        out = tmp_path / ("files" if texts is files else texts.suffix[1:])
        score([home / "llama-small"], texts, out)
        found = rows(out)
        assert len(found) == len(FEW)
        np.testing.assert_allclose(found["nll"], expected["nll"].loc[found.index], rtol=1e-6)
        assert ("domain" in found) == (texts is not files)


def test_a_window_beyond_the_texts_is_none(home, tmp_path):
    for out, options in (("none", ()), ("wide", ("--window", 200, "--stride", 7))):
        score([home / "llama-small"], home / "few.jsonl", tmp_path / out, *options)
    pd.testing.assert_frame_equal(rows(tmp_path / "none"), rows(tmp_path / "wide"))


def test_windows_give_every_token_exactly_its_context(home, kept):
    table = token_rows(kept)
    for name in PAIR:
        for document in FEW[:3]:
            beginning, *ids = token_ids(home / name, document["text"])
            found = table.loc[(name, document["id"]), "nll"]
            assert list(found.index) == list(range(len(ids)))
            for place in range(len(ids)):
                further = max(0, math.ceil((place + 1 - WINDOW) / STRIDE))
                start = max(0, min(len(ids), WINDOW + further * STRIDE) - WINDOW)
                seen = [beginning, *ids[start : place + 1]]
                slow = -slow_log_probabilities(home / name, seen)[-1]
                assert found[place] == pytest.approx(slow, rel=1e-5, abs=1e-5), (name, document["id"], place)
    assert any(len(table.loc[(PAIR[0], document["id"])]) > WINDOW + STRIDE for document in FEW[:3])


def test_kept_tokens_add_up_to_the_samples(home, kept, tmp_path):
    table, tokens = rows(kept), token_rows(kept)
    sums = tokens.groupby(["lm", "sample"]).agg(nll=("nll", "sum"), bytes=("bytes", "sum"), tokens=("nll", "size"))
    np.testing.assert_allclose(sums["nll"], table["nll"], rtol=1e-6)
    np.testing.assert_array_equal(sums[["bytes", "tokens"]], table[["bytes", "tokens"]])
    assert all(model["tokens_kept"] for model in manifest(kept)["models"].values())


def test_adding_models_and_texts_scores_what_is_new(home, tmp_path):
    out = tmp_path / "table"
    first, second = write_jsonl(tmp_path / "a.jsonl", FEW[:4]), write_jsonl(tmp_path / "b.jsonl", FEW[4:])

    def scored(models: list[Path], texts: Path | list[Path]) -> dict[str, int]:
        result = json.loads(score(models, texts, out, "--json").stdout)
        assert result["table"] == str(out)
        return {model["model"]: model["tokens"] for model in result["models"]}

    llama, gpt2 = pair(home)
    alone = scored([llama], first)
    before = content(out)
    both = scored([llama, gpt2], first)
    assert both[llama.name] == 0 < both[gpt2.name]
    assert content(out).items() >= {name: old for name, old in before.items() if name.startswith("part-")}.items()
    before = content(out)
    grown = scored([llama, gpt2], [first, second])
    assert content(out).items() >= {name: old for name, old in before.items() if name.startswith("part-")}.items()
    tokens = rows(out)["tokens"].groupby("lm").sum()
    assert alone[llama.name] + grown[llama.name] == tokens[llama.name]
    assert both[gpt2.name] + grown[gpt2.name] == tokens[gpt2.name]
    assert scored([gpt2], [first, second]) == {gpt2.name: 0}
    whole = tmp_path / "whole"
    score([llama, gpt2], [first, second], whole)
    np.testing.assert_allclose(rows(out)["nll"], rows(whole)["nll"], rtol=1e-6)


def test_a_model_left_out_of_a_run_with_more_texts_is_noted(home, tmp_path):
    out, first = tmp_path / "table", write_jsonl(tmp_path / "a.jsonl", FEW[:4])
    score(pair(home), first, out)
    result = score(pair(home)[:1], home / "few.jsonl", out)
    assert "note: gpt2-small is not scored on all texts" in result.stderr
    assert len(read_losses(out, missing="drop-samples")["sample"]) == 4


def spoilt(folder: Path) -> Path:
    """Return a model that expects what is rare."""
    make_checkpoint(folder, "llama", "small")
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"] = -weights["lm_head.weight"]
    write_weights(folder, weights)
    return folder


def test_gates_warn_and_strict_refuses(home, tmp_path):
    models = [home / "llama-small", spoilt(tmp_path / "spoilt")]
    texts, out = home / "few.jsonl", tmp_path / "strict"
    refused = command("score", *models, *texts_options(texts), "--out", out, "--strict", "--json")
    assert refused.exit_code == 1
    assert "refused: worse-than-uniform: spoilt loses" in refused.stderr
    kinds = {model["model"]: (model["refused"], model["gates"]) for model in json.loads(refused.stdout)["models"]}
    assert kinds["llama-small"] == (False, [])
    assert kinds["spoilt"][0] is True
    assert [gate["code"] for gate in kinds["spoilt"][1]] == ["worse-than-uniform"]
    assert set(rows(out).index.get_level_values("lm")) == {"llama-small"}
    assert [model["model"] for model in json.loads(works("losses", out, "--json").stdout)["models"]] == ["llama-small"]
    # Without --strict nothing is scored again, and all goes in.
    warned = score(models, texts, out, "--json")
    assert "warning: worse-than-uniform: spoilt loses" in warned.stderr
    assert [model["tokens"] for model in json.loads(warned.stdout)["models"]] == [0, 0]
    assert set(rows(out).index.get_level_values("lm")) == {"llama-small", "spoilt"}
    assert [gate["code"] for gate in manifest(out)["models"]["spoilt"]["parts"][0]["gates"]] == ["worse-than-uniform"]


def test_bytes_that_are_not_scored_are_reported(home, tmp_path):
    texts = write_jsonl(tmp_path / "texts.jsonl", [{"id": "known", "text": "the sea"}, {"id": "not", "text": "the Ω"}])
    result = score([home / "gemma-medium"], texts, tmp_path / "unknown")
    assert "warning: uncovered-bytes: gemma-medium did not score 2 of 13 bytes" in result.stderr
    table = rows(tmp_path / "unknown").loc["gemma-medium"]
    assert (table["bytes"] - table["scored_bytes"]).to_dict() == {"known": 0, "not": 2}
    warned = score([home / "llama-small"], texts, tmp_path / "bare", "--bos", "never")
    assert "warning: uncovered-bytes: llama-small did not score 6 of 13 bytes" in warned.stderr
    table = rows(tmp_path / "bare").loc["llama-small"]
    assert (table["bytes"] - table["scored_bytes"]).to_dict() == {"known": 3, "not": 3}


def test_quiet_says_nothing(home, tmp_path):
    result = score([home / "llama-small"], home / "few.jsonl", tmp_path / "table", "--quiet")
    assert result.output == ""


def test_a_file_lists_models_with_what_is_known_of_them(home, tmp_path):
    listed = tmp_path / "models.yaml"
    listed.write_text(
        f"- model: {home / 'llama-small'}\n  name: Little\n  family: ours\n  price: 0.25\n  training_tokens: 3e9\n"
        f"- model: {home / 'gpt2-small'}\n  family: theirs\n  active_parameters: 20_000\n"
    )
    score([listed], home / "few.jsonl", tmp_path / "table")
    models = {m["model"]: m for m in json.loads(works("losses", tmp_path / "table", "--json").stdout)["models"]}
    assert {name: model["family"] for name, model in models.items()} == {"Little": "ours", "gpt2-small": "theirs"}
    table = read_losses(tmp_path / "table").sel(lm=["Little", "gpt2-small"])
    np.testing.assert_array_equal(table["training_tokens"], [3e9, np.nan])
    np.testing.assert_array_equal(table["price"], [0.25, np.nan])
    assert table["active_parameters"].values.tolist() == [table["parameters"].values[0], 20_000]


def test_models_of_the_hub_are_named_with_their_revision(home, tmp_path, monkeypatch):
    commits = {"v1": "1" * 40, "v2": "2" * 40}
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    repository = tmp_path / "cache" / "models--owner--tiny"
    for (tag, commit), source in zip(commits.items(), pair(home), strict=True):
        (repository / "refs").mkdir(parents=True, exist_ok=True)
        (repository / "refs" / tag).write_text(commit)
        (repository / "snapshots").mkdir(exist_ok=True)
        (repository / "snapshots" / commit).symlink_to(source)
    score([f"owner/tiny@{tag}" for tag in commits], home / "few.jsonl", tmp_path / "table", "--offline")
    models = manifest(tmp_path / "table")["models"]
    assert {name: model["revision"] for name, model in models.items()} == {
        f"owner/tiny@{tag}": commit for tag, commit in commits.items()
    }
    assert {model["source"] for model in models.values()} == {"owner/tiny"}
    assert set(rows(tmp_path / "table").index.get_level_values("lm")) == set(models)


@pytest.mark.parametrize("bound", [0.05, 1e-7], ids=["within", "beyond"])
def test_short_types_are_measured_against_float32(home, plain, tmp_path, monkeypatch, bound):
    monkeypatch.setattr(gates, "LARGEST_DRIFT", bound)
    name, few = "llama-small", [document["id"] for document in FEW]
    arguments = ("score", home / name, *texts_options(home / "few.jsonl"), "--out", tmp_path / "table")
    result = command(*arguments, "--dtype", "bfloat16", "--strict")
    assert result.exit_code == (0 if bound == 0.05 else 1)
    if bound != 0.05:
        assert f"refused: drift: {name} in bfloat16 is up to " in result.stderr
        assert not list((tmp_path / "table").glob("part-*"))
        return
    short, whole = (rows(table).loc[name, "nll"].loc[few] for table in (tmp_path / "table", plain))
    model = manifest(tmp_path / "table")["models"][name]
    drift = SimpleNamespace(**model["drift"])
    assert (model["dtype"], drift.dtype, drift.documents) == ("bfloat16", "bfloat16", len(FEW))
    assert drift.tokens == model["tokens"]
    assert 0 < drift.largest_relative == pytest.approx((short / whole - 1).abs().max(), rel=1e-3)
    assert drift.mean_relative == pytest.approx(short.sum() / whole.sum() - 1, rel=1e-3)
    assert drift.nats_per_token == pytest.approx((short.sum() - whole.sum()) / model["tokens"], rel=1e-3)
