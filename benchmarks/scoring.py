"""Scoring texts against PyTorch transformers, on the same weights and token ids, in turn.

Each side has a process of its own: tokens per second (wall and processor time), peak memory of the process, seconds and
memory to load, compilations. PyTorch runs with scaled dot-product attention in inference mode. Weights are random.

    uv run --group torch python benchmarks/scoring.py                  # all that a processor does in some minutes
    uv run --group torch python benchmarks/scoring.py --only mamba2    # 130M Mamba 2 shape; routed: 128 experts
    uv run --group torch python benchmarks/scoring.py --only gpu       # 1.5B shape in bfloat16 on a GPU
    python benchmarks/scoring.py --only streamed                       # 0.3B in bfloat16, layer by layer
    python benchmarks/scoring.py --only streamed-4b                    # 4B in bfloat16 (8 GB on disk) in 2 GiB
    python benchmarks/scoring.py --smoke                               # small, in seconds, without PyTorch
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scoring_models import (
    FOUR,
    LARGE,
    LLAMA,
    MAMBA2,
    MEDIUM,
    QWEN,
    ROUTED,
    SMALL,
    SMALL_MAMBA2,
    SMALL_ROUTED,
    THIRD,
    make_checkpoint,
)
from scoring_streamed import StreamedCase, compare_streamed

WORKERS = Path(__file__).with_name("scoring_workers.py")
STREAMED = {
    "smoke": StreamedCase("small Llama shape layer by layer", SMALL, 8, 64),
    "streamed": StreamedCase("0.3B Llama shape layer by layer", THIRD, 16, 512),
    "streamed-4b": StreamedCase("4B Qwen3 shape layer by layer", FOUR, 16, 512, limit=2 << 30, warm=False),
}
# Dense matrix products in bfloat16, from the makers' data sheets, in FLOP per second.
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}


@dataclass(frozen=True)
class Target:
    """What a comparison should reach: speed as a multiple of PyTorch's, memory as a share of its."""

    speed: float
    memory: float | None = None


EVEN = {
    "llama": ("110M Llama shape", LLAMA, "float32", Target(1.0, 0.4)),
    "qwen": ("Qwen3 shape", QWEN, "float32", Target(0.9, 0.2)),
    "bfloat16": ("Qwen3 shape", QWEN, "bfloat16", Target(0.9)),
    "mamba2": ("130M Mamba 2 shape", MAMBA2, "float32", Target(1.5, 0.4)),
    "routed": ("0.6B Qwen3 shape of 128 experts", ROUTED, "float32", Target(1.5, 0.4)),
    "gpu": ("1.5B Llama shape", LARGE, "bfloat16", Target(1.2)),
}


