"""Tables made by hand, names, sizes and near names: held to what files are held to, and told of once."""

import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

import bayeslaw as bl
from bayeslaw.cli import app
from bayeslaw.errors import InputError
from bayeslaw.losses.near_names import near_column
from bayeslaw.losses.sizes import is_size, noting_sizes, read_counts, read_size
from bayeslaw.pools.member_text import split_members

NLL = np.abs(np.random.default_rng(0).normal(3, 1, (20, 3))) + 0.1


def table(**changes):
    variables = {
        "nll": (("sample", "lm"), NLL),
        "family": ("lm", ["x", "x", "y"]),
        "parameters": ("lm", [1e8, 1e9, 1e10]),
    }
    coords = {"sample": [f"s{row}" for row in range(20)], "lm": ["a", "b", "c"]} | changes.pop("coords", {})
    kept = {name: value for name, value in (variables | changes).items() if value is not None}
    return xr.Dataset(kept, coords=coords, attrs={"kind": "losses", "unit": "word"})


def with_first(value):
    nll = NLL.copy()
    nll[0, 0] = value
    return {"nll": (("sample", "lm"), nll)}


def named(*names):
    return {"coords": {"lm": list(names)}}


FUNCTIONS = (
    bl.loss_report,
    bl.make_pools,
    bl.advantage,
    bl.choose,
    bl.recommend,
    lambda losses: bl.fit("power", losses),
)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (with_first(-1), "is negative"),
        (with_first(np.nan), "missing or infinite"),
        (with_first(np.inf), "is infinite"),
        (with_first(1e308), "beyond 1e\\+30"),
        ({"nll": (("sample", "lm"), NLL > 3)}, "true and false"),
        ({"nll": (("sample", "lm"), NLL + 0j)}, "complex numbers"),
        ({"nll": (("sample", "lm"), NLL.astype(object))}, "type object"),
        ({"nll": (("sample", "lm"), NLL.astype(str))}, "type <U"),
        ({"nll": (("sample", "model"), NLL)}, "nll is on sample, model"),
        ({"nll": (("lm",), NLL[0])}, "nll is on lm"),
        ({"family": None}, "no family"),
        ({"family": ("lm", np.array(["x", np.nan, "y"], dtype=object))}, "family holds nan"),
        ({"family": ("lm", np.array(["x", np.nan, "y"]))}, "a family is called 'nan'"),
        ({"family": ("lm", ["x", "new", "y"])}, "a family is called 'new'"),
        ({"family": ("lm", ["x", "x,z", "y"])}, "the family 'x,z' has ','"),
        ({"parameters": None}, "no parameters"),
        ({"parameters": ("lm", [0, 1e9, 1e10])}, "the parameters of 'a' is 0"),
        ({"parameters": ("lm", ["1", "2", "3"])}, "parameters holds values of type"),
        ({"bytes": ("sample", -np.ones(20))}, "the bytes of 's0' is -1"),
        ({"bytes": ("lm", np.ones(3))}, "bytes is on lm"),
        ({"cluster": ("lm", ["a", "b", "c"])}, "cluster is on lm"),
        ({"coords": {"sample": ["s"] * 20}}, "sample 's' is there twice"),
        (named("a", "a", "c"), "lm 'a' is there twice"),
        (named("a", "a ", "c"), "space around its name"),
        (named(" ", "b", "c"), "a model is called ' '"),
        (named(1, 2, 3), "lm holds 1"),
        (named("a\x07", "b", "c"), "which cannot be seen"),
        (named("a + b", "b", "c"), "joins the names"),
        (named("a,b", "b", "c"), "separates the members"),
        (named("70e9:llama", "b", "c"), "reads as a new model"),
        (named("7B:llama", "b", "c"), "reads as a new model"),
        (named("sample", "b", "c"), "like a column of a table"),
    ],
)
def test_a_table_made_by_hand_is_held_to_what_files_are(changes, said):
    for function in FUNCTIONS:
        with pytest.raises(InputError, match=said):
            function(table(**changes))
    with pytest.raises(InputError, match="empty"):
        bl.loss_report(table().isel(sample=[]))
    with pytest.raises(InputError, match="no sample has any bytes"):
        bl.mean_losses(table(bytes=("sample", np.zeros(20))))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("standard_error", -1, "standard_error holds -1"),
        ("standard_error", np.inf, "standard_error holds inf"),
        ("sampling_factor", np.nan, "sampling_factor holds nan"),
        ("win_share", 1.5, "win_share holds 1.5"),
        ("size", 0, "size holds 0"),
        ("loss", np.nan, "missing or infinite"),
        ("loss", -1, "is negative"),
        ("parameters", 0, "the parameters of 'a' is 0"),
        ("member", 3, "member holds"),
    ],
)
def test_numbers_of_pools_that_none_can_have_are_refused(name, value, said):
    pools = bl.make_pools(table(), max_size=2)
    values = pools[name].to_numpy().astype(np.int64 if name in ("size", "member") else np.float64)
    values.flat[0] = value
    with pytest.raises(InputError, match=said):
        bl.fit("collaboration", pools.assign({name: (pools[name].dims, values)}))


