"""The demo scores, joins, pools, fits and predicts, and writes all of it into its folder."""

import re
import shutil
from functools import partial

import numpy as np
import pandas as pd
import pytest
from forms import FORMS
from quick_fits import quick_fits
from score_runs import command

import bayeslaw as bl
from bayeslaw.commands import whole_path as demo
from bayeslaw.commands.demo import _score
from bayeslaw.datasets.load import Dataset, find_dataset
from bayeslaw.pools.pool_losses import make_pools

FILES = {"scored", "losses", "pools", "fit.nc", "predictions.csv", "law.png", "claims.png", "page.html"}


# Pools of the gate: all models alone, and some pairs.
FEW_POOLS = 80


@pytest.fixture
def small(monkeypatch):
    """Score one of the models, and pool at most two."""
    chosen = find_dataset("zoo").checkpoints[:1]
    monkeypatch.setattr(Dataset, "checkpoints", property(lambda dataset: chosen))
    monkeypatch.setattr(demo, "MAX_SIZE", 2)
    return [folder.name for folder in chosen]


@pytest.mark.parametrize("quick", FORMS)
def test_the_demo_goes_the_whole_path(small, quick, tmp_path, monkeypatch):
    limit = FEW_POOLS if quick else None
    monkeypatch.setattr(demo, "make_pools", partial(make_pools, limit=limit))
    out = tmp_path / "demo"
    with quick_fits(quick):
        result = command("demo", "--out", out, "--draws", 100)
    assert result.exit_code == 0, result.output
    assert {entry.name for entry in out.iterdir()} == FILES
    scored, losses, shipped = bl.read_losses(out / "scored"), bl.read_losses(out / "losses"), bl.load_dataset("zoo")
    assert scored["lm"].to_numpy().tolist() == small
    assert scored.sizes["sample"] >= 24
    known = {"sample": scored["sample"], "lm": scored["lm"]}
    np.testing.assert_array_equal(losses["nll"].sel(known), scored["nll"])
    assert not np.array_equal(losses["nll"].sel(known), shipped["nll"].sel(known))
    models = shipped.sizes["lm"]
    pools = bl.read_pools(out / "pools")
    assert pools.sizes["pool"] == (limit or models + models * (models - 1) // 2)
    predictions = pd.read_csv(out / "predictions.csv")
    assert predictions["parameters"].max() > 10 * float(pools["parameters"].max())
    assert set(predictions["unit"]) == {"bits per byte"}
    assert bl.load_fit(out / "fit.nc").law.name == "collaboration"
    said = result.stdout
    assert re.search(r"under 1 models, scored in \d+ s, are within \d(\.\d+)?e-\d\d nats per token", said)
    assert f"{shipped.sizes['sample']:,} documents of" in said
    assert re.search(r"heterogeneous pool of \S+ parameters: \d\.\d+ bits per byte \(90% equal-tailed interval", said)
    assert re.search(r"P\(loss falls faster .* at \S+ parameters\) = \S+( 0\.\d+)?, before the data", said)


def test_a_second_demo_replaces_the_first_and_scores_again(small, tmp_path, monkeypatch):
    calls = []

    def score(checkpoints, texts, out):
        calls.append(out.exists())
        few = bl.load_dataset("zoo").isel(sample=slice(0, 3)).sel(lm=[folder.name for folder in checkpoints])
        bl.write_losses(few, out)

    class StopError(Exception):
        """Nothing after the scores is of interest here."""

    def stop(*arguments, **options):
        raise StopError

    monkeypatch.setattr(demo, "make_pools", stop)
    for _ in range(2):
        with pytest.raises(StopError):
            demo.run_demo(tmp_path / "demo", lambda sentence: None, score=score)
    assert calls == [False, False]
    assert bl.read_losses(tmp_path / "demo" / "losses").sizes == bl.load_dataset("zoo").sizes


def test_models_that_are_not_those_of_the_table_are_refused(small, tmp_path, monkeypatch):
    every = find_dataset("zoo").checkpoints
    wrong = tmp_path / every[0].name
    shutil.copytree(every[0], wrong)
    content = bytearray((wrong / "model.safetensors").read_bytes())
    # The second half of the weights exchanges its bytes: finite, but no longer what was trained.
    start = 8 + int.from_bytes(content[:8], "little")
    values = np.frombuffer(bytes(content[start:]), np.float32).copy()
    content[start:] = values[::-1].tobytes()
    (wrong / "model.safetensors").write_bytes(content)
    monkeypatch.setattr(Dataset, "checkpoints", property(lambda dataset: [wrong]))
    with pytest.raises(bl.InputError, match="nats per token from those that come with the package"):
        demo.run_demo(tmp_path / "out", lambda sentence: None, score=quiet_score)


def quiet_score(checkpoints, texts, out):
    _score(checkpoints, texts, out, say=lambda sentence: None, progress=False)


def test_what_is_not_of_a_demo_is_left_alone(tmp_path):
    (tmp_path / "scored").mkdir()
    (tmp_path / "scored" / "mine.txt").write_text("mine")
    result = command("demo", "--out", tmp_path)
    assert result.exit_code == 2
    assert "mine.txt" in result.stderr
    assert (tmp_path / "scored" / "mine.txt").read_text() == "mine"
