"""The families of the zoo: what they are made of, what they read, and their sizes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bayeslaw.errors import InputError

CONTEXT = 256
DOMAINS = ("code", "documentation", "manual", "prose")
BYTES = 256
SPECIAL = "<|endoftext|>"


@dataclass(frozen=True)
class Shape:
    """Sizes of one decoder.

    Attributes
    ----------
    width, depth, heads
        Of the residual stream, number of blocks, attention heads of each.
    """

    width: int
    depth: int
    heads: int


@dataclass(frozen=True)
class Family:
    """A family of models.

    Attributes
    ----------
    model_type
        Architecture, as transformers names it.
    vocabulary
        Tokens of its byte-level BPE tokenizer, the special token included; 257 has no merges.
    mixture
        Share of its training tokens by domain.
    shapes
        Of each size, by name.
    """

    model_type: str
    vocabulary: int
    mixture: Mapping[str, float]
    shapes: Mapping[str, Shape]


# What an accelerator can train as well.
LARGE = {
    "4m": Shape(224, 6, 7),
    "10m": Shape(320, 8, 10),
    "30m": Shape(512, 10, 8),
    "100m": Shape(768, 14, 12),
}
FAMILIES = {
    "llama": Family(
        "llama",
        1024,
        {"code": 0.60, "documentation": 0.25, "manual": 0.10, "prose": 0.05},
        {
            "15k": Shape(12, 2, 2),
            "40k": Shape(24, 2, 2),
            "100k": Shape(48, 2, 3),
            "250k": Shape(64, 4, 2),
            "600k": Shape(96, 5, 3),
            "1.5m": Shape(128, 7, 4),
        }
        | LARGE,
    ),
    "gpt_neox": Family(
        "gpt_neox",
        BYTES + 1,
        dict.fromkeys(DOMAINS, 0.25),
        {
            "15k": Shape(16, 2, 2),
            "40k": Shape(32, 2, 2),
            "100k": Shape(48, 3, 3),
            "250k": Shape(64, 4, 2),
            "600k": Shape(96, 5, 3),
            "1.5m": Shape(128, 7, 4),
        }
        | LARGE,
    ),
    "gpt2": Family(
        "gpt2",
        768,
        {"code": 0.05, "documentation": 0.15, "manual": 0.20, "prose": 0.60},
        {
            "15k": Shape(12, 2, 2),
            "40k": Shape(24, 2, 2),
            "100k": Shape(40, 3, 2),
            "250k": Shape(64, 4, 2),
            "600k": Shape(96, 5, 3),
            "1.5m": Shape(128, 7, 4),
        }
        | LARGE,
    ),
    "qwen3": Family(
        "qwen3",
        512,
        {"code": 0.15, "documentation": 0.40, "manual": 0.35, "prose": 0.10},
        {
            "15k": Shape(16, 2, 2),
            "40k": Shape(32, 2, 2),
            "100k": Shape(48, 3, 4),
            "250k": Shape(64, 4, 2),
            "600k": Shape(96, 5, 4),
            "1.5m": Shape(128, 7, 4),
        }
        | LARGE,
    ),
}
SIZES = tuple(size for size in FAMILIES["llama"].shapes if size not in LARGE)


def find_family(name: str) -> Family:
    """Return a family.

    Parameters
    ----------
    name
        Its name.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in FAMILIES:
        raise InputError(f"there is no family {name!r}", f"one of {', '.join(FAMILIES)}", "name one of them")
    return FAMILIES[name]


def make_config(name: str, size: str) -> dict[str, Any]:
    """Return the config.json of a model.

    Parameters
    ----------
    name
        Family.
    size
        One of its sizes.

    Returns
    -------
    dict
        What transformers reads the model from.

    Raises
    ------
    InputError
        If there is no such family or size.
    """
    family = find_family(name)
    if size not in family.shapes:
        raise InputError(
            f"the family {name} has no size {size!r}", f"one of {', '.join(family.shapes)}", "name one of them"
        )
    shape = family.shapes[size]
    end = family.vocabulary - 1
    common = {
        "model_type": family.model_type,
        "vocab_size": family.vocabulary,
        "bos_token_id": end,
        "eos_token_id": end,
    }
    return common | ARCHITECTURES[family.model_type](shape)


def _llama(shape: Shape) -> dict[str, Any]:
    return {
        "hidden_size": shape.width,
        "intermediate_size": round(8 * shape.width / 3 / 8) * 8,
        "num_hidden_layers": shape.depth,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.heads,
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10_000.0,
        "tie_word_embeddings": True,
    }


def _gpt_neox(shape: Shape) -> dict[str, Any]:
    return {
        "hidden_size": shape.width,
        "intermediate_size": 4 * shape.width,
        "num_hidden_layers": shape.depth,
        "num_attention_heads": shape.heads,
        "max_position_embeddings": CONTEXT,
        "rotary_pct": 0.25,
        "use_parallel_residual": True,
        "tie_word_embeddings": False,
    }


def _gpt2(shape: Shape) -> dict[str, Any]:
    return {
        "n_embd": shape.width,
        "n_layer": shape.depth,
        "n_head": shape.heads,
        "n_positions": CONTEXT,
        "tie_word_embeddings": True,
    }


def _qwen3(shape: Shape) -> dict[str, Any]:
    groups = shape.heads // 2 if shape.heads % 2 == 0 else shape.heads
    return {
        "hidden_size": shape.width,
        "intermediate_size": 3 * shape.width,
        "num_hidden_layers": shape.depth,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": groups,
        "head_dim": shape.width // shape.heads,
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10_000.0,
        "tie_word_embeddings": True,
    }


ARCHITECTURES = {"llama": _llama, "gpt_neox": _gpt_neox, "gpt2": _gpt2, "qwen3": _qwen3}
