"""Rows of losses in any order and in any number of files, against a plain computation with pandas."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from forms import few_or_many
from hypothesis import given, settings
from hypothesis import strategies as st

import bayeslaw as bl
from bayeslaw.errors import InputError
from bayeslaw.losses import long_rows, sample_codes, sample_columns
from bayeslaw.losses.table_report import loss_report
from bayeslaw.storage import write_manifest

MODELS = pd.DataFrame({"model": ["c", "a", "b"], "family": ["x", "y", "x"], "parameters": [1e7, 2e7, 4e7]})

ONE = MODELS.loc[[1]].reset_index(drop=True)


def write_parts(folder, parts, models=MODELS, by_model=()):
    folder.mkdir(parents=True, exist_ok=True)
    models.to_parquet(folder / "models.parquet", index=False)
    for number, rows in enumerate(parts):
        table = rows if isinstance(rows, pa.Table) else pa.Table.from_pandas(rows, preserve_index=False)
        pq.write_table(table, folder / f"part-{number:05d}.parquet")
    attrs = {"unit": "line", "cluster": "cluster", "missing": "{}"}
    write_manifest(folder, "losses", attrs, sections={"by_model": list(by_model)})
    return folder


def long_frame(samples, generator):
    """Return one row a sample and model, sample by sample, with all kinds of columns."""
    names, lms = np.arange(samples), ["a", "b", "c"]
    columns = {
        "sample": [f"s{name}" for name in names],
        "bytes": names % 7 + 1,
        "cluster": [f"d{name // 3}" for name in names],
        "good": names % 2 == 0,
        "number": np.where(names % 3 == 0, np.nan, names + 0.5),
        "label": [None if name % 4 == 0 else "é" * (name % 5) for name in names],
    }
    rows = pd.DataFrame(columns).loc[np.repeat(names, 3)].assign(lm=lms * samples).reset_index(drop=True)
    rows["nll"] = generator.gamma(2, 3, len(rows))
    return rows.assign(tokens=generator.integers(1, 9, len(rows)))


def plain(rows):
    """Return the losses, counts and descriptions of rows, sample by sample in the order in which they come."""
    order = rows["sample"].drop_duplicates()
    wide = {name: rows.pivot(index="sample", columns="lm", values=name).reindex(order) for name in ("nll", "tokens")}
    first = rows.drop_duplicates("sample").set_index("sample").loc[order]
    return wide["nll"].reindex(columns=MODELS["model"]), wide["tokens"].reindex(columns=MODELS["model"]), first


@few_or_many(20, 200)
def test_any_layout_gives_the_same_table(tmp_path_factory, examples):
    @settings(max_examples=examples, deadline=None)
    @given(st.data())
    def check(data):
        generator = np.random.default_rng(data.draw(st.integers(0, 1000)))
        rows = long_frame(data.draw(st.integers(1, 25)), generator)
        layout = data.draw(st.sampled_from(["by sample", "by model", "shuffled", "by model, some in another order"]))
        if layout == "shuffled":
            rows = rows.sample(frac=1, random_state=1)
        elif layout != "by sample":
            rows = rows.sort_values("lm", kind="stable")
        if layout.endswith("order"):
            turned = rows["lm"] == "b"
            rows = pd.concat([rows.loc[~turned], rows.loc[turned][::-1]])
        gaps = generator.random(len(rows)) < data.draw(st.sampled_from([0, 0.2]))
        rows = rows.loc[~gaps].reset_index(drop=True)
        if set(rows["lm"]) != set("abc"):
            return
        cuts = np.sort(generator.integers(0, len(rows) + 1, data.draw(st.integers(0, 3))))
        parts = [rows.iloc[a:b] for a, b in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
        parts = [part for part in parts if len(part)]
        folder = write_parts(tmp_path_factory.mktemp("t"), parts, by_model=["tokens"])
        with pytest.MonkeyPatch.context() as patch:
            for module, name in ((long_rows, "BATCH"), (sample_codes, "FEWEST_COMPARED"), (sample_columns, "ROWS")):
                patch.setattr(module, name, data.draw(st.integers(1, 8)))
            patch.setattr(long_rows, "ROWS", data.draw(st.integers(1, 8)))
            nll, tokens, first = plain(rows)
            if nll.isna().any(axis=None):
                with pytest.raises(InputError, match="lacks"):
                    bl.read_losses(folder)
                kept = ~nll.isna().any(axis=1).to_numpy()
                nll, tokens, first = nll[kept], tokens[kept], first[kept]
                if not len(nll):
                    return
            losses = bl.read_losses(folder, missing="drop-samples")
        assert losses["lm"].to_numpy().tolist() == ["c", "a", "b"]
        assert losses["sample"].to_numpy().tolist() == first.index.tolist()
        np.testing.assert_array_equal(losses["nll"], nll)
        np.testing.assert_array_equal(losses["tokens"], tokens)
        for name in ("bytes", "good", "number"):
            np.testing.assert_array_equal(losses[name], first[name])
        assert losses["cluster"].to_numpy().tolist() == first["cluster"].tolist()
        assert losses["label"].to_numpy().tolist() == first["label"].fillna("").tolist()

    check()


@pytest.mark.parametrize("compared", [3, 1000])
def test_counts_that_turn_out_to_differ(tmp_path, monkeypatch, compared):
    monkeypatch.setattr(sample_codes, "FEWEST_COMPARED", compared)
    monkeypatch.setattr(long_rows, "BATCH", 4)
    rows = long_frame(12, np.random.default_rng(0))
    by_model = [rows.loc[rows["lm"] == name] for name in "abc"]
    # No sample follows itself, so that those of a model are first taken for others than those of the one before.
    turned = pd.concat([by_model[0], *(pd.concat([own[5:], own[:5]]) for own in by_model[1:])])
    for order in (rows, pd.concat(by_model), turned, rows.sample(frac=1, random_state=0)):
        losses = bl.read_losses(write_parts(tmp_path / "t", [order]))
        wide = rows.pivot(index="sample", columns="lm", values="tokens")
        np.testing.assert_array_equal(losses["tokens"], wide.loc[losses["sample"].to_numpy(), ["c", "a", "b"]])


@pytest.mark.parametrize("order", ["by model", "shuffled", "beside each other"])
def test_rows_that_contradict_each_other(tmp_path, monkeypatch, order):
    monkeypatch.setattr(long_rows, "BATCH", 4)
    monkeypatch.setattr(sample_codes, "FEWEST_COMPARED", 2)
    rows = long_frame(9, np.random.default_rng(0))
    again, other = rows.loc[[13]], rows.assign(cluster=rows["cluster"].where(rows.index != 13, "d99"))
    turn = {
        "by model": lambda frame: frame.sort_values("lm", kind="stable"),
        "shuffled": lambda frame: frame.sample(frac=1, random_state=3),
        "beside each other": lambda frame: frame.sort_index(kind="stable"),
    }[order]
    with pytest.raises(InputError, match="the loss of sample 's4' by model 'b' is there twice"):
        bl.read_losses(write_parts(tmp_path / "twice", [turn(pd.concat([rows, again]))]))
    with pytest.raises(InputError, match="'cluster' differs between the models of a sample"):
        bl.read_losses(write_parts(tmp_path / "other", [turn(other)]))


COLUMNS = {
    "list": (pa.array([["a"], ["b"]]), "'extra' .* holds list<"),
    "record": (pa.array([{"a": 1}, {"a": 2}]), "'extra' .* holds struct<"),
    "map": (pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int64())), "'extra' .* holds map<"),
    "decimal": (pa.array([1, 2]).cast(pa.decimal128(25, 2)), "'extra' .* holds decimal128"),
    "bytes": (pa.array([b"a", b"b"]), "'extra' .* holds binary"),
}


@pytest.mark.parametrize("name", ["extra", "nll", "sample", "lm", "bytes"])
@pytest.mark.parametrize("case", COLUMNS)
def test_columns_of_other_types(tmp_path, case, name):
    column, message = COLUMNS[case]
    rows = pa.table({"sample": ["s", "t"], "lm": ["a", "a"], "nll": [1.0, 2.0], "bytes": [3, 4]})
    rows = rows.drop_columns([name]) if name in rows.column_names else rows
    folder = write_parts(tmp_path / "t", [rows.append_column(name, column)], ONE)
    with pytest.raises(InputError, match=message.replace("extra", name)):
        bl.read_losses(folder)
    pq.write_table(pa.Table.from_pandas(ONE).append_column("note", column[:1]), folder / "models.parquet")
    with pytest.raises(InputError, match="'note' of models"):
        bl.read_losses(folder)


def test_dictionaries_and_dates_are_read(tmp_path):
    rows = long_frame(6, np.random.default_rng(0)).assign(day=pd.Timestamp("2020-02-01"))
    labels = rows.astype(dict.fromkeys(["sample", "lm", "cluster", "label"], "category"))
    expected, found = (bl.read_losses(write_parts(tmp_path / str(n), [each])) for n, each in enumerate((rows, labels)))
    assert found.drop_attrs().identical(expected.drop_attrs())
    assert expected["day"].to_numpy()[0] == "2020-02-01 00:00:00"


def test_names_that_are_missing_or_numbers(tmp_path):
    rows = pd.DataFrame({"sample": [2, 10, 3], "lm": "a", "nll": [1.0, 2.0, 3.0]})
    losses = bl.read_losses(write_parts(tmp_path / "t", [rows], ONE))
    assert losses["sample"].to_numpy().tolist() == ["2", "10", "3"]
    for column in ("sample", "lm"):
        spoilt = rows.astype({"sample": object}).assign(**{column: ["a", None, "a"]})
        with pytest.raises(InputError, match=r"row 1 \(from 0\)"):
            bl.read_losses(write_parts(tmp_path / column, [spoilt], ONE))
    padded = rows.assign(sample=[" a", "b ", "c"])
    assert bl.read_losses(write_parts(tmp_path / "p", [padded], ONE))["sample"].to_numpy()[0] == "a"
    with pytest.raises(InputError, match="sample 'a' is 2 times"):
        bl.read_losses(write_parts(tmp_path / "q", [rows.assign(sample=[" a", "a", "c"])], ONE))
    with pytest.raises(InputError, match="sample name has 1,001 characters"):
        bl.read_losses(write_parts(tmp_path / "r", [rows.assign(sample=["x" * 1001, "a", "c"])], ONE))


def test_losses_too_large_to_be_added_up(tmp_path):
    rows = pd.DataFrame({"sample": ["s", "t"], "lm": "a", "nll": [1.0, 1e308]})
    with pytest.raises(InputError, match="the loss of sample 't' by model 'a' is beyond 1e\\+30"):
        bl.read_losses(write_parts(tmp_path / "t", [rows], ONE))
    with pytest.raises(InputError, match="the bytes of 't' is 1e\\+308"):
        bl.read_losses(write_parts(tmp_path / "b", [rows.assign(nll=1.0, bytes=[1, 1e308])], ONE))
    large = bl.read_losses(write_parts(tmp_path / "l", [rows.assign(nll=[9e29, 1e30])], ONE))
    assert np.isfinite([[model.loss, model.standard_error] for model in loss_report(large).models]).all()
