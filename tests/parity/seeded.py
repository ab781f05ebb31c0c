"""Weights and token ids that depend on their names alone, so that references need not store them."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

MATRIX_SCALE = 0.1
VECTOR_SCALE = 0.3
# These families store the weights of norms minus one.
ONE_LESS = (
    "gemma",
    "gemma2",
    "gemma3_text",
    "nemotron",
    "recurrent_gemma",
    "qwen3_5_text",
    "qwen3_5_moe_text",
    "qwen3_next",
    "vaultgemma",
)


# Tensors of recurrences, by the end of their names, and where they scatter around and how widely: decays that reach
# over chunks of a text, and convolutions that pass on more than rounding.
RECURRENCES = {
    "A_log": (0.0, 0.7),
    "dt_bias": (-2.0, 0.7),
    "dt_proj.bias": (-2.0, 0.7),
    "recurrent_param": (-2.0, 1.0),
    "conv1d.weight": (0.0, 0.5),
    "conv_1d.weight": (0.0, 0.5),
    "conv.conv.weight": (0.0, 0.5),
    "q_conv1d.weight": (0.0, 0.5),
    "k_conv1d.weight": (0.0, 0.5),
    "v_conv1d.weight": (0.0, 0.5),
    # Logarithms of rates by position, and shares between a position and the one before it.
    "time_decay": (-3.0, 1.0),
    "time_mix_key": (0.5, 0.3),
    "time_mix_value": (0.5, 0.3),
    "time_mix_receptance": (0.5, 0.3),
    "igate_preact.bias": (-1.0, 1.0),
    "fgate_preact.bias": (3.0, 1.0),
}


def _generator(*names: str) -> np.random.Generator:
    digest = hashlib.sha256("\0".join(names).encode()).digest()
    return np.random.default_rng(np.frombuffer(digest[:16], np.uint32))


def seeded_tensor(case: str, name: str, shape: Sequence[int]) -> np.ndarray:
    """Return the weight of a tensor: float32, the same for the same names anywhere.

    Norm weights scatter around one and biases around zero, widely enough that a mistaken switch shows.
    """
    noise = np.asarray(_generator(case, name).standard_normal(tuple(shape), np.float32))
    if name.endswith("act_fn.eps"):
        # The bound of an exponential, which holds below zero alone.
        return np.asarray(np.float32(-0.1) - np.abs(noise))
    if ".lambda_" in name:
        # Exponents of sums over heads.
        return np.float32(VECTOR_SCALE) * noise
    for end, (centre, scale) in RECURRENCES.items():
        if name.endswith(end):
            return np.float32(scale) * noise + np.float32(centre)
    # DBRX calls attention with its norms so, whose matrices are none of them.
    if "norm" in name.replace("norm_attn_norm.", "") or len(shape) < 2:
        centre = 0 if name.endswith("bias") or case.split("/")[0] in ONE_LESS else 1
        return np.asarray(np.float32(VECTOR_SCALE) * noise + np.float32(centre))
    return np.float32(MATRIX_SCALE) * noise


def scored_vocabulary(config: Mapping[str, Any]) -> int:
    """Return how many tokens the head of a configuration has, which may be fewer than the embedding."""
    return config.get("output_vocab_size") or config["vocab_size"]


def seeded_ids(case: str, lengths: Sequence[int], vocabulary: int) -> list[np.ndarray]:
    """Return token ids of each text, int64 [length]; the first five hold the vocabulary's first and last entry."""
    texts = []
    for number, length in enumerate(lengths):
        ids = _generator(case, "ids", str(number)).integers(0, vocabulary, length)
        ids[2], ids[4] = vocabulary - 1, 0
        texts.append(ids)
    return texts
