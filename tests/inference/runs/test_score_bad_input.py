"""Bad input of ``bayeslaw score``: one clear message, exit code 2, and nothing written; through the command line."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pandas as pd
import pytest
from make_checkpoints import make_checkpoint, write_weights
from safetensors.numpy import load_file
from score_runs import FEW, command, content, made_once, manifest, rows, score, write_jsonl
from tokenizers import AddedToken, Tokenizer

from bayeslaw.storage import write_manifest
from inference.decoder.families import SUPPORTED
from inference.runs import prepared

OUT = Path("losses")
PAGE = 4096
LONG_BYTES = 5_000_000
# What a run that finds its first model's weights unusable leaves: which texts were wanted, and no losses.
SKELETON = {"manifest.json", "corpus/0000.parquet"}


@pytest.fixture(scope="module")
def small(fits_folder: Path) -> Path:
    """Return a good model, few texts, and the table of both."""

    def make(folder: Path) -> None:
        make_checkpoint(folder / "model", "llama", "small")
        write_jsonl(folder / "texts.jsonl", FEW)
        score([folder / "model"], folder / "texts.jsonl", folder / OUT)

    return made_once(fits_folder, "small", make)


@pytest.fixture(autouse=True)
def here(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder with a good model and good texts; every test spoils a part of it."""
    shutil.copytree(small / "model", tmp_path / "model")
    shutil.copy(small / "texts.jsonl", tmp_path)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def table(small: Path) -> Path:
    """Return a table of the model and the texts."""
    shutil.copytree(small / OUT, OUT)
    return OUT


def run(*options: Any, models: tuple[str, ...] = ("model",), texts: str = "texts.jsonl") -> Any:
    return command("score", *models, "--texts", texts, "--out", OUT, "--offline", *options)


def refused(*options: Any, said: tuple[str, ...], unchanged: bool = True, **arguments: Any) -> str:
    """Assert that a run ends with one message in three parts that holds the given words; return what was printed."""
    before = content(Path())
    result = run(*options, **arguments)
    assert result.exit_code == 2, (result.output, result.exception)
    if unchanged:
        assert content(Path()) == before
        assert OUT.exists() == any(name.startswith(f"{OUT}/") for name in before)
    assert result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if ": opening " not in line]
    marks = [sum(line.startswith(mark) for line in lines) for mark in ("Error: ", "accepted: ", "fix: ")]
    assert marks == [1, 1, 1], result.stderr
    assert "Traceback" not in result.stderr
    for words in said:
        assert words in result.stderr, (words, result.stderr)
    return result.stderr


def spoil_weights(change: Callable[[dict[str, np.ndarray]], Any], folder: str = "model") -> None:
    """Change the tensors of a model in place."""
    weights = load_file(Path(folder) / "model.safetensors")
    change(weights)
    write_weights(Path(folder), weights)


