"""Bad input: one clear message, exit code 2, and nothing written; through the command line as it is typed."""

import hashlib
import shlex
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from forms import in_gate
from typer.testing import CliRunner

from bayeslaw.cli import app
from bayeslaw.fitting.fits import Fit

FAMILIES = ("x", "y")
SIZES = (1e7, 1e8, 1e9)
MODELS = [(f"{family}{size:.0e}", family, f"{size:.0f}") for family in FAMILIES for size in SIZES]
NAMES = [name for name, _, _ in MODELS]
LOSSES = "losses losses.csv --models models.csv"
TABLE = [
    LOSSES,
    "pools losses.csv --models models.csv --max-size 2 --out new",
    "fit losses.csv --models models.csv --law power --out new.nc",
]


def models_csv(models=MODELS):
    return "\n".join(["model,family,parameters", *(",".join(row) for row in models)]) + "\n"


def losses_csv(names=NAMES, rows=12):
    header = ",".join(["sample", "document", *names])
    lines = [f"s{row},d{row // 2}," + ",".join(_loss(row, i) for i in range(len(names))) for row in range(rows)]
    return "\n".join([header, *lines]) + "\n"


def _loss(row, column):
    return f"{3 - 0.2 * (column % 3) + 0.1 * ((row * (column + 2)) % 5):.3f}"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in an empty folder with a good table; every test spoils a part of it."""
    monkeypatch.chdir(tmp_path)
    Path("losses.csv").write_text(losses_csv())
    Path("models.csv").write_text(models_csv())


def replace(file, old, new, *, count=1):
    text = Path(file).read_text()
    assert old in text
    Path(file).write_text(text.replace(old, new, count))


def snapshot():
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in Path().rglob("*")
    }


def invoke(command):
    return CliRunner().invoke(app, shlex.split(command))


def refused(command, *said):
    """Assert that a command ends with one message in three parts that holds the given words."""
    before = snapshot()
    result = invoke(command)
    assert result.exit_code == 2, (command, result.output, result.exception)
    assert snapshot() == before
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    # What is likely wrong with the table is said before.
    lines = [line for line in result.stderr.splitlines() if not line.startswith("error ")]
    assert [sum(line.startswith(part) for line in lines) for part in ("Error: ", "accepted: ", "fix: ")] == [1, 1, 1]
    assert lines[0].startswith("Error: ")
    for words in said:
        assert words in result.stderr, (command, result.stderr)


def misused(command, *said):
    """Assert that the command line's own parser refuses a command and names what is wrong."""
    before = snapshot()
    result = invoke(command)
    assert result.exit_code == 2, (command, result.output, result.exception)
    assert snapshot() == before
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert "Usage: " in result.stderr
    for words in said:
        assert words in result.stderr, (command, result.stderr)


def works(command):
    result = invoke(command)
    assert result.exit_code == 0, result.output
    return result


# Every table-reading command takes the same table and must refuse it alike: of most mistakes the gate looks at one.
every_command = pytest.mark.parametrize("command", TABLE, ids=["losses", "pools", "fit"])
tables = pytest.mark.parametrize("command", in_gate(TABLE[:1], TABLE), ids=["losses", "pools", "fit"])


def test_the_good_table_is_accepted():
    works(TABLE[0])
    works(TABLE[1])
    assert Path("new").is_dir()


@every_command
def test_not_a_file(command):
    refused(command.replace("losses.csv", "nowhere.csv"), "'nowhere.csv'", "no such file")
    refused(command.replace("models.csv", "nowhere.csv"), "'nowhere.csv'", "no such file")
    Path("folder").mkdir()
    refused(command.replace("losses.csv --models models.csv", "folder"), "'folder'", "manifest.json")
    refused(command.replace("models.csv", "folder"), "'folder'", "it is a folder")


@tables
@pytest.mark.parametrize("file", ["losses.csv", "models.csv"])
@pytest.mark.parametrize("content", ["", "\n\n"])
def test_empty_file(command, file, content):
    Path(file).write_text(content)
    refused(command, f"'{file}'", "empty")


