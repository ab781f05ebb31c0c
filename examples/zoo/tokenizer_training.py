"""A tokenizer of each family, trained on its own mixture."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from families import BYTES, SPECIAL, Family
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

SAMPLE_BYTES = 3_000_000


def train_tokenizer(family: Family, documents: Mapping[str, Sequence[str]], *, seed: int = 0) -> Tokenizer:
    """Train a byte-level BPE tokenizer on documents in the shares of a family.

    Parameters
    ----------
    family
        The family.
    documents
        Training documents by domain.
    seed
        Of which documents are read: at most about 3 MB.

    Returns
    -------
    tokenizers.Tokenizer
        Every byte is a token of its own, so that no text is unknown; the last id is the end of a text.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    # Digits and spaces stay apart from letters, as in real tokenizers of code.
    split = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    if family.vocabulary == BYTES + 1:
        tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(alphabet)}, merges=[]))
    else:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = split
        size = family.vocabulary - 1
        trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)  # pyright: ignore[reportCallIssue]
        tokenizer.train_from_iterator(_sample(family, documents, seed), trainer)
    tokenizer.pre_tokenizer = split
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([SPECIAL])
    return tokenizer


def _sample(family: Family, documents: Mapping[str, Sequence[str]], seed: int) -> Iterator[str]:
    rng = np.random.default_rng(seed)
    for domain, share in family.mixture.items():
        size = 0
        for number in rng.permutation(len(documents[domain])):
            if size >= share * SAMPLE_BYTES:
                break
            document = documents[domain][int(number)]
            size += len(document.encode())
            yield document
