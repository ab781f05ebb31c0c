"""The part of benchmarks/scoring.py that reads a model layer by layer, beside the same model as a whole in memory.

Each side has a process of its own that loads, and scores once before it is timed, but where that takes many minutes:
they take turns. What counts against the limit are the anonymous pages of the process, sampled while it scores; mapped
files do not count, hidden states do. Where PyTorch and accelerate are installed, accelerate's offload to disk scores
the same texts a few at a time, with as much of the model in memory as the limit leaves room for.

    python benchmarks/scoring_streamed.py SIDE FOLDER DTYPE ROWS LENGTH     # one side, as a process
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

MEBIBYTE = 1 << 20
SECONDS_BETWEEN_SAMPLES = 0.005
PREFIX = 1
# What accelerate may hold of a model in memory, and how many texts it is given at once.
OFFLOADED_ROOM, OFFLOADED_ROWS = 1 << 30, 4


@dataclass(frozen=True)
class StreamedCase:
    """What is scored.

    Attributes
    ----------
    label
        What it is called.
    sizes
        Settings of the checkpoint, as `make_checkpoint` of benchmarks/scoring.py takes them.
    rows, length
        Number of texts and tokens of each.
    limit
        Bytes that may be resident; None where no limit is set.
    warm
        Whether each side scores once before it is timed.
    """

    label: str
    sizes: dict[str, Any]
    rows: int
    length: int
    limit: int | None = None
    warm: bool = True


def anonymous_memory() -> int:
    """Return the bytes of anonymous pages of this process that are resident."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))


@contextmanager
def sampled() -> Iterator[SimpleNamespace]:
    """Sample the memory of this process; ``most`` is the most seen."""
    seen, over = SimpleNamespace(most=anonymous_memory()), threading.Event()

    def sample() -> None:
        while not over.wait(SECONDS_BETWEEN_SAMPLES):
            seen.most = max(seen.most, anonymous_memory())

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def offloaded(folder: Path, dtype: str, rows: int, length: int) -> None:
    """Serve as `ours` does, with PyTorch and what accelerate keeps on disk of the model."""
    import torch  # pyright: ignore[reportMissingImports]
    from transformers.models.auto.modeling_auto import AutoModelForCausalLM

    idle = anonymous_memory()
    room = {"device_map": "auto", "max_memory": {"cpu": OFFLOADED_ROOM}, "offload_folder": str(folder / "offloaded")}
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype), **room).eval()
    texts = torch.from_numpy(np.stack(random_texts(model.config.vocab_size, rows, length)).astype(np.int64))
    prefix = torch.full((rows, 1), PREFIX)

    def score() -> dict[int, np.ndarray]:
        found = {}
        with torch.inference_mode():
            for start in range(0, rows, OFFLOADED_ROWS):
                targets = texts[start : start + OFFLOADED_ROWS]
                inputs = torch.cat([prefix[: len(targets)], targets[:, :-1]], 1)
                logits = model(inputs, use_cache=False).logits
                for row in range(len(targets)):
                    of_row = torch.log_softmax(logits[row].float(), -1).gather(-1, targets[row][:, None])
                    found[start + row] = of_row[:, 0].numpy()
        return found

    answer_lines(score, {"parameters": sum(one.numel() for one in model.parameters()), "idle": idle}, rows * length)


def random_texts(vocabulary: int, rows: int, length: int) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(3, vocabulary, length).astype(np.int32) for _ in range(rows)]


def ours(side: str, folder: Path, dtype: str, rows: int, length: int) -> None:
    """Score once for each line of standard input, and answer with a line of JSON."""
    import jax.numpy as jnp
    from transformers.models.auto.configuration_auto import AutoConfig  # noqa: F401

    from inference.checkpoints.checkpoint import open_checkpoint
    from inference.checkpoints.checkpoint_config import read_decoder_config
    from inference.runs.layer_streaming import stream_batches
    from inference.runs.model_list import ModelRequest
    from inference.runs.model_scoring import load_prepared, score_batch
    from inference.runs.prepared import Plan, PreparedModel
    from inference.texts.batches import plan_batches
    from inference.texts.windows import plan_windows

    jnp.zeros(8).block_until_ready()
    idle, checkpoint = anonymous_memory(), open_checkpoint(folder)
    config, tokenizer = read_decoder_config(checkpoint), SimpleNamespace(prefix=PREFIX)
    request = ModelRequest(source=str(folder), name="model", family="model")
    settings = {"window": length, "stride": length, "batch_tokens": 2048, "tensor_parallel": 1}
    model = PreparedModel(request, checkpoint, config, tokenizer, dtype, **settings)  # pyright: ignore
    encodings: list[Any] = [SimpleNamespace(ids=ids) for ids in random_texts(config.vocabulary, rows, length)]
    windows = plan_windows([length] * rows, window=length, stride=length, prefix=True)
    plan = Plan(encodings, windows, plan_batches(windows, batch_tokens=2048), PREFIX)
    loaded = load_prepared(model) if side == "resident" else None

    def score() -> dict[int, np.ndarray]:
        if loaded is not None:
            return {batch: score_batch(loaded, plan, batch) for batch in range(len(plan.batches))}
        return {batch: values for batch, values, _ in stream_batches(model, plan, range(len(plan.batches)))}

    answer_lines(score, {"parameters": model.parameters["total"], "idle": idle}, rows * length)


