"""Texts are cut as tokenizer.json says, whatever class the settings name.

transformers 5 builds the pipeline of the class anew: with version 5.24 the first sixteen pairs of a model type and a
class cut some of these texts otherwise than the file, the others none. What is right is what the tokenizers library
reads from the file alone.
"""

import json
from collections.abc import Callable

import pytest
from small_tokenizers import TRAINING, llama_like
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from inference.texts.tokens import TextTokenizer

TEXTS = (
    "hello world in 2024, 12345 items",
    " = Title = ",
    "def f(x):\n    return x",
    "    return x",
    "cafe\u0301 <|endoftext|> 1234</s>",
)
BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False)
DIGITS = pre_tokenizers.Digits(individual_digits=True)
CORPUS = [*TRAINING, *["in 2024 there were 12345 items", "hello world 2024 2024 12345 12345"] * 20]


def byte_level(*before: pre_tokenizers.PreTokenizer) -> Tokenizer:
    """Return byte-level BPE with pieces of several digits, which another pipeline would use."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = BYTES
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|endoftext|>", "</s>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    trained.train_from_iterator(CORPUS, trainer)
    tokenizer = Tokenizer(trained.model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*before, BYTES])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return tokenizer


PIPELINES: dict[str, Callable[[], Tokenizer]] = {
    "digits": lambda: byte_level(DIGITS),
    "split": lambda: byte_level(pre_tokenizers.Split(Regex(r"\p{N}{1,2}|\s+"), behavior="isolated")),
    "no NFC": byte_level,
    "sentencepiece": lambda: llama_like()[0],
}
PAIRS = [
    *(("llama", name, "sentencepiece") for name in ("LlamaTokenizer", "LlamaTokenizerFast")),
    *((model, "GPT2Tokenizer", "digits") for model in ("llama", "starcoder2", "gpt2", "phi")),
    ("llama", "GPT2Tokenizer", "split"),
    *(
        (model, "GPTNeoXTokenizerFast", pipeline)
        for model in ("gpt_neox", "mpt", "llama")
        for pipeline in ("digits", "no NFC")
    ),
    ("phi", "CodeGenTokenizer", "digits"),
    *(("qwen2", name, "sentencepiece") for name in ("LlamaTokenizer", "LlamaTokenizerFast")),
    # The class agrees.
    *((model, "GPT2Tokenizer", "digits") for model in ("granite", "olmo2", "stablelm")),
    *((model, "LlamaTokenizer", "sentencepiece") for model in ("mistral", "phi3")),
]


@pytest.mark.parametrize(("model_type", "tokenizer_class", "pipeline"), PAIRS)
def test_ids_are_those_of_the_file(tmp_path, model_type, tokenizer_class, pipeline):
    PIPELINES[pipeline]().save(str(tmp_path / "tokenizer.json"))
    settings = {"tokenizer_class": tokenizer_class, "eos_token": "</s>", "add_prefix_space": False}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    reference = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    reference.encode_special_tokens = True
    found = TextTokenizer.from_folder(tmp_path)
    for text in TEXTS:
        assert found.encode(text).ids.tolist() == reference.encode(text, add_special_tokens=False).ids, text
    # What the file itself puts in front of a text comes before what ends one.
    assert found.prefix_text == ("<s>" if pipeline == "sentencepiece" else "</s>")