@tables
@pytest.mark.parametrize(("file", "content"), [("losses.csv", losses_csv(rows=0)), ("models.csv", models_csv([]))])
def test_header_alone(command, file, content):
    Path(file).write_text(content)
    refused(command, file, "no rows")


@tables
def test_no_models_csv(command):
    refused(command.replace(" --models models.csv", ""), "'losses.csv'", "--models")


@every_command
def test_loss_column_without_a_model(command):
    Path("models.csv").write_text(models_csv(MODELS[:-1]))
    refused(command, f"'{NAMES[-1]}'", "no model has this name", "--describe")


@tables
def test_model_without_a_column(command):
    Path("losses.csv").write_text(losses_csv(NAMES[:-1]))
    refused(command, f"'{NAMES[-1]}'", "no column of losses")


@every_command
def test_duplicates(command):
    Path("models.csv").write_text(models_csv([*MODELS, MODELS[0]]))
    refused(command, f"'{NAMES[0]}'", "2 times")
    Path("models.csv").write_text(models_csv())
    replace("losses.csv", NAMES[1], NAMES[0])
    refused(command, f"'{NAMES[0]}'", "twice")
    Path("losses.csv").write_text(losses_csv())
    replace("losses.csv", "s3,", "s2,")
    refused(command, "'s2'", "2 times")


@tables
@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("low", "not a number"),
        ("3;5", "not a number"),
        ("nan", "missing"),
        ("", "missing"),
        ("inf", "infinite"),
        ("-inf", "negative"),
        ("-2.5", "negative (-2.5)"),
        ("-1e-300", "negative (-1e-300)"),
    ],
)
def test_loss_that_is_none(command, value, said):
    replace("losses.csv", f"s1,d0,{_loss(1, 0)}", f"s1,d0,{value}")
    refused(command, f"{NAMES[0]!r}", said, value if said == "not a number" else "s1" if said != "missing" else "")


def test_minus_zero_is_zero():
    replace("losses.csv", f"s1,d0,{_loss(1, 0)}", "s1,d0,-0.0")
    minus = works(LOSSES).stdout
    replace("losses.csv", "s1,d0,-0.0", "s1,d0,0")
    assert works(LOSSES).stdout == minus


@tables
@pytest.mark.parametrize("value", ["0", "-5", "inf", "many", "", "nan"])
def test_parameters_that_are_none(command, value):
    Path("models.csv").write_text(models_csv([(*MODELS[0][:2], value), *MODELS[1:]]))
    refused(command, "parameters", f"'{NAMES[0]}'", value if value not in ("", "nan") else "has no parameters")


@tables
def test_no_parameters_and_no_family(command):
    Path("models.csv").write_text("model,family\n" + "".join(f"{name},{family}\n" for name, family, _ in MODELS))
    refused(command, "'parameters'")
    Path("models.csv").write_text("model,parameters\n" + "".join(f"{name},{size}\n" for name, _, size in MODELS))
    refused(command, "'family'")


@tables
@pytest.mark.parametrize("value", ["0", "-3", "long", ""])
def test_bytes_that_are_none(command, value):
    Path("losses.csv").write_text(losses_csv().replace("document", "bytes").replace(",d", ",1"))
    replace("losses.csv", "s1,10,", f"s1,{value},")
    refused(command, "bytes", "s1", value)


def test_fewer_than_three_sizes():
    chosen = [row for row in MODELS if row[0] in (NAMES[0], NAMES[1], NAMES[3])]
    Path("models.csv").write_text(models_csv(chosen))
    Path("losses.csv").write_text(losses_csv([row[0] for row in chosen]))
    refused(TABLE[2], "2 different values of parameters", "3 or more")


def test_all_budgets_equal():
    Path("models.csv").write_text(models_csv([(name, family, "7e9") for name, family, _ in MODELS]))
    refused(TABLE[2], "all rows have the same parameters, 7B")
    works("pools losses.csv --models models.csv --max-size 1 --out p")
    refused("fit p --law collaboration --out new.nc", "all rows have the same parameters, 7B")


def test_one_family_with_the_collaboration_law():
    Path("models.csv").write_text(models_csv([(name, "x", size) for name, _, size in MODELS]))
    works("pools losses.csv --models models.csv --max-size 2 --out p")
    refused("fit p --law collaboration --out new.nc", "one family", "--law power")


