"""Rules of tokens on a folder, of which memory holds a few tokens at a time."""

import errno
import tracemalloc
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scored_folders import ONE, loss_frame, scored_folder, token_frame
from test_token_losses import TOKEN_RULES, dense

import bayeslaw as bl
from bayeslaw.errors import InputError
from bayeslaw.losses import token_columns, token_folders
from bayeslaw.losses.token_columns import TokensInMemory
from bayeslaw.losses.token_folders import TokenFolder
from bayeslaw.pools import token_nulls
from bayeslaw.pools.table_tokens import TableTokens, table_tokens
from bayeslaw.storage import write_manifest

EXACT = {"rtol": 1e-12, "atol": 1e-12}


def write_in_order(folder, frames, added_up=loss_frame, rows_of_group=7):
    """Write tokens in the order of the text, cut into files and groups of rows elsewhere for each model."""
    (folder / "tokens").mkdir(parents=True)
    models = {name: {"tokenizer": ONE, "revision": "main"} for name in frames}
    rows = [{"model": name, "family": "xy"[i % 2], "parameters": 1e7 * 2**i} for i, name in enumerate(frames)]
    pd.DataFrame(rows).to_parquet(folder / "models.parquet", index=False)
    for number, (name, tokens) in enumerate(frames.items()):
        added_up(tokens).to_parquet(folder / f"part-{name}.parquet", index=False)
        cuts = [0, *np.linspace(0, len(tokens), number + 2).astype(int)[1:-1] + number, len(tokens)]
        for part, (start, stop) in enumerate(pairwise(cuts)):
            path = folder / "tokens" / f"{name}-{part:05d}.parquet"
            tokens[start:stop].to_parquet(path, index=False, row_group_size=rows_of_group + 4 * number)
    sections = {"models": models, "scoring": {"window": 8}}
    write_manifest(folder, "losses", {"kind": "losses", "unit": "word", "cluster": "cluster"}, sections=sections)
    return folder


@pytest.fixture
def frames():
    return {name: token_frame(name, documents=6, words=7) for name in "abc"}


@pytest.fixture
def folder(tmp_path, frames):
    return write_in_order(tmp_path / "t", frames)


@pytest.fixture
def never_whole(monkeypatch):
    def read(*args, **options):
        raise AssertionError("all tokens were read into memory")

    monkeypatch.setattr(token_folders, "read_token_losses", read)


@pytest.mark.parametrize(("read", "held"), [(1, 1), (5, 3), (3, 7), (1 << 18, 1 << 18)])
@pytest.mark.usefixtures("never_whole")
def test_sums_of_samples_equal_a_plain_computation_however_batches_fall(monkeypatch, folder, frames, read, held):
    monkeypatch.setattr("bayeslaw.losses.model_tokens.BATCH", read)
    monkeypatch.setattr(token_columns, "TOKENS_AT_ONCE", held)
    losses = bl.read_losses(folder)
    for members in ("abc", "ca", "b"):
        nll = np.stack([frames[name]["nll"].to_numpy() for name in members], axis=1)
        for rule in TOKEN_RULES:
            expected = pd.Series(dense(nll, rule)).groupby(frames["a"]["sample"].to_numpy(), sort=False).sum()
            found = bl.combine(losses, list(members), rule=rule, token_losses=folder)
            np.testing.assert_allclose(found, expected[losses["sample"].to_numpy().tolist()], **EXACT)


