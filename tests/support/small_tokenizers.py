"""Tiny tokenizers of the kinds that decoders come with, saved as a checkpoint's folder has them."""

import json
import math
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

TRAINING = [
    "The quick brown fox jumps over the lazy dog, and the dog sleeps on.",
    "She sells sea shells by the sea shore; the shells she sells are sea shells.",
    "A small model reads a small text and says how likely it is, word by word.",
    "In 1984 it rained 12 days of 30.\n\nThe river rose, the bridge held, and nobody slept.",
    "def area(width, height):\n    return width * height\n",
    "Café naïve über façade: the same letters with marks.",
] * 4
QWEN_SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+"
_QUIET = {"show_progress": False}


def gpt2_like() -> tuple[Tokenizer, dict[str, str]]:
    """Byte-level BPE whose one special token begins and ends texts; it puts nothing in front by itself."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    _train_bytes(tokenizer, ["<|endoftext|>"])
    return tokenizer, {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}


def qwen_like() -> tuple[Tokenizer, dict[str, str]]:
    """Byte-level BPE behind NFC, without a token for the beginning of a text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    split = pre_tokenizers.Split(Regex(QWEN_SPLIT), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    _train_bytes(tokenizer, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.add_tokens([AddedToken("<tool_call>", normalized=False, special=False)])
    return tokenizer, {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}


def llama_like() -> tuple[Tokenizer, dict[str, str]]:
    """BPE with byte fallback and a dummy space in front, whose post-processor puts <s> before a text."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    special = ["<unk>", "<s>", "</s>"]
    pieces = special + [f"<0x{value:02X}>" for value in range(256)]
    tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", behavior="merged_with_next")
    tokenizer.train_from_iterator(TRAINING, trainers.BpeTrainer(vocab_size=500, special_tokens=pieces, **_QUIET))
    # Bytes are pieces of the vocabulary and not special; the words are split for training only.
    state = json.loads(tokenizer.to_str())
    state["added_tokens"] = state["added_tokens"][:3]
    state["pre_tokenizer"] = None
    tokenizer = Tokenizer.from_str(json.dumps(state))
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", "<s> $A <s> $B", [("<s>", 1)])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer, {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}


def gemma_like() -> tuple[Tokenizer, dict[str, str]]:
    """Unigram with <bos> before a text; what it never saw is unknown."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    # Counted, since training a unigram model does not give the same pieces every time.
    text = "▁" + " ".join(TRAINING).replace(" ", "▁")
    counts = Counter(text) + Counter(piece for word in text.split("▁") for piece in (f"▁{word}", word[:2]) if piece)
    total = sum(counts.values())
    pieces = [(piece, 0.0) for piece in special]
    pieces += [(piece, math.log(count / total)) for piece, count in sorted(counts.items())]
    tokenizer = Tokenizer(models.Unigram(pieces, special.index("<unk>"), False))
    tokenizer.add_special_tokens([AddedToken(piece, special=True, normalized=False) for piece in special])
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing("<bos> $A", "<bos> $A <bos> $B", [("<bos>", 2)])
    return tokenizer, {"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>", "pad_token": "<pad>"}


def word_level() -> tuple[Tokenizer, dict[str, str]]:
    """Whole words with <unk> and neither a beginning nor an end; white space is lost."""
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.train_from_iterator(TRAINING, trainers.WordLevelTrainer(special_tokens=["<unk>"], **_QUIET))
    return tokenizer, {"unk_token": "<unk>"}


KINDS: dict[str, Callable[[], tuple[Tokenizer, dict[str, str]]]] = {
    "gpt2": gpt2_like,
    "qwen": qwen_like,
    "llama": llama_like,
    "gemma": gemma_like,
    "words": word_level,
}


def save_tokenizer(kind: str, folder: Path, **settings: object) -> Path:
    """Save a tiny tokenizer into a folder, as `save_pretrained` leaves it.

    Parameters
    ----------
    kind
        One of `KINDS`.
    folder
        Where to; made if need be.
    **settings
        More settings for tokenizer_config.json.
    """
    state, special = _trained(kind)
    folder.mkdir(parents=True, exist_ok=True)
    wrapped = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(state), **special, **settings)
    wrapped.save_pretrained(folder)
    return folder


def vocabulary_size(kind: str) -> int:
    """Return the number of tokens of a tiny tokenizer."""
    return Tokenizer.from_str(_trained(kind)[0]).get_vocab_size()


@cache
def _trained(kind: str) -> tuple[str, dict[str, str]]:
    tokenizer, special = KINDS[kind]()
    return tokenizer.to_str(), special


def _train_bytes(tokenizer: Tokenizer, special: list[str]) -> None:
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet, **_QUIET)
    tokenizer.train_from_iterator(TRAINING, trainer)
