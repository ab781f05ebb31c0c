"""What runs on a node of a Ray cluster: a process with one model, which scores shards of batches."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np

from bayeslaw.errors import InputError
from inference.checkpoints.checkpoint import Checkpoint, open_checkpoint
from inference.runs.model_scoring import load_prepared
from inference.runs.prepared import PreparedModel
from inference.scoring.language_models import LanguageModel
from inference.scoring.scores import batch_log_probabilities
from inference.texts.batches import BatchArrays

FOLDER_HASH = "sha256:"


@dataclass(frozen=True)
class WorkerFacts:
    """What a worker tells of itself once its model is loaded.

    Attributes
    ----------
    node
        Id of the node that it runs on.
    device
        What it scores on.
    accelerator_bytes
        Memory of its accelerators; None on a CPU.
    seconds
        How long loading took.
    """

    node: str
    device: str
    accelerator_bytes: int | None
    seconds: float


class RemoteWorker:
    """One model in a process of its own, which gives the memory back by ending."""

    def __init__(self) -> None:
        self._model: LanguageModel | None = None

    def load(self, model: PreparedModel, package_version: str, offline: bool) -> WorkerFacts:
        """Load the model.

        Parameters
        ----------
        model
            The model as the driver prepared it.
        package_version
            Version of this package on the driver.
        offline
            Whether to use only what is on this node.

        Returns
        -------
        WorkerFacts
            What this worker is.

        Raises
        ------
        InputError
            If this node has another version of the package, does not see the model's folder or sees another model
            there, or if the model cannot be loaded.
        """
        import ray

        begun = time.monotonic()
        host = os.uname().nodename
        check_version(package_version, version("bayeslaw"), host)
        checkpoint = open_here(model.checkpoint, host, offline=offline)
        self._model = load_prepared(replace(model, checkpoint=checkpoint))
        devices = jax.devices()
        return WorkerFacts(
            node=ray.get_runtime_context().get_node_id(),
            device=f"{len(devices)} x {devices[0].device_kind}",
            accelerator_bytes=_accelerator_bytes(),
            seconds=round(time.monotonic() - begun, 3),
        )

    def score(self, shard: Sequence[BatchArrays]) -> list[tuple[np.ndarray, float]]:
        """Score batches.

        Parameters
        ----------
        shard
            The batches.

        Returns
        -------
        list of tuple
            Of each batch the log-probabilities of the tokens it scores, [token], float32, and seconds.
        """
        assert self._model is not None
        done = []
        for arrays in shard:
            begun = time.monotonic()
            values = batch_log_probabilities(self._model, arrays)
            done.append((values[arrays.scored], time.monotonic() - begun))
        return done


def open_here(known: Checkpoint, host: str, *, offline: bool = False) -> Checkpoint:
    """Open on this node the checkpoint that the driver opened.

    Parameters
    ----------
    known
        The checkpoint as the driver opened it.
    host
        This node, for the message.
    offline
        Whether to use only what is on this node.

    Returns
    -------
    Checkpoint
        The checkpoint in this node's files: a folder at the same path, or the same commit of the hub.

    Raises
    ------
    InputError
        If it is not there, or is another.
    """
    if known.revision is None or not known.revision.startswith(FOLDER_HASH):
        return open_checkpoint(known.name, revision=known.revision, offline=offline)
    folder = Path(known.folder)
    if not folder.exists():
        problem = f"the node {host!r} of the Ray cluster does not see the folder {str(folder)!r}"
        fix = "copy it there, use a file system that all nodes share, or give a hub id"
        raise InputError(problem, "a folder that has the same path on every node", fix)
    found = open_checkpoint(folder, offline=offline)
    if found.revision != known.revision:
        problem = (
            f"{str(folder)!r} on the node {host!r} of the Ray cluster is another model than here (its hash differs)"
        )
        fix = "copy the model there again, or use a file system that all nodes share"
        raise InputError(problem, "the same files on every node", fix)
    return replace(found, name=known.name)


def check_version(wanted: str, found: str, host: str) -> None:
    """Refuse a node whose package would score otherwise than the journal says.

    Parameters
    ----------
    wanted, found
        Version on the driver and on the node.
    host
        The node, for the message.

    Raises
    ------
    InputError
        If they differ.
    """
    if wanted != found:
        problem = f"the node {host!r} of the Ray cluster has bayeslaw {found}, and this process {wanted}"
        raise InputError(problem, "one version everywhere", f"install bayeslaw=={wanted} there")


def _accelerator_bytes() -> int | None:
    known = [facts["bytes_limit"] for one in jax.local_devices() if (facts := one.memory_stats())]
    return sum(known) if known else None
