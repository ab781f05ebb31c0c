"""Losses of tokens: reading them, the rules that need them, and counts that differ between models."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from forms import few_or_many
from hypothesis import given, settings
from hypothesis import strategies as st
from pool_tables import loss_table, plain_pool
from scored_folders import ONE, OTHER, scored_folder, token_frame
from typer.testing import CliRunner

import bayeslaw as bl
from bayeslaw.cli import app
from bayeslaw.errors import InputError
from bayeslaw.pools.nulls import comonotone_columns

TOKEN_RULES = ("token_oracle", "token_mixture")


def dense(token_nll, rule):
    """Loss of every token, with nothing clever."""
    return token_nll.min(axis=1) if rule == "token_oracle" else -np.log(np.exp(-token_nll).mean(axis=1))


def tables(token_nll, sample, *, sizes=None, cluster=None):
    """Return a loss table and the tokens it is the sum of."""
    token_nll, sample = np.asarray(token_nll, dtype=float), np.asarray(sample)
    if sizes is None:
        # Some tokens have no bytes, but every sample has some.
        sizes = np.arange(len(sample)) % 4
        sizes[np.unique(sample, return_index=True)[1]] += 1
    sizes = np.asarray(sizes)
    sums = np.stack([np.bincount(sample, column, minlength=sample.max() + 1) for column in token_nll.T], axis=1)
    losses = loss_table(sums, sizes=np.bincount(sample, sizes, minlength=len(sums)), clusters=cluster)
    names = losses["sample"].to_numpy().astype(object)
    tokens = xr.Dataset(
        {
            "nll": (("sample", "lm"), token_nll),
            "bytes": ("sample", sizes),
            "cluster": ("sample", np.array([f"d{s}" for s in sample], object)),
            "sample_of_token": ("sample", names[sample]),
        },
        coords={"sample": np.arange(len(sample)), "lm": losses["lm"].to_numpy()},
        attrs={"kind": "losses", "unit": "token", "tokenizer": ONE},
    )
    return losses, tokens


@st.composite
def token_tables(draw, least_models=1):
    models, count = draw(st.integers(least_models, 4)), draw(st.integers(1, 12))
    row = st.lists(st.floats(0, 40), min_size=models, max_size=models)
    token_nll = np.array(draw(st.lists(row, min_size=count, max_size=count)))
    sample = np.array(draw(st.lists(st.integers(0, 3), min_size=count, max_size=count)))
    return token_nll, np.unique(sample, return_inverse=True)[1]


def names_of(losses):
    return losses["lm"].to_numpy().tolist()


@few_or_many(15, 150)
def test_rules_equal_a_dense_computation_and_keep_their_order(examples):
    @settings(max_examples=examples, deadline=None)
    @given(token_tables())
    def check(made):
        token_nll, sample = made
        losses, tokens = tables(token_nll, sample)
        oracle, mixture = (bl.combine(losses, names_of(losses), rule=r, token_losses=tokens) for r in TOKEN_RULES)
        for rule, values in zip(TOKEN_RULES, (oracle, mixture), strict=True):
            np.testing.assert_allclose(values, np.bincount(sample, dense(token_nll, rule)), rtol=1e-9, atol=1e-9)
            assert values.attrs == {"rule": rule, "unit": "nats per word"}
            assert values["sample"].to_numpy().tolist() == losses["sample"].to_numpy().tolist()
        counts = np.bincount(sample)
        assert (oracle <= bl.combine(losses, names_of(losses)) + 1e-9).all()
        assert (oracle <= mixture + 1e-9).all()
        assert (mixture <= oracle + counts * np.log(token_nll.shape[1]) + 1e-9).all()

    check()


@few_or_many(10, 60)
def test_a_pool_of_one_and_of_equals_is_the_model(examples):
    @settings(max_examples=examples, deadline=None)
    @given(token_tables(), st.data())
    def check(made, data):
        token_nll, sample = made
        losses, tokens = tables(token_nll, sample)
        name = data.draw(st.sampled_from(names_of(losses)))
        equal, equal_tokens = tables(np.repeat(token_nll[:, :1], 3, axis=1), sample)
        for rule in TOKEN_RULES:
            one = bl.combine(losses, [name], rule=rule, token_losses=tokens)
            np.testing.assert_allclose(one, losses["nll"].sel(lm=name), rtol=1e-12)
            three = bl.combine(equal, names_of(equal), rule=rule, token_losses=equal_tokens)
            np.testing.assert_allclose(three, equal["nll"][:, 0], rtol=1e-9, atol=1e-12)

    check()


def test_samples_may_be_fewer_and_in_another_order_than_the_tokens(monkeypatch):
    monkeypatch.setattr("bayeslaw.losses.token_columns.TOKENS_AT_ONCE", 3)
    token_nll, sample = np.random.default_rng(0).gamma(2, 1, (14, 2)), np.repeat(np.arange(7), 2)
    losses, tokens = tables(token_nll, sample)
    order = [5, 0, 3]
    chosen = losses.isel(sample=order, lm=[1, 0])
    for rule in TOKEN_RULES:
        values = bl.combine(chosen, ["m1", "m0"], rule=rule, token_losses=tokens.isel(sample=slice(None, None, -1)))
        np.testing.assert_allclose(values, np.bincount(sample, dense(token_nll, rule))[order])


def test_token_mixture_of_texts_is_a_probability():
    """The probabilities of all texts of three tokens from an alphabet of two add up to one."""
    generator = np.random.default_rng(3)
    texts = np.array([[i >> 2 & 1, i >> 1 & 1, i & 1] for i in range(8)])
    token_nll = np.zeros((24, 2))
    for model in range(2):
        odds = {text[:k].tobytes(): generator.uniform(0.05, 0.95) for text in texts for k in range(3)}
        for row, (text, k) in enumerate((text, k) for text in texts for k in range(3)):
            probability = odds[text[:k].tobytes()]
            token_nll[row, model] = -np.log(probability if text[k] else 1 - probability)
    losses, tokens = tables(token_nll, np.repeat(np.arange(8), 3))
    mixture, oracle = (
        bl.combine(losses, ["m0", "m1"], rule=rule, token_losses=tokens) for rule in ("token_mixture", "token_oracle")
    )
    assert np.exp(-mixture).sum() == pytest.approx(1)
    assert np.exp(-oracle).sum() > 1.01


def test_a_folder_that_is_none_is_refused_by_rules_without_tokens_too(tmp_path):
    losses, _ = tables(np.ones((4, 3)), [0, 0, 1, 1])
    for call in (bl.make_pools, lambda table, **given: bl.combine(table, ["m0"], **given)):
        with pytest.raises(InputError, match="nowhere"):
            call(losses, token_losses=tmp_path / "nowhere")


def test_bad_token_losses_are_refused():
    losses, tokens = tables(np.ones((4, 3)), [0, 0, 1, 1])
    losses["tokenizer"] = ("lm", [ONE, ONE, OTHER])
    both = ["m0", "m2"]
    with pytest.raises(InputError, match=r"needs the loss of every token[\s\S]*read_token_losses"):
        bl.combine(losses, both, rule="token_oracle")
    with pytest.raises(InputError, match="not a table of tokens"):
        bl.combine(losses, both, rule="token_oracle", token_losses=losses)
    with pytest.raises(InputError) as refused:
        bl.combine(losses, both, rule="token_mixture", token_losses=tokens.isel(lm=[0, 1]))
    for words in (f"m0 (tokenizer {ONE[:12]})", f"m2 (tokenizer {OTHER[:12]})", "one tokenizer", "is a probability"):
        assert words in str(refused.value)
    with pytest.raises(InputError, match=r"sample 's1' by model 'm2' add up to 2 nats, and its loss is 5"):
        bl.combine(
            tables([[1] * 3] * 2 + [[1, 1, 2.5]] * 2, [0, 0, 1, 1])[0], both, rule="token_oracle", token_losses=tokens
        )
    with pytest.raises(InputError, match="add up to 0 nats"):
        bl.combine(losses, both, rule="token_oracle", token_losses=tokens.isel(sample=[0, 1]))
    with pytest.raises(InputError, match=r"rule 'token_best' is not known"):
        bl.combine(losses, both, rule="token_best", token_losses=tokens)
    with pytest.raises(InputError, match="cannot combine"):
        bl.make_pools(losses, rule="token_oracle", token_losses=tokens.assign_coords(lm=["x", "y", "z"]), max_size=1)
    with pytest.raises(InputError, match="needs the loss of every token"):
        bl.make_pools(losses, rule="token_oracle", max_size=1)


def pool_tables_of(seed=0, models=4):
    generator = np.random.default_rng(seed)
    sample = np.sort(np.concatenate([np.arange(90), generator.integers(0, 90, 400)]))
    token_nll = generator.gamma(1.5, 1.2, (len(sample), 1)) * generator.lognormal(0, 0.4, (len(sample), models))
    sizes = generator.integers(0, 6, len(sample)) + np.append(1, np.diff(sample)).clip(0, 1)
    return tables(token_nll, sample, sizes=sizes, cluster=np.arange(90) // 3)


@pytest.mark.parametrize("rule", TOKEN_RULES)
def test_pools_of_tokens_equal_a_plain_computation(rule):
    losses, tokens = pool_tables_of()
    assert (tokens["bytes"] == 0).any()
    pools = bl.make_pools(losses, rule=rule, token_losses=tokens, max_size=4)
    plain = loss_table(tokens["nll"], sizes=tokens["bytes"])
    place = {name: index for index, name in enumerate(losses["sample"].to_numpy().tolist())}
    sample = np.array([place[name] for name in tokens["sample_of_token"].to_numpy().tolist()])
    plain["cluster"] = ("sample", losses["cluster"].to_numpy()[sample])
    weights = losses["bytes"].to_numpy()
    for row in range(pools.sizes["pool"]):
        members = [m for m in pools["member"].to_numpy()[row] if m >= 0]
        loss, error, shares = plain_pool(plain, members, rule.removeprefix("token_"))
        assert float(pools["loss"][row]) == pytest.approx(loss, rel=1e-12)
        assert float(pools["standard_error"][row]) == pytest.approx(error, rel=1e-7)
        np.testing.assert_allclose(pools["win_share"].to_numpy()[row, members], shares, rtol=1e-9, atol=1e-12)
        combined = bl.combine(losses, [f"m{m}" for m in members], rule=rule, token_losses=tokens)
        assert float(pools["loss"][row]) == pytest.approx(float(combined.sum()) / weights.sum() / np.log(2))
    expected = {"rule": rule, "unit": "token", "loss_unit": "bits per byte", "tokenizer": ONE, "clusters": 30}
    assert expected.items() <= pools.attrs.items()
    assert all(np.isfinite(pools[name]).all() for name in ("gain_independent", "gain_comonotone", "best_loss"))


def test_pools_of_tokens_beside_pools_of_samples():
    losses, tokens = pool_tables_of(seed=1)
    of_samples = bl.make_pools(losses)
    of_tokens = bl.make_pools(losses, rule="token_oracle", token_losses=tokens)
    np.testing.assert_allclose(of_tokens["best_loss"], of_samples["best_loss"])
    np.testing.assert_allclose(of_tokens["lm_loss"], of_samples["lm_loss"])
    single = of_tokens["size"].to_numpy() == 1
    np.testing.assert_allclose(of_tokens["loss"][single], of_samples["loss"][single])
    assert (of_tokens["loss"].to_numpy()[~single] < of_samples["loss"].to_numpy()[~single]).all()
    shuffled = np.random.default_rng(0).permutation(tokens.sizes["sample"])
    again = bl.make_pools(losses, rule="token_oracle", token_losses=tokens.isel(sample=shuffled))
    np.testing.assert_allclose(again["best_loss"], of_tokens["best_loss"])


def test_nulls_shuffle_and_sort_whole_tokens():
    losses, tokens = pool_tables_of(seed=2)
    # The first two are one model: together they gain nothing, and would if they were independent.
    losses, tokens = (table.isel(lm=[0, 0, 1, 2]).assign_coords(lm=losses["lm"]) for table in (losses, tokens))
    pools = bl.make_pools(losses, rule="token_oracle", token_losses=tokens)
    nll, total = tokens["nll"].to_numpy(), float(tokens["bytes"].sum()) * np.log(2)
    sorted_alike = comonotone_columns(nll.T, np.ones(len(nll)))
    for row in range(pools.sizes["pool"]):
        members = [m for m in pools["member"].to_numpy()[row] if m >= 0]
        pool = pools.isel(pool=row)
        comonotone = float(pool["best_loss"] - pool["gain_comonotone"])
        assert comonotone == pytest.approx(sorted_alike[members].min(axis=0).sum() / total, rel=1e-6)
    # Shuffling keeps what each model loses in all, and breaks what the models have in common.
    gains = pools.isel(pool=pools["size"].to_numpy() > 1)
    assert (gains["gain_independent"] > 0).all()
    deviations = nll - nll.mean(axis=1, keepdims=True)
    draws = [np.random.default_rng(seed).permuted(deviations, axis=0) for seed in range(300)]
    lowest = [(nll.mean(axis=1) + draw[:, :2].min(axis=1)).sum() / total for draw in draws]
    pair = gains.isel(pool=0)
    assert float(pair["gain"]) == pytest.approx(0, abs=1e-9)
    independent = float(pair["best_loss"] - pair["gain_independent"])
    assert abs(independent - np.mean(lowest)) < 4 * np.std(lowest)


def test_clusters_are_documents_where_the_table_names_none():
    losses, tokens = pool_tables_of()
    pools = bl.make_pools(losses.drop_vars("cluster"), rule="token_oracle", token_losses=tokens)
    assert pools.attrs["clusters"] == 90


def test_attainability_of_rules_of_tokens():
    losses, tokens = pool_tables_of()
    members = names_of(losses)
    oracle, mixture = (
        bl.attainability(losses, members, rules=rule, token_losses=tokens, draws=50)[rule] for rule in TOKEN_RULES
    )
    expected = float(bl.combine(losses, members, rule="token_mixture", token_losses=tokens).sum())
    assert mixture.rule_loss == pytest.approx(expected / float(losses["bytes"].sum()) / np.log(2))
    assert oracle.value > 1 > mixture.value
    assert mixture.lower < mixture.value < mixture.upper


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_tokens_of_a_folder(tmp_path, precision):
    folder = scored_folder(tmp_path / "t", "abc", precision=precision)
    tokens = bl.read_token_losses(folder)
    assert tokens["lm"].to_numpy().tolist() == ["a", "b", "c"]
    for name in "abc":
        frame = token_frame(name)
        written = frame["nll"].astype(precision).astype(float)
        np.testing.assert_array_equal(tokens["nll"].sel(lm=name), written)
        for column, variable in (("document", "document"), ("document", "cluster"), ("sample", "sample_of_token")):
            assert tokens[variable].to_numpy().tolist() == frame[column].tolist()
        for column in ("position", "bytes"):
            np.testing.assert_array_equal(tokens[column], frame[column])
    assert tokens["nll"].dtype == np.float64
    assert tokens["family"].to_numpy().tolist() == ["x", "y", "x"]
    assert tokens["parameters"].to_numpy().tolist() == [1e7, 2e7, 4e7]
    assert {"kind": "losses", "unit": "token", "tokenizer": ONE}.items() <= tokens.attrs.items()
    assert bl.loss_unit(tokens) == "bits per byte"
    losses = bl.read_losses(folder)
    np.testing.assert_allclose(bl.mean_losses(tokens)["loss"], bl.mean_losses(losses)["loss"], rtol=1e-6)
    pair = ["a", "b"]
    lowest = bl.combine(losses, pair, rule="token_oracle", token_losses=tokens)
    assert (lowest <= bl.combine(losses, pair) + 1e-6).all()


@pytest.mark.parametrize("rows", [1, 7])
def test_tokens_are_read_a_few_at_a_time_in_any_order(tmp_path, monkeypatch, rows):
    folder = scored_folder(tmp_path / "t", "abcd", other="d")
    expected = bl.read_token_losses(folder, tokenizer="a")
    frames = [pd.read_parquet(path) for path in (folder / "tokens").iterdir()]
    for path in (folder / "tokens").iterdir():
        path.unlink()
    # Models mixed in one file, and no token where it was.
    mixed = pd.concat(frames).sample(frac=1, random_state=0).reset_index(drop=True)
    mixed.to_parquet(folder / "tokens" / "all.parquet", index=False, row_group_size=50)
    monkeypatch.setattr("bayeslaw.losses.model_tokens.BATCH", rows)
    assert bl.read_token_losses(folder, tokenizer="a").identical(expected)


def test_labels_in_dictionaries_are_read(tmp_path):
    folder = scored_folder(tmp_path / "t", "ab")
    expected = bl.read_token_losses(folder)
    for path in (folder / "tokens").iterdir():
        frame = pd.read_parquet(path)
        frame.astype(dict.fromkeys(["lm", "document", "sample"], "category")).to_parquet(path, index=False)
    assert bl.read_token_losses(folder).identical(expected)


def test_models_of_one_tokenizer_are_chosen(tmp_path):
    folder = scored_folder(tmp_path / "t", "abcd", other="bd")
    with pytest.raises(InputError) as refused:
        bl.read_token_losses(folder)
    assert f"a, c (tokenizer {ONE[:12]}); b, d (tokenizer {OTHER[:12]})" in str(refused.value)
    assert "name the models of one tokenizer" in refused.value.fix

    def read(**options):
        return bl.read_token_losses(folder, **options)["lm"].to_numpy().tolist()

    assert read(models=["d", "b"]) == ["b", "d"]
    assert bl.read_token_losses(folder, models=["d", "b"])["parameters"].to_numpy().tolist() == [2e7, 8e7]
    assert read(models="c") == ["c"]
    assert read(tokenizer="c") == read(tokenizer=ONE) == read(tokenizer=ONE[:5]) == ["a", "c"]
    assert read(tokenizer="b", models=["c", "b"]) == ["b"]
    for options, message in (
        ({"models": ["a", "e"]}, "model 'e' is not known"),
        ({"models": []}, "no models are named"),
        ({"models": ["a", "b"]}, "several tokenizers"),
        ({"tokenizer": "zz"}, "that of no model"),
        ({"tokenizer": ""}, "that of no model"),
        ({"models": ["a"], "tokenizer": "b"}, "no model named has the tokenizer 'b'"),
    ):
        with pytest.raises(InputError, match=message):
            read(**options)


def test_a_model_scored_without_tokens(tmp_path):
    folder = scored_folder(tmp_path / "t", "abc", kept="ab")
    with pytest.raises(InputError, match=r"no tokens of model 'c' were kept[\s\S]*--tokens"):
        bl.read_token_losses(folder)
    assert bl.read_token_losses(folder, models=["a", "b"]).sizes["lm"] == 2


def change(folder, model, edit, part=0):
    path = folder / "tokens" / f"{model}-{part:05d}.parquet"
    edit(pd.read_parquet(path)).to_parquet(path, index=False)


def put(column, value, row=0):
    def edit(frame):
        frame[column] = frame[column].astype(object)
        frame.loc[row, column] = value
        return frame.infer_objects()

    return edit


def forget_tokenizers(*names):
    def spoil(folder):
        content = json.loads((folder / "manifest.json").read_text())
        for name in names:
            del content["models"][name]["tokenizer"]
        (folder / "manifest.json").write_text(json.dumps(content))

    return spoil


def drop_last_token(folder):
    last = token_frame("b").iloc[-1]
    for part in range(3):
        change(folder, "b", lambda t: t[(t["document"] != last["document"]) | (t["position"] < last["position"])], part)


BAD_TOKENS = {
    "none kept": (lambda f: [p.unlink() for p in (f / "tokens").iterdir()], "keeps no losses of tokens"),
    "half a file": (lambda f: (f / "tokens" / "a-00000.parquet").write_bytes(b"PAR1"), "cannot be read"),
    "no column": (lambda f: change(f, "a", lambda t: t.drop(columns="position")), "has no column 'position'"),
    "a gap": (lambda f: change(f, "a", put("nll", None)), "column 'nll' .* has gaps"),
    "not a number": (lambda f: change(f, "a", lambda t: t.assign(nll="x")), "cannot be read"),
    "a fraction": (lambda f: change(f, "a", lambda t: t.assign(position=t["position"] + 0.5)), "cannot be read"),
    "negative": (lambda f: change(f, "a", put("nll", -1.0)), r"token \d of document 'd3' by model 'a' is negative"),
    "infinite": (lambda f: change(f, "a", put("nll", np.inf)), "is infinite"),
    "before the text": (lambda f: change(f, "a", put("position", -1)), "position of token -1 .* is -1"),
    "no size": (lambda f: change(f, "a", put("bytes", -2)), r"count of bytes of token \d .* is -2"),
    "twice": (
        lambda f: change(f, "b", lambda t: pd.concat([t, t[:1]])),
        r"token \d of document 'd3' by model 'b' .* twice",
    ),
    "one too few": (lambda f: change(f, "b", lambda t: t[1:]), r"'b' has no token \d of document 'd3', which 'a'"),
    "last one missing": (drop_last_token, "'b' has no token"),
    "one too many": (lambda f: change(f, "b", put("position", 999)), r"'b' has no token \d of document 'd3'"),
    "other sizes": (lambda f: change(f, "b", lambda t: t.assign(bytes=t["bytes"] + 1)), "bytes of token .* differ"),
    "other samples": (lambda f: change(f, "b", put("sample", "d3:0")), r"samples of token \d .* differ"),
    "unknown sample": (lambda f: change(f, "a", put("sample", "zz")), "sample 'zz', which is not in the table"),
    "another sum": (lambda f: change(f, "b", put("nll", 99.0)), "by model 'b' add up to"),
    "too many bytes": (
        lambda f: [change(f, name, lambda t: t.assign(bytes=t["bytes"] + 40)) for name in "ab"],
        "bytes, and their texts",
    ),
    "no hashes": (forget_tokenizers("a", "b"), "tokenizer of a, b is not known"),
    "no hash": (forget_tokenizers("b"), "tokenizer of b is not known"),
    "a lost loss": (lambda f: (f / "part-b-00001.parquet").unlink(), "'b' lacks 10 of 20 losses"),
    "no manifest": (lambda f: (f / "manifest.json").unlink(), "has no manifest"),
}


@pytest.mark.parametrize("case", BAD_TOKENS)
def test_bad_tokens(tmp_path, case):
    spoil, message = BAD_TOKENS[case]
    folder = scored_folder(tmp_path / "t", "ab")
    bl.read_token_losses(folder)
    spoil(folder)
    with pytest.raises(InputError, match=message):
        bl.read_token_losses(folder)


def test_files_still_being_written_are_passed_over(tmp_path):
    folder = scored_folder(tmp_path / "t", "ab")
    for path in (folder / ".part-b-00002-1f.parquet", folder / "tokens" / ".b-00003-1f.parquet"):
        path.write_bytes(b"PAR1")
    assert bl.read_token_losses(folder).sizes["lm"] == bl.read_losses(folder).sizes["lm"] == 2


def command(text):
    return CliRunner().invoke(app, text.split())


def test_the_command_reads_the_tokens_by_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scored_folder(tmp_path / "t", "abcd", other="d", documents=8)
    result = command("pools t --rule token_oracle --out p")
    assert result.exit_code == 2
    assert "a, b, c (tokenizer" in result.stderr
    assert "--tokenizer a" in result.stderr
    result = command("pools t --rule token_mixture --tokenizer b --max-size 3 --out p")
    assert result.exit_code == 0, result.output
    assert "rule token_mixture" in result.stdout
    pools = bl.read_pools(tmp_path / "p")
    assert (pools.sizes["pool"], pools.attrs["rule"], pools.attrs["unit"]) == (7, "token_mixture", "token")
    tokens = bl.read_token_losses(tmp_path / "t", tokenizer="a")
    expected = bl.make_pools(bl.read_losses("t"), rule="token_mixture", token_losses=tokens, max_size=3)
    np.testing.assert_array_equal(pools["loss"], expected["loss"])
    assert pools.attrs["clusters"] == 8

    (tmp_path / "t.csv").write_text("id,a\nx,1\n")
    for text, message in (
        ("pools t.csv --models t.csv --rule token_oracle --out q", "'t.csv' is a file"),
        ("pools t --tokenizer a --out q", "--tokenizer was given for the rule 'oracle'"),
        ("pools t --rule token_oracle --tokenizer e --out q", "tokenizer 'e' is that of no model"),
    ):
        result = command(text)
        assert result.exit_code == 2
        assert message in result.stderr
    assert not (tmp_path / "q").exists()
