"""The same run over a Ray cluster: every node scores batches, and the process that runs keeps what is done."""

import logging
import os
import re
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

from bayeslaw.errors import InputError
from inference.runs.batch_journal import Journal
from inference.runs.batch_queue import BatchQueue
from inference.runs.cluster_resources import Node, actor_options, no_place, places, worker_resources
from inference.runs.model_memory import SPARE, weight_bytes
from inference.runs.model_scoring import Scored
from inference.runs.prepared import Plan, PreparedModel
from inference.runs.remote_worker import RemoteWorker, WorkerFacts
from inference.runs.worker_pool import WorkerPool

AUTO = "auto"
PATIENCE_SECONDS = 10.0
ACCEPTED = "auto, or the address of the head node as HOST:PORT"
START = "start one with 'ray start --head', and 'ray start --address HOST:PORT' on other nodes"
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Ray prints its own account of every worker that is lost on standard output, where results go.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    # Without GPUs of its own a worker is told to stay on the CPU; Ray need not hide them.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # This process only plans: workers need the memory of an accelerator that it may share.
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}


def connect(address: str) -> tuple[Any, bool]:
    """Connect to a cluster.

    Parameters
    ----------
    address
        ``"auto"`` for the one that runs on this machine, or ``HOST:PORT`` of a head node.

    Returns
    -------
    module
        Ray.
    bool
        Whether this call made the connection; a process that is connected already stays so.

    Raises
    ------
    InputError
        If Ray is not installed, or there is no such cluster.
    """
    if address != AUTO and not re.fullmatch(r"[\w.\-]+:\d+|\[[0-9A-Fa-f:]+\]:\d+", address):
        raise InputError(f"{address!r} is no address of a Ray cluster", ACCEPTED, "give --ray auto")
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        problem = "--ray needs Ray, which is not installed"
        raise InputError(problem, "an environment with Ray", "pip install 'bayeslaw[ray]'") from error
    if ray.is_initialized():
        return ray, False
    where = "on this machine" if address == AUTO else f"at {address!r}"
    try:
        if address != AUTO:
            # Ray itself would try for many minutes.
            host, port = address.rsplit(":", 1)
            socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE_SECONDS).close()
        ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
    except (OSError, OverflowError, RuntimeError, ValueError) as error:
        why = " ".join(str(error).split())[:300]
        raise InputError(f"cannot reach a Ray cluster {where}: {why}", ACCEPTED, START) from error
    return ray, True


class ClusterScorer:
    """Scores on a Ray cluster.

    The workers of a model are processes that load it once and end with it, as many as the cluster has room for. Batches
    go to them in small shards and come back in any order; those of a worker that is lost go to another one.

    Parameters
    ----------
    address
        As for `connect`.
    offline
        Whether nodes use only what is on them.

    Attributes
    ----------
    load_seconds
        How long each model took to load on the first worker that had it, by name.
    streamed
        Models that were read layer by layer: none.

    Raises
    ------
    InputError
        If there is no such cluster.

    Notes
    -----
    Needs the extra ``ray``. Nodes are started with ``ray start`` in an environment where this package is installed in
    the same version (a source checkout as editable), and are up before the run; those that join while a model is scored
    are used too. The process that runs is on a node of the cluster; a connection to Ray that it has already is used.
    Folders of models have the same path on every node. Models of the hub are fetched by each node for itself, at the
    commit that this process found, with the node's own access rights and cache.
    """

    def __init__(self, address: str, *, offline: bool = False) -> None:
        self.load_seconds: dict[str, float] = {}
        self.streamed: tuple[str, ...] = ()
        self._address, self._offline = address, offline
        self._ray, self._connected = connect(address)
        self._pool: tuple[Any, WorkerPool] | None = None
        self._devices: dict[str, str] = {}
        self._accelerator_bytes: int | None = None

    @property
    def device(self) -> str:
        """Where models are scored: nodes that have scored by now, with what each worker has."""
        counts = sorted(Counter(self._devices.values()).items())
        nodes = [f"{count} node{'s' * (count > 1)} with {device} a worker" for device, count in counts]
        return f"Ray: {', '.join(nodes)}" if nodes else f"Ray at {self._address}"

    def _nodes(self) -> list[Node]:
        return [Node(node["NodeManagerHostname"], node["Resources"]) for node in self._ray.nodes() if node["Alive"]]

    def fits(self, model: PreparedModel) -> bool:
        """Say whether a node has room for a model, used or not, as far as workers told of their accelerators."""
        nodes = self._nodes()
        if self._accelerator_bytes is not None and self._accelerator_bytes < weight_bytes(model) + SPARE:
            return False
        return places(worker_resources(model, nodes), nodes) > 0

    def prefetch(self, model: PreparedModel) -> None:
        """Do nothing: a worker has the memory that one model needs."""

    def score(
        self, model: PreparedModel, plan: Plan, batches: Sequence[int], *, journal: Journal | None = None
    ) -> Iterator[Scored]:
        """Score batches.

        Parameters
        ----------
        model
            The model.
        plan
            Its plan.
        batches
            Which batches.
        journal
            Of no use: batches are all that is kept.

        Yields
        ------
        tuple
            Number of the batch, log-probabilities of the tokens it scores, [token], float32, and seconds on its worker.

        Raises
        ------
        InputError
            If no node has room for the model, does not see it or cannot load it, or its workers die again and again.
        """
        if not batches:
            return
        try:
            for shard, answer in self._pool_of(model).score(plan, BatchQueue(plan, batches)):
                for batch, (values, seconds) in zip(shard, answer, strict=True):
                    yield batch, values, seconds
        except BaseException:
            # What is still under way is not wanted any more.
            self._end_pool()
            raise

    def _pool_of(self, model: PreparedModel) -> WorkerPool:
        """Return the workers of a model; those of another one end first, and give their memory back."""
        resources = tuple(sorted(model.request.resources.items()))
        key = (str(model.checkpoint.folder), model.checkpoint.revision, model.dtype, model.tensor_parallel, resources)
        if self._pool is not None and self._pool[0] == key:
            return self._pool[1]
        self._end_pool()
        nodes = self._nodes()
        asked = worker_resources(model, nodes)
        if not places(asked, nodes):
            raise no_place(model.name, asked, nodes)
        worker = self._ray.remote(RemoteWorker).options(max_restarts=0, **actor_options(asked, os.environ))
        sent = self._ray.put(model)

        def start() -> tuple[Any, Any]:
            handle = worker.remote()
            return handle, handle.load.remote(sent, version("bayeslaw"), self._offline)

        def loaded(facts: WorkerFacts) -> None:
            self.load_seconds.setdefault(model.name, facts.seconds)
            self._devices[facts.node] = facts.device
            self._accelerator_bytes = facts.accelerator_bytes

        pool = WorkerPool(self._ray, model.name, asked, start, self._nodes, loaded)
        self._pool = key, pool
        return pool

    def _end_pool(self) -> None:
        if self._pool is not None:
            self._pool[1].end()
            self._pool = None

    def close(self) -> None:
        """End all workers, and the connection if this object made it."""
        self._end_pool()
        if self._connected:
            self._ray.shutdown()
            self._connected = False
