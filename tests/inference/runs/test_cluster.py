"""Scoring over a Ray cluster of two nodes on this machine: the same table, whatever is lost."""

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing, suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
from make_checkpoints import make_checkpoint
from safetensors.numpy import load_file, save_file

from bayeslaw.errors import InputError
from inference.checkpoints.checkpoint import open_checkpoint
from inference.runs import cluster
from inference.runs.cluster import ClusterScorer, connect
from inference.runs.model_list import ModelRequest
from inference.runs.model_scoring import LocalScorer
from inference.runs.options import ScoreOptions
from inference.runs.prepared import plan_texts, prepare_model
from inference.runs.remote_worker import check_version, open_here
from inference.runs.runner import run
from inference.texts.documents import Corpus

OPTIONS = ScoreOptions(batch_tokens=64, window=32, stride=16, unit="word", dtype="float32", keep_tokens=True)
TEXTS = tuple(f"she sells {number} small sea shells and the river reads" for number in range(40))
HELPER = Path(__file__).parents[2] / "support" / "ray_cluster.py"
SECONDS = 120


def refused(error, *said):
    for words in said:
        assert words in str(error.value), str(error.value)
    assert [str(error.value).count(part) for part in ("\naccepted: ", "\nfix: ")] == [1, 1]


class TwoNodes:
    """A cluster in another process, started and ended with it."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, HELPER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.address = self._told()["address"]

    def _told(self):
        return json.loads(self.process.stdout.readline())

    def lose_one(self):
        print(file=self.process.stdin, flush=True)
        assert self._told() == {"nodes": 1}

    def workers(self):
        found = []
        for one in psutil.Process(self.process.pid).children(recursive=True):
            # Others may end just now.
            with suppress(psutil.NoSuchProcess):
                found += [one] if "RemoteWorker" in "".join(one.cmdline()) else []
        return found

    def wait_for_no_workers(self):
        assert not psutil.wait_procs(self.workers(), SECONDS)[1]

    def end(self):
        self.process.stdin.close()
        self.process.wait(SECONDS)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint") / "m", "llama", "small")


def a_request(folder, name="m", **resources):
    return ModelRequest(source=str(folder), name=name, family="f", resources=resources)


def a_corpus(texts=TEXTS):
    return Corpus(tuple(f"d{number}" for number in range(len(texts))), tuple(texts), None, ("texts.jsonl",))


def spoil(folder, copy):
    shutil.copytree(folder, copy)
    weights = load_file(copy / "model.safetensors")
    weights["model.norm.weight"][1] = np.nan
    save_file(weights, copy / "model.safetensors")
    return copy


class Disturbed:
    """Passes everything on to a scorer; after the first batch it kills all workers, and one of the two nodes."""

    def __init__(self, scorer, nodes):
        self.scorer, self.nodes, self.killed = scorer, nodes, 0

    def __getattr__(self, name):
        return getattr(self.scorer, name)

    def score(self, model, plan, batches, *, journal=None):
        assert len(batches) > 6
        for done, scored in enumerate(self.scorer.score(model, plan, batches)):
            if not done:
                for worker in self.nodes.workers():
                    os.kill(worker.pid, signal.SIGKILL)
                    self.killed += 1
                self.nodes.lose_one()
            yield scored


def check_that_the_table_is_that_of_one_machine_whatever_is_killed(nodes, folder, tmp_path):
    disturbed = Disturbed(ClusterScorer(nodes.address), nodes)
    [result] = run([a_request(folder)], a_corpus(), tmp_path / "there", OPTIONS, scorer=disturbed)
    assert disturbed.killed == 2
    run([a_request(folder)], a_corpus(), tmp_path / "here", OPTIONS)
    files = sorted(path.relative_to(tmp_path / "here") for path in (tmp_path / "here").rglob("*.parquet"))
    assert len(files) == 4
    for file in files:
        here, there = (pq.read_table(tmp_path / which / file).to_pandas() for which in ("here", "there"))
        if "nll" in here:
            np.testing.assert_allclose(there.pop("nll"), here.pop("nll"), rtol=1e-5)
        assert there.equals(here)
    model = json.loads((tmp_path / "there" / "manifest.json").read_text())["models"]["m"]
    assert model["tokens"] == result.tokens
    assert model["load_seconds"] > 0
    assert model["device"].startswith("Ray: ")
    assert "1 x cpu" in model["device"]
    nodes.wait_for_no_workers()


def check_that_workers_run_where_their_resources_are(nodes, folder):
    model = prepare_model(a_request(folder, right=1.0, memory=1e8), OPTIONS)
    wide = replace(model, request=a_request(folder, num_cpus=2.0))
    plan = plan_texts(model, TEXTS[:6])
    [(_, expected, _)] = LocalScorer().score(model, plan, [1])
    with closing(ClusterScorer(nodes.address)) as scorer:
        [right] = [
            node["NodeID"] for node in sys.modules["ray"].nodes() if node["Alive"] and "right" in node["Resources"]
        ]
        [(batch, values, seconds)] = scorer.score(model, plan, [1])
        assert batch == 1
        assert seconds > 0
        np.testing.assert_allclose(values, expected, rtol=1e-5)
        assert scorer._devices == {right: "1 x cpu"}
        assert scorer.device == "Ray: 1 node with 1 x cpu a worker"
        [worker] = nodes.workers()
        environment = worker.environ()
        assert (environment["JAX_PLATFORMS"], environment["PJRT_NPROC"]) == ("cpu", "1")
        assert scorer.fits(model)
        assert not scorer.fits(wide)
        with pytest.raises(InputError) as error:
            list(scorer.score(wide, plan, [0]))
        refused(error, "'m'", "num_cpus 2", "num_cpus 1, ")
    nodes.wait_for_no_workers()


def check_that_what_a_worker_finds_wrong_reaches_the_user(nodes, folder, tmp_path):
    broken = spoil(folder, tmp_path / "broken")
    with pytest.raises(InputError) as error:
        run([a_request(broken)], a_corpus(TEXTS[:1]), tmp_path / "out", OPTIONS, scorer=ClusterScorer(nodes.address))
    refused(error, "norm", "not finite in float32")
    nodes.wait_for_no_workers()


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="the extra ray is not installed")
def test_a_run_on_a_cluster(folder, tmp_path, capfd):
    # One test, so that one cluster is started however tests are spread.
    nodes = TwoNodes()
    try:
        check_that_workers_run_where_their_resources_are(nodes, folder)
        check_that_what_a_worker_finds_wrong_reaches_the_user(nodes, folder, tmp_path)
        check_that_the_table_is_that_of_one_machine_whatever_is_killed(nodes, folder, tmp_path)
    finally:
        nodes.end()
    assert "(raylet)" not in "".join(capfd.readouterr())


def test_a_node_opens_what_the_driver_opened(folder, tmp_path):
    known = open_checkpoint(folder)
    assert open_here(known, "one") == known
    moved = replace(known, folder=tmp_path / "elsewhere")
    with pytest.raises(InputError) as error:
        open_here(moved, "one")
    refused(error, "'one'", repr(str(tmp_path / "elsewhere")), "does not see")
    with pytest.raises(InputError) as error:
        open_here(replace(known, folder=spoil(folder, tmp_path / "other")), "one")
    refused(error, "'one'", repr(str(tmp_path / "other")), "another model")


def test_a_model_of_the_hub_is_opened_at_its_commit(folder, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "inference.runs.remote_worker.open_checkpoint", lambda name, **options: asked.append((name, options))
    )
    open_here(replace(open_checkpoint(folder), name="a/b", revision="c0ffee"), "one", offline=True)
    assert asked == [("a/b", {"revision": "c0ffee", "offline": True})]


def test_another_version_on_a_node_is_refused():
    check_version("0.1.0", "0.1.0", "one")
    with pytest.raises(InputError) as error:
        check_version("0.1.0", "0.2.0", "one")
    refused(error, "'one'", "0.1.0", "0.2.0")


@pytest.mark.parametrize("address", ["", "here", "local", "ray://head:10001", "http://head:8265", "head:", "a b:1"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(InputError) as error:
        connect(address)
    refused(error, repr(address), "HOST:PORT", "auto")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:99999"])
def test_an_address_where_nothing_answers_is_refused(address):
    pytest.importorskip("ray")
    with pytest.raises(InputError) as error:
        ClusterScorer(address)
    refused(error, address, "ray start --head")


def test_no_cluster_on_this_machine_is_refused(monkeypatch):
    ray = pytest.importorskip("ray")

    def nothing(**options):
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr(ray, "init", nothing)
    with pytest.raises(InputError) as error:
        ClusterScorer("auto")
    refused(error, "on this machine", "ray start --head")


def test_ray_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError) as error:
        cluster.connect("auto")
    refused(error, "not installed", "pip install 'bayeslaw[ray]'")
