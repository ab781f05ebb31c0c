"""The advantage of heterogeneous pools, split into diversity and better partners."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

import bayeslaw as bl
from bayeslaw.cli import app

SIZES = np.array([1e8, 1e9])


def table(better: float = 0.0, apart: float = 0.0, *, clusters: int = 40, seed: int = 0) -> xr.Dataset:
    """Return two models each of families a and b, in nats, of known parts.

    On half of the samples a loses `apart` more and b less, on the other half the reverse; all of b lose `better` less.
    """
    samples = 10 * clusters
    side = np.where(np.arange(samples) % 2, 1.0, -1.0)[:, None]
    family = np.array(["a", "a", "b", "b"])
    signs = np.where(family == "a", 1.0, -1.0)
    hard = np.repeat(np.random.default_rng(seed).normal(0, 0.2, clusters), 10)[:, None]
    nll = 3.0 + hard + apart * side * signs - better * (family == "b") - 0.1 * np.log10(np.tile(SIZES, 2) / 1e8)
    return xr.Dataset(
        {
            "nll": (("sample", "lm"), nll),
            "family": ("lm", family),
            "parameters": ("lm", np.tile(SIZES, 2)),
            "cluster": ("sample", np.repeat([f"text-{number}" for number in range(clusters)], 10)),
        },
        coords={"sample": np.arange(samples).astype(str), "lm": ["a-1", "a-2", "b-1", "b-2"]},
        attrs={"kind": "losses", "unit": "line"},
    )


def values(found: bl.Advantage) -> tuple[float, float, float]:
    parts = found.overall
    return parts.total.value, parts.better_partners.value, parts.diversity.value


def test_families_that_find_other_samples_hard_differ_by_diversity_alone():
    """A pair of both families is spared `apart`, but on half of the samples only its smaller model is good.

    In a pair of one family the larger one is better on every sample, so that it gains nothing.
    """
    found = bl.advantage(table(apart=0.3), max_size=2)
    np.testing.assert_allclose(values(found), (0.25, 0.0, 0.25), atol=1e-9)
    assert found.overall.pairs == 2
    assert found.unit == "nats per line"


def test_a_better_family_makes_better_partners_alone():
    """Of two homogeneous pairs one is of the better family; every heterogeneous one has a better member."""
    found = bl.advantage(table(better=0.2), max_size=2)
    # Best members lose, but for what is common, -0.1 and -0.3 alike; -0.3 (b-2) and -0.2 (b-1) mixed.
    np.testing.assert_allclose(values(found), (0.05, 0.05, 0.0), atol=1e-9)


def test_parts_add_up_and_are_those_of_the_pools():
    losses = bl.simulate_losses(families=3, sizes=4, samples=300, clusters=30, with_bytes=True, seed=2)
    found = bl.advantage(losses, max_size=3, rule="mixture", seed=4)
    pools = bl.make_pools(losses, design="matched", max_size=3, rule="mixture", seed=4)
    pools = pools.isel(pool=pools["match"].to_numpy() >= 0)
    alone = np.append(pools["lm_loss"].to_numpy(), np.inf)
    best = alone[pools["member"].to_numpy()].min(axis=1)
    loss = pools["loss"].to_numpy()
    for parts in found.parts:
        own = np.ones(len(loss), bool) if parts.size == "all" else pools["size"].to_numpy() == parts.size
        assert parts.pairs == own.sum() // 2
        total = (loss[own][0::2] - loss[own][1::2]).mean()
        partners = (best[own][0::2] - best[own][1::2]).mean()
        assert parts.total.value == pytest.approx(total, abs=1e-9)
        assert parts.better_partners.value == pytest.approx(partners, abs=1e-9)
        assert parts.diversity.value == pytest.approx(total - partners, abs=1e-9)
    assert [parts.size for parts in found.parts] == ["all", 2, 3]
    assert found.unit == "bits per byte"


def test_the_interval_is_as_wide_as_the_sampling_error_of_a_difference():
    """Clusters differ in how far families are apart, so the advantage is a plain mean over clusters."""
    rng, clusters = np.random.default_rng(1), 200
    apart = 0.1 + rng.gamma(4, 0.1, clusters)
    losses = table(apart=1.0, clusters=clusters)
    hard = losses["nll"].to_numpy() - table(apart=0.0, clusters=clusters)["nll"].to_numpy()
    nll = table(clusters=clusters)["nll"].to_numpy() + hard * np.repeat(apart, 10)[:, None]
    found = bl.advantage(losses.assign(nll=(("sample", "lm"), nll)), max_size=2, interval=0.9).overall.diversity
    error = apart.std(ddof=1) / np.sqrt(clusters)
    assert found.value == pytest.approx(apart.mean() - 0.05, abs=1e-9)
    assert found.upper - found.lower == pytest.approx(2 * 1.645 * error, rel=0.1)
    assert found.lower < found.value < found.upper


def test_wider_levels_have_wider_intervals():
    losses = bl.simulate_losses(families=2, sizes=3, samples=200, clusters=20)
    narrow, wide = (bl.advantage(losses, max_size=2, interval=level).overall.total for level in (0.5, 0.9))
    assert wide.lower < narrow.lower < narrow.upper < wide.upper


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (lambda t: t.isel(lm=[0, 1]), {}, "no pairs to match"),
        (lambda t: t.isel(sample=slice(10)), {}, "one cluster"),
        (lambda t: t, {"rule": "best"}, "rule 'best'"),
        (lambda t: t, {"interval": 1.0}, "interval"),
        (lambda t: t, {"max_size": 1}, "max size"),
        (lambda t: t, {"max_size": 9}, "max size 9"),
        (lambda t: t, {"draws": 0}, "draws"),
        (lambda t: t, {"parameters": "active"}, "active parameters"),
    ],
)
def test_what_cannot_be_split_is_refused(change, options, said):
    with pytest.raises(bl.InputError, match=said):
        bl.advantage(change(table(apart=0.2)), **options)


def test_the_command_prints_parts_definition_and_json(tmp_path):
    losses = table(apart=0.3, better=0.05)
    wide = losses["nll"].to_pandas().assign(cluster=losses["cluster"].to_numpy())
    wide.reset_index().to_csv(tmp_path / "losses.csv", index=False)
    models = pd.DataFrame({"model": losses["lm"], "family": losses["family"], "parameters": losses["parameters"]})
    models.to_csv(tmp_path / "models.csv", index=False)
    arguments = ["advantage", str(tmp_path / "losses.csv"), "--models", str(tmp_path / "models.csv")]
    arguments += ["--unit", "line", "--cluster", "cluster", "--max-size", "2"]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0
    assert "better partners" in shown.output.lower()
    assert "own best members" in shown.output
    record = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert record["interval"] == 0.9
    assert "bootstrap" in record["interval_kind"]
    overall = record["parts"][0]
    assert overall["total"]["value"] == pytest.approx(
        overall["better_partners"]["value"] + overall["diversity"]["value"]
    )
    direct = bl.advantage(losses, max_size=2).overall
    assert overall["diversity"]["value"] == pytest.approx(direct.diversity.value)
