"""The tokenizer that a GGUF file describes, rebuilt where its ids are known to be those of the original.

A file has the tokens, and merges or scores; how a text is cut before that is known by a name alone (``pre``). Names
whose rule is not known here are not guessed: the original ``tokenizer.json`` may lie beside the file instead.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from bayeslaw.errors import InputError
from bayeslaw.inputs.foreign_text import excerpt
from inference.checkpoints.gguf_files import read_gguf_header
from inference.texts.token_names import TokenNames

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
KEY = "tokenizer.ggml."
BESIDE = "tokenizer.json"
SPACE = "▁"
ACCEPTED = f"a file whose tokenizer can be rebuilt exactly, or the model's {BESIDE} beside it"
# Of Llama 3 and of Qwen 2, as their tokenizers' files have them; the second takes digits one by one.
LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
QWEN2_SPLIT = LLAMA3_SPLIT.replace(r"\p{N}{1,3}", r"\p{N}")


class NotRebuiltError(ValueError):
    """A tokenizer cannot be rebuilt exactly; the text says why."""


@dataclass(frozen=True)
class Vocabulary:
    """What a file says of its tokenizer.

    Attributes
    ----------
    tokens, kinds
        Text and type of each token, by id.
    fields
        All keys of the tokenizer, without what they share.
    """

    tokens: Sequence[str]
    kinds: Sequence[int]
    fields: Mapping[str, Any]

    def of_kind(self, *kinds: int) -> list[str]:
        """Return the tokens of some types, by id."""
        return [token for token, kind in zip(self.tokens, self.kinds, strict=True) if kind in kinds]

    def token(self, name: str) -> str | None:
        """Return the token whose id a key gives."""
        number = self.fields.get(f"{name}_token_id")
        return self.tokens[number] if isinstance(number, int) and 0 <= number < len(self.tokens) else None


@dataclass(frozen=True)
class Split:
    """How a text is cut before merges.

    Attributes
    ----------
    pattern
        A regular expression of what stays together; None for GPT-2's, which is that of the library.
    digits
        Whether every digit stands alone.
    composed
        Whether characters are composed (NFC) first.
    whole
        Whether a word that is a token is taken whole, whatever its merges.
    begins
        Whether a text begins with the token for it unless the file says otherwise.
    """

    pattern: str | None = None
    digits: bool = False
    composed: bool = False
    whole: bool = False
    begins: bool = False


SPLITS: dict[str, Split] = {
    "gpt-2": Split(),
    "llama-bpe": Split(LLAMA3_SPLIT, whole=True, begins=True),
    "qwen2": Split(QWEN2_SPLIT, composed=True),
    "smollm": Split(digits=True),
    "starcoder": Split(digits=True),
}


def _byte_level(vocabulary: Vocabulary) -> Tokenizer:
    """Rebuild BPE over bytes: ``gpt2``."""
    pre = vocabulary.fields.get("pre")
    if not isinstance(pre, str) or pre not in SPLITS:
        raise NotRebuiltError(f"{KEY}pre is {excerpt(repr(pre), 60)}, and {', '.join(SPLITS)} are known")
    split, merges = SPLITS[pre], vocabulary.fields.get("merges")
    if not isinstance(merges, list) or any(merge.count(" ") != 1 for merge in merges):
        raise NotRebuiltError(f"{KEY}merges is no list of pairs")
    known = {token: number for number, token in enumerate(vocabulary.tokens)}
    missing = next((byte for byte in pre_tokenizers.ByteLevel.alphabet() if byte not in known), None)
    if missing is not None:
        raise NotRebuiltError(f"the byte {missing!r} is no token")
    pairs = [tuple(merge.split(" ")) for merge in merges]
    tokenizer = Tokenizer(models.BPE(known, pairs, ignore_merges=split.whole))
    if split.composed:
        tokenizer.normalizer = normalizers.NFC()  # pyright: ignore[reportAttributeAccessIssue]
    cut: list[Any] = [pre_tokenizers.Digits(individual_digits=True)] if split.digits else []
    if split.pattern is not None:
        cut.append(pre_tokenizers.Split(Regex(split.pattern), behavior="isolated"))
    prefixed = vocabulary.fields.get("add_space_prefix", False) is True
    cut.append(pre_tokenizers.ByteLevel(add_prefix_space=prefixed, use_regex=split.pattern is None))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(cut)  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
    return tokenizer


def _by_scores(vocabulary: Vocabulary) -> Tokenizer:
    """Rebuild BPE of SentencePiece, whose merges are the pieces in the order of their scores: ``llama``."""
    scores = vocabulary.fields.get("scores")
    if scores is None or len(scores) != len(vocabulary.tokens):
        raise NotRebuiltError(f"{KEY}scores are not as many as its tokens")
    kinds = zip(vocabulary.tokens, vocabulary.kinds, map(float, scores), strict=True)
    pieces = {token: score for token, kind, score in kinds if kind == NORMAL}
    ordered = list(pieces.values())
    if any(before <= after for before, after in pairwise(ordered)):
        raise NotRebuiltError("the scores of its pieces do not fall from one to the next, so that they order no merges")
    unknown = vocabulary.of_kind(UNKNOWN)
    if len(unknown) != 1 or vocabulary.of_kind(BYTE) != [f"<0x{value:02X}>" for value in range(256)]:
        raise NotRebuiltError("it lacks one of the 256 bytes, or its one unknown token")
    known = {token: number for number, token in enumerate(vocabulary.tokens)}
    model = models.BPE(known, _merges(pieces), unk_token=unknown[0], fuse_unk=True, byte_fallback=True)
    tokenizer = Tokenizer(model)
    front = [normalizers.Prepend(SPACE)] if vocabulary.fields.get("add_space_prefix", True) is not False else []
    spaces = normalizers.Sequence([*front, normalizers.Replace(" ", SPACE)])
    tokenizer.normalizer = spaces  # pyright: ignore[reportAttributeAccessIssue]
    steps = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    steps += [decoders.Strip(" ", 1, 0)] if front else []
    tokenizer.decoder = decoders.Sequence(steps)  # pyright: ignore[reportAttributeAccessIssue]
    return tokenizer


def _merges(pieces: Mapping[str, float]) -> list[tuple[str, str]]:
    """Return the pairs that make pieces, best score first, as transformers converts SentencePiece models."""
    found = []
    for piece, score in pieces.items():
        for place in range(1, len(piece)):
            first, second = piece[:place], piece[place:]
            if first in pieces and second in pieces:
                found.append((score, len(first), len(second), first, second))
    found.sort(key=lambda merge: merge[:3], reverse=True)
    return [(first, second) for *_, first, second in found]


MODELS: dict[str, Callable[[Vocabulary], Tokenizer]] = {"gpt2": _byte_level, "llama": _by_scores}


def read_gguf_tokenizer(
    file: Path, beside: Callable[[Path], tuple[Tokenizer, TokenNames]]
) -> tuple[Tokenizer, TokenNames]:
    """Rebuild the tokenizer of a GGUF file, or take the one that lies beside it.

    Parameters
    ----------
    file
        The file.
    beside
        Reads the ``tokenizer.json`` at a path with the names of its special tokens.

    Returns
    -------
    tokenizers.Tokenizer
        The tokenizer.
    TokenNames
        Its special tokens.

    Raises
    ------
    InputError
        If it cannot be rebuilt so that its ids are those of the original, and none lies beside the file, or one of
        another model.
    """
    vocabulary = None
    try:
        vocabulary = _vocabulary(read_gguf_header(file).metadata)
        return _rebuilt(vocabulary)
    except NotRebuiltError as why:
        if (file.parent / BESIDE).is_file():
            return _checked(*beside(file.parent / BESIDE), vocabulary, file)
        problem = f"the tokenizer of {file.name} cannot be rebuilt from what it holds: {why}"
        fix = f"put the {BESIDE} of the model that it was made from into {str(file.parent)!r}"
        raise InputError(problem, ACCEPTED, fix) from None


def _vocabulary(metadata: Mapping[str, Any]) -> Vocabulary:
    fields = {key.removeprefix(KEY): value for key, value in metadata.items() if key.startswith(KEY)}
    tokens, kinds = fields.get("tokens"), fields.get("token_type")
    if not isinstance(tokens, list) or not tokens:
        raise NotRebuiltError(f"{KEY}tokens is missing")
    if kinds is None or len(kinds) != len(tokens):
        raise NotRebuiltError(f"{KEY}token_type has not one type for each token")
    if len(set(tokens)) < len(tokens):
        raise NotRebuiltError("two ids have one token")
    return Vocabulary(tokens, [int(kind) for kind in kinds], fields)


def _rebuilt(vocabulary: Vocabulary) -> tuple[Tokenizer, TokenNames]:
    model = vocabulary.fields.get("model")
    if not isinstance(model, str) or model not in MODELS:
        raise NotRebuiltError(f"{KEY}model is {excerpt(repr(model), 60)}, and {', '.join(MODELS)} are known")
    try:
        tokenizer = MODELS[model](vocabulary)
    except NotRebuiltError:
        raise
    except Exception as error:  # The library raises plain Exception for merges of pieces that are not there.
        raise NotRebuiltError(excerpt(error)) from error
    names = _names(vocabulary, puts_begin=model == "llama" or SPLITS[vocabulary.fields["pre"]].begins)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in names.special])
    plain = vocabulary.of_kind(USER_DEFINED)
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in plain])
    return tokenizer, names


def _names(vocabulary: Vocabulary, *, puts_begin: bool | None) -> TokenNames:
    """Return the special tokens of a file; `puts_begin` holds where it does not say whether a text begins with one."""
    stated = vocabulary.fields.get("add_bos_token")
    special = tuple(vocabulary.of_kind(CONTROL, UNKNOWN))
    begins = stated if isinstance(stated, bool) else puts_begin
    return TokenNames(vocabulary.token("bos"), vocabulary.token("eos"), special, begins)


def _checked(
    tokenizer: Tokenizer, names: TokenNames, vocabulary: Vocabulary | None, file: Path
) -> tuple[Tokenizer, TokenNames]:
    """Refuse a tokenizer beside the file whose ids are those of another model."""
    if vocabulary is not None:
        known = zip(vocabulary.tokens, vocabulary.kinds, strict=True)
        names = _names(vocabulary, puts_begin=None)
        for number, (token, kind) in enumerate(known):
            if kind != UNUSED and tokenizer.id_to_token(number) != token:
                found = f"{tokenizer.id_to_token(number)!r} where {file.name} has {excerpt(repr(token), 60)}"
                problem = f"{BESIDE} in {str(file.parent)!r} is of another model: the token {number} is {found}"
                raise InputError(problem, ACCEPTED, f"put the {BESIDE} of this model beside it")
    return tokenizer, names
