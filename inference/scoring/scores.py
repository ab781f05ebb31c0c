"""Texts under one model: nats per text and per token, without ever holding logits of a whole batch."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from bayeslaw.errors import InputError, shown
from bayeslaw.inputs.arguments import a_function, accepts, as_given, optional
from bayeslaw.progress import progress_bar
from inference.checkpoints.sharding import DATA, TENSOR, row_sharding
from inference.decoder.head import target_log_probabilities
from inference.scoring.batch_rules import (
    a_count,
    check_window,
    default_batch_tokens,
    shape_cost,
    shares_rows,
    some_batch_tokens,
)
from inference.scoring.language_models import LanguageModel, a_model
from inference.texts.batches import BatchArrays, batch_arrays, plan_batches
from inference.texts.tokens import Encoding
from inference.texts.windows import plan_windows


def check_texts(texts: Iterable[str]) -> list[str]:
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
    if not isinstance(texts, Iterable) or isinstance(texts, Mapping):
        raise InputError(f"the texts are {shown(texts)}", "a list of texts", "put the texts into a list: [text]")
    # What can be read once only is read once.
    texts = texts if isinstance(texts, str) else list(texts)
    if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
        found = repr(texts if isinstance(texts, str) else next(text for text in texts if not isinstance(text, str)))
        problem = f"the texts are {found[:60]}"
        raise InputError(problem, "a list of texts", "put the text into a list: [text]")
    return texts


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


def _encodings(name: str, value: Any) -> list[Encoding]:
    if isinstance(value, Sequence) and all(hasattr(entry, "ids") for entry in value):
        return list(value)
    accepted = "a list of encodings, as the model's tokenizer returns them"
    raise InputError(f"{name} is {shown(value)}", accepted, f"write {name}=model.tokenizer.encode_batch(texts)")


@accepts(
    model=a_model,
    encodings=_encodings,
    window=optional(a_count),
    stride=optional(a_count),
    batch_tokens=some_batch_tokens,
    advance=a_function,
)
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


@accepts(
    model=a_model,
    texts=as_given,
    window=optional(a_count),
    stride=optional(a_count),
    batch_tokens=some_batch_tokens,
    advance=a_function,
)
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
