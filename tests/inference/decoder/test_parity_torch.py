"""Every family against PyTorch itself, from text to loss: the same folder, read by both."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from dataclasses import replace  # noqa: E402
from pathlib import Path  # noqa: E402

from parity.cases import CASES, MODEL_TYPES, Case  # noqa: E402
from parity.make_references import log_probabilities, of_targets, reference_model  # noqa: E402
from small_tokenizers import save_tokenizer, vocabulary_size  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402

import inference  # noqa: E402

pytestmark = pytest.mark.parity

GATE = 1e-5
TEXTS = (
    "The quick brown fox jumps over the lazy dog.",
    "She sells sea shells.",
    "A small model reads a small text and says how likely it is, word by word.",
)
# Tokenizers, and what stands before a text where they put nothing there themselves.
TOKENIZERS = {"gpt2": "<|endoftext|>", "qwen": "<|im_end|>", "llama": None, "gemma": None}


def reference_ids(folder: Path, text: str, prefix: str | None) -> np.ndarray:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(text).input_ids
    return np.array(ids if prefix is None else [tokenizer.convert_tokens_to_ids(prefix), *ids])


def with_vocabulary(case: Case, size: int) -> Case:
    return replace(case, settings=case.settings | {"vocab_size": size})


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_losses_of_texts_equal_those_of_pytorch(model_type, tmp_path):
    kinds = list(TOKENIZERS)
    kind = kinds[MODEL_TYPES.index(model_type) % len(kinds)]
    case = with_vocabulary(CASES[model_type], vocabulary_size(kind))
    reference, _ = reference_model(case, tmp_path)
    save_tokenizer(kind, tmp_path)
    losses = inference.score(inference.load(tmp_path), TEXTS)
    for text, loss in zip(TEXTS, losses, strict=True):
        ids = reference_ids(tmp_path, text, TOKENIZERS[kind])
        expected = -of_targets(log_probabilities(reference, ids).astype(np.float64), ids).sum()
        assert abs(loss - expected) < GATE * (len(ids) - 1), (text, loss, expected)