def spoil_config(**changed: Any) -> None:
    path = Path("model/config.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


def test_the_good_run_is_accepted(small):
    assert run().exit_code == 0
    pd.testing.assert_frame_equal(rows(OUT), rows(small / OUT))


def test_no_such_model():
    refused(models=("./nowhere",), said=("'./nowhere'",))
    refused(models=("model", "some/model"), said=("'some/model'",))


@pytest.mark.parametrize(
    ("missing", "said"),
    [("config.json", "config.json"), ("tokenizer.json", "tokenizer"), ("model.safetensors", "safetensors")],
)
def test_a_folder_without_a_part_of_the_model(missing, said):
    Path("model", missing).unlink()
    refused(said=("'model'", said))


def test_families_that_are_not_covered_are_named():
    spoil_config(model_type="t5")
    refused(said=("'t5'", *SUPPORTED))


def test_all_that_is_wrong_with_the_tensors_is_said_at_once():
    def change(weights: dict[str, np.ndarray]) -> None:
        del weights["model.norm.weight"]
        weights["model.stranger.weight"] = np.ones(3, np.float32)
        weights["lm_head.weight"] = weights["lm_head.weight"][:, :-1]

    spoil_weights(change)
    said = (
        "1 missing: norm.weight",
        "1 unused: model.stranger.weight",
        "1 not as expected: lm_head.weight is [500, 31]",
    )
    refused(said=(*said, "expected [500, 32]"))


def test_truncated_weights():
    path = Path("model/model.safetensors")
    path.write_bytes(path.read_bytes()[:-1000])
    refused(said=("model.safetensors", "truncated"))


def test_weights_that_are_no_numbers_leave_no_losses():
    spoil_weights(lambda weights: weights["model.norm.weight"].__setitem__(3, np.nan))
    refused(unchanged=False, said=("model.norm.weight", "not finite"))
    assert {name for name in content(OUT) if not name.startswith("journal/")} == SKELETON
    assert manifest(OUT)["models"] == {}


def test_models_before_a_bad_one_are_kept(small):
    shutil.copytree("model", "worse")
    spoil_weights(lambda weights: weights["model.norm.weight"].__setitem__(3, np.inf), "worse")
    refused(models=("model", "worse"), unchanged=False, said=("model.norm.weight of 'worse'", "not finite"))
    pd.testing.assert_frame_equal(rows(OUT), rows(small / OUT))
    assert list(manifest(OUT)["models"]) == ["model"]


@pytest.mark.parametrize(
    ("name", "written", "said"),
    [
        ("none.jsonl", None, "no such file"),
        ("texts.csv", b"text\nhello\n", "'.csv'"),
        ("texts.jsonl", b"", "the file is empty"),
        ("texts.txt", b" \n\n", "white space only"),
        ("texts.txt", b"caf\xe9 and tea", "not UTF-8: byte 0xe9 at position 3"),
        ("texts.jsonl", b'{"id": "a", "body": "hello"}\n', "line 1 of texts.jsonl has no text"),
        ("texts.jsonl", b'{"text": "hello"}\n{"text": ""}\n', "line 2 of texts.jsonl is empty"),
        ("texts.jsonl", b'{"text": "hello"}\nnot JSON\n', "line 2 of texts.jsonl is not JSON"),
        ("texts.jsonl", b'{"id": 7, "text": "hello"}\n{"id": 7, "text": "you"}\n', "the name '7' is there twice"),
    ],
)
def test_bad_texts(name, written, said):
    if written is not None:
        Path(name).write_bytes(written)
    refused(texts=name, said=(said,))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--window", 1), "window is 1"),
        (("--window", 257), "longer than the 256 positions of the model"),
        (("--window", 16, "--stride", 17), "the stride 17 does not suit the window 16"),
        (("--stride", 0), "stride is 0"),
        (("--batch-tokens", 1), "batch_tokens is 1"),
        (("--tensor-parallel", 0), "tensor_parallel is 0"),
    ],
)
def test_options_out_of_bounds(options, said):
    refused(*options, said=(said,))


@pytest.mark.parametrize("options", [("--unit", "sentence"), ("--dtype", "int8"), ("--bos", "maybe")])
def test_options_that_are_not_known(options):
    result = run(*options)
    assert (result.exit_code, OUT.exists()) == (2, False)
    assert "Usage: " in result.stderr
    assert repr(options[1]) in result.stderr


