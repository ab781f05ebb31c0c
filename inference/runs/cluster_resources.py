"""What a worker of a model asks a Ray cluster for, and where that is to be had."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bayeslaw.errors import InputError
from inference.runs.model_memory import weight_bytes
from inference.runs.prepared import PreparedModel

# Of the weights' size: what a worker needs beside them.
MEMORY_FACTOR = 1.2
# As Ray names in a node what tasks ask for by other names.
NODE_NAMES = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}
# Resources of nodes that are no choice of a user's.
INTERNAL = ("node:", "object_store_memory", "accelerator_type:")
PASSED_ON = ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "HF_HUB_OFFLINE")


@dataclass(frozen=True)
class Node:
    """A node of a cluster.

    Attributes
    ----------
    host
        Its name.
    resources
        All that it has, used or not, by Ray's names.
    """

    host: str
    resources: Mapping[str, float]


def worker_resources(model: PreparedModel, nodes: Sequence[Node]) -> dict[str, float]:
    """Return what a worker of a model asks for.

    Parameters
    ----------
    model
        The model; what its request names is taken as it is.
    nodes
        The nodes of the cluster.

    Returns
    -------
    dict
        ``num_cpus`` (1), ``num_gpus`` (where the cluster has any, as many as each weight is split over), ``memory`` in
        bytes (1.2 times the weights, where the cluster counts memory), and what else the request names.

    Raises
    ------
    InputError
        If something cannot be asked for: one and a half of devices that come whole, or CPUs by Ray's own name.
    """
    asked: dict[str, float] = {"num_cpus": 1.0}
    if any(node.resources.get("GPU") for node in nodes):
        asked["num_gpus"] = float(model.tensor_parallel)
    if any("memory" in node.resources for node in nodes):
        asked["memory"] = weight_bytes(model) * MEMORY_FACTOR
    asked |= model.request.resources
    for name, value in asked.items():
        if name in ("CPU", "GPU", "object_store_memory"):
            problem = f"the resource {name!r} of {model.name!r} cannot be asked for by this name"
            raise InputError(
                problem, "num_cpus, num_gpus, memory, or a resource that nodes were started with", "rename it"
            )
        if name not in ("num_cpus", "memory") and value > 1 and value != int(value):
            problem = f"the resource {name} of {model.name!r} is {value:g}"
            raise InputError(problem, "a whole number, or a part of one", f"use {int(value)} or {int(value) + 1}")
    return asked


def actor_options(asked: Mapping[str, float], environment: Mapping[str, str]) -> dict[str, Any]:
    """Return a worker's resources as Ray takes them, with the environment of its process.

    Parameters
    ----------
    asked
        What it asks for; see `worker_resources`.
    environment
        The driver's environment, some of which is passed on.

    Returns
    -------
    dict
        Options of a Ray actor.
    """
    variables = {name: environment[name] for name in PASSED_ON if environment.get(name)}
    # Several workers may share a node, and each would start a thread for every core of it.
    threads = str(max(1, int(asked["num_cpus"])))
    variables |= {"PJRT_NPROC": threads, "OMP_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "false"}
    share = asked.get("num_gpus", 0.0)
    if not share and "TPU" not in asked:
        variables["JAX_PLATFORMS"] = "cpu"
    elif 0 < share < 1:
        variables["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{0.9 * share:.3f}"
    named = {name: asked[name] for name in ("num_cpus", "num_gpus") if name in asked}
    if "memory" in asked:
        named["memory"] = int(asked["memory"])
    custom = {name: value for name, value in asked.items() if name not in NODE_NAMES and value}
    return named | {"resources": custom, "runtime_env": {"env_vars": variables}}


def places(asked: Mapping[str, float], nodes: Sequence[Node]) -> int:
    """Count how many workers fit into a cluster at once, if nothing else runs there.

    Parameters
    ----------
    asked
        What each asks for.
    nodes
        The nodes.

    Returns
    -------
    int
        How many; no more on a node than it has CPUs, or one.
    """
    count = 0
    for node in nodes:
        fitting = [max(1.0, node.resources.get("CPU", 0.0))]
        fitting += [node.resources.get(NODE_NAMES.get(name, name), 0.0) / v for name, v in asked.items() if v]
        count += int(min(fitting) + 1e-9)
    return count


def no_place(model: str, asked: Mapping[str, float], nodes: Sequence[Node]) -> InputError:
    """Return the error for a model whose workers fit on no node.

    Parameters
    ----------
    model
        Its name.
    asked
        What a worker asks for.
    nodes
        The nodes.

    Returns
    -------
    InputError
        The error; it lists what the nodes have.
    """
    wanted = ", ".join(_amount(name, value) for name, value in asked.items() if value)
    held = sorted({_held(node) for node in nodes}) or ["no node"]
    problem = f"no node of the Ray cluster has what a worker of {model!r} asks for: {wanted}"
    accepted = f"what one node has: {'; '.join(held[:4])}{' and others' if len(held) > 4 else ''}"
    return InputError(problem, accepted, "ask for less in the model's field resources, or add such a node")


def _held(node: Node) -> str:
    names = {ray_name: name for name, ray_name in NODE_NAMES.items()}
    shown = [(names.get(name, name), v) for name, v in sorted(node.resources.items()) if not name.startswith(INTERNAL)]
    return ", ".join(_amount(name, value) for name, value in shown) or "nothing"


def _amount(name: str, value: float) -> str:
    return f"{name} {value / 1e9:.3g}e9" if name == "memory" else f"{name} {value:g}"