@pytest.mark.parametrize("rule", TOKEN_RULES)
@pytest.mark.usefixtures("never_whole")
def test_pools_of_a_folder_are_those_of_its_tokens_in_memory(monkeypatch, folder, rule):
    losses, tokens = bl.read_losses(folder), bl.read_token_losses(folder)
    expected = bl.make_pools(losses, rule=rule, token_losses=tokens, max_size=3)
    monkeypatch.setattr("bayeslaw.losses.model_tokens.BATCH", 5)
    monkeypatch.setattr(token_columns, "TOKENS_AT_ONCE", 11)
    found = bl.make_pools(losses, rule=rule, token_losses=folder, max_size=3)
    assert found.attrs == expected.attrs
    assert found.attrs["samples"] == tokens.sizes["sample"]
    for name in expected:
        if name in ("gain_independent", "gain_comonotone"):
            # Sums of float32, added up in batches that fall elsewhere.
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-6, atol=1e-6)
        elif name == "sampling_factor":
            covariance, wanted = (each[name].to_numpy() @ each[name].to_numpy().T for each in (found, expected))
            np.testing.assert_allclose(covariance, wanted, rtol=1e-9, atol=1e-14)
        elif expected[name].dtype.kind == "f":
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-9, atol=1e-12)
        else:
            assert found[name].equals(expected[name])


def test_models_are_correlated_over_tokens(monkeypatch, folder, frames):
    monkeypatch.setattr(token_columns, "TOKENS_AT_ONCE", 11)
    pools = bl.make_pools(bl.read_losses(folder), rule="token_mixture", token_losses=folder, max_size=2)
    nll = np.stack([frames[name]["nll"].to_numpy() for name in "abc"], axis=1)
    expected = 1 - np.corrcoef(nll - nll.mean(axis=1, keepdims=True), rowvar=False)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        row = pools["pool"].to_numpy().tolist().index(f"{'abc'[first]} + {'abc'[second]}")
        assert float(pools["decorrelation"][row]) == pytest.approx(expected[first, second], rel=1e-12)


@pytest.mark.usefixtures("never_whole")
def test_samples_may_be_fewer_and_in_another_order_and_clusters_apart(monkeypatch, folder, frames):
    monkeypatch.setattr(token_columns, "TOKENS_AT_ONCE", 4)
    losses, tokens = bl.read_losses(folder), bl.read_token_losses(folder)
    order = np.random.default_rng(0).permutation(losses.sizes["sample"])[:30]
    some = losses.isel(sample=order)
    some["cluster"] = ("sample", np.array([f"c{number % 4}" for number in range(30)], dtype=object))
    nll = np.stack([frames[name]["nll"].to_numpy() for name in "ab"], axis=1)
    lowest = pd.Series(nll.min(axis=1)).groupby(frames["a"]["sample"].to_numpy()).sum()
    expected = lowest[some["sample"].to_numpy().tolist()]
    np.testing.assert_allclose(
        bl.combine(some, ["a", "b"], rule="token_oracle", token_losses=folder), expected, **EXACT
    )
    found = bl.make_pools(some, rule="token_oracle", token_losses=folder, max_size=2)
    whole = bl.make_pools(some, rule="token_oracle", token_losses=tokens, max_size=2)
    pair = found.isel(pool=found["pool"].to_numpy().tolist().index("a + b"))
    size = some["bytes"].to_numpy()
    assert float(pair["loss"]) == pytest.approx(expected.sum() / size.sum() / np.log(2), rel=1e-12)
    error = bl.clustered_standard_error(expected.to_numpy(), size.astype(float), some["cluster"].to_numpy())
    assert float(pair["standard_error"]) == pytest.approx(float(error) / np.log(2), rel=1e-9)
    np.testing.assert_allclose(found["gain_comonotone"], whole["gain_comonotone"], rtol=1e-6, atol=1e-6)


def test_attainability_of_a_folder(folder):
    losses, tokens = bl.read_losses(folder), bl.read_token_losses(folder)
    found, expected = (
        bl.attainability(losses, ["a", "b"], token_losses=each, draws=20).table for each in (folder, tokens)
    )
    assert {*TOKEN_RULES} <= {*found["rule"]}
    pd.testing.assert_frame_equal(found, expected, rtol=1e-9)