def test_a_law_that_does_not_suit_the_table():
    refused(TABLE[2].replace("power", "collaboration"), "losses", "bayeslaw pools")
    refused(TABLE[2].replace("power", "chinchilla"), "training_tokens")
    works(TABLE[1])
    refused("fit new --law power --out new.nc", "no single family")
    refused("fit new --law collaboration --models models.csv --out new.nc", "--models")
    refused("fit new --law collaboration --params active --out new.nc", "active", "total")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--law powr", ("'powr'", "power, chinchilla, collaboration", "use 'power'")),
        ("--law power --keep priors", ("'priors'", "prior_predictive")),
        ("--law power --keep all,none", ("'all'", "prior_predictive")),
        ("--law power --draws 0", ("draws is 0",)),
        ("--law power --draws -7", ("draws is -7",)),
        ("--law power --chains 0", ("chains is 0",)),
        ("--law power --seed -1", ("seed is -1",)),
        ("--law power --unit ''", ("unit is empty",)),
        ("--law power --cluster documnt", ("'documnt'", "use 'document'")),
        ("--law power --sample nothing", ("'nothing'",)),
        ("--law power --describe nothing", ("'nothing'",)),
    ],
)
def test_settings_of_a_fit(options, said):
    refused(f"fit losses.csv --models models.csv --out new.nc {options}", *said)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("priors:\n  exponnt: LogNormal(-1, 1)", ("'exponnt'", "use 'exponent'")),
        ("priors:\n  exponent: LogNorml(-1, 1)", ("LogNorml", "use 'LogNormal'")),
        ("priors:\n  exponent: LogNormal(-1", ("LogNormal(-1",)),
        ("priors:\n  exponent: LogNormal(0, -1)", ("-1",)),
        ("priors:\n  floor: Normal(0, 1)", ("floor", "Normal(")),
        (
            "priors:\n  exponent: LogNormal(-1, 1)\n  exponent: LogNormal(-2, 1)",
            ("'exponent' is given twice", "line 3"),
        ),
        ("priors:\n  exponent: [1, 2]", ("exponent",)),
        ("priors:\n- exponent", ("priors", "a mapping")),
        ("pooling: partially", ("'partially'", "use 'partial'")),
        ("pooling:\n  slope: partial", ("'slope'",)),
        ("noise:\n  distribution: cauchy", ("'cauchy'", "laplace")),
        ("noise:\n  distribtion: normal", ("'distribtion'", "use 'distribution'")),
        ("noise:\n  by_group: perhaps", ("'perhaps'", "true or false")),
        ("noise: normal", ("noise", "a mapping")),
        ("law: chinchilla", ("chinchilla", "power")),
        ("nois:\n  family: normal", ("'nois'", "use 'noise'")),
        ("{priors: [", ("not YAML",)),
        ("- a\n- b", ("list", "a YAML mapping")),
        ("just words", ("str", "a YAML mapping")),
        ("", ("empty", "a YAML mapping")),
        ("a\0b", ("'c.yaml'",)),
        ("!!python/object/apply:os.getcwd []", ("not YAML",)),
    ],
)
def test_settings_file(content, said):
    Path("c.yaml").write_text(content)
    refused(f"{TABLE[2]} --config c.yaml", *said)


def test_settings_file_that_cannot_be_read():
    refused(f"{TABLE[2]} --config nowhere.yaml", "'nowhere.yaml'", "cannot be read")
    Path("folder").mkdir()
    refused(f"{TABLE[2]} --config folder", "'folder'", "cannot be read")
    Path("c.yaml").write_bytes(b"\xff\xfe\x00")
    refused(f"{TABLE[2]} --config c.yaml", "'c.yaml'", "cannot be read")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--rule oracel", ("'oracel'", "use 'oracle'")),
        ("--max-size 7", ("max size 7", "6 models", "use 6")),
        ("--max-size 0", ("max size 0",)),
        ("--max-size -1", ("max size -1",)),
        ("--limit 5", ("limit 5", "6 single models")),
        ("--limit 20 --design all", ("limit is 20",)),
        ("--design matchd", ("'matchd'", "use 'matched'")),
        ("--params activ", ("'activ'", "use 'active'")),
        ("--params active", ("active parameters", NAMES[0])),
        ("--seed -1", ("seed -1",)),
        ("--missing drop-models --cluster nothing", ("'nothing'",)),
    ],
)
def test_settings_of_pools(options, said):
    refused(f"pools losses.csv --models models.csv --out new {options}", *said)


