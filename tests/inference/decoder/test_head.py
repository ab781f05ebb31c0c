"""Log-probabilities of targets, computed by parts, against a dense softmax in float64."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from forms import in_gate
from scipy.special import log_softmax

from inference.decoder import head
from inference.decoder.configuration import DecoderConfig
from inference.decoder.rope_settings import Rope
from inference.decoder.transformer import Decoder

WIDTH = 8


def decoder(vocabulary, **switches):
    sizes = {"width": WIDTH, "depth": 1, "heads": 1, "key_value_heads": 1, "head_width": WIDTH, "mlp_width": 8}
    return Decoder(DecoderConfig(vocabulary=vocabulary, **sizes, ropes=(Rope(1e4, WIDTH),), **switches))


def filled(vocabulary, seed=0, scale=1.0, **switches):
    made, generator = decoder(vocabulary, **switches), np.random.default_rng(seed)
    weight = (scale * generator.standard_normal((vocabulary, WIDTH))).astype(np.float32)
    holder = made.embedding if made.head is None else made.head
    holder.weight = nnx.Param(jnp.asarray(weight))
    bias = np.zeros(vocabulary, np.float32)
    if made.head_bias is not None:
        bias = generator.standard_normal(vocabulary).astype(np.float32)
        made.head_bias = nnx.Param(jnp.asarray(bias))
    return made, weight.astype(np.float64), bias.astype(np.float64)


def expected(hidden, weight, bias, targets, *, scale=1.0, softcap=None):
    logits = (np.asarray(hidden, np.float64) @ weight.T + bias) * scale
    if softcap:
        logits = softcap * np.tanh(logits / softcap)
    return np.take_along_axis(log_softmax(logits, axis=-1), targets[..., None], -1)[..., 0]


@pytest.fixture
def small_parts(monkeypatch):
    """Make parts of the vocabulary, and of positions, so small that there are many."""
    monkeypatch.setattr(head, "FEWEST_COLUMNS", 7)
    monkeypatch.setattr(head, "LOGITS_AT_ONCE", {"cpu": 64})


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("vocabulary", in_gate([50], [8, 21, 50]))
@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"tied": True},
        {"head_bias": True},
        {"tied": True, "head_bias": True},
        {"logit_scale": 0.3, "logit_softcap": 2.0},
    ],
    ids=["head", "tied", "bias", "tied with bias", "scaled and capped"],
)
def test_parts_equal_a_dense_softmax(vocabulary, switches, split):
    made, weight, bias = filled(vocabulary, **switches)
    generator = np.random.default_rng(1)
    hidden = generator.standard_normal((3, 5, WIDTH)).astype(np.float32)
    targets = generator.integers(0, vocabulary, (3, 5))
    targets[0, :2] = 0, vocabulary - 1
    rules = {"scale": made.config.logit_scale, "softcap": made.config.logit_softcap}
    found = head.target_log_probabilities(made, jnp.asarray(hidden), jnp.asarray(targets), split=split)
    np.testing.assert_allclose(found, expected(hidden, weight, bias, targets, **rules), atol=2e-6)


@pytest.mark.usefixtures("small_parts")
def test_huge_logits_do_not_overflow():
    made, weight, bias = filled(40, scale=3e3)
    hidden = np.random.default_rng(2).standard_normal((2, 4, WIDTH)).astype(np.float32)
    targets = np.random.default_rng(3).integers(0, 40, (2, 4))
    found = np.asarray(head.target_log_probabilities(made, jnp.asarray(hidden), jnp.asarray(targets), split=False))
    truth = expected(hidden, weight, bias, targets)
    assert truth.min() < -5_000
    np.testing.assert_allclose(found, truth, rtol=1e-5, atol=0.02)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("split", [False, True])
def test_certain_tokens_are_never_above_zero(split):
    made, weight, _ = filled(30, scale=8.0)
    hidden = weight.astype(np.float32)[None]
    best = (hidden[0] @ weight.T).argmax(-1)[None]
    found = np.asarray(head.target_log_probabilities(made, jnp.asarray(hidden), jnp.asarray(best), split=split))
    assert found.max() <= 0
    assert found.max() > -1e-5


@pytest.mark.usefixtures("small_parts")
def test_probabilities_of_all_tokens_add_up_to_one():
    made, _, _ = filled(23)
    hidden = jnp.asarray(np.random.default_rng(4).standard_normal((1, 1, WIDTH)).astype(np.float32))
    each = [
        float(head.target_log_probabilities(made, hidden, jnp.array([[token]]), split=False)[0, 0])
        for token in range(23)
    ]
    assert np.exp(each).sum() == pytest.approx(1, abs=1e-6)
