"""A run that is killed, runs out of disk or meets other writers leaves the table of an undisturbed one, bit for bit."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from make_checkpoints import make_checkpoint, make_documents

DRIVER = Path(__file__).parents[2] / "support" / "killed_runs.py"
MODELS = ["llama", "gpt2"]
OPTIONS = {"unit": "word", "batch_tokens": 32, "dtype": "float32", "window": 32, "keep_tokens": True}
TIMES = ("scored_at",)
BOTH = {"texts": ["first.jsonl", "second.jsonl"]}
TRUE = {"texts": ["long.txt"], "models": ["llama"], "scorer": "true"}
STREAMED = TRUE | {"scorer": "streamed"}
MEASURED = (*TIMES, "seconds", "tokens_per_second", "load_seconds")


@dataclass(frozen=True)
class Deaths:
    """How many runs die or are disturbed, spread over all that they do.

    Attributes
    ----------
    kills
        Runs of one file of texts.
    grown
        Runs that add texts.
    true_shares
        Runs with the true decoder: after which share of what they do.
    streamed_shares
        Runs that read it layer by layer: after which share; every other one runs out of disk.
    full
        Runs during which the disk becomes full.
    writers
        Others that want to write while a run is at work.
    """

    kills: int
    grown: int
    true_shares: tuple[float, ...]
    streamed_shares: tuple[float, ...]
    full: int
    writers: int


FEW = Deaths(kills=3, grown=1, true_shares=(0.5,), streamed_shares=(0.45,), full=1, writers=1)
MANY = Deaths(
    kills=50,
    grown=3,
    true_shares=(0.3, 0.5, 0.7),
    streamed_shares=(0.1, 0.3, 0.4, 0.5, 0.6, 0.8, 0.9, 0.95),
    full=10,
    writers=10,
)


def run_jobs(folder: Path, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Run jobs one after the other, each in a process of its own."""
    (folder / "jobs.json").write_text(json.dumps(jobs))
    settings = {"OMP_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled")}
    settings |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "PYTHONPATH": str(DRIVER.parents[2])}
    command = [sys.executable, str(DRIVER), "jobs.json"]
    done = subprocess.run(command, cwd=folder, env=os.environ | settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def content(table: Path, *, ignored: tuple[str, ...] = TIMES) -> dict[str, Any]:
    """Return all that is in the folder of a table, by file, but for the times in its manifest."""
    found: dict[str, Any] = {}
    for path in sorted(table.rglob("*")):
        if path.is_file() and path.name != ".lock":
            found[path.relative_to(table).as_posix()] = path.read_bytes()
    manifest = json.loads(found.pop("manifest.json"))
    # The folders that are compared have different names.
    del manifest["attrs"]["source"]
    for model in manifest["models"].values():
        for facts in (model, *model["parts"]):
            for name in ignored:
                facts.pop(name, None)
    return found | {"manifest": manifest}


def same_table(table: Path, whole: Path, **options: Any) -> None:
    found, wanted = content(table, **options), content(whole, **options)
    assert sorted(found) == sorted(wanted)
    for name, value in wanted.items():
        assert found[name] == value, (table, name)


def job(out: str, **settings: Any) -> dict[str, Any]:
    return {"models": MODELS, "texts": ["first.jsonl"], "options": OPTIONS, "out": out} | settings


def make_inputs(folder: Path) -> Path:
    for name in MODELS:
        make_checkpoint(folder / name, name, "small")
    documents = make_documents(54)
    # Each from one of a few books, some of which go on in the texts that are added.
    documents = [document | {"cluster": f"book-{number % 5}"} for number, document in enumerate(documents)]
    for name, some in (("first", documents[:46]), ("second", documents[46:54])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(document) + "\n" for document in some))
    # Windows of one length are scored in batches of one shape, which compile once.
    (folder / "long.txt").write_text(" ".join(document["text"] for document in documents[:20]))
    return folder


@pytest.fixture(
    scope="module", params=[pytest.param(FEW, id="few"), pytest.param(MANY, id="many", marks=pytest.mark.slow)]
)
def deaths(request: pytest.FixtureRequest) -> Deaths:
    return request.param


