"""What is said about a loss table, and that normal tables are left in peace."""

import json

import numpy as np
import pandas as pd
import pytest

from bayeslaw.datasets.load import load_dataset
from bayeslaw.losses.folders import write_losses
from bayeslaw.losses.frames import losses_from_frames
from bayeslaw.losses.model_frames import models_from_frame
from bayeslaw.losses.readers import read_losses
from bayeslaw.losses.statistics import clustered_standard_error
from bayeslaw.losses.table_report import loss_report
from bayeslaw.losses.table_warnings import loss_warnings
from bayeslaw.simulation.tables import simulate_losses

SIZES = [1.6e8, 4.1e8, 1.0e9, 2.8e9, 6.9e9]


def table(samples=600, seed=0, **columns):
    """Three families of five sizes on a clean law, with shared difficulty and noise of their own."""
    rng = np.random.default_rng(seed)
    difficulty = rng.gamma(2.0, 1.0, samples)
    losses, models = {}, []
    for family, factor in (("x", 1.0), ("y", 1.05), ("z", 1.1)):
        for size in SIZES:
            name = f"{family}-{size:.1e}"
            mean = factor * (1.5 + 2.0 * (size / 1e8) ** -0.35)
            losses[name] = mean * difficulty / 2 * rng.lognormal(0, 0.5, samples)
            models.append((name, family, size))
    return pd.DataFrame({**losses, **columns}), pd.DataFrame(models, columns=["model", "family", "parameters"])


def codes(losses, models, **options):
    return [warning.code for warning in loss_report(losses_from_frames(losses, models, **options)).warnings]


@pytest.mark.parametrize("seed", range(5))
def test_a_normal_table_has_no_warnings(seed):
    assert codes(*table(seed=seed)) == []


def test_counts_means_and_wins():
    losses, models = table()
    losses["doc"] = np.repeat(np.arange(60), 10)
    report = loss_report(losses_from_frames(losses, models, unit="word", cluster="doc"))
    assert (report.unit, report.loss_unit, report.samples, report.clusters) == ("word", "nats per word", 600, 60)
    assert report.families == ("x", "y", "z")
    assert [model.model for model in report.models] == models["model"].tolist()
    first, values = report.models[0], losses.iloc[:, 0].to_numpy()
    assert first.loss == pytest.approx(values.mean())
    assert first.standard_error == pytest.approx(
        float(clustered_standard_error(values, None, losses["doc"].to_numpy()))
    )
    best = losses[models["model"]].idxmin(axis=1).value_counts(normalize=True)
    assert {model.model: model.wins for model in report.models} == pytest.approx(
        {name: best.get(name, 0.0) for name in models["model"]}
    )


def test_as_dict_is_json_with_the_promised_keys():
    losses, models = table()
    content = json.loads(json.dumps(loss_report(losses_from_frames(losses, models)).as_dict(), allow_nan=False))
    assert {"unit", "samples", "models", "warnings"} <= set(content)
    assert {"model", "family", "parameters", "loss", "loss_unit", "wins"} <= set(content["models"][0])


@pytest.mark.parametrize("column", range(15))
def test_shuffled_losses_are_noticed(column):
    losses, models = table()
    name = models["model"][column]
    losses[name] = np.random.default_rng(1).permutation(losses[name].to_numpy())
    warnings = loss_report(losses_from_frames(losses, models)).warnings
    assert [warning.code for warning in warnings] == ["unaligned"]
    assert name in warnings[0].message


@pytest.mark.parametrize("column", range(15))
def test_a_wrong_unit_is_noticed(column):
    losses, models = table()
    losses[models["model"][column]] /= np.log(2)
    assert {"out-of-line", "larger-but-worse"} & set(codes(losses, models))


def test_swapped_columns_are_noticed():
    losses, models = table()
    losses = losses.rename(columns={"x-1.6e+08": "x-2.8e+09", "x-2.8e+09": "x-1.6e+08"})
    assert "larger-but-worse" in codes(losses, models)


def test_a_smaller_model_trained_on_more_may_be_better():
    losses, models = table()
    losses = losses.rename(columns={"x-1.6e+08": "x-6.9e+09", "x-6.9e+09": "x-1.6e+08"})
    tokens = models["model"].map({"x-1.6e+08": 1e13, "x-6.9e+09": 1e11}).fillna(1e12)
    assert "larger-but-worse" in codes(losses, models)
    assert "larger-but-worse" not in codes(losses, models.assign(training_tokens=tokens))


def test_winners_and_losers():
    losses, models = table()
    losses["x-6.9e+09"] = losses[models["model"]].min(axis=1) / 2
    found = codes(losses, models)
    assert "wins-nearly-always" in found
    assert "never-wins" in found


