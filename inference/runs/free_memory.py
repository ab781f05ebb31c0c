"""How much memory is free: on the machine, within the limits of a container or batch system, and on accelerators."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import jax
import psutil

# Control groups of Linux: which ones a process is in, and where their limits lie.
GROUPS_OF_PROCESS = Path("/proc/self/cgroup")
GROUPS = Path("/sys/fs/cgroup")


class GroupFiles(NamedTuple):
    """What one version of control groups calls what it tells of memory.

    Attributes
    ----------
    controllers
        How a line of `GROUPS_OF_PROCESS` names the kind of groups; also their folder.
    limit, used
        Files of one number of bytes.
    reclaimable
        Lines of ``memory.stat``: pages of files, which the kernel gives up for others.
    """

    controllers: str
    limit: str
    used: str
    reclaimable: tuple[str, str]


VERSIONS = (
    GroupFiles(
        "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file")
    ),
    GroupFiles("", "memory.max", "memory.current", ("inactive_file", "active_file")),
)


def free_memory() -> int:
    """Return the bytes that this process may still take on this machine.

    Returns
    -------
    int
        What the machine has free, or what the control groups of this process leave of their limits, whichever is less.
    """
    return max(0, min([psutil.virtual_memory().available, *_free_in_groups()]))


def free_on_devices() -> Sequence[int]:
    """Return the bytes that are free now on each accelerator; empty where they share the machine's memory."""
    return [
        facts["bytes_limit"] - facts["bytes_in_use"]
        for device in jax.local_devices()
        if (facts := device.memory_stats()) and "bytes_limit" in facts
    ]


def _free_in_groups() -> Iterator[int]:
    """Yield what is left of the limit of each control group that this process is in and that has one."""
    try:
        lines = [line.split(":", 2) for line in GROUPS_OF_PROCESS.read_text(encoding="utf-8").splitlines()]
    except OSError:
        lines = []
    inside = {line[1]: line[2].strip("/") for line in lines if len(line) == 3}
    for files in VERSIONS:
        first = GROUPS / files.controllers
        group = first / inside.get(files.controllers, "")
        # Within a container the path may be that outside of it: the first group is then the container's.
        for folder in (group, *group.parents[: len(group.parts) - len(first.parts)]):
            # A group without limit says "max", and the first of all may have no such file.
            with suppress(OSError, ValueError):
                yield _free_in_group(folder, files)


def _free_in_group(folder: Path, files: GroupFiles) -> int:
    limit, used = (int((folder / name).read_text(encoding="utf-8")) for name in (files.limit, files.used))
    pages = dict(line.split() for line in (folder / "memory.stat").read_text(encoding="utf-8").splitlines())
    return limit - used + sum(int(pages.get(name, 0)) for name in files.reclaimable)