@pytest.fixture(scope="module")
def folder(deaths: Deaths, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two models and files of texts."""
    return make_inputs(tmp_path_factory.mktemp("resume"))


@pytest.fixture(scope="module")
def done(folder: Path, deaths: Deaths) -> dict[str, Any]:
    """Return what all runs did; they are children of one process, since that takes long to start."""
    jobs: list[dict[str, Any]] = []
    groups: dict[str, list[int]] = {}

    def add(group: str, *some: dict[str, Any]) -> int:
        groups.setdefault(group, []).extend(range(len(jobs), len(jobs) + len(some)))
        jobs.extend(some)
        return len(jobs) - 1

    whole = add("whole", job("whole"))
    moments = np.random.default_rng(17)
    for number in range(deaths.kills):
        out, torn = f"killed-{number:02d}", bool(number % 2)
        # Spread over the run, so that no phase is left out.
        share = (number + moments.random()) / deaths.kills
        add("killed", job(out, of=whole, share=share, torn=torn))
        if torn:
            add("killed-again", job(out, of=whole, share=(1 - share) * moments.random() / 2))
        else:
            add("read", {"read": out})
        add("resumed", job(out))
    for number in range(deaths.full):
        out = f"full-{number}"
        share = (number + moments.random()) / deaths.full
        add("full", job(out, of=whole, share=share, full=True, torn=bool(number % 2)), job(out))
    shares = [(number + 0.5) / deaths.writers for number in range(deaths.writers)]
    add("met", job("met", of=whole, writers=shares))
    add("grown", job("grown"))
    grown = add("grown", job("grown", **BOTH))
    for number in range(deaths.grown):
        out = f"grown-{number}"
        add("added", job(out), job(out, of=grown, share=(number + 0.4) / deaths.grown, **BOTH), job(out, **BOTH))
    true = add("true", job("true", **TRUE))
    for number, share in enumerate(deaths.true_shares):
        out = f"true-{number}"
        add("true-killed", job(out, of=true, share=share, torn=share == 0.5, **TRUE), job(out, **TRUE))
    streamed = add("streamed", job("streamed", **STREAMED))
    for number, share in enumerate(deaths.streamed_shares):
        out = f"streamed-{number}"
        stop = {"of": streamed, "share": share, "full": number % 2 == 1, "torn": number % 2 == 0}
        add("streamed-stopped", job(out, **stop, **STREAMED), job(out, **STREAMED))
    found = run_jobs(folder, jobs)
    return {group: [found[place] for place in places] for group, places in groups.items()}


def test_the_run_is_long_enough(folder, done):
    assert done["whole"][0]["batches"] >= 60
    assert content(folder / "whole")["manifest"]["models"].keys() == set(MODELS)


def test_a_killed_run_leaves_the_same_table(folder, done, deaths):
    assert [run["died"] for run in done["killed"]] == [signal.SIGKILL] * deaths.kills
    assert sum(run["died"] == signal.SIGKILL for run in done["killed-again"]) >= deaths.kills // 4
    for number in range(deaths.kills):
        same_table(folder / f"killed-{number:02d}", folder / "whole")


def test_a_full_disk_loses_nothing(folder, done, deaths):
    for number in range(deaths.full):
        stopped, again = done["full"][2 * number : 2 * number + 2]
        assert stopped["died"] == 0
        assert "No space left on device" in stopped["error"]
        assert "\naccepted: " in stopped["error"]
        # One batch at most was scored and could not be kept.
        assert stopped["batches"] + again["batches"] <= done["whole"][0]["batches"] + 1
        same_table(folder / f"full-{number}", folder / "whole")


def test_other_writers_are_refused_and_change_nothing(folder, done, deaths):
    met = done["met"][0]
    assert len(met["others"]) == deaths.writers
    assert all(error is not None and "another run is scoring into" in error for error in met["others"])
    assert met["batches"] == done["whole"][0]["batches"]
    same_table(folder / "met", folder / "whole")


def test_no_row_is_there_twice_and_none_is_lost(folder, done, deaths):
    for table in [folder / "whole", *(folder / f"killed-{number:02d}" for number in range(deaths.kills))]:
        for name in MODELS:
            rows = pq.read_table(table / f"part-{name}-0000.parquet")
            tokens = pq.read_table(table / "tokens" / f"{name}-0000.parquet")
            assert len(set(rows["sample"].to_pylist())) == rows.num_rows
            places = list(zip(tokens["document"].to_pylist(), tokens["position"].to_pylist(), strict=True))
            assert len(set(places)) == len(places) == sum(rows["tokens"].to_pylist())


def test_what_was_scored_is_not_scored_again(done, deaths):
    whole, moments = done["whole"][0]["batches"], done["whole"][0]["moments"]
    for number, run in enumerate(done["resumed"]):
        before = moments[: int(number / deaths.kills * len(moments))]
        kept = sum(moment.startswith("os.rename journal") and ".batch" in moment for moment in before)
        assert run["batches"] <= whole - kept
    assert done["resumed"][-1]["batches"] < whole / 2


def test_a_table_that_is_not_finished_holds_whole_models_or_says_what_it_lacks(folder, done):
    parts = {name: pq.read_table(folder / "whole" / f"part-{name}-0000.parquet") for name in MODELS}
    seen = [run["found"] for run in done["read"]]
    assert {type(found) for found in seen} == {str, dict}
    for found in seen:
        if isinstance(found, str):
            assert "\naccepted: " in found
            continue
        for name, losses in found.items():
            assert losses == parts[name]["nll"].to_pylist()


@pytest.mark.slow
def test_a_run_may_die_at_every_kind_of_moment(tmp_path):
    folder = make_inputs(tmp_path)
    _, kinds = run_jobs(folder, [job("whole"), job("kind", kinds_of=0)])
    for written in ("corpus/", ".manifest", "keys", ".batch", "tokens/", ".models", ".part", "rmdir journal", "mkdir"):
        assert any(written in kind["moment"] for kind in kinds), written
    for kind in kinds:
        assert kind["died"] == signal.SIGKILL, kind["moment"]
        same_table(folder / kind["out"], folder / "whole")


def test_texts_that_a_killed_run_added(folder, done, deaths):
    first, second = done["grown"]
    assert 0 < second["batches"] < first["batches"]
    models = content(folder / "grown")["manifest"]["models"]
    for name in MODELS:
        parts = models[name]["parts"]
        assert models[name]["segments"] == [0, 1]
        assert models[name]["tokens"] == sum(part["tokens"] for part in parts)
        assert models[name]["seconds"] == sum(part["seconds"] for part in parts)
    assert sum(model["seconds"] for model in models.values()) == 0.25 * (first["batches"] + second["batches"])
    for number in range(deaths.grown):
        assert done["added"][3 * number + 1]["died"] == signal.SIGKILL
        same_table(folder / f"grown-{number}", folder / "grown")
        for name in MODELS:
            rows = pq.read_table(folder / f"grown-{number}" / f"part-{name}-0001.parquet")
            texts = [int(sample.partition(":")[0].removeprefix("text-")) for sample in rows["sample"].to_pylist()]
            assert rows["cluster"].to_pylist() == [f"book-{text % 5}" for text in texts]
    # What was there before the texts came is untouched.
    for name in MODELS:
        for file in (f"part-{name}-0000.parquet", f"tokens/{name}-0000.parquet"):
            assert (folder / "grown" / file).read_bytes() == (folder / "whole" / file).read_bytes()


def test_the_true_decoder_gives_the_same_bits(folder, done, deaths):
    whole = done["true"][0]["batches"]
    assert whole >= 8
    for number in range(len(deaths.true_shares)):
        killed, resumed = done["true-killed"][2 * number : 2 * number + 2]
        assert killed["died"] == signal.SIGKILL
        assert 0 < resumed["batches"] < whole
        same_table(folder / f"true-{number}", folder / "true", ignored=MEASURED)


def test_layer_by_layer_a_run_goes_on_from_its_hidden_states(folder, done, deaths):
    whole = done["streamed"][0]
    kept = sum(moment.startswith("os.rename journal") and ".hidden" in moment for moment in whole["moments"])
    # Of one layer, once after the embedding and once after the layer.
    assert kept == 2 * whole["batches"]
    for number in range(len(deaths.streamed_shares)):
        stopped, again = done["streamed-stopped"][2 * number : 2 * number + 2]
        assert stopped["died"] == (0 if number % 2 else signal.SIGKILL)
        assert number % 2 == 0 or "No space left on device" in stopped["error"]
        written = sum(".hidden" in moment and moment.startswith("os.rename") for moment in again["moments"])
        assert written < kept
        same_table(folder / f"streamed-{number}", folder / "streamed", ignored=MEASURED)
    same_table(folder / "streamed", folder / "true", ignored=(*MEASURED, "streamed"))