def answer_lines(score: Callable[[], dict[int, np.ndarray]], ready: dict[str, int], tokens: int) -> None:
    """Say that all is ready, and score once for each line of standard input."""
    print(json.dumps(ready), flush=True)
    for _ in sys.stdin:
        with sampled() as seen:
            begun, cpu = time.perf_counter(), time.process_time()
            found = score()
            seconds, used = time.perf_counter() - begun, time.process_time() - cpu
        losses = {batch: values.view(np.uint32).tolist() for batch, values in found.items()}
        loss = -sum(float(values.sum(dtype=np.float64)) for values in found.values()) / tokens
        answer = {"seconds": seconds, "cpu": used, "peak": seen.most, "tokens": tokens, "losses": losses, "loss": loss}
        print(json.dumps(answer), flush=True)


def compare_streamed(
    case: StreamedCase, make: Any, *, dtype: str, rounds: int, target: float, peer: str | None
) -> bool:
    """Print how fast, and in how much memory, a model is scored layer by layer; say whether the targets are met."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "model")
        make(folder, case.sizes, dtype)
        shape = (str(case.rows), str(case.length))
        sides = {side: _Process(sys.executable, side, str(folder), dtype, *shape) for side in ("streamed", "resident")}
        weights = sides["streamed"].ready["parameters"] * (4 if dtype == "float32" else 2)
        print(f"{case.label}, {dtype}, {weights / MEBIBYTE:,.0f} MiB of weights, {case.rows} x {case.length} tokens")
        if case.warm:
            for process in sides.values():
                process.score()
        runs = [{side: process.score() for side, process in sides.items()} for _ in range(rounds)]
        for side, process in sides.items():
            process.close()
            _report_side(side, process, [run[side] for run in runs])
        met = _report_ratios(case, runs, target)
        if peer is not None and subprocess.run([peer, "-c", "import accelerate"], capture_output=True).returncode == 0:
            process = _Process(peer, "offloaded", str(folder), dtype, *shape)
            one = process.score()
            process.close()
            _report_side("accelerate", process, [one])
            faster, apart = one["seconds"] / runs[-1]["streamed"]["seconds"], one["loss"] - runs[-1]["streamed"]["loss"]
            print(f"  x accelerate: {faster:.2f} wall; losses {abs(apart):.1e} nats per token apart")
    return met


def _report_side(side: str, process: "_Process", runs: list[dict[str, Any]]) -> None:
    rate, cpu = (np.median([run["tokens"] / run[of] for run in runs]) for of in ("seconds", "cpu"))
    peak = max(run["peak"] for run in runs)
    model = (peak - process.ready["idle"]) / MEBIBYTE
    print(
        f"  {side:<12}{rate:>10,.1f} tokens/s{cpu:>10,.1f} a processor second{peak / MEBIBYTE:>9,.0f} MiB at most, "
        f"{model:,.0f} of them the model's",
        flush=True,
    )


def _report_ratios(case: StreamedCase, runs: list[dict[str, Any]], target: float) -> bool:
    met = True
    peak = max(run["streamed"]["peak"] for run in runs)
    if case.limit is not None:
        within = peak <= case.limit
        met &= within
        print(f"  limit of resident memory {case.limit / MEBIBYTE:,.0f} MiB: {'ok' if within else 'MISSED'}")
    wall, cpu = (np.array([run["resident"][of] / run["streamed"][of] for run in runs]) for of in ("seconds", "cpu"))
    fast = bool(np.median(wall) >= target)
    spread = f"({wall.min():.2f}-{wall.max():.2f})"
    same = all(run["resident"]["losses"] == run["streamed"]["losses"] for run in runs)
    print(
        f"  of the resident run's speed: {np.median(wall):.2f} {spread} wall, {np.median(cpu):.2f} processor time, "
        f"target {target:g}: {'ok' if fast else 'MISSED'}; losses {'the same' if same else 'DIFFER'} to the bit"
    )
    return met and fast and same


class _Process:
    """One side's process."""

    def __init__(self, python: str, *arguments: str) -> None:
        self.command = [python, __file__, *arguments]
        self.process = subprocess.Popen(
            self.command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.ready = self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(self.command)} ended early: run it by hand to see why")
        return json.loads(line)

    def score(self) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write("score\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


if __name__ == "__main__":
    which, folder, dtype, rows, length = sys.argv[1:]
    if which == "offloaded":
        offloaded(Path(folder), dtype, int(rows), int(length))
    else:
        # transformers would load PyTorch where it is installed.
        sys.modules["torch"] = None  # pyright: ignore[reportArgumentType]
        ours(which, Path(folder), dtype, int(rows), int(length))