class Side:
    """One side's process."""

    def __init__(self, side: str, folder: Path, dtype: str, python: str) -> None:
        command = [python, str(WORKERS), side, str(folder), dtype]
        environment = dict(os.environ) | {"TRANSFORMERS_VERBOSITY": "error", "HF_HUB_OFFLINE": "1"}
        # Both sides are on one accelerator at once, of which JAX would else take most.
        environment["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
        self.command = " ".join(command)
        self.process = subprocess.Popen(
            command,
            text=True,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.ready = self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.command} ended early: run it by hand to see why")
        return json.loads(line)

    def score(self, kind: str, order: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{kind} {order}\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def alternate(
    sides: dict[str, Side], work: dict[str, tuple[str, str, str]], rounds: int
) -> dict[str, list[dict[str, Any]]]:
    """Run each piece of work (side, texts, order) in turn, `rounds` times, after each side has warmed up."""
    for side, kind, order in {side: (side, kind, order) for side, kind, order in work.values()}.values():
        sides[side].score(kind, order)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, (side, kind, order) in work.items():
            found[name].append(sides[side].score(kind, order))
    return found


def report(found: dict[str, list[dict[str, Any]]], targets: dict[str, Target]) -> bool:
    """Print rates and ratios to `ours`; say whether the targets are met."""
    ours, met = found["ours"], True
    for name, runs in found.items():
        rate = np.median([run["tokens"] / run["seconds"] for run in runs])
        print(f"  {name:<16}{rate:>10,.0f} tokens/s{max(run['peak'] for run in runs) >> 20:>8,} MiB at most")
    for name, target in targets.items():
        if name not in found:
            continue
        wall = np.array([run["seconds"] for run in found[name]]) / np.array([run["seconds"] for run in ours])
        cpu = np.median([run["cpu"] for run in found[name]]) / np.median([run["cpu"] for run in ours])
        memory = max(run["peak"] for run in ours) / max(run["peak"] for run in found[name])
        apart = abs(found[name][0]["loss"] - ours[0]["loss"])
        good = bool(np.median(wall) >= target.speed)
        line = f"  x {name}: {np.median(wall):.2f} ({wall.min():.2f}-{wall.max():.2f}) wall, {cpu:.2f} processor time"
        line += f", target {target.speed:g}: {'ok' if good else 'MISSED'}"
        if target.memory is not None:
            fits = memory <= target.memory
            line += f"; memory {memory:.2f} of its, target {target.memory:g}: {'ok' if fits else 'MISSED'}"
            good &= fits
        print(f"{line}; losses {apart:.1e} nats per token apart")
        met &= good
    return met


def compare(
    label: str, sizes: dict[str, Any], dtype: str, *, rounds: int, target: Target, peer: str | None, length: int = 512
) -> bool:
    """Compare the sides on 8 texts of so many tokens; `peer` is the Python that has PyTorch, if any."""
    with started(sizes, dtype, peer) as sides:
        loaded = sides["ours"].ready
        weights = loaded["parameters"] * (4 if dtype == "float32" else 2)
        share = loaded["load_peak"] / weights
        print(f"{label}, {dtype}, {loaded['parameters']:,} parameters")
        print(
            f"  loading: {loaded['parameters'] / loaded['load_seconds'] / 1e6:,.0f} million parameters/s, peak memory "
            f"{share:.2f} x the weights, target 1.1: {'ok' if share <= 1.1 else 'MISSED'}"
        )
        kind = f"even-8x{length}"
        work = {"ours": ("ours", kind, "even")} | ({"PyTorch": ("torch", kind, "even")} if "torch" in sides else {})
        found = alternate(sides, work, rounds)
        if length > 512:
            share_of_peak(found["ours"], loaded["parameters"], sizes)
        return report(found, {"PyTorch": target}) and share <= 1.1


def compare_ragged(label: str, sizes: dict[str, Any], *, rounds: int, texts: int, peer: str | None) -> bool:
    """Compare the sides on texts of 200 to 3,000 characters, 4 a token."""
    kind = f"ragged-{texts}"
    with started(sizes, "float32", peer) as sides:
        print(f"{label}, float32, {texts} texts of 200 to 3,000 characters")
        work = {"ours": ("ours", kind, "sorted")}
        if "torch" in sides:
            work |= {"8 in order": ("torch", kind, "given"), "8 by length": ("torch", kind, "sorted")}
        found = alternate(sides, work, rounds)
    met = report(found, {"8 in order": Target(2.0), "8 by length": Target(1.0)})
    compiled = found["ours"][-1]["compilations"]
    print(f"  compilations: {compiled}, target at most 8: {'ok' if compiled <= 8 else 'MISSED'}")
    used = found["ours"][-1]["used"]
    print(f"  positions that hold tokens: {used:.3f}, target at least 0.95: {'ok' if used >= 0.95 else 'MISSED'}")
    return met and compiled <= 8 and used >= 0.95


@contextmanager
def started(sizes: dict[str, Any], dtype: str, peer: str | None) -> Iterator[dict[str, Side]]:
    """Start the sides that can be had on random weights, and end them."""
    pythons = {"ours": sys.executable} | ({} if peer is None else {"torch": peer})
    with tempfile.TemporaryDirectory() as place:
        make_checkpoint(Path(place, "model"), sizes, dtype)
        sides = {side: Side(side, Path(place, "model"), dtype, python) for side, python in pythons.items()}
        yield sides
        for side in sides.values():
            side.close()


def share_of_peak(runs: list[dict[str, Any]], parameters: int, sizes: dict[str, Any]) -> None:
    """Print which share of a GPU's matrix peak was used: 2 operations a weight and token, and attention's."""
    import jax

    kind = jax.devices()[0].device_kind
    peak = next((value for name, value in PEAKS.items() if name in kind), None)
    attention = 2 * 2048 * sizes["num_attention_heads"] * sizes["head_dim"] * sizes["num_hidden_layers"]
    embedding = sizes["vocab_size"] * sizes["hidden_size"]
    rate = float(np.median([run["tokens"] / run["seconds"] for run in runs]))
    used = rate * (2 * (parameters - embedding) + attention)
    print(f"  {used / 1e12:.0f} TFLOP/s on {kind}" + ("" if peak is None else f", {used / peak:.0%} of its peak"))


def compile_times(depths: list[int]) -> bool:
    command = [sys.executable, str(WORKERS), "compile", *map(str, depths)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    slowest = max(found.values())
    listed = ", ".join(f"{seconds:.1f} s at {depth}" for depth, seconds in found.items())
    print(f"compiling 8 x 512 by layers: {listed}, target at most 3 s: {'ok' if slowest <= 3 else 'MISSED'}")
    return slowest <= 3


def smoke(peer: str | None) -> None:
    """Run every comparison on small shapes."""
    small = {"Llama": SMALL, "Mamba 2": SMALL_MAMBA2, "routed": SMALL_ROUTED}
    for label, sizes in small.items():
        compare(f"small {label} shape", sizes, "float32", rounds=1, target=Target(1.0), peer=peer, length=64)
    compare_ragged("small Llama shape", SMALL, rounds=1, texts=32, peer=peer)
    compile_times([2])
    compare_streamed(STREAMED["smoke"], make_checkpoint, dtype="bfloat16", rounds=1, target=0.8, peer=peer)


def full(wanted: str | None, rounds: int, peer: str | None) -> bool:
    """Run the comparison wanted, or all that a processor does in some minutes; say whether targets are met."""
    met = []
    if wanted in (None, "compile"):
        met.append(compile_times([2, 12, 48]))
    for name, (label, sizes, dtype, target) in EVEN.items():
        if wanted == name or (wanted is None and name != "gpu"):
            length = 2048 if name == "gpu" else 512
            met.append(compare(label, sizes, dtype, rounds=rounds, target=target, peer=peer, length=length))
    if wanted in (None, "streamed", "streamed-4b"):
        streamed = STREAMED[wanted or "streamed"]
        met.append(compare_streamed(streamed, make_checkpoint, dtype="bfloat16", rounds=rounds, target=0.8, peer=peer))
    for texts in (32, 300):
        if wanted in (None, "ragged"):
            met.append(compare_ragged("20M Llama shape", MEDIUM, rounds=max(1, rounds // 2), texts=texts, peer=peer))
    return all(met)


def find_peer(python: str) -> str | None:
    """Return the Python if it has PyTorch, and say so if not."""
    if subprocess.run([python, "-c", "import torch"], capture_output=True).returncode == 0:
        return python
    print("PyTorch is not installed: no ratios (uv run --group torch python benchmarks/scoring.py)")
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="small, in seconds; targets are printed but not judged")
    parser.add_argument("--only", choices=(*EVEN, "ragged", "compile", "streamed", "streamed-4b"))
    parser.add_argument("--rounds", type=int, default=5, help="times that both sides run in turn")
    parser.add_argument("--peer-python", default=sys.executable, help="a Python that has PyTorch, if this has not")
    arguments = parser.parse_args()
    peer = find_peer(arguments.peer_python)
    if not arguments.smoke:
        return 0 if full(arguments.only, arguments.rounds, peer) else 1
    if arguments.only == "streamed":
        compare_streamed(STREAMED["smoke"], make_checkpoint, dtype="bfloat16", rounds=1, target=0.8, peer=peer)
    else:
        smoke(peer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
