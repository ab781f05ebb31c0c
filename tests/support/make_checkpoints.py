"""Small complete checkpoints whose loss falls with size: ``python tests/support/make_checkpoints.py FOLDER``.

Configurations and shapes are those of the parity references, made wider or narrower; weights are seeded. Logits are the
frequencies of tokens with noise that depends on what stands before, the less the wider the model.
"""

import argparse
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from parity.checkpoints import read_reference
from parity.seeded import ONE_LESS, seeded_tensor
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer

from inference.checkpoints.quiet import quiet_transformers

WIDTH_FIELDS = ("hidden_size", "n_embd", "intermediate_size", "ffn_dim", "word_embed_proj_dim")
HEAD_FIELDS = ("num_attention_heads", "n_head", "num_key_value_heads")
POSITION_FIELDS = ("max_position_embeddings", "n_positions")
DEPTH_FIELDS = ("num_hidden_layers", "n_layer")
TOKEN_FIELDS = ("bos_token", "eos_token", "pad_token")
REFERENCE_VOCABULARY, REFERENCE_POSITIONS, REFERENCE_WIDTH = 99, 64, 64
POSITIONS = 256
# Standard deviation of the noise of logits at the references' width, nats.
NOISE = 0.9
# How much larger than all the rest the feature is that carries the frequencies through a norm without bias.
DOMINANCE = 2.0
# Each is one token in all of the small tokenizers, so that losses per byte can be compared.
WORDS = ("the", "she", "sea", "sells", "shells", "and", "it", "over", "by", "small", "of", "dog", "river", "reads")
WORDS += ("word", "says", "how", "days", "width", "über")
TRAINING_SEED = 1_000


@dataclass(frozen=True)
class Kind:
    """A family of small checkpoints.

    Attributes
    ----------
    tokenizer
        Kind of its tokenizer.
    embedding, norm
        Names of the token embedding and of the last norm, without ``.weight``.
    head
        Name of the head; None where it is the embedding.
    """

    tokenizer: str
    embedding: str
    norm: str
    head: str | None = None


LLAMA_NAMES = ("model.embed_tokens", "model.norm", "lm_head")
KINDS = {
    "llama": Kind("llama", *LLAMA_NAMES),
    "gpt2": Kind("gpt2", "transformer.wte", "transformer.ln_f"),
    "qwen3": Kind("qwen", *LLAMA_NAMES),
    "gpt_neox": Kind("gpt2", "gpt_neox.embed_in", "gpt_neox.final_layer_norm", "embed_out"),
    "gemma": Kind("gemma", "model.embed_tokens", "model.norm"),
    "mistral": Kind("llama", *LLAMA_NAMES),
    "bloom": Kind("qwen", "transformer.word_embeddings", "transformer.ln_f"),
    "opt": Kind("gpt2", "model.decoder.embed_tokens", "model.decoder.final_layer_norm"),
    "phi3": Kind("llama", *LLAMA_NAMES),
}
# Width in units of the references', and depth.
SIZES = {"small": (0.5, 1), "medium": (1.0, 1), "large": (2.0, 2)}
MADE = tuple((family, size) for family in ("llama", "gpt2", "qwen3", "gpt_neox") for size in SIZES)
MADE += tuple((family, "medium") for family in ("gemma", "mistral", "bloom", "opt", "phi3"))
SHARDED = ("llama", "large")


