"""Mistakes that people make with loss tables are errors, and honest tables have none."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from bayeslaw.cli import app
from bayeslaw.datasets.load import load_dataset
from bayeslaw.losses.bits_for_nats import bits_for_nats
from bayeslaw.losses.folders import write_losses
from bayeslaw.losses.table_errors import loss_errors
from bayeslaw.losses.table_warnings import loss_warnings, table_errors
from bayeslaw.simulation.tables import simulate_losses

UNITS = ("document", "paragraph", "line")
FIRST = "zoo-llama-1.5m"


@pytest.fixture(scope="module")
def zoo():
    return load_dataset("zoo", unit="document")


@pytest.fixture(scope="module")
def two(zoo):
    return zoo.sel(lm=[FIRST, "zoo-qwen3-1.5m"])


def column(losses, change, name=FIRST):
    """Return a table in which the losses of one model were changed."""
    nll = losses["nll"].to_numpy().copy()
    index = losses["lm"].to_numpy().tolist().index(name)
    nll[:, index] = change(nll[:, index])
    return losses.assign(nll=(("sample", "lm"), nll))


def shuffled(share, seed=0):
    rng = np.random.default_rng(seed)

    def change(values):
        rows = rng.permutation(len(values))[: int(share * len(values))]
        values[rows] = values[rng.permutation(rows)]
        return values

    return change


def with_size(losses, factor, name=FIRST):
    sizes = np.where(losses["lm"].to_numpy() == name, factor, 1) * losses["parameters"].to_numpy()
    return losses.assign(parameters=("lm", sizes))


def found(losses):
    return {error.code: error.message for error in table_errors(losses)}


def test_means_over_tokens_are_not_sums(zoo):
    means = zoo.assign(nll=zoo["nll"] / (zoo["bytes"] / 3))
    assert list(found(means)) == ["bits-per-byte"]
    assert "sums over the tokens" in found(means)["bits-per-byte"]


@pytest.mark.parametrize("factor", [1 / 1024, 1024])
def test_bytes_in_another_unit(zoo, factor):
    wrong = found(zoo.assign(bytes=zoo["bytes"] * factor))
    # There are more tokens than thousands of bytes, too.
    assert set(wrong) == {"bits-per-byte", *(["fractional-bytes", "lengths"] if factor < 1 else [])}


def test_bytes_that_are_no_counts(zoo):
    size = zoo["bytes"].to_numpy().astype(float)
    size[7] += 0.5
    message = found(zoo.assign(bytes=("sample", size)))["fractional-bytes"]
    assert "1 of 2080 samples" in message
    assert str(zoo["sample"].to_numpy()[7]) in message


@pytest.mark.parametrize("part", ["active_parameters", "non_embedding_parameters"])
def test_more_parameters_in_a_part_than_in_all(zoo, part):
    sizes = zoo["parameters"].to_numpy().copy()
    assert "part-above-total" not in found(zoo.assign({part: ("lm", sizes)}))
    sizes[3] *= 1000
    wrong = found(zoo.assign({part: ("lm", sizes)}))["part-above-total"]
    assert wrong.startswith(f"{zoo['lm'].to_numpy()[3]} is said to have")
    assert part.replace("_", " ") in wrong


def test_a_mean_in_the_place_of_the_losses_of_each_sample(zoo):
    wrong = found(column(zoo, lambda values: np.full(len(values), values.mean())))
    assert wrong["constant-losses"].startswith(f"{FIRST} loses ")
    # Where samples are all the same there is no telling.
    assert "constant-losses" not in found(zoo.isel(sample=[0] * 20).assign_coords(sample=np.arange(20).astype(str)))


@pytest.mark.parametrize("rows", [slice(None), slice(100, 180)])
def test_one_of_four_models_in_bits(zoo, rows):
    four = zoo.sel(lm=[FIRST, "zoo-qwen3-1.5m", "zoo-gpt2-1.5m", "zoo-gpt_neox-1.5m"]).isel(sample=rows)
    assert "bits-for-nats" not in found(four)
    wrong = found(column(four, lambda values: values / np.log(2)))["bits-for-nats"]
    assert wrong.startswith(f"{FIRST} loses 1.4")
    assert "zoo-qwen3-1.5m, a model of about its size" in wrong


def test_a_worse_model_is_not_one_in_bits(zoo):
    four = zoo.sel(lm=[FIRST, "zoo-qwen3-1.5m", "zoo-gpt2-1.5m", "zoo-gpt_neox-1.5m"])
    rng = np.random.default_rng(0)
    worse = column(four, lambda values: values / np.log(2) * np.exp(0.25 * rng.standard_normal(len(values))))
    assert "bits-for-nats" not in found(worse)
    # Nor is one of another size.
    assert "bits-for-nats" not in found(with_size(column(four, lambda values: values / np.log(2)), 0.5))


@pytest.mark.parametrize("unit", UNITS)
def test_parts_of_honest_tables_have_no_model_in_bits(unit):
    table, rng = load_dataset("zoo", unit=unit).isel(sample=slice(0, 800)), np.random.default_rng(0)
    for _ in range(60):
        part = table.isel(lm=rng.choice(table.sizes["lm"], int(rng.integers(3, 9)), replace=False))
        assert not list(bits_for_nats(part))


@pytest.mark.parametrize("other", ["LLaMA", "ll\u200bama", "l-lama"])
def test_one_family_under_two_names(zoo, other):
    families = zoo["family"].to_numpy().astype(object)
    families[np.flatnonzero(families == "llama")[0]] = other
    messages = {each.code: each.message for each in loss_warnings(zoo.assign(family=("lm", families.astype(str))))}
    assert "'llama'" in messages["near-families"]
    assert "\u200b" not in messages["near-families"]
    assert "near-families" not in {each.code for each in loss_warnings(zoo)}


def test_zeros_in_the_place_of_what_was_not_scored(zoo):
    rng = np.random.default_rng(1)
    holes = column(zoo, lambda values: np.where(rng.random(len(values)) < 0.05, 0, values))
    assert list(found(holes)) == ["zero-losses"]
    assert f"{FIRST} (" in found(holes)["zero-losses"]
    # As many under all models are those of texts that cost nothing.
    every = zoo["nll"].where(np.arange(zoo.sizes["sample"])[:, None] % 20 != 0, 0)
    assert "zero-losses" not in found(zoo.assign(nll=every))
    assert {"bits-per-byte", "zero-losses"} <= set(found(zoo.assign(nll=0 * zoo["nll"])))


def test_scores_are_no_losses():
    losses = simulate_losses(samples=100, clusters=20)
    right = (losses["nll"] > losses["nll"].median()).astype(float)
    assert list(found(losses.assign(nll=right))) == ["scores"]


@pytest.mark.parametrize("factor", [1.0, 1 + 1e-9, 1 - 3e-6])
def test_one_model_under_two_names(zoo, factor):
    twice = column(zoo, lambda _: zoo["nll"].sel(lm="zoo-qwen3-1.5m").to_numpy() * factor)
    message = found(twice)["duplicate-columns"]
    assert f"{FIRST}, zoo-qwen3-1.5m have" in message
    assert ("identical" in message) is (factor == 1.0)


def test_one_of_two_models_with_its_rows_in_another_order(two):
    assert FIRST in found(column(two, shuffled(1.0)))["unaligned"]


@pytest.mark.parametrize("shift", [1, -1, 3])
@pytest.mark.parametrize("samples", [40, 2080])
def test_rows_that_are_moved(two, zoo, shift, samples):
    for table in (two, zoo):
        moved = column(table.isel(sample=slice(0, samples)), lambda values: np.roll(values, shift))
        message = found(moved)["unaligned"]
        assert message.startswith(f"{FIRST}: ")
        assert f"{abs(shift)} row" in message


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("name", [FIRST, "zoo-gpt2-100k"])
def test_a_tenth_of_the_rows_in_another_order(unit, name):
    table = column(load_dataset("zoo", unit=unit), shuffled(0.1), name)
    errors = found(table)
    assert list(errors) == ["unaligned"]
    assert errors["unaligned"].startswith(f"{name}: ")


@pytest.mark.parametrize("factor", [1000.0, 1e6, 1e-6])
def test_a_size_in_another_unit(zoo, factor):
    wrong = found(with_size(zoo, factor))
    assert FIRST in wrong["size-out-of-line"]


@pytest.mark.parametrize("unit", UNITS)
def test_honest_tables_have_no_errors(unit):
    zoo, rng = load_dataset("zoo", unit=unit), np.random.default_rng(2)
    assert table_errors(zoo) == []
    for _ in range(8):
        models = np.sort(rng.permutation(zoo.sizes["lm"])[: rng.integers(1, 9)])
        samples = np.sort(rng.permutation(zoo.sizes["sample"])[: rng.choice([10, 30, 100, 1000])])
        part = zoo.isel(lm=models, sample=samples)
        assert table_errors(part) == [], (models, len(samples))


def test_errors_are_those_among_all_warnings(zoo):
    wrong = column(zoo, shuffled(1.0))
    errors = [warning for warning in loss_warnings(wrong) if warning.is_error]
    assert errors == table_errors(wrong)
    assert {warning.severity for warning in loss_warnings(zoo)} == {"warning"}
    assert loss_errors(zoo.isel(lm=[0])) == []


@pytest.fixture(scope="module")
def wrong_folder(zoo, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wrong") / "t"
    write_losses(column(zoo.isel(sample=slice(0, 300)), lambda values: np.roll(values, 1)), folder)
    return folder


def run(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


def test_every_command_that_reads_a_table_says_so(wrong_folder, tmp_path):
    made = run("pools", wrong_folder, "--max-size", 2, "--limit", 40, "--out", tmp_path / "pools")
    assert made.exit_code == 0
    assert made.stderr.startswith(f"error unaligned: {FIRST}: its losses follow")
    # Also where notes are not wanted.
    quiet = run("--quiet", "pools", wrong_folder, "--max-size", 2, "--limit", 40, "--out", tmp_path / "pools")
    assert quiet.stderr.startswith("error unaligned: ")
    assert f"error unaligned: {FIRST}" in run("losses", wrong_folder).stdout.replace("\n", " ")


@pytest.mark.parametrize(
    "command",
    [
        ("losses",),
        ("pools", "--out", "new"),
        ("fit", "--law", "power", "--out", "new.nc"),
        ("advantage",),
        ("choose", "--max-size", "1"),
        ("calibrate", "--law", "power", "--table"),
    ],
)
def test_strict_refuses_errors_alone(command, wrong_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, *options = command
    # A table comes first, but where it is named by an option.
    given = [name, *options, wrong_folder] if "--table" in options else [name, wrong_folder, *options]
    refused = run(*given, "--strict")
    assert refused.exit_code == 2
    assert f"unaligned: {FIRST}" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_strict_takes_tables_with_notes(tmp_path):
    shown = run("losses", "zoo", "--strict")
    assert shown.exit_code == 0
    assert "warning never-wins" in shown.stdout
    record = json.loads(run("losses", "zoo", "--json").stdout)
    assert any(warning.startswith("never-wins: ") for warning in record["warnings"])
