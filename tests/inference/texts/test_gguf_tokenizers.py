"""Tokenizers of GGUF files: their ids are those of the tokenizer that the file was made from, or they are refused."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from small_tokenizers import TRAINING, save_tokenizer
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from bayeslaw.errors import InputError
from inference.texts.gguf_tokenizers import LLAMA3_SPLIT
from inference.texts.tokens import TextTokenizer

gguf = pytest.importorskip("gguf")
from gguf_writing import add_tokenizer, finish  # noqa: E402

TEXTS = [
    *TRAINING[:6],
    "hello world in 2024, 12345 items",
    "  two  spaces\n\n  and lines\r\n\t tabs ",
    "cafe\u0301 na\u00efve \u65e5\u672c\u8a9e \U0001f642 it's IT'S we'll",
    "a text that spells <|endoftext|> and <s> </s> <tool_call>",
    "def f(x):\n    return x  # 100%",
]


UNMERGED = "Ġsea"


def trained(*, split: str | None, digits: bool = False, composed: bool = False, whole: bool = False) -> Tokenizer:
    """Return byte-level BPE that cuts a text as one of the known names says.

    It is trained on texts that are cut otherwise, so that it has pieces of several digits, and one piece is made by no
    merge: another rule would use them.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=450, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([*TRAINING, *["in 2024 there were 12345 items", "it's we'll"] * 20], trainer)
    state = json.loads(tokenizer.to_str())
    merges = state["model"]["merges"]
    state["model"] |= {"merges": [pair for pair in merges if "".join(pair) != UNMERGED], "ignore_merges": whole}
    assert len(state["model"]["merges"]) < len(merges)
    tokenizer = Tokenizer.from_str(json.dumps(state))
    steps = [pre_tokenizers.Digits(individual_digits=True)] if digits else []
    if split is not None:
        steps.append(pre_tokenizers.Split(Regex(split), behavior="isolated"))
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=split is None))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    if composed:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens([AddedToken("<tool_call>", normalized=False, special=False)])
    return tokenizer


QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
BYTE_LEVEL = {
    "gpt-2": {"split": None},
    "llama-bpe": {"split": LLAMA3_SPLIT, "whole": True},
    "qwen2": {"split": QWEN2_SPLIT, "composed": True},
    "smollm": {"split": None, "digits": True},
    "starcoder": {"split": None, "digits": True},
}


def write_tokenizer(file: Path, tokenizer: Tokenizer, model: str, /, **fields: object) -> Path:
    """Write a file with a tokenizer alone."""
    writer = gguf.GGUFWriter(file, "llama")
    add_tokenizer(writer, tokenizer, model, **fields)
    finish(writer)
    return file


def assert_same_ids(file: Path, original: Tokenizer, folder: Path) -> TextTokenizer:
    original.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}')
    found, expected = TextTokenizer.from_folder(file), TextTokenizer.from_folder(folder)
    for text, ids, wanted in zip(TEXTS, found.encode_batch(TEXTS), expected.encode_batch(TEXTS), strict=True):
        assert list(ids.ids) == list(wanted.ids), text
    return found


@pytest.mark.parametrize("pre", BYTE_LEVEL)
def test_byte_level_ids_are_those_of_the_original(pre, tmp_path):
    original = trained(**BYTE_LEVEL[pre])
    end = original.token_to_id("<|endoftext|>")
    file = write_tokenizer(tmp_path / "a.gguf", original, "gpt2", pre=pre, bos_token_id=end, eos_token_id=end)
    (tmp_path / "folder").mkdir()
    found = assert_same_ids(file, original, tmp_path / "folder")
    assert found.prefix == end


def test_rules_of_cutting_differ():
    """A mistaken rule would be seen in the texts above."""
    names = {
        pre: Tokenizer.from_str(trained(**kind).to_str()) for pre, kind in BYTE_LEVEL.items() if pre != "starcoder"
    }
    ids = [tuple(tuple(tokenizer.encode(text).tokens) for text in TEXTS) for tokenizer in names.values()]
    assert len(set(ids)) == len(names)