def test_a_tokenizer_without_a_beginning():
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        Path("model", name).unlink(missing_ok=True)
    tokenizer = json.loads(Path("model/tokenizer.json").read_text())
    Path("model/tokenizer.json").write_text(json.dumps(tokenizer | {"post_processor": None}))
    Path("model/tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    config = json.loads(Path("model/config.json").read_text())
    Path("model/config.json").write_text(json.dumps(config | {"bos_token_id": None, "eos_token_id": None}))
    refused(said=("no token for the beginning or the end", "never"))


def test_a_text_of_special_tokens_is_text(small):
    texts = write_jsonl(Path("special.jsonl"), [{"id": "special", "text": "<s></s><s><unk></s>"}])
    result = run("--tokens", texts=texts.name)
    assert result.exit_code == 0, result.output
    row = rows(OUT).loc[("model", "special")]
    assert row["bytes"] == row["scored_bytes"] == len("<s></s><s><unk></s>")
    # Each special token would be one.
    assert row["tokens"] > 5
    assert row["nll"] > 5


def test_one_text_of_five_megabytes():
    """Long pieces make long texts of few tokens."""
    pieces = [f"{number:03d} " + " ".join(["she sells sea shells"] * 9) + "\n" for number in range(100)]
    make_checkpoint(Path("long"), "llama", "small", pieces=pieces)
    order = np.random.default_rng(0).integers(0, len(pieces), LONG_BYTES // len(pieces[0]) + 1)
    Path("long.txt").write_text("".join(pieces[number] for number in order))
    assert Path("long.txt").stat().st_size > LONG_BYTES
    begun = time.process_time()
    result = run("--window", 128, "--stride", 128, "--unit", "line", models=("long",), texts="long.txt")
    assert result.exit_code == 0, result.output
    table = rows(OUT)
    assert table["bytes"].sum() == table["scored_bytes"].sum() == Path("long.txt").stat().st_size
    assert len(table) == len(order)
    assert np.isfinite(table["nll"]).all()
    assert time.process_time() - begun < 60


def test_names_that_clash():
    shutil.copytree("model", "other/model")
    refused(models=("model", "other/model"), said=("two models are called 'model'",))


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (None, "cannot read 'models.yaml'"),
        ("- [", "cannot read 'models.yaml'"),
        ("just words", "does not list models"),
        ("- name: nameless", "names no model"),
        ("- model: model\n  prize: 3", "use 'price'"),
        ("- model: model\n  price: cheap", "price is 'cheap'"),
    ],
)
def test_lists_of_models_that_are_none(written, said):
    if written is not None:
        Path("models.yaml").write_text(written)
    refused(models=("models.yaml",), said=(said,))


def other_texts() -> None:
    write_jsonl(Path("texts.jsonl"), [{"id": "new", "text": "another corpus"}])


def changed_text() -> None:
    write_jsonl(Path("texts.jsonl"), [*FEW[:-1], FEW[-1] | {"text": "it was another"}])


def without_domains() -> None:
    write_jsonl(Path("texts.jsonl"), [{"id": document["id"], "text": document["text"]} for document in FEW])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (other_texts, "are not given: 'text-00', 'text-01', 'text-02'"),
        (changed_text, f"the text {FEW[-1]['id']!r} is not the one"),
        (without_domains, "was scored on have domains, and those given have not all one"),
    ],
)
def test_a_table_of_other_texts(table, change, said):
    change()
    refused(said=(said, "--out"))


def test_a_table_of_another_unit(table):
    refused("--unit", "word", said=("has the unit 'document', not 'word'",))


def test_folders_of_other_things():
    OUT.mkdir()
    (OUT / "thesis.tex").write_text("years of work")
    refused(said=("holds 'thesis.tex'",))
    (OUT / "thesis.tex").unlink()
    write_manifest(OUT, "pools", {"unit": "document"})
    refused(said=("pools",))
    write_manifest(OUT, "losses", {"unit": "document"})
    refused(said=("was not scored by this version",))
    shutil.rmtree(OUT)
    OUT.write_text("a file")
    refused_file = run()
    assert (refused_file.exit_code, OUT.read_text()) == (2, "a file")
    assert "a file is in the way" in refused_file.stderr


def change_weights() -> None:
    spoil_weights(lambda weights: weights.update({name: values * 1.01 for name, values in weights.items()}))


def change_tokenizer() -> None:
    tokenizer = Tokenizer.from_file("model/tokenizer.json")
    tokenizer.add_tokens([AddedToken("xyzzy", special=False, normalized=False)])
    tokenizer.save("model/tokenizer.json")


