"""Rows of tokens to train on, the same however often a run is interrupted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

ENCODED_AT_ONCE = 1024


@dataclass(frozen=True)
class Streams:
    """Training tokens of each domain, and the order in which rows are taken of them.

    Attributes
    ----------
    tokens
        Documents of each domain one after another, in a random order, each behind the end-of-text token.
    mixture
        Share of rows by domain.
    length
        Tokens of a row that are predicted; a row has one more.
    """

    tokens: Mapping[str, np.ndarray]
    mixture: Mapping[str, float]
    length: int

    def schedule(self, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the domain and the number within the domain of every row of a run, [rows] each."""
        names, shares = list(self.mixture), np.array(list(self.mixture.values()))
        domain = np.random.default_rng(seed).choice(len(names), size=rows, p=shares / shares.sum())
        place = np.zeros(rows, int)
        for number in range(len(names)):
            chosen = domain == number
            place[chosen] = np.arange(chosen.sum())
        return domain, place

    def row(self, domain: int, place: int) -> np.ndarray:
        """Return one row, [length + 1]; after its last row a domain begins anew at an offset."""
        tokens = self.tokens[list(self.mixture)[domain]]
        rows = (len(tokens) - 1) // self.length
        epoch, number = divmod(place, rows)
        # Another offset cuts the rows of each epoch at other places.
        start = (number * self.length + epoch * (self.length // 3)) % (len(tokens) - self.length)
        return tokens[start : start + self.length + 1]

    def epochs(self, rows: int) -> dict[str, float]:
        """Return how often each domain is read in a run of so many rows."""
        return {name: rows * share * self.length / len(self.tokens[name]) for name, share in self.mixture.items()}


def encode(tokenizer: Tokenizer, documents: Sequence[str], *, end: int, seed: int | None = None) -> np.ndarray:
    """Encode documents one after another.

    Parameters
    ----------
    tokenizer
        The tokenizer.
    documents
        Texts.
    end
        The token that stands before each.
    seed
        Of their order; as given by default.

    Returns
    -------
    numpy.ndarray
        Token ids, [token], int32.
    """
    order = np.arange(len(documents)) if seed is None else np.random.default_rng(seed).permutation(len(documents))
    pieces: list[np.ndarray] = []
    for start in range(0, len(order), ENCODED_AT_ONCE):
        some = [documents[number] for number in order[start : start + ENCODED_AT_ONCE]]
        for one in tokenizer.encode_batch_fast(some, add_special_tokens=False):
            pieces.append(np.array([end, *one.ids], np.int32))
    return np.concatenate(pieces)


@dataclass(frozen=True)
class Validation:
    """Texts that no model is trained on, as rows.

    Attributes
    ----------
    rows
        Token ids, [row, length + 1], of each domain.
    bytes
        Bytes of text that the predicted tokens stand for, by domain.
    """

    rows: Mapping[str, np.ndarray]
    bytes: Mapping[str, int]


def make_validation(
    tokenizer: Tokenizer, documents: Mapping[str, Sequence[str]], *, end: int, length: int, rows: int
) -> Validation:
    """Choose rows evenly spread over the validation documents of each domain."""
    chosen, sizes = {}, {}
    for domain, texts in documents.items():
        tokens = encode(tokenizer, texts, end=end)
        starts = np.unique(np.linspace(0, len(tokens) - length - 1, min(rows, len(tokens) // length)).astype(int))
        chosen[domain] = np.stack([tokens[start : start + length + 1] for start in starts])
        sizes[domain] = int(byte_lengths(tokenizer)[chosen[domain][:, 1:]].sum())
    return Validation(chosen, sizes)


def byte_lengths(tokenizer: Tokenizer) -> np.ndarray:
    """Return how many bytes of text each token of a byte-level tokenizer stands for, [vocabulary]."""
    lengths = np.zeros(tokenizer.get_vocab_size(), int)
    special = set(tokenizer.get_added_tokens_decoder())
    for token, number in tokenizer.get_vocab().items():
        # One character of a byte-level token stands for one byte.
        lengths[number] = 0 if number in special else len(token)
    return lengths