def test_too_many_pools():
    models = [(f"m{index}", FAMILIES[index % 2], str(10**7 + index)) for index in range(60)]
    Path("models.csv").write_text(models_csv(models))
    Path("losses.csv").write_text(losses_csv([name for name, _, _ in models]))
    refused("pools losses.csv --models models.csv --max-size 6 --out new", "56,049,057", "200,000", "--limit 20000")


def test_pools_of_whole_models():
    Path("whole.csv").write_text("model,family,parameters,loss\na,x,1e7,3\nb,x,1e8,2.5\nc,y,1e9,2.2\n")
    refused("pools whole.csv --out new", "whole models")
    refused("losses whole.csv --cluster document", "whole models", "--cluster")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("fit losses.csv --models models.csv --law power --out losses.csv/f.nc", "'losses.csv/f.nc'"),
        ("fit losses.csv --models models.csv --law power --out full", "it is a folder"),
        ("fit losses.csv --models models.csv --law power --out full/f.zarr/x.nc", "is not a folder"),
        ("fit losses.csv --models models.csv --law power --out losses.csv/f.zarr", "'losses.csv/f.zarr'"),
        # The superuser is told that it may write there, so that only writing the fit shows that it may not.
        pytest.param(
            "fit losses.csv --models models.csv --law power --out /proc/none/f.nc",
            "'/proc/none/f.nc'",
            marks=pytest.mark.slow,
        ),
        ("fit losses.csv --models models.csv --law power --out /dev/null", "'/dev/null'"),
        ("pools losses.csv --models models.csv --out losses.csv", "a file is in the way"),
        ("pools losses.csv --models models.csv --out full", "holds 'f.zarr'"),
        ("pools losses.csv --models models.csv --max-size 2 --out losses.csv/p", "'losses.csv/p'"),
        ("pools losses.csv --models models.csv --max-size 2 --out /proc/none/p", "'/proc/none/p'"),
        ("demo --out losses.csv", "'losses.csv' is a file"),
        ("demo --out full", "'f.zarr'"),
        ("demo --out losses.csv/demo", "losses.csv/demo"),
    ],
)
def test_output_that_cannot_be_written(command, said):
    Path("full").mkdir()
    Path("full/f.zarr").write_text("not ours")
    refused(command, said)


@pytest.mark.parametrize("options", ["--draws 0", "--draws 5", "--seed -1"])
def test_settings_of_the_demo(options):
    refused(f"demo --out new {options}", options.split()[-1])


READERS = ["check f.nc", "predict f.nc --parameters 7e9", "when f.nc", "plot f.nc --out f.png", "compare f.nc g.nc"]
NAMES_OF_READERS = [command.split()[0] for command in READERS]
every_reader = pytest.mark.parametrize("command", READERS, ids=NAMES_OF_READERS)
readers = pytest.mark.parametrize("command", in_gate(READERS[1::3], READERS), ids=NAMES_OF_READERS)


@pytest.fixture(scope="module")
def bare_file(collaboration_fit, tmp_path_factory):
    """Return a file with what every command needs of a fit, which is read faster."""
    file = tmp_path_factory.mktemp("bare") / "f.nc"
    collaboration_fit.keep(()).save(file)
    return file


