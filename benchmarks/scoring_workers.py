"""The two sides of benchmarks/scoring.py, each in a process of its own that answers one line of JSON a command."""

import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

PREFIX = 1


def peak_memory() -> int:
    """Largest resident size since `reset_peak`, in bytes."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def reset_peak() -> int:
    """Forget the largest resident size, and return the present one, in bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_memory()


def texts_of(kind: str, vocabulary: int) -> list[np.ndarray]:
    """Random token ids: ``even-ROWSxLENGTH``, or ``ragged-COUNT`` texts of 200 to 3,000 characters at 4 a token."""
    generator = np.random.default_rng(0)
    name, size = kind.split("-")
    if name == "even":
        rows, length = map(int, size.split("x"))
        lengths = np.full(rows, length)
    else:
        lengths = generator.integers(200, 3001, int(size)) // 4
    return [generator.integers(3, vocabulary, length).astype(np.int32) for length in lengths]


class Ours:
    """Our side: `inference.token_log_probabilities`."""

    def __init__(self, folder: Path, dtype: str) -> None:
        import jax.numpy as jnp
        from transformers.models.auto.configuration_auto import AutoConfig  # noqa: F401

        from inference.checkpoints.checkpoint import open_checkpoint
        from inference.checkpoints.weights import load_decoder
        from inference.decoder.parameter_totals import parameter_counts
        from inference.decoder.transformer import Decoder
        from inference.scoring.language_models import LanguageModel

        # Compiled code and buffers of the runtime are not the model's.
        jnp.zeros(8).block_until_ready()
        before, begun = reset_peak(), time.perf_counter()
        decoder: Decoder = load_decoder(open_checkpoint(folder), dtype=jnp.dtype(dtype))
        self.load_seconds, self.load_peak = time.perf_counter() - begun, peak_memory() - before
        counts = dict(parameter_counts(decoder))
        tokenizer: Any = SimpleNamespace(prefix=PREFIX)
        self.model = LanguageModel(decoder, tokenizer, str(folder), None, "", dtype, counts)
        self.parameters, self.vocabulary = counts["total"], decoder.config.vocabulary

    def score(self, texts: list[np.ndarray], order: str) -> float:
        from inference.scoring.scores import token_log_probabilities

        encodings: Any = [SimpleNamespace(ids=ids) for ids in texts]
        found = token_log_probabilities(self.model, encodings)
        return -sum(float(values.sum(dtype=np.float64)) for values in found)

    def used(self, texts: list[np.ndarray]) -> float:
        """Return the share of the positions computed that hold tokens."""
        from inference.scoring.batch_rules import check_window, default_batch_tokens, shape_cost, shares_rows
        from inference.texts.batches import plan_batches
        from inference.texts.windows import plan_windows

        config, lengths = self.model.config, [len(ids) for ids in texts]
        window, stride = check_window(config, None, None)
        windows = plan_windows(lengths, window=window, stride=stride, prefix=True)
        cost, packed = shape_cost(self.parameters, config), shares_rows(config)
        batches = plan_batches(windows, batch_tokens=default_batch_tokens(), shape_cost=cost, packed=packed)
        return sum(lengths) / sum(batch.rows * batch.inputs for batch in batches)

    def compilations(self) -> int:
        import inference.scoring.scores  # noqa: F401

        compiled: Any = getattr(sys.modules["inference.scoring.scores"], "_log_probabilities")  # noqa: B009
        return compiled._cache_size()