def test_a_frame_in_place_of_a_path_is_told_what_makes_a_table_of_it():
    frame = pd.DataFrame({"sample": ["a"], "m": [1.0]})
    for call in (lambda: bl.read_losses(frame), lambda: bl.read_losses("losses.csv", models=frame)):
        with pytest.raises(InputError, match="is a DataFrame") as caught:
            call()
        assert "losses_from_frames" in caught.value.fix


def test_another_order_and_precision_make_no_difference():
    whole, turned = table(), table(nll=(("lm", "sample"), NLL.T.astype(np.float16)))
    np.testing.assert_allclose(bl.mean_losses(turned)["loss"], bl.mean_losses(whole)["loss"], rtol=1e-3)
    np.testing.assert_array_equal(bl.win_shares(whole.transpose()), bl.win_shares(whole))
    del whole.attrs["kind"]
    assert bl.loss_report(whole).samples == 20


@pytest.mark.parametrize("name", ["a + b", "a,b", "70e9:llama", "domain", "unit", "bytes", "cluster", "nan", " "])
def test_readers_of_frames_refuse_the_same_names(name):
    models = pd.DataFrame({"model": [name, "z"], "family": "x", "parameters": [1e8, 1e9], "loss": [2.0, 1.0]})
    with pytest.raises(InputError):
        bl.models_from_frame(models)
    with pytest.raises(InputError):
        bl.losses_from_frames(pd.DataFrame({name: [1.0], "z": [2.0]}), models.drop(columns="loss"))
    with pytest.raises(InputError, match="a family is called 'new'"):
        bl.models_from_frame(models.assign(model=["y", "z"], family="new"))


@pytest.mark.parametrize("fault", ["name: 'a + b'", "name: sample", "family: new", "name: '7B:x'"])
def test_names_are_refused_before_anything_is_scored(tmp_path, fault):
    (tmp_path / "models.yaml").write_text(f"- model: {tmp_path / 'none'}\n  {fault}\n")
    (tmp_path / "texts.txt").write_text("a text")
    command = ["score", tmp_path / "models.yaml", "--texts", tmp_path / "texts.txt", "--out", tmp_path / "new"]
    result = CliRunner().invoke(app, [str(each) for each in command])
    assert result.exit_code == 2
    assert fault.split(": ")[1].strip("'") in result.stderr
    assert not (tmp_path / "new").exists()


def told(*calls):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", bl.LossTableWarning)
        for call in calls:
            call()
    return [(str(each.message).split(":")[0], each.filename) for each in caught]


def test_errors_in_a_table_are_told_once_and_where_it_was_given(tmp_path):
    losses = table(parameters=("lm", [1.0, 2.0, 3.0]))
    calls = (
        bl.loss_report,
        lambda x: bl.make_pools(x, max_size=2),
        lambda x: bl.attainability(x.transpose(), ["a", "b"]),
    )
    assert told(*(lambda call=call: call(losses) for call in calls)) == [("tiny-models", __file__)]
    bl.write_losses(losses, tmp_path / "t")
    read = []
    assert told(lambda: read.append(bl.read_losses(tmp_path / "t"))) == [("tiny-models", __file__)]
    assert told(lambda: bl.loss_report(read[0])) == []
    assert told(lambda: bl.make_pools(tmp_path / "t", max_size=1)) == [("tiny-models", __file__)]
    frame = pd.DataFrame({"model": ["a", "b"], "family": "x", "parameters": [1, 2], "loss": [2.0, 1.0]})
    assert told(lambda: bl.models_from_frame(frame)) == [("tiny-models", __file__)]