@every_reader
def test_fit_that_is_missing_or_truncated(command, bare_file):
    refused(command, "'f.nc'", "no fit")
    content = bare_file.read_bytes()
    for length in (0, 4, len(content) // 2, len(content) - 1):
        Path("f.nc").write_bytes(content[:length])
        refused(command, "'f.nc'", "cannot be read")
    Path("f.nc").unlink()
    Path("f.nc").mkdir()
    refused(command, "'f.nc'")


@readers
def test_fit_that_is_not_ours(command):
    Path("f.nc").write_text("model,family\n")
    refused(command, "'f.nc'", "cannot be read")
    xr.Dataset({"a": ("x", np.arange(3))}).to_netcdf("f.nc", engine="h5netcdf")
    refused(command, "'f.nc'", "not a fit of bayeslaw")


@readers
@pytest.mark.parametrize("version", [99, *(pytest.param(other, marks=pytest.mark.slow) for other in (0, "new"))])
def test_fit_of_another_version(command, version, bare_file):
    shutil.copy(bare_file, "f.nc")
    with h5py.File("f.nc", "r+") as file:
        file.attrs["format_version"] = version
    refused(command, "'f.nc'", f"version {version}", "fit again")


@readers
def test_fit_that_lacks_a_part(command, bare_file):
    shutil.copy(bare_file, "f.nc")
    with h5py.File("f.nc", "r+") as file:
        del file["constant_data"]
    refused(command, "'f.nc'", "constant_data")


@pytest.fixture
def fit_file(bare_file):
    Path("f.nc").symlink_to(bare_file)


@pytest.mark.usefixtures("fit_file")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--parameters 0", ("parameters is 0.0", "positive")),
        ("--parameters -7e9", ("-7000000000.0", "positive")),
        ("--parameters 7e9 --parameters=-1", ("-1.0", "positive")),
        ("--parameters inf", ("inf", "positive")),
        ("--parameters nan", ("nan", "positive")),
        ("--parameters 7X", ("'7X'", "7e9")),
        ("--parameters 7e9 8x", ("'8x'", "7e9")),
        ("7e9", ("'7e9'", "--parameters 7e9")),
        ("", ("no target", "--parameters")),
        ("--regime single", ("parameters is not given",)),
        ("--parameters 7e9 --regime heterogenous", ("'heterogenous'", "use 'heterogeneous'")),
        ("--parameters 7e9 --family alder", ("'family'",)),
        ("--parameters 7e9 --training-tokens 1e12", ("'training_tokens'",)),
        ("--members 7e9", ("'7e9'", "parameters:family")),
        ("--members 0:alder", ("'0:alder'", "parameters:family")),
        ("--members 7e9:alder --parameters 7e9", ("members", "leave out parameters")),
        ("--members 7e9:alder,7e9:birch --regime single", ("heterogeneous",)),
        ("--at nowhere.csv", ("'nowhere.csv'",)),
        ("--at losses.csv", ("'sample'", "parameters")),
        ("--at models.csv --parameters 7e9", ("--at", "parameters")),
        ("--parameters 7e9 --seed -1", ("seed is -1",)),
    ],
)
def test_prediction(options, said):
    refused(f"predict f.nc {options}", *said)


@pytest.mark.usefixtures("fit_file")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--rule mixture", ("'mixture'", "oracle", "joint fit")),
        ("--rule bset", ("'bset'", "best")),
        ("--size 2", ("2 members", "joint fit")),
        ("--size 1", ("sizes is 1", "from 2")),
        ("--budgets 0", ("budgets is 0",)),
        ("--budgets 7X", ("'7X'",)),
        ("--beyond 0", ("beyond is 0.0",)),
    ],
)
def test_when(options, said):
    refused(f"when f.nc {options}", *said)


