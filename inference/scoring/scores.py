"""Texts under one model: nats per text and per token, without ever holding logits of a whole batch."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from bayeslaw.errors import InputError, check_choice
from bayeslaw.progress import progress_bar
from inference.checkpoints.checkpoint import open_checkpoint
from inference.checkpoints.sharding import DATA, TENSOR, row_sharding
from inference.checkpoints.weights import DTYPES, load_decoder
from inference.decoder.configuration import DecoderConfig
from inference.decoder.head import target_log_probabilities
from inference.decoder.mixers import ROW_SHARING
from inference.decoder.parameter_totals import parameter_counts
from inference.decoder.transformer import Decoder
from inference.texts.batches import BatchArrays, batch_arrays, plan_batches
from inference.texts.tokens import Encoding, TextTokenizer
from inference.texts.windows import plan_windows

# A processor is busy with few tokens, and its activations then take little memory; an accelerator wants many.
BATCH_TOKENS = {"cpu": 2048}
BATCH_TOKENS_ELSEWHERE = 16_384
# Measured on two cores: a layer compiles in a third of a second, a position costs three microseconds and its products.
LAYER_COMPILE_SECONDS, POSITION_SECONDS, PRODUCTS_PER_SECOND = 0.33, 3e-6, 1e10
LONGEST_WINDOW = 8192


@dataclass(frozen=True)
class LanguageModel:
    """A decoder with its tokenizer, ready to score texts.

    Attributes
    ----------
    decoder
        The Flax NNX module.
    tokenizer
        Texts to token ids.
    name
        The folder or hub id it was loaded from.
    revision
        Commit of the hub, or hash of a folder's files.
    model_type
        Its family in transformers.
    dtype
        Type of the weights and of products.
    parameters
        Counts ``total``, ``embedding`` and ``active``, from its tensors.
    mesh
        The devices it lies on; None for one.
    """

    decoder: Decoder
    tokenizer: TextTokenizer
    name: str
    revision: str | None
    model_type: str
    dtype: str
    parameters: dict[str, int]
    mesh: Mesh | None = None

    @property
    def config(self) -> DecoderConfig:
        """What the decoder is made of."""
        return self.decoder.config


def default_dtype() -> str:
    """Return the type models are loaded in: float32 on a CPU, bfloat16 on an accelerator."""
    return "float32" if jax.default_backend() == "cpu" else "bfloat16"


def load(
    source: str | os.PathLike[str],
    *,
    revision: str | None = None,
    dtype: str | None = None,
    bos: str = "auto",
    offline: bool = False,
    mesh: Mesh | None = None,
) -> LanguageModel:
    """Load a model to score texts with.

    Parameters
    ----------
    source
        A local folder, a GGUF file, or a hub id such as ``"EleutherAI/pythia-160m"``, also with ``@revision``.
    revision
        Branch, tag or commit of a hub id.
    dtype
        ``"float32"``, ``"bfloat16"`` or ``"float16"``; by default float32 on a CPU and bfloat16 on an accelerator.
    bos
        What stands before a text: ``"auto"`` (what the tokenizer puts there, else its beginning-of-text token, else its
        end-of-text token), ``"always"`` (its beginning-of-text token) or ``"never"``.
    offline
        Whether to use only what is on this machine; ``HF_HUB_OFFLINE`` does the same.
    mesh
        Devices to spread the model and its batches over; see `inference.checkpoints.sharding.make_mesh`.

    Returns
    -------
    LanguageModel
        The model.

    Raises
    ------
    InputError
        If the checkpoint cannot be had, is not of a supported family, or does not fit its configuration.

    Examples
    --------
    With the folder of a checkpoint, or the name of one on the hub:

    >>> import inference
    >>> model = inference.load(checkpoint)
    >>> inference.score(model, ["A short text."]).shape
    (1,)
    """
    dtype = check_choice("dtype", default_dtype() if dtype is None else dtype, DTYPES)
    checkpoint = open_checkpoint(source, revision=revision, offline=offline)
    decoder = load_decoder(checkpoint, dtype=jnp.dtype(dtype), mesh=mesh)
    tokenizer = TextTokenizer.from_folder(checkpoint.folder, bos=bos, vocabulary=decoder.config.vocabulary)
    return LanguageModel(
        decoder=decoder,
        tokenizer=tokenizer,
        name=checkpoint.name,
        revision=checkpoint.revision,
        model_type=str(checkpoint.config["model_type"]),
        dtype=dtype,
        parameters=dict(parameter_counts(decoder)),
        mesh=mesh,
    )


def default_batch_tokens() -> int:
    """Return how many positions a batch has: 2,048 on a CPU, 16,384 on an accelerator."""
    return BATCH_TOKENS.get(jax.default_backend(), BATCH_TOKENS_ELSEWHERE)


def shape_cost(parameters: int, config: DecoderConfig) -> int:
    """Return how many positions go through a model in the time that one shape of batches takes to compile.

    Parameters
    ----------
    parameters
        Its total parameters.
    config
        What it is made of.

    Returns
    -------
    int
        Positions: on a CPU an estimate, a hundred thousand for models of 100,000 parameters and next to none for models
        of 100 million; 0 on an accelerator, where neither was measured.
    """
    if jax.default_backend() != "cpu":
        return 0
    return int(config.depth * LAYER_COMPILE_SECONDS / (POSITION_SECONDS + parameters / PRODUCTS_PER_SECOND))


def shares_rows(config: DecoderConfig) -> bool:
    """Say whether several texts may go through a model in one row: not where a state passes from one to the next.

    Parameters
    ----------
    config
        What it is made of.

    Returns
    -------
    bool
        Whether they may; attention ends at the beginning of a text.
    """
    return all(kind.mixer in ROW_SHARING for run in config.layer_plan for kind in run.unit)


def check_window(config: DecoderConfig, window: int | None, stride: int | None) -> tuple[int, int]:
    """Return the window and stride that long texts are scored with.

    Parameters
    ----------
    config
        The decoder.
    window
        Most positions it sees at once; by default as many as it is made for, up to 8,192.
    stride
        Tokens that each further window scores; by default half of the window.

    Returns
    -------
    tuple of int
        Window and stride.

    Raises
    ------
    InputError
        If the window is below 2 or beyond what the model is made for, or the stride is not between 1 and the window.
    """
    longest = config.max_length
    if window is None:
        window = min(longest or LONGEST_WINDOW, LONGEST_WINDOW)
    if window < 2 or (longest and window > longest):
        accepted = f"a whole number from 2 to {longest}" if longest else "a whole number of at least 2"
        reason = "leaves no context" if window < 2 else f"is longer than the {longest} positions of the model"
        raise InputError(f"a window of {window} {reason}", accepted, "leave --window out, or use one in that range")
    stride = max(1, window // 2) if stride is None else stride
    if not 1 <= stride <= window:
        accepted = f"a whole number from 1 to the window, {window}"
        raise InputError(
            f"the stride {stride} does not suit the window {window}", accepted, f"use {max(1, window // 2)}"
        )
    return window, stride


def check_texts(texts: Sequence[str]) -> list[str]:
    """Refuse one text where several are expected: it would be scored letter by letter.

    Parameters
    ----------
    texts
        The texts.

    Returns
    -------
    list of str
        The same.

    Raises
    ------
    InputError
        If they are no sequence of texts.
    """
    if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
        found = repr(texts if isinstance(texts, str) else next(text for text in texts if not isinstance(text, str)))
        problem = f"the texts are {found[:60]}"
        raise InputError(problem, "a list of texts", "put the text into a list: [text]")
    return list(texts)


def batch_log_probabilities(model: LanguageModel, arrays: BatchArrays) -> np.ndarray:
    """Score one batch.

    Parameters
    ----------
    model
        The model.
    arrays
        The batch: inputs, targets and scored positions, each [row, position], and the rows' lengths.

    Returns
    -------
    numpy.ndarray
        Log-probability in nats of each target given what stands before it, [row, position], float32; 0 where it is not
        scored. Softmax and its normaliser are computed in float32 whatever the type of the weights.
    """
    graph, state = nnx.split(model.decoder)
    inputs, targets, lengths = place_rows(model.mesh, arrays.inputs, arrays.targets, arrays.lengths)
    positions = None if arrays.positions is None else place_rows(model.mesh, arrays.positions)[0]
    split = model.mesh is not None and model.mesh.shape[TENSOR] > 1
    found = np.asarray(_log_probabilities(graph, state, inputs, targets, lengths, positions, split=split))
    return np.where(arrays.scored, found[: len(arrays.scored)], np.float32(0))


def place_rows(mesh: Mesh | None, *arrays: np.ndarray) -> list[jax.Array]:
    """Put arrays [row, ...] on the devices, with rows added where the devices do not divide them."""
    if mesh is None:
        return [jnp.asarray(array) for array in arrays]
    extra = -len(arrays[0]) % mesh.shape[DATA]
    padded = [np.pad(array, ((0, extra), *((0, 0),) * (array.ndim - 1))) for array in arrays]
    return [jax.device_put(array, row_sharding(mesh)) for array in padded]


@partial(jax.jit, static_argnames=("graph", "split"))
def _log_probabilities(
    graph: Any,
    state: Any,
    inputs: jax.Array,
    targets: jax.Array,
    lengths: jax.Array,
    positions: jax.Array | None = None,
    *,
    split: bool = False,
) -> jax.Array:
    decoder = nnx.merge(graph, state)
    return target_log_probabilities(decoder, decoder(inputs, lengths, positions), targets, split=split)


def token_log_probabilities(
    model: LanguageModel,
    encodings: Sequence[Encoding],
    *,
    window: int | None = None,
    stride: int | None = None,
    batch_tokens: int | None = None,
    advance: Callable[[int], None] = lambda tokens: None,
) -> list[np.ndarray]:
    """Score tokenised texts.

    Parameters
    ----------
    model
        The model.
    encodings
        The texts, as its tokenizer encodes them.
    window, stride, batch_tokens
        As in `score`.
    advance
        Called with the number of tokens just scored.

    Returns
    -------
    list of numpy.ndarray
        For each text the log-probability of each token in nats, [token], float32; NaN for a first token that nothing
        stands before.

    Examples
    --------
    With the folder of a checkpoint:

    >>> import inference
    >>> model = inference.load(checkpoint)
    >>> encodings = model.tokenizer.encode_batch(["A short text."])
    >>> [(row <= 0).all().item() for row in inference.token_log_probabilities(model, encodings)]
    [True]
    """
    window, stride = check_window(model.config, window, stride)
    lengths = [len(encoding.ids) for encoding in encodings]
    prefix = model.tokenizer.prefix
    windows = plan_windows(lengths, window=window, stride=stride, prefix=prefix is not None)
    found = [np.full(length, np.nan, np.float32) for length in lengths]
    cost, packed = shape_cost(model.parameters["total"], model.config), shares_rows(model.config)
    budget = batch_tokens or default_batch_tokens()
    for batch in plan_batches(windows, batch_tokens=budget, shape_cost=cost, packed=packed):
        arrays = batch_arrays(batch, windows, encodings, prefix=prefix)
        values = batch_log_probabilities(model, arrays)
        for planned, part in batch.parts(windows, values[arrays.scored]):
            found[planned.document][planned.first : planned.stop] = part
        advance(int(arrays.scored.sum()))
    return found


def score(
    model: LanguageModel,
    texts: Sequence[str],
    *,
    window: int | None = None,
    stride: int | None = None,
    batch_tokens: int | None = None,
    advance: Callable[[int], None] = lambda tokens: None,
) -> np.ndarray:
    """Return how surprising each text is to a model.

    Parameters
    ----------
    model
        The model.
    texts
        The texts. Each is scored whole: the first token given what the model puts before a text.
    window
        Most positions the model sees at once; by default as many as it is made for, up to 8,192.
        Longer texts are scored in windows, each token once.
    stride
        Tokens that each further window scores, the rest of it being context; by default half of the window.
    batch_tokens
        Positions in a batch; by default 2,048 on a CPU and 16,384 on an accelerator.
    advance
        Called with the number of tokens just scored.

    Returns
    -------
    numpy.ndarray
        Negative log-likelihood of each whole text in nats, [text], float64: a sum over its tokens.

    Raises
    ------
    InputError
        If a text is empty, or window and stride do not suit the model, or if the first tokens cannot be scored since
        nothing stands before them (``bos="never"``).

    Examples
    --------
    With the folder of a checkpoint:

    >>> import inference
    >>> losses = inference.score(inference.load(checkpoint), ["A short text.", "A text that is longer than that."])
    >>> losses.shape, bool((losses > 0).all())
    ((2,), True)
    """
    texts = check_texts(texts)
    if model.tokenizer.prefix is None:
        problem = "without a token before it the first token of a text has no probability, and nor has the text"
        raise InputError(problem, "a model loaded with bos='auto' or 'always'", "load it so")
    encodings = model.tokenizer.encode_batch(texts)
    choices: dict[str, Any] = {"window": window, "stride": stride, "batch_tokens": batch_tokens}
    tokens = sum(len(encoding.ids) for encoding in encodings)
    with progress_bar("scoring", tokens, shown=None, unit="tokens") as shown:

        def scored(count: int) -> None:
            shown(count)
            advance(count)

        found = token_log_probabilities(model, encodings, advance=scored, **choices)
    return np.array([-values.sum(dtype=np.float64) for values in found])
