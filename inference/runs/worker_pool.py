"""The workers of one model on a Ray cluster: started where there is room, kept busy, replaced when they are lost."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bayeslaw.errors import InputError
from inference.runs.batch_queue import BatchQueue
from inference.runs.cluster_resources import Node, no_place, places
from inference.runs.prepared import Plan
from inference.runs.remote_worker import WorkerFacts

# How often the nodes are looked at, for places that are new or lost.
LOOK_SECONDS = 5.0
# One shard is scored while the next is on its way.
SHARDS_EACH = 2
LOSSES_BORNE = 3
# What Ray says where a worker lacks a module.
IMPORT_FAILED = "failed to import on the worker"

Answer = list[tuple[np.ndarray, float]]


@dataclass(eq=False)
class _Worker:
    handle: Any
    loaded: bool = False
    shards: int = 0


@dataclass
class _Call:
    """What a worker was asked for: to load, or to score a shard."""

    worker: _Worker
    shard: tuple[int, ...] | None = None


@dataclass
class WorkerPool:
    """Workers of one model.

    Attributes
    ----------
    ray
        The module, connected to a cluster.
    model
        Name of the model.
    asked
        What each worker asks for; see `inference.runs.cluster_resources.worker_resources`.
    start
        Starts a worker: returns its handle and the reference of what loading its model will return.
    nodes
        Returns the nodes that are alive.
    loaded
        Called with what a worker tells of itself once its model is loaded.
    """

    ray: Any
    model: str
    asked: dict[str, float]
    start: Callable[[], tuple[Any, Any]]
    nodes: Callable[[], list[Node]]
    loaded: Callable[[WorkerFacts], None]
    _workers: list[_Worker] = field(default_factory=list)
    _calls: dict[Any, _Call] = field(default_factory=dict)
    _looked: float = -LOOK_SECONDS
    _lost_loading: int = 0

    def score(self, plan: Plan, queue: BatchQueue) -> Iterator[tuple[tuple[int, ...], Answer]]:
        """Score all batches of a queue.

        Parameters
        ----------
        plan
            The plan that the batches are of.
        queue
            The batches.

        Yields
        ------
        tuple
            Numbers of the batches of a shard and what `inference.runs.remote_worker.RemoteWorker.score` returns for
            them, as they come.

        Raises
        ------
        InputError
            If a worker finds fault with the model, no node has room for it, or its workers die again and again.
        """
        while len(queue) or any(call.shard for call in self._calls.values()):
            self._grow(queue)
            self._hand_out(plan, queue)
            ready, _ = self.ray.wait(list(self._calls), num_returns=1, timeout=LOOK_SECONDS)
            for reference in ready:
                call = self._calls.pop(reference)
                answer = self._answer(reference, call, queue)
                if call.shard is not None and answer is not None:
                    queue.timed([seconds for _, seconds in answer])
                    yield call.shard, answer

    def _grow(self, queue: BatchQueue) -> None:
        """Start workers where there is room for more, but none without a batch."""
        if not len(queue) or time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        nodes = self.nodes()
        room = places(self.asked, nodes)
        if not room and not any(worker.loaded for worker in self._workers):
            raise no_place(self.model, self.asked, nodes)
        for _ in range(min(room - len(self._workers), len(queue))):
            handle, loading = self.start()
            worker = _Worker(handle)
            self._workers.append(worker)
            self._calls[loading] = _Call(worker)

    def _hand_out(self, plan: Plan, queue: BatchQueue) -> None:
        loaded = [worker for worker in self._workers if worker.loaded]
        # Every worker gets its first shard before any gets its second.
        for most in range(1, SHARDS_EACH + 1):
            for worker in loaded:
                if worker.shards < most and (shard := queue.take(len(loaded))):
                    reference = worker.handle.score.remote([plan.arrays(batch) for batch in shard])
                    self._calls[reference] = _Call(worker, shard)
                    worker.shards += 1

    def _answer(self, reference: Any, call: _Call, queue: BatchQueue) -> Any:
        """Return what a worker answered; None if it was lost, and its batches wait again."""
        errors = self.ray.exceptions
        try:
            answer = self.ray.get(reference)
        except errors.RayTaskError as error:
            # What the worker itself raised would be raised again.
            raise error if not isinstance(error.cause, InputError) else error.cause from None
        except errors.RayError as error:
            self._lose(call, queue, error)
            return None
        if call.shard is None:
            call.worker.loaded, self._lost_loading = True, 0
            self.loaded(answer)
        else:
            call.worker.shards -= 1
        return answer

    def _lose(self, call: _Call, queue: BatchQueue, error: Exception) -> None:
        why = " ".join(re.sub(r"\x1b\[[\d;]*m", "", str(error)).split())
        if IMPORT_FAILED in why:
            problem = f"a node of the Ray cluster cannot load this package: {why.rpartition(') ')[2][:300]}"
            accepted = "nodes started in an environment like this one"
            raise InputError(problem, accepted, "install bayeslaw there, in the same version")
        if call.worker in self._workers:
            self._workers.remove(call.worker)
            self.ray.kill(call.worker.handle)
            self._looked = -LOOK_SECONDS
        if call.shard is None:
            self._lost_loading += 1
            # All workers of a node that is lost are lost at once.
            lost, borne = self._lost_loading, LOSSES_BORNE * max(1, places(self.asked, self.nodes()))
        else:
            lost, borne = queue.put_back(call.shard), LOSSES_BORNE
        if lost > borne:
            what = "loading it" if call.shard is None else f"scoring batches {call.shard[0]} to {call.shard[-1]}"
            problem = f"workers of {self.model!r} on the Ray cluster died {lost} times while {what}: {why[:300]}"
            fix = "ask for more memory in the model's field resources or give a smaller --batch-tokens, and run again"
            raise InputError(problem, "nodes with room for the model and a batch", fix)

    def end(self) -> None:
        """End all workers."""
        for worker in self._workers:
            self.ray.kill(worker.handle)
        self._workers, self._calls = [], {}
