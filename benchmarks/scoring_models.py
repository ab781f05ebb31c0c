"""Sizes of the models that benchmarks/scoring.py scores with, and checkpoints of random weights in them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

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
MAMBA2 = {"model_type": "mamba2", "vocab_size": 50_288, "hidden_size": 768, "num_hidden_layers": 24, "num_heads": 24}
MAMBA2 |= {"head_dim": 64, "state_size": 128, "n_groups": 1, "conv_kernel": 4, "expand": 2, "chunk_size": 256}
SMALL_MAMBA2 = MAMBA2 | {"vocab_size": 512, "hidden_size": 64, "num_hidden_layers": 2, "num_heads": 4, "head_dim": 32}
ROUTED = {"model_type": "qwen3_moe", "vocab_size": 32_000, "hidden_size": 512, "num_hidden_layers": 11}
ROUTED |= {"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 64, "intermediate_size": 1536}
ROUTED |= {"num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 256, "norm_topk_prob": True}
SMALL_ROUTED = ROUTED | {"vocab_size": 512, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
SMALL_ROUTED |= {"num_key_value_heads": 2, "head_dim": 16, "num_experts": 8, "num_experts_per_tok": 2}
SMALL_ROUTED |= {"intermediate_size": 128, "moe_intermediate_size": 32}
TIED = ("qwen3", "mamba2")

Shapes = dict[str, tuple[int, ...]]


def _transformer(sizes: dict[str, Any]) -> Shapes:
    width, head = sizes["hidden_size"], sizes["head_dim"]
    queries, keys = sizes["num_attention_heads"] * head, sizes["num_key_value_heads"] * head
    block = {"self_attn.q_proj": (queries, width), "self_attn.k_proj": (keys, width), "self_attn.v_proj": (keys, width)}
    block |= {"self_attn.o_proj": (width, queries), "input_layernorm": (width,), "post_attention_layernorm": (width,)}
    if sizes["model_type"] != "llama":
        block |= {"self_attn.q_norm": (head,), "self_attn.k_norm": (head,)}
    if "num_experts" in sizes:
        block["mlp.gate"] = (sizes["num_experts"], width)
        modules = [f"mlp.experts.{number}" for number in range(sizes["num_experts"])]
        mlp = sizes["moe_intermediate_size"]
    else:
        modules, mlp = ["mlp"], sizes["intermediate_size"]
    for module in modules:
        block |= {f"{module}.gate_proj": (mlp, width), f"{module}.up_proj": (mlp, width)}
        block[f"{module}.down_proj"] = (width, mlp)
    shapes: Shapes = {"model.embed_tokens.weight": (sizes["vocab_size"], width), "model.norm.weight": (width,)}
    if sizes["model_type"] not in TIED:
        shapes["lm_head.weight"] = (sizes["vocab_size"], width)
    for layer in range(sizes["num_hidden_layers"]):
        shapes |= {f"model.layers.{layer}.{name}.weight": shape for name, shape in block.items()}
    return shapes


def _mamba2(sizes: dict[str, Any]) -> Shapes:
    width, inner = sizes["hidden_size"], sizes["num_heads"] * sizes["head_dim"]
    convolved = inner + 2 * sizes["n_groups"] * sizes["state_size"]
    block = {"norm.weight": (width,), "mixer.in_proj.weight": (inner + convolved + sizes["num_heads"], width)}
    block |= {"mixer.conv1d.weight": (convolved, 1, sizes["conv_kernel"]), "mixer.conv1d.bias": (convolved,)}
    block |= dict.fromkeys(("mixer.A_log", "mixer.D", "mixer.dt_bias"), (sizes["num_heads"],))
    block |= {"mixer.norm.weight": (inner,), "mixer.out_proj.weight": (width, inner)}
    shapes: Shapes = {"backbone.embeddings.weight": (sizes["vocab_size"], width), "backbone.norm_f.weight": (width,)}
    for layer in range(sizes["num_hidden_layers"]):
        shapes |= {f"backbone.layers.{layer}.{name}": shape for name, shape in block.items()}
    return shapes


SHAPES: dict[str, Callable[[dict[str, Any]], Shapes]] = {
    "llama": _transformer,
    "qwen3": _transformer,
    "qwen3_moe": _transformer,
    "mamba2": _mamba2,
}


def make_checkpoint(folder: Path, sizes: dict[str, Any], dtype: str) -> None:
    """Write random weights with the names and shapes of a model, some gigabytes a file."""
    import ml_dtypes

    config = sizes | {"max_position_embeddings": 4096, "rms_norm_eps": 1e-6, "dtype": dtype}
    config |= {"tie_word_embeddings": sizes["model_type"] in TIED, "rope_theta": 10_000.0, "hidden_act": "silu"}
    config |= {"attention_bias": False}
    generator, kind = np.random.default_rng(0), np.dtype(getattr(ml_dtypes, dtype, None) or dtype)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    places: dict[str, str] = {}
    for number, part in enumerate(_parts(SHAPES[sizes["model_type"]](sizes))):
        tensors = {name: _values(name, shape, generator).astype(kind) for name, shape in part.items()}
        file = f"model-{number:03d}.safetensors"
        save_file(tensors, folder / file, metadata={"format": "pt"})
        places |= dict.fromkeys(tensors, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


def _parts(shapes: Shapes, most: int = 1 << 29) -> Iterator[Shapes]:
    """Yield what goes into one file: tensors of half a billion numbers in all, or one."""
    part, count = {}, 0
    for name, shape in shapes.items():
        size = int(np.prod(shape))
        if part and count + size > most:
            yield part
            part, count = {}, 0
        part[name], count = shape, count + size
    yield part


def _values(name: str, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    if name.endswith("A_log"):
        return np.log(generator.uniform(1, 16, shape)).astype(np.float32)
    if name.endswith("dt_bias"):
        return generator.uniform(-7, -2, shape).astype(np.float32)
    if len(shape) == 1:
        return np.ones(shape, np.float32)
    return 0.02 * generator.standard_normal(shape, dtype=np.float32)
