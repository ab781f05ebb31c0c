"""Attention in blocks against one dense computation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax

from inference.decoder.causal_attention import QUERY_BLOCK, alibi_bias, attend


def dense(q, k, v, *, scale, window, bias=None, softcap=None, added=None):
    """Attend with all scores at once, in float64."""
    q, k, v = (np.asarray(one, np.float64) for one in (q, k, v))
    scores = np.einsum("btghd,bsgd->bghts", q, k) * scale
    if softcap:
        scores = softcap * np.tanh(scores / softcap)
    length = q.shape[1]
    distance = np.arange(length)[:, None] - np.arange(length)
    if bias is not None:
        slopes = bias[..., 1] - bias[..., 0]
        scores = scores - slopes[..., None, None] * distance
    if added is not None:
        scores = scores + added[..., None, :]
    scores = np.where((distance >= 0) & (distance < window), scores, -np.inf)
    return np.einsum("bghts,bsgd->btghd", softmax(scores, axis=-1), v)


def inputs(length, *, rows=2, groups=2, heads=3, width=8, seed=0):
    generator = np.random.default_rng(seed)
    q = generator.standard_normal((rows, length, groups, heads, width), dtype=np.float32)
    k, v = generator.standard_normal((2, rows, length, groups, width), dtype=np.float32)
    return q, k, v


@pytest.mark.parametrize(
    "length",
    [
        1,
        QUERY_BLOCK,
        QUERY_BLOCK + 1,
        9 * QUERY_BLOCK + 5,
        *(pytest.param(length, marks=pytest.mark.slow) for length in (2, QUERY_BLOCK - 1, 3 * QUERY_BLOCK)),
    ],
)
@pytest.mark.parametrize("window", [1, pytest.param(100, marks=pytest.mark.slow), 10_000])
def test_blocks_equal_one_dense_computation(length, window):
    q, k, v = inputs(length, rows=1, heads=2)
    found = attend(q, k, v, scale=0.3, window=window)
    np.testing.assert_allclose(found, dense(q, k, v, scale=0.3, window=window), atol=2e-6)


def test_softcap_and_bias():
    q, k, v = inputs(150)
    bias = alibi_bias(6, 150).reshape(2, 3, 150)
    found = attend(q, k, v, scale=2.0, window=150, key_bias=jnp.asarray(bias), softcap=5.0)
    np.testing.assert_allclose(found, dense(q, k, v, scale=2.0, window=150, bias=bias, softcap=5.0), atol=5e-6)


def test_the_future_is_not_seen():
    q, k, v = inputs(200)
    before = np.asarray(attend(q, k, v, scale=1.0, window=200))
    k[:, 120:], v[:, 120:] = 50.0, -50.0
    after = np.asarray(attend(q, k, v, scale=1.0, window=200))
    np.testing.assert_array_equal(before[:, :120], after[:, :120])
    assert np.abs(before[:, 120:] - after[:, 120:]).max() > 1


def test_slopes_of_eight_heads_halve():
    np.testing.assert_allclose(alibi_bias(8, 3)[:, 1], 2.0 ** -np.arange(1, 9))


def test_slopes_of_six_heads_take_every_other_of_eight():
    # Four heads have 2^-2, 2^-4, 2^-6, 2^-8; the other two are the first and third of eight.
    np.testing.assert_allclose(alibi_bias(6, 2)[:, 1], 2.0 ** -np.array([2, 4, 6, 8, 1, 3]))


def test_rounded_bias_has_eight_bits():
    exact, rounded = alibi_bias(6, 300), alibi_bias(6, 300, rounded=True)
    assert (exact[:, 299] != rounded[:, 299]).any()
    np.testing.assert_allclose(rounded, exact, rtol=2**-7)
    np.testing.assert_array_equal(rounded, rounded.astype(jnp.bfloat16).astype(np.float32))


@pytest.mark.parametrize("length", [700, pytest.param(1300, marks=pytest.mark.slow)])
def test_rows_of_several_texts_are_attended_to_text_by_text(length):
    # Texts that end within blocks and begin before them, so that few keys are chosen at one place and many at another.
    q, k, v = inputs(length, rows=2, heads=2)
    starts = np.array([[0, 40, 300, 330, 690], [0, 5, 260, 600, 611]])
    places = np.arange(length)
    windows = np.stack([places - of[np.searchsorted(of, places, "right") - 1] + 1 for of in starts])
    bias = np.random.default_rng(1).standard_normal((2, 2, 2, length), dtype=np.float32)
    found = jax.jit(lambda windows: attend(q, k, v, scale=0.3, window=windows, key_bias=jnp.asarray(bias)))(windows)
    for row in range(2):
        part = slice(row, row + 1)
        expected = dense(q[part], k[part], v[part], scale=0.3, window=windows[row][:, None], added=bias[row])
        np.testing.assert_allclose(found[part], expected, atol=2e-6)