@pytest.mark.parametrize(
    ("change", "options", "keys"),
    [
        (None, ("--window", 100), {"window": "was 256 and is 100", "stride": "was 128 and is 50"}),
        (None, ("--window", 256, "--stride", 3), {"stride": "was 128 and is 3"}),
        (None, ("--dtype", "bfloat16"), {"dtype": "was 'float32' and is 'bfloat16'"}),
        (None, ("--bos", "always"), {"bos": "was 'auto' and is 'always'"}),
        (None, ("--batch-tokens", 512), {"batch_tokens": "is 512"}),
        (change_weights, (), {"revision": "was 'sha256:"}),
        (lambda: spoil_config(rms_norm_eps=1e-3), (), {"revision": "was 'sha256:"}),
        (change_tokenizer, (), {"tokenizer": "was '"}),
        ("9.9.9", (), {"package_version": "and is '9.9.9'"}),
    ],
    ids=["window", "stride", "dtype", "bos", "batch", "weights", "config", "tokenizer", "version"],
)
def test_scores_made_differently(table, monkeypatch, change, options, keys):
    if isinstance(change, str):
        monkeypatch.setattr(prepared, "version", lambda name: change)
    elif change is not None:
        change()
    printed = refused(*options, said=("--out",))
    known = manifest(table)["models"]["model"]["keys"]
    found = {key for key in known if f"{key} was " in printed}
    assert found == set(keys)
    for key, words in keys.items():
        assert words in printed.partition(f"{key} was ")[2] or f"{key} {words}" in printed


def test_two_runs_at_once(table):
    with filelock.FileLock(table / ".lock"):
        refused(said=("another run is scoring into 'losses'", "one run at a time"))
    assert run().exit_code == 0


def test_tokens_wanted_too_late(table):
    refused("--tokens", said=("without its tokens",))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return the folder of a disk of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.name != "posix" or os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def hidden(table: Path) -> list[str]:
    """Return temporary files that were left behind."""
    return [name for name in content(table) if Path(name).name.startswith(".")]


@pytest.mark.parametrize(
    "free", [range(0, 16, 4), pytest.param(range(12), marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_a_full_disk_ends_the_run_until_there_is_space(small, disk, free):
    expected, failed = rows(small / OUT), 0
    for pages in free:
        out = disk / f"losses-{pages}"
        space = os.statvfs(disk)
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(space.f_bavail * space.f_frsize - pages * PAGE))
        arguments = ("score", "model", "--texts", "texts.jsonl", "--out", out)
        result = command(*arguments)
        if result.exit_code:
            failed += 1
            assert result.exit_code == 2, (result.output, result.exception)
            assert f"Error: cannot write '{out}" in result.stderr
            assert "o space left on device" in result.stderr
            assert "Traceback" not in result.stderr
            assert hidden(out) == []
        ballast.unlink()
        assert command(*arguments).exit_code == 0
        pd.testing.assert_frame_equal(rows(out), expected)
        assert hidden(out) == []
        assert not (out / "journal").exists()
        shutil.rmtree(out)
    assert len(free) // 2 <= failed < len(free)


def test_texts_of_white_space_only_are_no_stop(small):
    with Path("texts.jsonl").open("a") as stream:
        stream.write(json.dumps({"text": " \n", "id": "blank"}) + "\n")
    result = run()
    assert result.exit_code == 0
    assert "left out 1 text of white space only" in result.stderr
    pd.testing.assert_frame_equal(rows(OUT), rows(small / OUT))


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("num_hidden_layers", 10**9, "the number of its tensors"),
        ("hidden_size", 10**12, "the largest dimension of its tensors"),
        ("max_position_embeddings", 0, "a whole number from 1"),
        ("rope_theta", float("inf"), "a finite number above 1"),
        ("rms_norm_eps", float("nan"), "a number above zero"),
        ("rope_scaling", {"rope_type": "linear", "factor": 0}, "a finite number above zero"),
        ("tie_word_embeddings", "false", "true or false"),
    ],
)
def test_values_that_no_configuration_has(name, value, accepted):
    spoil_config(**{name: value})
    refused(said=(name, "in config.json", accepted))


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors", "new"])
def test_files_of_a_model_that_never_end(file):
    Path("model", file).unlink(missing_ok=True)
    os.mkfifo(Path("model", file))
    refused(said=(f"{file} in 'model'", "a named pipe"), unchanged=False)
    Path("model", file).unlink()
    Path("model", file).symlink_to("/dev/zero")
    refused(said=(f"{file} in 'model'", "a device"), unchanged=False)
