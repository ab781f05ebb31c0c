"""Reading a checkpoint's tensors into one float32 buffer: our reader beside the `safetensors` library.

Each side runs in a process of its own, in turn. Memory is the largest resident size above that before the first read;
pages of a memory map, as the library reads, count as resident until the file is closed.

    python benchmarks/reading.py                 # 1 GiB of bfloat16
    python benchmarks/reading.py --smoke         # 16 MiB

With ``--tables`` it is loss tables that are read, by ``bayeslaw losses`` and ``bayeslaw pools``: 2 million samples x 8
models, each command in a process of its own, and with ``--against`` in turn with another checkout.

    python benchmarks/reading.py --tables --against ../other
    python benchmarks/reading.py --tables --smoke
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
from reading_tables import compare
from scoring_workers import peak_memory, reset_peak

WIDTH, TENSORS = 8192, 16


def read_ours(file: Path, out: np.ndarray) -> None:
    """Read each tensor with `inference.checkpoints.safetensors_files`."""
    from inference.checkpoints.safetensors_files import read_header, read_tensor_into

    places = read_header(file)
    for name, place in sorted(places.items(), key=lambda item: item[1].start):
        read_tensor_into(out, name, place)


def read_peer(file: Path, out: np.ndarray) -> None:
    """Read each tensor with `safetensors.safe_open`, the file open throughout."""
    from safetensors import safe_open

    with safe_open(file, framework="numpy") as opened:
        for number in range(TENSORS):
            out[...] = opened.get_tensor(f"t{number:02d}")


def read_peer_reopened(file: Path, out: np.ndarray) -> None:
    """Read each tensor with `safetensors.safe_open`, opening the file anew for each."""
    from safetensors import safe_open

    for number in range(TENSORS):
        with safe_open(file, framework="numpy") as opened:
            out[...] = opened.get_tensor(f"t{number:02d}")


SIDES: dict[str, Callable[[Path, np.ndarray], None]] = {
    "ours": read_ours,
    "safetensors": read_peer,
    "safetensors, opened for each tensor": read_peer_reopened,
}


def measure(side: str, file: Path, rows: int) -> None:
    """Read the file once in this process and print seconds, peak memory in MiB and a sum of what was read."""
    out = np.empty((rows, WIDTH), np.float32)
    before, begun = reset_peak(), time.perf_counter()
    SIDES[side](file, out)
    seconds, memory = time.perf_counter() - begun, (peak_memory() - before) / 2**20
    print(json.dumps({"seconds": seconds, "memory": memory, "sum": float(out.sum(dtype=np.float64))}))


def main() -> int:
    """Print medians of alternating runs; return 1 where the sides read different numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--tables", action="store_true", help="read loss tables in place of checkpoints")
    parser.add_argument("--against", type=Path, help="another checkout, for loss tables")
    parser.add_argument("--models", type=int, default=8, help="models of the loss table")
    given = parser.parse_args()
    if given.tables:
        samples, runs = (2_000, 1) if given.smoke else (2_000_000, given.runs)
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            return int(not compare(place, samples=samples, models=given.models, runs=runs, against=given.against))
    rows, runs = (64, 1) if given.smoke else (4096, given.runs)
    if given.side:
        measure(given.side, given.file, rows)
        return 0
    from safetensors.numpy import save_file

    with tempfile.TemporaryDirectory() as folder:
        file, rng = Path(folder) / "model.safetensors", np.random.default_rng(0)
        numbers = rng.normal(size=(rows, WIDTH)).astype(ml_dtypes.bfloat16)
        save_file({f"t{number:02d}": numbers for number in range(TENSORS)}, file)
        found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
        for _ in range(runs):
            for side in SIDES:
                command = [sys.executable, __file__, "--side", side, "--file", str(file)]
                command += ["--smoke"] if given.smoke else []
                found[side].append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
    print(f"{TENSORS} tensors, {TENSORS * numbers.nbytes / 2**20:,.0f} MiB; medians of {runs} alternating runs")
    for side, each in found.items():
        seconds, memory = (statistics.median(one[what] for one in each) for what in ("seconds", "memory"))
        print(f"{side}: {seconds:.2f} s, {memory:,.0f} MiB above the start")
    sums = {one["sum"] for each in found.values() for one in each}
    print("all sides read the same numbers" if len(sums) == 1 else f"numbers differ: {sums}")
    return int(len(sums) > 1)


if __name__ == "__main__":
    sys.exit(main())
