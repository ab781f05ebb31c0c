"""Texts under several models at once: mixtures and normalised products of their distributions."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from scipy.special import logsumexp

from bayeslaw.errors import InputError, check_choice
from bayeslaw.inputs.arguments import accepts, as_given, optional
from inference.decoder.head import over_positions
from inference.scoring.batch_rules import (
    a_count,
    check_window,
    default_batch_tokens,
    shape_cost,
    shares_rows,
    some_batch_tokens,
)
from inference.scoring.language_models import LanguageModel, a_model
from inference.scoring.scores import check_texts, place_rows, score, token_log_probabilities
from inference.texts.batches import batch_arrays, plan_batches
from inference.texts.windows import plan_windows

COMBINATIONS = ("token_mixture", "product", "sample_mixture")


def _models(name: str, value: Any) -> list[LanguageModel]:
    return [a_model(name, entry) for entry in (value if isinstance(value, list | tuple) else [value])]


@accepts(
    models=_models,
    texts=as_given,
    combine=as_given,
    weights=as_given,
    window=optional(a_count),
    stride=optional(a_count),
    batch_tokens=some_batch_tokens,
)
def ensemble_score(
    models: Sequence[LanguageModel],
    texts: Sequence[str],
    *,
    combine: str = "token_mixture",
    weights: Sequence[float] | None = None,
    window: int | None = None,
    stride: int | None = None,
    batch_tokens: int | None = None,
) -> np.ndarray:
    r"""Return how surprising each text is to several models together.

    Parameters
    ----------
    models
        The models.
    texts
        The texts.
    combine
        ``"token_mixture"``: at every token :math:`\log \sum_k w_k p_k`. ``"product"``: at every token :math:`\sum_k w_k
        \log p_k - \log Z`, where Z makes it a distribution over the vocabulary; both for models of one tokenizer.
        ``"sample_mixture"``: :math:`\log \sum_k w_k P_k` of whole texts, for any models.
    weights
        The models' weights, zero or more; equal ones by default. Those of a mixture add up to 1.
    window, stride, batch_tokens
        As in `inference.score`; by default the window that suits all models.

    Returns
    -------
    numpy.ndarray
        Negative log-likelihood of each whole text in nats, [text], float64.

    Raises
    ------
    InputError
        If there is no model, weights do not suit, or a combination of tokens is asked for of models whose tokenizers
        differ; otherwise as `inference.score`.

    Examples
    --------
    With the folder of a checkpoint:

    >>> import inference
    >>> model = inference.load(checkpoint)
    >>> together = inference.ensemble_score([model, model], ["A short text."])
    >>> bool(abs(together[0] - inference.score(model, ["A short text."])[0]) < 1e-3)
    True
    """
    check_choice("combination", combine, COMBINATIONS)
    texts = check_texts(texts)
    shares = _check_weights(len(models), weights, mixture=combine != "product")
    with np.errstate(divide="ignore"):
        log_shares = np.log(shares)
    if combine == "sample_mixture":
        scored = [score(model, texts, window=window, stride=stride, batch_tokens=batch_tokens) for model in models]
        return -np.asarray(logsumexp(log_shares[:, None] - np.stack(scored), axis=0))
    _check_one_tokenizer(models, combine)
    window, stride = _common_window(models, window, stride)
    encodings = models[0].tokenizer.encode_batch(texts)
    if combine == "product":
        return _product_losses(models, encodings, shares, window=window, stride=stride, batch_tokens=batch_tokens)
    per_model = [
        token_log_probabilities(model, encodings, window=window, stride=stride, batch_tokens=batch_tokens)
        for model in models
    ]
    mixed = [
        np.asarray(logsumexp(log_shares[:, None] + np.stack(of_text).astype(np.float64), axis=0))
        for of_text in zip(*per_model, strict=True)
    ]
    return np.array([-values.sum() for values in mixed])


def _check_weights(count: int, weights: Sequence[float] | None, *, mixture: bool) -> np.ndarray:
    if count == 0:
        raise InputError("there is no model", "at least one model", "load one")
    shares = np.full(count, 1 / count) if weights is None else np.asarray(weights, np.float64)
    accepted = f"{count} numbers of zero or more" + (" that add up to 1" if mixture else ", not all zero")
    wrong = shares.shape != (count,) or not np.isfinite(shares).all() or (shares < 0).any()
    if wrong or (abs(shares.sum() - 1) > 1e-6 if mixture else shares.sum() <= 0):
        raise InputError(f"the weights are {np.array2string(shares, precision=4)}", accepted, "correct them")
    return shares


def _check_one_tokenizer(models: Sequence[LanguageModel], combine: str) -> None:
    hashes = [model.tokenizer.hash for model in models]
    if any(model.tokenizer.prefix is None for model in models):
        problem = "without a token before it the first token of a text has no probability, and nor has the text"
        raise InputError(problem, "models loaded with bos='auto' or 'always'", "load them so")
    if len(set(hashes)) > 1:
        listed = ", ".join(f"{model.name} ({model.tokenizer.hash[:8]})" for model in models)
        raise InputError(
            f"{combine} of models with different tokenizers is no probability: they cut a text into other tokens, and "
            f"what each gives to its own cannot be added up token by token. The tokenizers: {listed}",
            "models of one tokenizer",
            "use combine='sample_mixture', which mixes whole texts",
        )


def _common_window(models: Sequence[LanguageModel], window: int | None, stride: int | None) -> tuple[int, int]:
    if window is None:
        window = min(check_window(model.config, None, None)[0] for model in models)
    checked = [check_window(model.config, window, stride) for model in models]
    return checked[0]


def _product_losses(
    models: Sequence[LanguageModel],
    encodings: Sequence[Any],
    shares: np.ndarray,
    *,
    window: int,
    stride: int,
    batch_tokens: int | None,
) -> np.ndarray:
    windows = plan_windows([len(one.ids) for one in encodings], window=window, stride=stride, prefix=True)
    graphs, states = zip(*(nnx.split(model.decoder) for model in models), strict=True)
    common = min(model.config.vocabulary for model in models)
    losses = np.zeros(len(encodings))
    cost = min(shape_cost(model.parameters["total"], model.config) for model in models)
    packed, budget = all(shares_rows(model.config) for model in models), batch_tokens or default_batch_tokens()
    for batch in plan_batches(windows, batch_tokens=budget, shape_cost=cost, packed=packed):
        many = [batch_arrays(batch, windows, encodings, prefix=model.tokenizer.prefix) for model in models]
        inputs = [place_rows(model.mesh, one.inputs)[0] for model, one in zip(models, many, strict=True)]
        targets, lengths = place_rows(models[0].mesh, many[0].targets, many[0].lengths)
        positions = None if many[0].positions is None else place_rows(models[0].mesh, many[0].positions)[0]
        rows = targets, lengths, positions
        found = np.asarray(_product(graphs, states, inputs, rows, jnp.asarray(shares, jnp.float32), common))
        for planned, part in batch.parts(windows, found[: len(many[0].scored)][many[0].scored]):
            losses[planned.document] -= part.sum(dtype=np.float64)
    return losses


@partial(jax.jit, static_argnames=("graphs", "common"))
def _product(
    graphs: tuple, states: tuple, inputs: list[jax.Array], rows: tuple, shares: jax.Array, common: int
) -> jax.Array:
    """Return log-probabilities of targets under the normalised product, [row, position].

    Ids that only some models have a row for, which no text holds, are left out of the normaliser.
    """
    decoders = [nnx.merge(graph, state) for graph, state in zip(graphs, states, strict=True)]
    targets, lengths, positions = rows
    hidden = [decoder(one, lengths, positions) for decoder, one in zip(decoders, inputs, strict=True)]

    def chosen(targets: jax.Array, *slices: jax.Array) -> jax.Array:
        total = jnp.zeros((*targets.shape, common), jnp.float32)
        for share, decoder, one in zip(shares, decoders, slices, strict=True):
            total = total + share * jax.nn.log_softmax(decoder.logits(one), axis=-1)[..., :common]
        of_target = jnp.take_along_axis(total, targets[..., None], axis=-1)[..., 0]
        return of_target - jax.nn.logsumexp(total, axis=-1)

    largest = max(decoders, key=lambda decoder: decoder.config.vocabulary)
    return over_positions(chosen, largest, targets, *hidden, members=2)