def test_nothing_is_told_of_honest_tables_nor_twice_by_commands(tmp_path):
    zoo = bl.load_dataset("zoo")
    assert told(lambda: bl.make_pools(zoo, max_size=1), lambda: bl.recommend(zoo)) == []
    bl.write_losses(table(parameters=("lm", [1.0, 2.0, 3.0])), tmp_path / "t")
    command = ["pools", str(tmp_path / "t"), "--max-size", "2", "--out", str(tmp_path / "new")]
    results = []
    assert told(lambda: results.append(CliRunner().invoke(app, command))) == []
    assert results[0].stderr.count("tiny-models") == 1


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("7B", 7e9), ("70M", 7e7), ("1.5b", 1.5e9), ("1.1B", 1.1e9), ("410m", 4.1e8), ("300k", 3e5), ("1T", 1e12)),
        *(("7 B", 7e9), ("70,000,000", 7e7), ("7e9", 7e9), (" 7e9 ", 7e9), ("1,234.5", 1234.5), ("70000000", 7e7)),
    ],
)
def test_sizes_are_read_as_people_write_them(text, number):
    with noting_sizes() as sizes:
        assert read_size("parameters", text) == number
    assert sizes == ({} if text.strip().isdecimal() or "e" in text else {text.strip(): number})


@pytest.mark.parametrize("text", ["8x7B", "7BB", "B", "7_000", "70,00,000", ",", "", "7e", "x", "1+2j", "7 billion"])
def test_what_is_no_size_is_refused(text):
    assert not is_size(text)
    with pytest.raises(InputError, match="which is not a number"):
        read_size("parameters", text)


@pytest.mark.parametrize("value", ["1e-320", "0", "-1", "inf", "nan", "1e400", "0.5"])
def test_counts_below_one_and_beyond_all_numbers_are_refused(value):
    with pytest.raises(InputError, match="positive numbers"):
        read_counts("parameters", [value])


def test_commas_of_thousands_separate_no_members():
    assert split_members("70,000,000:a,b-1,7e9:c") == ["70,000,000:a", "b-1", "7e9:c"]
    assert split_members("a1,b2,c3") == ["a1", "b2", "c3"]


def test_sizes_in_a_models_csv(tmp_path):
    (tmp_path / "m.csv").write_text('model,family,parameters,loss\na,x,7B,1\nb,x,"70,000,000",2\nc,x,1e8,1.5\n')
    assert bl.read_losses(tmp_path / "m.csv")["parameters"].to_numpy().tolist() == [7e9, 7e7, 1e8]


@pytest.mark.parametrize(
    ("column", "meant"),
    [
        *(("n_bytes", "bytes"), ("num_bytes", "bytes"), ("byte_count", "bytes"), ("prompt_id", "sample")),
        *(("doc_id", "sample"), ("n_params", "parameters"), ("val_loss", "loss"), ("series", "family")),
    ],
)
def test_near_names(column, meant):
    assert near_column(meant, ["other", column]) == column


def test_columns_with_near_names_are_told(tmp_path):
    models = pd.DataFrame({"model": ["a", "b"], "family": "x", "parameters": [1e8, 1e9]})
    frame = pd.DataFrame({"prompt_id": [f"p{n}" for n in range(9)], "n_bytes": range(1, 10), "a": 2.0, "b": 1.0})
    found = [warning.message for warning in bl.loss_report(bl.losses_from_frames(frame, models)).warnings]
    assert sum("rename it to bytes" in message for message in found) == 1
    assert sum("prompt_id looks like the names of the samples" in message for message in found) == 1
    (tmp_path / "w.csv").write_text("name,group,n_params,val_loss\na,x,1e8,2\n")
    with pytest.raises(InputError, match="lacks the columns family, parameters, loss") as caught:
        bl.read_losses(tmp_path / "w.csv")
    assert "rename 'n_params' to parameters and rename 'val_loss' to loss" in str(caught.value)


def test_markup_in_names_is_shown_as_it_is(tmp_path, tiny_fit):
    models = pd.DataFrame({"model": ["[/red]", ":smile:"], "family": ["$\\bad{$", "[b]"], "parameters": [1e8, 1e9]})
    losses = bl.losses_from_frames(pd.DataFrame({"[/red]": [1.0, 2], ":smile:": [2.0, 1]}), models, unit="[/red]$\\x{$")
    bl.write_losses(losses, tmp_path / "t")
    result = CliRunner().invoke(app, ["losses", str(tmp_path / "t")])
    assert result.exit_code == 0
    for shown in ("[/red]", ":smile:", "$\\bad{$", "[b]", "unit: [/red]$\\x{$"):
        assert shown in result.stdout
    odd = bl.Fit(tiny_fit.tree.copy())
    odd.tree.attrs["unit"] = "nats per $\\bad{$"
    # A formula that cannot be set would be an error.
    bl.save_plot(odd, tmp_path / "f.svg")