def test_duplicates():
    losses, models = table()
    losses["z-6.9e+09"] = losses["y-6.9e+09"]
    warnings = loss_report(losses_from_frames(losses, models)).warnings
    assert [warning.code for warning in warnings] == ["duplicate-columns"]
    assert "y-6.9e+09, z-6.9e+09" in warnings[0].message


def test_few_families_sizes_and_clusters():
    losses, models = table()
    keep = models["model"].str.startswith("x")
    kept = losses[models["model"][keep]]
    assert codes(kept, models[keep]) == ["single-family"]
    assert "few-sizes" in codes(losses, models.assign(parameters=np.tile([1e8, 1e9, 2e9, 4e9, 4e9], 3)))
    assert codes(losses.assign(doc=np.repeat(np.arange(19), 32)[:600]), models, cluster="doc") == ["few-clusters"]
    assert codes(losses.assign(doc=np.repeat(np.arange(20), 30)), models, cluster="doc") == []


def documents(samples=600):
    return np.repeat([f"d{number}" for number in range(30)], samples // 30)


def test_document_like_columns_left_unused():
    losses, models = table(docid=documents(), position=np.tile(np.arange(20), 30), word=list("abcde") * 120)
    warnings = loss_report(losses_from_frames(losses, models)).warnings
    assert [warning.code for warning in warnings] == ["unused-column"]
    assert "docid (30 values" in warnings[0].message
    assert "position" not in warnings[0].message
    assert codes(losses, models, cluster="docid") == []
    assert codes(losses, models, cluster="docid,position") == []


def test_a_column_in_runs_with_dependent_losses_is_document_like_by_any_name():
    losses, models = table(origin=documents())
    assert codes(losses, models) == []
    names = models["model"].tolist()
    losses[names] = losses[names].mul(np.repeat(np.random.default_rng(2).lognormal(0, 0.5, 30), 20), axis=0)
    assert codes(losses, models) == ["unused-column"]


def test_a_column_coarser_than_the_clusters_is_noticed():
    losses, models = table(docid=documents(), sentence=np.repeat(np.arange(200), 3))
    assert codes(losses, models, cluster="sentence") == []
    losses["docid"] = np.repeat([f"d{number}" for number in range(25)], 24)
    assert codes(losses, models, cluster="sentence") == ["unused-column"]


def test_dropped_models_are_a_warning():
    losses, models = table()
    losses.loc[3, "x-1.6e+08"] = np.nan
    warnings = loss_report(losses_from_frames(losses, models, missing="drop-models")).warnings
    assert [warning.code for warning in warnings] == ["dropped"]
    assert "x-1.6e+08" in warnings[0].message


def test_whole_models():
    sizes = np.geomspace(1e8, 1e10, 8)
    points = pd.DataFrame({"family": list("xy") * 4, "parameters": sizes, "loss": 1.5 + 2 * (sizes / 1e8) ** -0.3})
    report = loss_report(models_from_frame(points))
    assert (report.samples, report.clusters, report.models[0].wins, report.warnings) == (None, None, None, ())
    assert report.as_dict()["models"][0]["standard_error"] is None
    points.loc[5, "loss"] *= 2.5
    assert [warning.code for warning in loss_report(models_from_frame(points)).warnings] == [
        "loss-out-of-line",
        "out-of-line",
    ]
    points["se"] = 0.01
    assert "larger-but-worse" in [warning.code for warning in loss_report(models_from_frame(points)).warnings]


def test_tables_scored_with_rebuilt_tokenizers_are_named(tmp_path):
    zoo = load_dataset("zoo").isel(sample=slice(0, 40))
    write_losses(zoo, tmp_path / "t")
    manifest = json.loads((tmp_path / "t" / "manifest.json").read_text())
    first, second, third = zoo["lm"].to_numpy()[:3].tolist()
    scored = {"tokenizer": "ab" * 32, "versions": {"bayeslaw": "0.1.0"}}
    # One by the version before, one by this one, and one from elsewhere.
    models = {first: scored, second: scored | {"tokenizer_reader": 2}, third: {"tokenizer": "ab" * 32}}
    (tmp_path / "t" / "manifest.json").write_text(json.dumps(manifest | {"models": models}))
    (warning,) = [
        each for each in loss_report(read_losses(tmp_path / "t")).warnings if each.code == "rebuilt-tokenizer"
    ]
    assert warning.message.startswith(f"{first}: scored by a version")
    assert "rebuilt-tokenizer" not in [each.code for each in loss_report(zoo).warnings]
    assert "rebuilt-tokenizer" not in [each.code for each in loss_warnings(read_losses(tmp_path / "t").isel(lm=[1, 2]))]


def test_parameters_given_in_millions_are_doubted() -> None:
    losses = simulate_losses(samples=100)
    assert "tiny-models" not in [warning.code for warning in loss_warnings(losses)]
    in_millions = losses.assign(parameters=losses["parameters"] / 1e6)
    assert "tiny-models" in [warning.code for warning in loss_warnings(in_millions)]