def test_tokens_in_another_order_are_read_whole(tmp_path, monkeypatch):
    folder, calls = scored_folder(tmp_path / "t", "ab"), []
    whole = token_folders.read_token_losses
    monkeypatch.setattr(token_folders, "read_token_losses", lambda *a, **k: calls.append(a) or whole(*a, **k))
    losses = bl.read_losses(folder)
    expected = bl.combine(losses, ["a", "b"], rule="token_mixture", token_losses=bl.read_token_losses(folder))
    found = bl.combine(losses, ["a", "b"], rule="token_mixture", token_losses=str(folder))
    assert len(calls) == 1
    np.testing.assert_array_equal(found, expected)


def spoil(column, value, model="b"):
    def change(folder):
        path = sorted((folder / "tokens").glob(f"{model}-*"))[-1]
        frame = pd.read_parquet(path)
        frame.loc[len(frame) - 1, column] = value
        frame.to_parquet(path, index=False)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (spoil("nll", 99.0), "by model 'b' add up to"),
        (spoil("nll", np.nan), "has gaps|is not a number"),
        (spoil("nll", -1.0), "-1"),
        (spoil("position", 999), r"'b' has no token \d+ of document 'd5'"),
        (spoil("sample", "zz", "a"), "sample 'zz', which is not in the table"),
        (spoil("sample", "d5:5"), r"samples of token \d+ of document 'd5' differ|add up to"),
        (spoil("bytes", 500), "bytes of token .* differ"),
        (lambda f: [spoil("bytes", 500, name)(f) for name in "abc"], "bytes, and their texts"),
        (lambda f: sorted((f / "tokens").glob("c-*"))[-1].unlink(), "model 'c' has no token|'c'"),
        (lambda f: [path.unlink() for path in (f / "tokens").glob("a-*")], "no tokens of model 'a' were kept"),
        (lambda f: next((f / "tokens").glob("b-*")).write_bytes(b"PAR1"), "cannot be read"),
    ],
)
def test_bad_tokens_of_a_folder_are_refused_as_when_all_are_read(folder, change, message):
    losses = bl.read_losses(folder)
    change(folder)
    for rule in TOKEN_RULES:
        with pytest.raises(InputError, match=message):
            bl.combine(losses, ["a", "b", "c"], rule=rule, token_losses=folder)
    with pytest.raises(InputError, match=message):
        bl.make_pools(losses, rule="token_oracle", token_losses=folder)


def test_folders_without_tokens_and_disks_without_room_are_refused(tmp_path, folder, monkeypatch):
    losses = bl.read_losses(folder)
    (tmp_path / "file.csv").write_text("a\n1\n")
    wrongs = {"zoo": "keeps no losses of tokens", tmp_path / "none": "none", tmp_path / "file.csv": "is a file"}
    for wrong, message in (*wrongs.items(), (3, "token_losses is 3")):
        with pytest.raises(InputError, match=message):
            bl.combine(losses, ["a"], rule="token_oracle", token_losses=wrong)

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(InputError, match=r"No space left on device[\s\S]*TMPDIR"):
        bl.combine(losses, ["a"], rule="token_oracle", token_losses=folder)