@pytest.mark.usefixtures("fit_file")
@pytest.mark.parametrize("level", ["0", "1", "1.5", "-0.1", "90", "nan", "inf"])
@pytest.mark.parametrize("command", ["predict f.nc --parameters 7e9", "plot f.nc --out new.png"])
def test_interval_outside_zero_and_one(command, level):
    refused(f"{command} --interval={level}", f"the interval is {float(level)}", "between 0 and 1")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--parameters 7e9 --family oak", ("'oak'", "'new'")),
        ("--parameters 7e9 --regime single", ("'regime'",)),
        ("--members 7e9:alder,7e9:birch", ("one member", "collaboration")),
    ],
)
def test_prediction_of_families(options, said, power_file):
    Path("f.nc").symlink_to(power_file)
    refused(f"predict f.nc {options}", *said)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "'at.csv'"),
        ("parameters,regime\n", "no rows"),
        ("parameters,regime\n7e9,mixed\n", "'mixed'"),
        ("members\n7e9:alder,7e9:birch\n", "as many fields as the header"),
        ("parameters,regime\n7e9,single,8e9\n", "as many fields as the header"),
        ("parameters,parameters\n7e9,8e9\n", "twice"),
        ("parameters;regime\n7e9;single\n", "commas"),
        ("parameters,regime\nseven,single\n", "'seven'"),
        ("parameters,regime\n,single\n", "nan"),
        ("parameters,size\n7e9,2\n", "'size'"),
        ("parameters,regime\n7e9,\n", "regime ''"),
    ],
)
@pytest.mark.usefixtures("fit_file")
def test_targets_in_a_file(content, said):
    Path("at.csv").write_text(content)
    refused("predict f.nc --at at.csv", said)


@pytest.mark.usefixtures("fit_file")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--out f.gif", ("'f.gif'", ".png")),
        ("--out f", ("'f'", ".png")),
        ("--out losses.csv/f.png", ("'losses.csv/f.png'",)),
        ("--out folder.png", ("'folder.png'", "it is a folder")),
    ],
)
def test_settings_of_a_plot(options, said):
    Path("folder.png").mkdir()
    refused(f"plot f.nc {options}", *said)


def test_plot_of_what_a_fit_lacks(power_file, collaboration_fit):
    Path("power.nc").symlink_to(power_file)
    refused("plot power.nc --what claims --out new.png", "claims", "collaboration")
    collaboration_fit.keep(()).save("bare.nc")
    refused("plot bare.nc --what claims --out new.png", "prior", "--keep")
    refused("plot bare.nc --what prior_posterior --out new.png", "prior", "--keep")


def test_fits_to_compare(power_file, collaboration_file):
    Path("power.nc").symlink_to(power_file)
    Path("f.nc").symlink_to(collaboration_file)
    refused("compare f.nc", "1 fit was given")
    refused("compare f.nc ./f.nc", "named twice")
    refused("compare f.nc power.nc", "different rows", "power.nc")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("losses", "TABLE"),
        ("pools losses.csv", "--out"),
        ("check", "FIT"),
        ("predict", "FIT"),
        ("plot f.nc", "--out"),
        ("compare", "FIT"),
        ("fit losses.csv --models models.csv --law power --out new.nc --chains x", "--chains"),
        ("fit losses.csv --models models.csv --law power --out new.nc --draws 1.5", "--draws"),
        ("fit losses.csv --models models.csv --law power --out new.nc --params all", "'all'"),
        ("fit losses.csv --models models.csv --law power --out new.nc --drawz 5", "--draw"),
        ("pools losses.csv --models models.csv --out new --max-size two", "--max-size"),
        ("losses losses.csv --models models.csv --missing drop", "'drop'"),
        ("losses losses.csv more.csv", "more.csv"),
        ("predict f.nc --parameters 7e9 --kind newest", "'newest'"),
        ("predict f.nc --parameters 7e9 --interval wide", "--interval"),
        ("plot f.nc --out f.png --what lines", "'lines'"),
        ("check f.nc --jason", "--json"),
        ("pool losses.csv", "'pools'"),
        ("--nothing", "--nothing"),
    ],
)
def test_odd_usage(command, said):
    misused(command, said)


def test_a_fit_needs_a_place_for_it():
    refused("fit losses.csv", "--out is missing", "--prior-only")


def test_a_fit_that_must_not_be_trusted_is_named_wherever_it_is_used(collaboration_fit, tmp_path) -> None:
    tree = collaboration_fit.tree.copy()
    tree["sample_stats"] = tree["sample_stats"].dataset.assign(
        diverging=xr.ones_like(tree["sample_stats"]["diverging"], dtype=bool)
    )
    path = tmp_path / "bad.nc"
    Fit(tree).save(path)
    result = CliRunner().invoke(app, ["predict", str(path), "--parameters", "7e9", "--json"])
    assert result.exit_code == 0
    assert "must not be trusted (divergences)" in result.stderr
