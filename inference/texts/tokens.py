"""A checkpoint's tokenizer: ids, characters and bytes of ordinary text, and what is put in front of it."""

import hashlib
import json
import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import tokenizers

from bayeslaw.errors import InputError, check_choice
from inference.texts.spans import character_bytes
from inference.texts.tokenizer_loading import TokenizerFacts, count_ids, read_tokenizer, text_backend, unknown_ids

BOS_POLICIES = ("auto", "always", "never")
# Characters encoded at once, so that the objects of a large corpus do not fill the memory.
_CHARACTERS = 1 << 22
# Left unset, the library complains after every fork; set, a forked child would wait for threads that it does not have.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
os.register_at_fork(after_in_child=lambda: os.environ.update(TOKENIZERS_PARALLELISM="false"))


@dataclass(frozen=True)
class Encoding:
    """A text as a tokenizer sees it.

    Attributes
    ----------
    ids
        int32 [token], without special tokens.
    offsets
        int64 [token, 2], the characters that each token stands for: first, and behind the last. Tokens that share a
        character overlap.
    covered
        bool [token], false for tokens that stand for the unknown.
    scored_bytes
        Bytes of UTF-8 of the characters that at least one scored token stands for which is none of the unknown. Every
        token is scored, but for the first of a text where the tokenizer has no prefix.
    scored_characters
        bool [character], which characters those are.
    """

    ids: np.ndarray
    offsets: np.ndarray
    covered: np.ndarray
    scored_bytes: int
    scored_characters: np.ndarray


@dataclass(frozen=True, eq=False)
class TextTokenizer:
    """Tokenizer of ordinary text: what spells a special token is text like any other.

    Attributes
    ----------
    state
        The tokenizer as JSON.
    prefix
        Id put in front of every window, or None.
    bos
        The policy that chose it.
    vocabulary
        Rows of the decoder's embedding, which no id may reach, or None for no bound.
    prefix_text
        The token of that id, or None.
    hash
        SHA-256 of the canonical state as 64 hexadecimal digits: tokenizers of equal hash give equal ids and offsets.
    size
        One more than the highest id.
    """

    state: str = field(repr=False)
    prefix: int | None
    bos: str
    vocabulary: int | None = None
    prefix_text: str | None = field(init=False)
    hash: str = field(init=False)
    size: int = field(init=False)
    _backend: tokenizers.Tokenizer = field(init=False, repr=False)
    _unknown: tuple[int, ...] = field(init=False, repr=False)
    _composes: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        content = json.loads(self.state)
        backend = text_backend(self.state, content)
        normalizer = backend.normalizer
        derived = {
            "hash": _state_hash(content),
            "size": count_ids(content),
            "prefix_text": None if self.prefix is None else backend.id_to_token(self.prefix),
            "_backend": backend,
            "_unknown": unknown_ids(content),
            "_composes": normalizer is not None and "\u00e9" in normalizer.normalize_str("e\u0301"),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)
        if self.prefix is not None:
            self._check_id(self.prefix, "the prefix")

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        return type(self), (self.state, self.prefix, self.bos, self.vocabulary)

    @classmethod
    def from_folder(cls, folder: Path, *, bos: str = "auto", vocabulary: int | None = None) -> Self:
        """Read the tokenizer of a checkpoint.

        Parameters
        ----------
        folder
            The checkpoint's folder, or its GGUF file; nothing is fetched and no code of the checkpoint runs.
        bos
            What is put in front of every window: ``"auto"``, what the tokenizer itself puts in front of a text if that
            is one token, else its token for the beginning of a text, else the one for the end; ``"always"``, its token
            for the beginning; ``"never"``, nothing, and then the first token of a text is not scored.
        vocabulary
            Rows of the decoder's embedding: ids beyond are an error.

        Returns
        -------
        TextTokenizer
            The tokenizer with its prefix.

        Raises
        ------
        InputError
            If there is no tokenizer that can be used, the policy is not known or the tokenizer lacks the token that it
            asks for.
        """
        check_choice("bos", bos, BOS_POLICIES)
        facts = read_tokenizer(Path(folder))
        return cls(facts.state, _choose_prefix(facts, bos, folder), bos, vocabulary)

    def encode(self, text: str) -> Encoding:
        """Encode one text.

        Parameters
        ----------
        text
            The text.

        Returns
        -------
        Encoding
            Its tokens.

        Raises
        ------
        InputError
            If the text cannot be written as UTF-8, yields no token, or yields one that the decoder does not have.
        """
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[Encoding]:
        """Encode many texts, on all cores.

        Parameters
        ----------
        texts
            The texts.

        Returns
        -------
        list of Encoding
            Their tokens, in the order of the texts.

        Raises
        ------
        InputError
            As of `encode`; the text is named by its number, from 0, and its beginning.
        """
        if isinstance(texts, str):
            raise InputError(f"texts is one text, {_beginning(texts)}", "a list of texts", "put it into a list")
        for number, text in enumerate(texts):
            _check_text(number, text)
        encodings = []
        for chunk in _chunks(texts):
            found = self._backend.encode_batch(chunk, add_special_tokens=False)
            for text, tokens in zip(chunk, found, strict=True):
                encodings.append(self._encoding(text, tokens, number=len(encodings)))
        return encodings

    def _encoding(self, text: str, tokens: tokenizers.Encoding, *, number: int) -> Encoding:
        if not len(tokens):
            problem = f"text {number} ({_beginning(text)}) yields no token"
            raise InputError(problem, "texts that the tokenizer knows some of", "remove that text or that model")
        ids = np.array(tokens.ids, dtype=np.int32)
        self._check_id(int(ids.max()), f"text {number} ({_beginning(text)})")
        offsets = np.clip(np.array(tokens.offsets, dtype=np.int64).reshape(-1, 2), 0, len(text))
        covered = ~np.isin(ids, self._unknown)
        scored = covered.copy()
        if self.prefix is None:
            scored[0] = False
        characters = _characters_within(offsets[scored], len(text))
        if self._composes and not characters.all():
            characters = _with_composed(text, characters)
        return Encoding(ids, offsets, covered, int(character_bytes(text)[characters].sum()), characters)

    def _check_id(self, number: int, what: str) -> None:
        if self.vocabulary is not None and number >= self.vocabulary:
            token = self._backend.id_to_token(number)
            problem = f"{what} has the token {token!r} of id {number}, and the decoder knows no such token"
            fix = "use the tokenizer that the checkpoint was trained with"
            raise InputError(problem, f"ids below {self.vocabulary}", fix)