def make_checkpoint(
    folder: Path, family: str, size: str = "medium", *, shards: int = 1, pieces: Sequence[str] = ()
) -> Path:
    """Write one checkpoint with its tokenizer, and return its folder.

    Parameters
    ----------
    folder
        Where to; made if need be.
    family
        One of `KINDS`.
    size
        One of `SIZES`.
    shards
        Over how many files the weights are spread.
    pieces
        Ordinary text that shall be a token besides.
    """
    with quiet_transformers():
        from small_tokenizers import save_tokenizer

        save_tokenizer(KINDS[family].tokenizer, folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_tokens([AddedToken(piece, normalized=False, special=False) for piece in pieces])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = make_config(family, size, vocabulary=tokenizer.get_vocab_size())
    special = json.loads((folder / "tokenizer_config.json").read_text())
    named = {name: special.get(name) for name in TOKEN_FIELDS}
    config |= {f"{name}_id": token and tokenizer.token_to_id(token) for name, token in named.items()}
    weights = make_weights(family, size, log_frequencies(tokenizer.to_str()))
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    write_weights(folder, weights, shards=shards)
    return folder


def make_config(family: str, size: str, *, vocabulary: int) -> dict[str, Any]:
    """Return the configuration of a reference, with another width, depth, vocabulary and number of positions."""
    width, depth = SIZES[size]
    config = dict(read_reference(family)["config"]) | {"vocab_size": vocabulary}
    config |= {name: round(config[name] * width) for name in WIDTH_FIELDS + HEAD_FIELDS if name in config}
    config |= {name: POSITIONS for name in POSITION_FIELDS if name in config}
    config |= {name: depth for name in DEPTH_FIELDS if name in config}
    if "layer_types" in config:
        config["layer_types"] = config["layer_types"][:depth]
    return config


def make_shapes(family: str, size: str, *, vocabulary: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of a checkpoint."""
    width, depth = SIZES[size]
    reference = read_reference(family)
    shapes = {}
    for pattern, stored in reference["shapes"].items():
        # A head is as wide in every size.
        by_head = re.search("[qk]_norm", pattern) and stored == [reference["config"].get("head_dim")]
        sizes = [one if by_head else round(one * width) for one in stored]
        if stored[0] == REFERENCE_VOCABULARY:
            sizes[0] = vocabulary
        elif "wpe" in pattern or "embed_positions" in pattern:
            sizes[0] = stored[0] - REFERENCE_POSITIONS + POSITIONS
        layers = range(depth) if "{" in pattern else range(1)
        shapes |= {re.sub(r"\{\d+\}", str(layer), pattern): tuple(sizes) for layer in layers}
    return shapes


def make_weights(family: str, size: str, frequencies: np.ndarray) -> dict[str, np.ndarray]:
    """Return seeded weights whose logits are log frequencies [vocabulary] with noise."""
    kind = KINDS[family]
    shapes = make_shapes(family, size, vocabulary=len(frequencies))
    weights = {name: seeded_tensor(f"{family}/{size}", name, shape) for name, shape in shapes.items()}
    embedding = f"{kind.embedding}.weight"
    head = embedding if kind.head is None else f"{kind.head}.weight"
    for name, values in weights.items():
        if name in (embedding, head):
            values /= values.std()
        elif values.ndim == 2:
            # Sums over more features would otherwise be larger.
            values /= math.sqrt(SIZES[size][0])
    bias = weights.get(f"{kind.norm}.bias")
    carry = _carry_by_feature if bias is None else partial(_carry_by_bias, bias=bias)
    carry(weights[embedding], weights[f"{kind.norm}.weight"], weights[head], frequencies)
    weights[f"{kind.norm}.weight"] -= np.float32(family in ONE_LESS)
    return weights


def _noise(width: int) -> np.ndarray:
    # Of both signs, since a token would be likely to follow itself where the head is the embedding.
    return NOISE * REFERENCE_WIDTH / width * (-1.0) ** np.arange(width) / math.sqrt(width)


def _carry_by_bias(
    embedding: np.ndarray, norm: np.ndarray, head: np.ndarray, frequencies: np.ndarray, *, bias: np.ndarray
) -> None:
    """Let a feature be one at every position, and the head turn it into the log frequencies."""
    bias[:], bias[0] = 0, 1
    norm[:] = _noise(len(norm))
    norm[0], head[:, 0] = 0, frequencies


def _carry_by_feature(embedding: np.ndarray, norm: np.ndarray, head: np.ndarray, frequencies: np.ndarray) -> None:
    """Let a feature be so large that the norm leaves it the same everywhere, and turn it into log frequencies."""
    root = math.sqrt(len(norm))
    feature, passed, rest = DOMINANCE * root, root * DOMINANCE / math.hypot(1, DOMINANCE), 1 / math.hypot(1, DOMINANCE)
    norm[:] = _noise(len(norm)) / rest
    if head is embedding:
        scale = feature / abs(float(np.exp(frequencies) @ frequencies))
        head[:, 0], norm[0] = scale * frequencies, -1 / (passed * scale)
    else:
        embedding[:, 0], head[:, 0], norm[0] = feature, frequencies, 1 / passed


@cache
def log_frequencies(state: str) -> np.ndarray:
    """Return how frequent each token of a tokenizer (as JSON) is in texts like ours, [vocabulary], float32."""
    tokenizer = Tokenizer.from_str(state)
    texts = [document["text"] for document in make_documents(300, seed=TRAINING_SEED)]
    encoded = tokenizer.encode_batch(texts, add_special_tokens=False)
    counts = Counter(token for one in encoded for token in one.ids)
    found = np.array([counts[token] for token in range(tokenizer.get_vocab_size())]) + 0.5
    return np.log(found / found.sum()).astype(np.float32)


def write_weights(folder: Path, weights: Mapping[str, np.ndarray], *, shards: int = 1) -> None:
    """Write weights in one safetensors file, or in several with their index."""
    weights = {name: np.ascontiguousarray(values) for name, values in weights.items()}
    if shards == 1:
        save_file(weights, folder / "model.safetensors")
        return
    names = sorted(weights)
    places = {name: f"model-{i % shards + 1:05d}-of-{shards:05d}.safetensors" for i, name in enumerate(names)}
    for place in set(places.values()):
        save_file({name: weights[name] for name in names if places[name] == place}, folder / place)
    total = sum(values.nbytes for values in weights.values())
    index = {"metadata": {"total_size": total}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def make_documents(count: int, *, seed: int = 0, sentences: int = 4) -> list[dict[str, str]]:
    """Return documents of a few paragraphs and lines, with ids, of two domains with frequent words of their own."""
    rng = np.random.default_rng(seed)
    frequencies = 1 / np.arange(1, len(WORDS) + 1)
    orders = {"sea": np.arange(len(WORDS)), "river": np.random.default_rng(0).permutation(len(WORDS))}
    documents = []
    for number in range(count):
        domain = ("sea", "river")[number % 2]
        words, chances = np.array(WORDS)[orders[domain]], frequencies / frequencies.sum()
        pieces = []
        for _ in range(int(rng.integers(1, sentences + 1))):
            pieces += [" ".join(rng.choice(words, int(rng.integers(2, 9)), p=chances))]
            pieces += [str(rng.choice([" ", "\n", "\n\n"]))]
        documents.append({"id": f"text-{number:02d}", "text": "".join(pieces[:-1]), "domain": domain})
    return documents


def make_checkpoints(folder: Path, made: Iterable[tuple[str, str]] = MADE) -> list[Path]:
    """Write checkpoints of several families and sizes, and return their folders."""
    folders = []
    for family, size in made:
        shards = 3 if (family, size) == SHARDED else 1
        folders.append(make_checkpoint(folder / f"{family}-{size}", family, size, shards=shards))
    return folders


def main() -> None:
    """Make all of them, and a file of texts."""
    parser = argparse.ArgumentParser(description="Make small checkpoints of several families, and texts to score.")
    parser.add_argument("folder", type=Path, help="where to; made if need be")
    folder = parser.parse_args().folder
    for made in make_checkpoints(folder):
        stored = sum(path.stat().st_size for path in made.glob("*.safetensors"))
        print(f"{made}: {stored:,} bytes of weights")
    texts = folder / "corpus.jsonl"
    texts.write_text("".join(json.dumps(document) + "\n" for document in make_documents(40)))
    print(f"{texts}: 40 texts")
    print(f"next: bayeslaw score {folder}/*/ --texts {texts} --out losses")


if __name__ == "__main__":
    main()