class Torch:
    """PyTorch transformers: scaled dot-product attention, inference mode, batches of 8 padded on the right."""

    def __init__(self, folder: Path, dtype: str) -> None:
        import torch  # pyright: ignore[reportMissingImports]
        from transformers.models.auto.modeling_auto import AutoModelForCausalLM

        self.torch = torch
        before, begun = reset_peak(), time.perf_counter()
        kind, device = getattr(torch, dtype), "cuda" if torch.cuda.is_available() else "cpu"
        # Scaled dot-product attention is what it chooses where there is attention.
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=kind)
        self.model = model.eval().to(device)
        self.device = device
        self.load_seconds, self.load_peak = time.perf_counter() - begun, peak_memory() - before
        self.parameters = sum(parameter.numel() for parameter in model.parameters())
        self.vocabulary = model.config.vocab_size

    def score(self, texts: list[np.ndarray], order: str) -> float:
        if order == "sorted":
            texts = sorted(texts, key=len, reverse=True)
        with self.torch.inference_mode():
            return sum(self._batch(texts[start : start + 8]) for start in range(0, len(texts), 8))

    def _batch(self, texts: list[np.ndarray]) -> float:
        torch, longest = self.torch, max(map(len, texts))
        targets = torch.full((len(texts), longest), -100)
        inputs = torch.full((len(texts), longest), PREFIX)
        for row, ids in enumerate(texts):
            targets[row, : len(ids)] = torch.from_numpy(ids.astype(np.int64))
            inputs[row, 1 : len(ids)] = targets[row, : len(ids) - 1]
        inputs, targets = inputs.to(self.device), targets.to(self.device)
        ragged = min(map(len, texts)) < longest
        mask = (targets != -100).long() if ragged else None
        logits = self.model(inputs, attention_mask=mask, use_cache=False).logits
        losses = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none")
        return float(losses.double().sum())

    def used(self, texts: list[np.ndarray]) -> float:
        return math.nan

    def compilations(self) -> int:
        return 0


def compile_seconds(depths: list[int]) -> dict[str, float]:
    """Seconds to compile the scoring of 8 x 512 tokens, by number of layers; no weights are made."""
    import jax
    import jax.numpy as jnp
    from flax import nnx

    from inference.decoder.configuration import DecoderConfig
    from inference.decoder.rope_settings import Rope
    from inference.decoder.transformer import Decoder
    from inference.scoring.scores import _log_probabilities

    found = {}
    for depth in depths:
        heads: dict[str, Any] = {"heads": 12, "key_value_heads": 12, "head_width": 64}
        sizes: dict[str, Any] = {"vocabulary": 32_000, "width": 768, "depth": depth, "mlp_width": 2048} | heads
        config = DecoderConfig(**sizes, ropes=(Rope(1e4, 64),), max_length=2048)
        graph, state = nnx.split(nnx.eval_shape(lambda config=config: Decoder(config)))
        ids, lengths = jax.ShapeDtypeStruct((8, 512), jnp.int32), jax.ShapeDtypeStruct((8,), jnp.int32)
        begun = time.perf_counter()
        _log_probabilities.lower(graph, state, ids, ids, lengths).compile()
        found[str(depth)] = time.perf_counter() - begun
    return found


def serve(side: str, folder: Path, dtype: str) -> None:
    """Load a model and answer commands ``KIND ORDER`` from standard input."""
    made: Ours | Torch = Ours(folder, dtype) if side == "ours" else Torch(folder, dtype)
    ready = {"parameters": made.parameters, "load_seconds": made.load_seconds, "load_peak": made.load_peak}
    print(json.dumps(ready), flush=True)
    for line in sys.stdin:
        kind, order = line.split()
        texts = texts_of(kind, made.vocabulary)
        reset_peak()
        seconds, cpu, loss = _timed(lambda texts=texts, order=order: made.score(texts, order))
        tokens = sum(map(len, texts))
        answer = {"seconds": seconds, "cpu": cpu, "loss": loss / tokens, "tokens": tokens, "peak": peak_memory()}
        answer["used"] = made.used(texts)
        print(json.dumps(answer | {"compilations": made.compilations()}), flush=True)


def _timed(work: Callable[[], float]) -> tuple[float, float, float]:
    begun, cpu = time.perf_counter(), time.process_time()
    value = work()
    assert math.isfinite(value)
    return time.perf_counter() - begun, time.process_time() - cpu, value


if __name__ == "__main__":
    if sys.argv[1] != "torch":
        # transformers would load PyTorch where it is installed, and our side does without.
        sys.modules["torch"] = None  # pyright: ignore[reportArgumentType]
    if sys.argv[1] == "compile":
        print(json.dumps(compile_seconds([int(depth) for depth in sys.argv[2:]])))
    else:
        serve(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
