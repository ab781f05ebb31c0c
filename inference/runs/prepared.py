"""A model before its weights are loaded: what it is scored with, and the plan of its batches."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any

import numpy as np
from flax import nnx

from inference.checkpoints.checkpoint import Checkpoint, open_checkpoint
from inference.checkpoints.checkpoint_config import read_decoder_config
from inference.checkpoints.sharding import check_splittable
from inference.checkpoints.weights import check_tensors
from inference.decoder.configuration import DecoderConfig
from inference.decoder.parameter_totals import parameter_counts
from inference.decoder.transformer import Decoder
from inference.runs.model_list import ModelRequest
from inference.runs.options import ScoreOptions
from inference.scoring.batch_rules import check_window, default_batch_tokens, shape_cost, shares_rows
from inference.scoring.language_models import default_dtype
from inference.texts.batches import Batch, BatchArrays, batch_arrays, plan_batches
from inference.texts.documents import Corpus, text_hash
from inference.texts.tokens import Encoding, TextTokenizer
from inference.texts.windows import Window, plan_windows


@dataclass(frozen=True)
class PreparedModel:
    """A model whose checkpoint is open and whose options are settled.

    Attributes
    ----------
    request
        The model as asked for.
    checkpoint, config, tokenizer
        What it is.
    dtype, window, stride, batch_tokens
        What it is scored with.
    tensor_parallel
        Over how many devices each weight is split.
    """

    request: ModelRequest
    checkpoint: Checkpoint
    config: DecoderConfig
    tokenizer: TextTokenizer
    dtype: str
    window: int
    stride: int
    batch_tokens: int
    tensor_parallel: int

    @property
    def name(self) -> str:
        """Name in the loss table."""
        return self.request.name

    @cached_property
    def parameters(self) -> dict[str, int]:
        """Counts of parameters, from the shapes of the tensors."""
        return dict(parameter_counts(nnx.eval_shape(lambda: Decoder(self.config))))

    @property
    def shape_cost(self) -> int:
        """How many positions cost what one more shape of batches does."""
        return shape_cost(self.parameters["total"], self.config)

    @property
    def keys(self) -> dict[str, Any]:
        """What the scores depend on, but for the texts."""
        return {
            "revision": self.checkpoint.revision,
            "tokenizer": self.tokenizer.hash,
            "bos": self.tokenizer.bos,
            "prefix": self.tokenizer.prefix,
            "window": self.window,
            "stride": self.stride,
            "dtype": self.dtype,
            "batch_tokens": self.batch_tokens,
            "package_version": version("bayeslaw"),
        }


def prepare_model(request: ModelRequest, options: ScoreOptions) -> PreparedModel:
    """Open a model and settle what it is scored with.

    Parameters
    ----------
    request
        The model.
    options
        The options of the run.

    Returns
    -------
    PreparedModel
        The model; no weights are read.

    Raises
    ------
    InputError
        If the checkpoint, its configuration, the shapes of its tensors or its tokenizer cannot be used, or the options
        do not suit it.
    """
    checkpoint = open_checkpoint(request.source, revision=request.revision, offline=options.offline)
    config = read_decoder_config(checkpoint)
    check_splittable(config, options.tensor_parallel)
    window, stride = check_window(config, options.window, options.stride)
    check_tensors(checkpoint)
    return PreparedModel(
        request=request,
        checkpoint=checkpoint,
        config=config,
        tokenizer=TextTokenizer.from_folder(checkpoint.folder, bos=options.bos, vocabulary=config.vocabulary),
        dtype=options.dtype or default_dtype(),
        window=window,
        stride=stride,
        batch_tokens=options.batch_tokens or default_batch_tokens(),
        tensor_parallel=options.tensor_parallel,
    )


@dataclass(frozen=True)
class Plan:
    """What a model has to score of some texts: it depends on the texts, the model's size and the options alone.

    Attributes
    ----------
    encodings
        The tokenised documents.
    windows
        The windows of all documents.
    batches
        The windows gathered into batches.
    prefix
        Id put in front of every window, or None.
    """

    encodings: list[Encoding]
    windows: list[Window]
    batches: list[Batch]
    prefix: int | None

    def arrays(self, batch: int) -> BatchArrays:
        """Return what a decoder is fed for a batch."""
        return batch_arrays(self.batches[batch], self.windows, self.encodings, prefix=self.prefix)

    def tokens(self, batch: int) -> int:
        """Return how many tokens a batch scores."""
        return sum(self.windows[which].stop - self.windows[which].first for which in self.batches[batch].windows)

    def documents(self, batch: int) -> np.ndarray:
        """Return the document that each token a batch scores belongs to, [token]."""
        windows = [self.windows[which] for which in self.batches[batch].windows]
        return np.repeat([window.document for window in windows], [window.stop - window.first for window in windows])

    def scatter(self, batches: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Put log-probabilities back into the order of the texts.

        Parameters
        ----------
        batches
            Of each batch the log-probabilities of the tokens it scores, [token], as `gather` returns them.

        Returns
        -------
        list of numpy.ndarray
            Of each document those of its tokens, [token], float32; NaN where a token was not scored.
        """
        found = [np.full(len(encoding.ids), np.nan, np.float32) for encoding in self.encodings]
        for batch, values in zip(self.batches, batches, strict=True):
            for window, part in batch.parts(self.windows, values):
                found[window.document][window.first : window.stop] = part
        return found

    def gather(self, batch: int, values: np.ndarray, scored: np.ndarray) -> np.ndarray:
        """Take the scored tokens of a batch [row, position], window by window: [token]."""
        rows = self.batches[batch].rows
        return values[:rows][scored[:rows]]


def plan_texts(model: PreparedModel, texts: Sequence[str]) -> Plan:
    """Tokenise texts and plan the batches of a model.

    Parameters
    ----------
    model
        The model.
    texts
        The texts.

    Returns
    -------
    Plan
        The plan.

    Raises
    ------
    InputError
        If a text has no tokens, or an id beyond the vocabulary.
    """
    encodings = model.tokenizer.encode_batch(list(texts))
    lengths = [len(encoding.ids) for encoding in encodings]
    prefix = model.tokenizer.prefix
    windows = plan_windows(lengths, window=model.window, stride=model.stride, prefix=prefix is not None)
    batches = plan_batches(
        windows, batch_tokens=model.batch_tokens, shape_cost=model.shape_cost, packed=shares_rows(model.config)
    )
    return Plan(encodings, windows, batches, prefix)


def corpus_hash(corpus: Corpus) -> str:
    """Return a hash of all texts with their names, as hexadecimal digits."""
    digest = hashlib.sha256()
    for name, text in zip(corpus.names, corpus.texts, strict=True):
        digest.update(f"{name}\0{text_hash(text)}\0".encode())
    return digest.hexdigest()