@pytest.mark.slow
@pytest.mark.usefixtures("never_whole")
def test_memory_does_not_grow_with_tokens(tmp_path, monkeypatch):
    monkeypatch.setattr("bayeslaw.losses.model_tokens.BATCH", 1 << 12)
    monkeypatch.setattr(token_columns, "TOKENS_AT_ONCE", 1 << 12)
    monkeypatch.setattr(token_nulls, "IN_MEMORY", 1 << 14)
    monkeypatch.setattr(token_nulls, "LOOKED_AT", 1 << 11)
    for module in ("rule_sums", "sampling_factor", "token_nulls"):
        monkeypatch.setattr(f"bayeslaw.pools.{module}.SAMPLES", 1 << 12)
    count, generator = 200_000, np.random.default_rng(0)
    number = np.arange(count)
    labels = {"document": number // 3000, "sample": number // 1000}
    labels = {name: pd.Categorical.from_codes(codes, [f"{c}" for c in range(300)]) for name, codes in labels.items()}
    plain = {"position": number % 3000, "bytes": 1}
    made = {n: pd.DataFrame({"lm": n, **labels, **plain, "nll": generator.gamma(2, 1, count)}) for n in "abcd"}
    folder = tmp_path / "t"
    write_in_order(folder, made, sums, 1 << 14)
    losses = bl.read_losses(folder)
    bl.make_pools(losses, rule="token_mixture", token_losses=folder, max_size=2)
    tracemalloc.start()
    try:
        for rule in TOKEN_RULES:
            bl.combine(losses, list("abcd"), rule=rule, token_losses=folder)
            bl.make_pools(losses, rule=rule, token_losses=folder, max_size=2)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The losses alone take 6.4 MB.
    assert peak < 0.5 * 8 * 4 * count


def sums(tokens):
    """Return one row a sample, quicker than `loss_frame`."""
    total = np.add.reduceat(tokens["nll"].to_numpy(), np.arange(0, len(tokens), 1000))
    first = tokens.iloc[::1000]
    rows = {"sample": first["sample"].astype(str), "nll": total, "bytes": 1000, "lm": first["lm"]}
    return pd.DataFrame(rows | {"cluster": first["document"].astype(str)})


def some_tokens(nll):
    """Return tokens in memory, all of one sample."""
    on_tokens = {name: ("sample", np.full(len(nll), "s", object)) for name in ("sample_of_token", "cluster")}
    tokens = xr.Dataset({"nll": (("sample", "lm"), nll), "bytes": ("sample", np.ones(len(nll), int)), **on_tokens})
    source, one = TokensInMemory(tokens.assign_coords(lm=["a", "b"])), np.zeros(1, int)
    return TableTokens(source, np.arange(2), one, source.spans.counts, one, source.spans.cluster)


@pytest.mark.parametrize("held", [5, 64, 1000])
def test_columns_on_disk_are_sorted_and_shuffled(monkeypatch, held):
    monkeypatch.setattr(token_columns, "TOKENS_AT_ONCE", held)
    nll = np.random.default_rng(0).gamma(1, 1, (200, 2)).round(1)
    for buckets in (1, 2, 7):
        for column, values in zip(token_nulls._sorted(some_tokens(nll), buckets), nll.T, strict=True):
            np.testing.assert_array_equal(column.read(0, 200), np.sort(values))
        columns, common = token_nulls._shuffled(some_tokens(nll), buckets, 0.0, 3)
        means = nll.mean(axis=1)
        assert common == pytest.approx(means.sum(), rel=1e-6)
        for column, values in zip(columns, nll.T, strict=True):
            found = column.read(0, 200)
            np.testing.assert_allclose(np.sort(found), np.sort(values - means), atol=1e-6)
            assert (np.abs(found - (values - means)) > 1e-3).mean() > 0.5


@pytest.mark.slow
def test_every_order_of_a_shuffled_column_is_as_likely_as_any_other():
    nll = np.stack([np.arange(4.0), np.zeros(4)], axis=1)
    found = [token_nulls._shuffled(some_tokens(nll), 3, 0.0, seed)[0][0].read(0, 4) for seed in range(1200)]
    orders, counts = np.unique(np.array(found), axis=0, return_counts=True)
    assert len(orders) == 24
    # Chi squared of 23 degrees of freedom; 49.7 is exceeded once in a thousand times.
    assert ((counts - 50) ** 2 / 50).sum() < 49.7


def test_tokens_of_a_table_keep_their_samples(folder):
    losses = bl.read_losses(folder)
    tokens = table_tokens(losses, TokenFolder(folder), rule="token_oracle")
    nll, size = tokens.sums
    np.testing.assert_allclose(nll, losses["nll"], rtol=1e-12)
    np.testing.assert_array_equal(size, losses["bytes"])
