"""Scoring runs that die of SIGKILL, run out of disk or meet other writers at chosen moments.

Usage: ``python tests/support/killed_runs.py JOBS.json``.

Every run is a child of one process that has imported everything and computed nothing, so that it starts at once.
"""

import errno
import gc
import json
import os
import re
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bayeslaw.errors import InputError
from bayeslaw.losses.readers import read_losses
from inference.runs import hidden_states
from inference.runs.batch_journal import Journal
from inference.runs.model_list import read_requests
from inference.runs.model_scoring import LocalScorer
from inference.runs.options import ScoreOptions
from inference.runs.prepared import Plan, PreparedModel, prepare_model
from inference.runs.runner import run
from inference.texts.documents import read_texts

# What Python reports before it happens: each is a moment at which a run may die.
FILLING = ("os.rename", "os.mkdir", "open")
WATCHED = ("os.remove", "os.rmdir", *FILLING)


class TargetScorer:
    """Gives every token a log-probability that depends on its id alone; dies in the middle of a batch if asked to."""

    def __init__(self, moments: "Moments") -> None:
        self.load_seconds: dict[str, float] = {}
        self.device, self.streamed = "none", ()
        self.moments = moments
        self.batches = 0

    def fits(self, model: PreparedModel) -> bool:
        return True

    def prefetch(self, model: PreparedModel) -> None:
        """Nothing is loaded."""

    def close(self) -> None:
        """Nothing is held."""

    def score(
        self, model: PreparedModel, plan: Plan, batches: Sequence[int], *, journal: Journal | None = None
    ) -> Iterator[tuple[int, np.ndarray, float]]:
        for batch in batches:
            self.moments.passed("batch", "")
            self.batches += 1
            arrays = plan.arrays(batch)
            values = np.float32(-0.5) - (arrays.targets * np.float32(len(model.name)) % np.float32(7)) / np.float32(9)
            yield batch, plan.gather(batch, values, arrays.scored), 0.25