def llama(tmp_path: Path) -> Tokenizer:
    return Tokenizer.from_file(str(save_tokenizer("llama", tmp_path / "original") / "tokenizer.json"))


def test_ids_by_scores_are_those_of_the_original(tmp_path):
    original = llama(tmp_path)
    file = write_tokenizer(tmp_path / "a.gguf", original, "llama", bos_token_id=1, eos_token_id=2)
    folder = tmp_path / "original"
    found, expected = TextTokenizer.from_folder(file), TextTokenizer.from_folder(folder)
    assert found.prefix == expected.prefix == 1
    for text, ids, wanted in zip(TEXTS, found.encode_batch(TEXTS), expected.encode_batch(TEXTS), strict=True):
        assert list(ids.ids) == list(wanted.ids), text
    without = write_tokenizer(tmp_path / "b.gguf", original, "llama", bos_token_id=1, add_bos_token=False)
    assert TextTokenizer.from_folder(without, bos="always").prefix == 1


def test_a_space_is_put_in_front_where_the_file_says_so(tmp_path):
    original = llama(tmp_path)
    kinds = [
        TextTokenizer.from_folder(
            write_tokenizer(tmp_path / f"{flag}.gguf", original, "llama", add_space_prefix=flag, bos_token_id=1)
        )
        for flag in (True, False)
    ]
    first = [original.id_to_token(int(kind.encode("sea").ids[0])) for kind in kinds]
    assert first[0].startswith("▁")
    assert not first[1].startswith("▁")


REFUSED = [
    ("gpt2", {"pre": "default"}, r"pre is 'default', and gpt-2, llama-bpe"),
    ("gpt2", {}, r"pre is None"),
    ("gpt2", {"pre": "gpt-2", "model": "rwkv"}, r"model is 'rwkv', and gpt2, llama are known"),
    ("gpt2", {"pre": "gpt-2", "merges": None}, "merges is no list of pairs"),
    ("gpt2", {"pre": "gpt-2", "merges": ["a b c"]}, "merges is no list of pairs"),
    ("gpt2", {"pre": "gpt-2", "merges": ["neither there"]}, "cannot be rebuilt"),
    ("gpt2", {"pre": "gpt-2", "token_type": [1, 2]}, "not one type for each token"),
    ("gpt2", {"pre": "gpt-2", "tokens": None}, "tokens is missing"),
    ("gpt2", {"pre": "gpt-2", "tokens": ["a", "a"], "token_type": [1, 1]}, "two ids have one token"),
    ("gpt2", {"pre": "gpt-2", "tokens": ["a", "b"], "token_type": [1, 1], "merges": ["a b"]}, "byte .* is no token"),
    ("llama", {"scores": None}, "scores are not as many"),
    ("llama", {"scores": [0.0] * 500}, "scores of its pieces do not fall"),
]


@pytest.mark.parametrize(("model", "fields", "said"), REFUSED, ids=[said[:30] for *_, said in REFUSED])
def test_what_cannot_be_rebuilt_is_refused(model, fields, said, tmp_path):
    original = trained(split=None) if model == "gpt2" else llama(tmp_path)
    if fields.get("scores"):
        fields = {"scores": [0.0] * original.get_vocab_size()}
    file = write_tokenizer(tmp_path / "a.gguf", original, model, **fields)
    with pytest.raises(InputError) as refused:
        TextTokenizer.from_folder(file)
    assert re.search(said, str(refused.value)), str(refused.value)
    assert "tokenizer.json" in refused.value.fix


def test_a_tokenizer_beside_the_file_serves_where_none_can_be_rebuilt(tmp_path):
    original = trained(split=None)
    end = original.token_to_id("<|endoftext|>")
    file = write_tokenizer(tmp_path / "a.gguf", original, "gpt2", pre="default", eos_token_id=end)
    assert assert_same_ids(file, original, tmp_path).prefix == end
    tokens = list(np.roll([token for token, _ in sorted(original.get_vocab().items(), key=lambda e: e[1])], 1))
    write_tokenizer(file, original, "gpt2", pre="default", tokens=[str(token) for token in tokens])
    with pytest.raises(InputError, match="is of another model: the token 0 is"):
        TextTokenizer.from_folder(file)