def _choose_prefix(facts: TokenizerFacts, bos: str, folder: Path) -> int | None:
    if bos == "never":
        return None
    if bos == "always":
        if facts.begin is None:
            problem = f"bos is 'always', and the tokenizer in {str(folder)!r} has no token for the beginning of a text"
            raise InputError(problem, "'always' for tokenizers with a BOS token", "use bos 'auto' or 'never'")
        return facts.begin
    prepended = facts.prepended[0] if len(facts.prepended) == 1 else None
    for choice in (prepended, facts.begin, facts.end):
        if choice is not None:
            return choice
    problem = f"the tokenizer in {str(folder)!r} has no token for the beginning or the end of a text"
    fix = "use bos 'never' (the first token of each text is then not scored), or name a bos_token in its configuration"
    raise InputError(problem, "a tokenizer with a BOS or EOS token for bos 'auto'", fix)


def _state_hash(content: dict[str, Any]) -> str:
    parts = {name: content[name] for name in ("added_tokens", "normalizer", "pre_tokenizer", "model")}
    canonical = json.dumps(parts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _chunks(texts: Sequence[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    characters = 0
    for text in texts:
        chunk.append(text)
        characters += len(text)
        if characters >= _CHARACTERS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


def _check_text(number: int, text: Any) -> None:
    if not isinstance(text, str):
        raise InputError(f"text {number} is of type {type(text).__name__}", "texts of type str", "decode it first")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        problem = f"text {number} has a lone surrogate at character {error.start}: {text[error.start]!r}"
        raise InputError(problem, "text that can be written as UTF-8", "write the character itself") from error


def _beginning(text: str) -> str:
    return repr(text if len(text) <= 30 else text[:30] + "...")


def _characters_within(offsets: np.ndarray, length: int) -> np.ndarray:
    opened, closed = (np.bincount(column, minlength=length + 1) for column in offsets.T)
    return np.cumsum(opened - closed)[:length] > 0


def _with_composed(text: str, covered: np.ndarray) -> np.ndarray:
    """Count marks that a normaliser joins to the character before as covered with it.

    The library ascribes such a pair to its first character alone.
    """
    joined = covered.copy()
    for position in np.flatnonzero(~covered):
        if position and joined[position - 1] and _is_joining(text[position]):
            joined[position] = True
    return joined


def _is_joining(character: str) -> bool:
    # Marks, and the vowels and final consonants of decomposed Hangul syllables.
    return unicodedata.category(character).startswith("M") or "\u1160" <= character <= "\u11ff"