class Moments:
    """Counts what happens to a folder, and dies at the moment of a given number.

    Parameters
    ----------
    folder
        The folder.
    last
        Number of the moment, from 0; None to live on.
    torn
        Whether a file that is about to take its place is cut in half first, as if death came while it was written.
    full
        Whether the disk is full from that moment on, in the place of death.
    met
        What to do at moments of some numbers.
    """

    def __init__(
        self,
        folder: str,
        *,
        last: int | None,
        torn: bool,
        full: bool = False,
        met: Mapping[int, Callable[[], None]] | None = None,
    ) -> None:
        self.folder, self.last, self.torn, self.full = os.path.abspath(folder), last, torn, full
        self.met = dict(met or {})
        self.seen: list[str] = []

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in WATCHED or not isinstance(arguments[0], str | os.PathLike):
            return
        path = os.path.abspath(os.fspath(arguments[0]))
        if not path.startswith(self.folder):
            return
        # Reading changes nothing, nor does making what is there or removing what is not.
        if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
            return
        if event in ("os.mkdir", "os.remove") and os.path.exists(path) == (event == "os.mkdir"):
            return
        self.passed(event, path)
        # What is there can be removed from a disk that is full.
        if self.full and self.last is not None and len(self.seen) > self.last and event in FILLING:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    def passed(self, event: str, path: str) -> None:
        self.seen.append(f"{event} {os.path.relpath(path, self.folder) if path else ''}".strip())
        if meet := self.met.pop(len(self.seen) - 1, None):
            meet()
        if len(self.seen) - 1 != self.last:
            return
        if self.torn and event == "os.rename":
            os.truncate(path, os.path.getsize(path) // 2)
        if not self.full:
            os.kill(os.getpid(), signal.SIGKILL)


def work(job: dict[str, Any]) -> dict[str, Any]:
    """Do one job in this process: score, or read what is there."""
    if "read" in job:
        return {"found": _read(job["read"])}
    others: list[str | None] = []
    second = {key: value for key, value in job.items() if key != "writers"}
    met = dict.fromkeys(job.get("writers", ()), lambda: others.append(in_child(second).get("error")))
    moments = Moments(
        job["out"], last=job.get("last"), torn=job.get("torn", False), full=job.get("full", False), met=met
    )
    requests, corpus = read_requests(job["models"]), read_texts(job["texts"])
    options = ScoreOptions(**job["options"])
    scorer = SCORERS[job.get("scorer", "targets")](moments)
    sys.addaudithook(moments.hook)
    said: list[str] = []
    try:
        results = run(requests, corpus, job["out"], options, scorer=scorer, say=said.append)
    except InputError as error:
        return {"error": str(error), "batches": scorer.batches}
    tokens, refused = [result.tokens for result in results], [result.refused for result in results]
    done = {"moments": moments.seen, "batches": scorer.batches, "others": others}
    return done | {"tokens": tokens, "refused": refused, "said": said}


class _Watched(LocalScorer):
    """Scores with the true decoder; every batch is a moment."""

    def __init__(self, moments: Moments, **options: Any) -> None:
        super().__init__(**options)
        self.moments, self.batches = moments, 0

    def score(
        self, model: PreparedModel, plan: Plan, batches: Sequence[int], *, journal: Journal | None = None
    ) -> Iterator[tuple[int, np.ndarray, float]]:
        for done in super().score(model, plan, batches, journal=journal):
            self.moments.passed("batch", "")
            self.batches += 1
            yield done


def _streamed(moments: Moments) -> _Watched:
    """Return a scorer that reads models layer by layer, and keeps hidden states after each."""
    hidden_states.SECONDS_BETWEEN_FILES = 0.0
    return _Watched(moments, stream_layers=True)


SCORERS = {"targets": TargetScorer, "true": _Watched, "streamed": _streamed}


def _read(folder: str) -> dict[str, list[float]] | str:
    """Return the losses of each model of a table, or what is wrong with it."""
    try:
        losses = read_losses(folder, missing="drop-models")
    except InputError as error:
        return str(error)
    return {str(name): losses["nll"].sel(lm=name).to_numpy().tolist() for name in losses["lm"].to_numpy()}


def chosen_moment(job: dict[str, Any], done: list[Any]) -> dict[str, Any]:
    """Return a job with the numbers of its last moment, or of those of other writers, if given as shares."""
    if "of" not in job:
        return job
    moments = done[job["of"]]["moments"]
    # A run ends with removing its journal, which a full disk does not hinder.
    numbers = [number for number, each in enumerate(moments) if each.startswith(FILLING) or not job.get("full")]
    if "writers" in job:
        return job | {"writers": [numbers[int(share * len(numbers))] for share in job["writers"]]}
    return job | {"last": numbers[int(job["share"] * len(numbers))]}


def at_every_kind_of_moment(job: dict[str, Any], moments: Sequence[str]) -> list[dict[str, Any]]:
    """Run a job once for each kind of moment, to die there, and again to the end."""
    kinds: dict[str, int] = {}
    for number, moment in enumerate(moments):
        # Before a file is opened, all is as it was after what came before.
        if not moment.startswith(("open", "batch")):
            kinds.setdefault(re.sub(r"-[0-9a-f]{8}\.|\d{7}", "", moment), number)
    found = []
    for number in kinds.values():
        here = job | {"out": f"{job['out']}-{number}"}
        killed = in_child(here | {"last": number, "torn": moments[number].startswith("os.rename")})
        found.append({"moment": moments[number], "out": here["out"], "died": killed["died"], "again": in_child(here)})
    return found


def in_child(job: dict[str, Any]) -> dict[str, Any]:
    """Run one job in a child, and return what it says with the signal that it died of, or 0."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        status = 1
        try:
            with os.fdopen(writer, "w") as stream:
                json.dump(work(job), stream)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            # Without what the parent registered to be done at its own end.
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as stream:
        said = stream.read()
    _, status, used = os.wait4(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise RuntimeError(f"a run failed: {job}")
    died = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    return {"died": died, "cpu": used.ru_utime + used.ru_stime, **(json.loads(said) if said else {})}


def main() -> None:
    # The children start JAX for themselves.
    warnings.filterwarnings("ignore", message="os.fork")
    warnings.filterwarnings("ignore", message=".*multi-threaded")
    jobs = json.loads(Path(sys.argv[1]).read_text())
    # What is imported when it is first needed is imported here, once for all children.
    for request in read_requests(jobs[0]["models"]):
        prepare_model(request, ScoreOptions(**jobs[0]["options"]))
    # Children that collect garbage would copy the memory they share.
    gc.collect()
    gc.freeze()
    done: list[Any] = []
    for job in jobs:
        if "kinds_of" in job:
            done.append(at_every_kind_of_moment(job, done[job["kinds_of"]]["moments"]))
        else:
            done.append(in_child(chosen_moment(job, done)))
    print(json.dumps(done))


if __name__ == "__main__":
    main()
