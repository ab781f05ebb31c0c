"""Scoring texts against PyTorch transformers, on the same weights and token ids, in turn.

Each side has a process of its own: tokens per second (wall and processor time), peak memory of the process, seconds and
memory to load, compilations. PyTorch runs with scaled dot-product attention in inference mode. Weights are random.

    uv run --group torch python benchmarks/scoring.py                  # 110M Llama and Qwen3 shapes, then ragged texts
    uv run --group torch python benchmarks/scoring.py --only gpu       # 1.5B shape in bfloat16 on a GPU
    python benchmarks/scoring.py --only streamed                       # 0.3B in bfloat16, layer by layer
    python benchmarks/scoring.py --only streamed-4b                    # 4B in bfloat16 (8 GB on disk) in 2 GiB
    python benchmarks/scoring.py --smoke                               # small, in seconds, without PyTorch
"""

import argparse
import importlib.util
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
from safetensors.numpy import save_file
from scoring_streamed import StreamedCase, compare_streamed

WORKERS = Path(__file__).with_name("scoring_workers.py")
LLAMA = {"model_type": "llama", "vocab_size": 32_000, "hidden_size": 768, "num_hidden_layers": 12}
LLAMA |= {"num_attention_heads": 12, "num_key_value_heads": 12, "head_dim": 64, "intermediate_size": 2048}
QWEN = {"model_type": "qwen3", "vocab_size": 151_936, "hidden_size": 1024, "num_hidden_layers": 28}
QWEN |= {"num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 3072}
LARGE = {"model_type": "llama", "vocab_size": 128_256, "hidden_size": 2048, "num_hidden_layers": 16}
LARGE |= {"num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64, "intermediate_size": 8192}
SMALL = LLAMA | {"vocab_size": 512, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
SMALL |= {"num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 128}
MEDIUM = LLAMA | {"hidden_size": 384, "num_hidden_layers": 4, "num_attention_heads": 6, "num_key_value_heads": 6}
MEDIUM |= {"intermediate_size": 1024}
THIRD = LLAMA | {"hidden_size": 1024, "num_hidden_layers": 22, "num_attention_heads": 16, "num_key_value_heads": 8}
THIRD |= {"intermediate_size": 2816}
FOUR = QWEN | {"hidden_size": 2560, "num_hidden_layers": 36, "num_attention_heads": 32, "intermediate_size": 9728}
STREAMED = {
    "smoke": StreamedCase("small Llama shape layer by layer", SMALL, 8, 64),
    "streamed": StreamedCase("0.3B Llama shape layer by layer", THIRD, 16, 512),
    "streamed-4b": StreamedCase("4B Qwen3 shape layer by layer", FOUR, 16, 512, limit=2 << 30),
}
# Dense matrix products in bfloat16, from the makers' data sheets, in FLOP per second.
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}


@dataclass(frozen=True)
class Target:
    """What a comparison should reach: speed as a multiple of PyTorch's, memory as a share of its."""

    speed: float
    memory: float | None = None


def make_checkpoint(folder: Path, sizes: dict[str, Any], dtype: str) -> None:
    """Write random weights with the names and shapes of a Llama-like model."""
    import ml_dtypes

    tied = sizes["model_type"] == "qwen3"
    config = sizes | {"max_position_embeddings": 4096, "rms_norm_eps": 1e-6, "tie_word_embeddings": tied}
    config |= {"rope_theta": 10_000.0, "hidden_act": "silu", "attention_bias": False, "dtype": dtype}
    width, head, mlp = sizes["hidden_size"], sizes["head_dim"], sizes["intermediate_size"]
    queries, keys = sizes["num_attention_heads"] * head, sizes["num_key_value_heads"] * head
    block = {"self_attn.q_proj": (queries, width), "self_attn.k_proj": (keys, width), "self_attn.v_proj": (keys, width)}
    block |= {"self_attn.o_proj": (width, queries), "mlp.gate_proj": (mlp, width), "mlp.up_proj": (mlp, width)}
    block |= {"mlp.down_proj": (width, mlp), "input_layernorm": (width,), "post_attention_layernorm": (width,)}
    if tied:
        block |= {"self_attn.q_norm": (head,), "self_attn.k_norm": (head,)}
    shapes = {"model.embed_tokens": (sizes["vocab_size"], width), "model.norm": (width,)}
    shapes |= {} if tied else {"lm_head": (sizes["vocab_size"], width)}
    for layer in range(sizes["num_hidden_layers"]):
        shapes |= {f"model.layers.{layer}.{name}": shape for name, shape in block.items()}
    generator, kind = np.random.default_rng(0), np.dtype(getattr(ml_dtypes, dtype, None) or dtype)
    tensors = {
        f"{name}.weight": (
            np.ones(shape, np.float32) if len(shape) == 1 else 0.02 * generator.standard_normal(shape, dtype=np.float32)
        ).astype(kind)
        for name, shape in shapes.items()
    }
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


class Side:
    """One side's process."""

    def __init__(self, side: str, folder: Path, dtype: str) -> None:
        command = [sys.executable, str(WORKERS), side, str(folder), dtype]
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


def compare(label: str, sizes: dict[str, Any], dtype: str, *, rounds: int, target: Target) -> bool:
    """Compare the sides on 8 x 512 tokens (64 for the small shape, 2,048 for the large one)."""
    length = 64 if sizes is SMALL else 2048 if sizes is LARGE else 512
    with started(sizes, dtype) as sides:
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
        if sizes is LARGE:
            share_of_peak(found["ours"], loaded["parameters"], sizes)
        return report(found, {"PyTorch": target}) and share <= 1.1


def compare_ragged(label: str, sizes: dict[str, Any], *, rounds: int, texts: int) -> bool:
    """Compare the sides on texts of 200 to 3,000 characters, 4 a token."""
    kind = f"ragged-{texts}"
    with started(sizes, "float32") as sides:
        print(f"{label}, float32, {texts} texts of 200 to 3,000 characters")
        work = {"ours": ("ours", kind, "sorted")}
        if "torch" in sides:
            work |= {"8 in order": ("torch", kind, "given"), "8 by length": ("torch", kind, "sorted")}
        found = alternate(sides, work, rounds)
    met = report(found, {"8 in order": Target(2.0), "8 by length": Target(1.0)})
    compiled = found["ours"][-1]["compilations"]
    print(f"  compilations: {compiled}, target at most 8: {'ok' if compiled <= 8 else 'MISSED'}")
    return met and compiled <= 8


@contextmanager
def started(sizes: dict[str, Any], dtype: str) -> Iterator[dict[str, Side]]:
    """Start the sides that can be had on random weights, and end them."""
    peers = ("torch",) if importlib.util.find_spec("torch") is not None else ()
    with tempfile.TemporaryDirectory() as place:
        make_checkpoint(Path(place, "model"), sizes, dtype)
        sides = {side: Side(side, Path(place, "model"), dtype) for side in ("ours", *peers)}
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="small, in seconds; targets are printed but not judged")
    parser.add_argument(
        "--only", choices=("llama", "qwen", "bfloat16", "ragged", "compile", "gpu", "streamed", "streamed-4b")
    )
    parser.add_argument("--rounds", type=int, default=5, help="times that both sides run in turn")
    arguments = parser.parse_args()
    if importlib.util.find_spec("torch") is None:
        print("PyTorch is not installed: no ratios (uv run --group torch python benchmarks/scoring.py)")
    if arguments.smoke and arguments.only == "streamed":
        compare_streamed(STREAMED["smoke"], make_checkpoint, dtype="bfloat16", rounds=1, target=0.8)
        return 0
    if arguments.smoke:
        compare("small Llama shape", SMALL, "float32", rounds=1, target=Target(1.0))
        compare_ragged("small Llama shape", SMALL, rounds=1, texts=20)
        compile_times([2])
        compare_streamed(STREAMED["smoke"], make_checkpoint, dtype="bfloat16", rounds=1, target=0.8)
        return 0
    rounds, wanted, met = arguments.rounds, arguments.only, []
    if wanted == "gpu":
        met.append(compare("1.5B Llama shape", LARGE, "bfloat16", rounds=rounds, target=Target(1.2)))
    if wanted in (None, "compile"):
        met.append(compile_times([2, 12, 48]))
    if wanted in (None, "llama"):
        met.append(compare("110M Llama shape", LLAMA, "float32", rounds=rounds, target=Target(1.0, 0.4)))
    if wanted in (None, "qwen"):
        met.append(compare("Qwen3 shape", QWEN, "float32", rounds=rounds, target=Target(0.9, 0.2)))
    if wanted in (None, "bfloat16"):
        met.append(compare("Qwen3 shape", QWEN, "bfloat16", rounds=rounds, target=Target(0.9)))
    if wanted in (None, "streamed", "streamed-4b"):
        streamed = STREAMED[wanted or "streamed"]
        met.append(compare_streamed(streamed, make_checkpoint, dtype="bfloat16", rounds=rounds, target=0.8))
    if wanted in (None, "ragged"):
        met.append(compare_ragged("20M Llama shape", MEDIUM, rounds=max(1, rounds // 2), texts=300))
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
