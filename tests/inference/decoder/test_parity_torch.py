"""Every family against PyTorch itself: the same folder, read by both, and what transformers saves, read by us."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from dataclasses import replace  # noqa: E402
from pathlib import Path  # noqa: E402

from parity import checkpoints  # noqa: E402
from parity.cases import CASES, MODEL_TYPES, Case  # noqa: E402
from parity.make_references import (  # noqa: E402
    collapse,
    log_probabilities,
    of_targets,
    reference_model,
    saved_model,
    stored_shapes,
)
from parity.saved_names import FORMS, saved_shapes  # noqa: E402
from small_tokenizers import save_tokenizer, vocabulary_size  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

import inference  # noqa: E402
from inference.checkpoints.checkpoint import open_checkpoint  # noqa: E402
from inference.checkpoints.weights import load_decoder  # noqa: E402

pytestmark = pytest.mark.parity

GATE = 1e-5
TEXTS = (
    "The quick brown fox jumps over the lazy dog.",
    "She sells sea shells.",
    "A small model reads a small text and says how likely it is, word by word.",
)
# Tokenizers, and what stands before a text where neither they nor the configuration put anything there.
TOKENIZERS = {"gpt2": "<|endoftext|>", "qwen": "<|im_end|>", "llama": None, "gemma": None}


def reference_ids(folder: Path, text: str, kind: str) -> np.ndarray:
    # transformers would build the tokenizer of the class that belongs to the family, whatever the file says.
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids, end = tokenizer.encode(text).ids, TOKENIZERS[kind]
    if end is None:
        return np.array(ids)
    named = json.loads((folder / "config.json").read_text()).get("bos_token_id")
    known = kind == "qwen" and named is not None and named < tokenizer.get_vocab_size()
    return np.array([named if known else tokenizer.token_to_id(end), *ids])


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
        ids = reference_ids(tmp_path, text, kind)
        expected = -of_targets(log_probabilities(reference, ids).astype(np.float64), ids).sum()
        assert abs(loss - expected) < GATE * (len(ids) - 1), (text, loss, expected)


@pytest.mark.parametrize("name", CASES)
def test_what_transformers_saves_is_read(name, tmp_path):
    case = CASES[name]
    model, _ = saved_model(case, tmp_path / "original", original=True)
    texts = checkpoints.case_ids(case)
    expected = [log_probabilities(model, ids) for ids in texts]
    model.save_pretrained(tmp_path / "modules", save_original_format=False)
    for form in FORMS:
        assert collapse(stored_shapes(tmp_path / form)) == saved_shapes(case, form)
        decoder = load_decoder(open_checkpoint(tmp_path / form))
        for wanted, found in zip(expected, checkpoints.log_probabilities(decoder, texts), strict=True):
            np.testing.assert_allclose(found[:-1], wanted, rtol=0, atol=case.gate)
