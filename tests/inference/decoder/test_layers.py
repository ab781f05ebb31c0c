"""Norms and rotations in closed form."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from inference.decoder.configuration import DecoderConfig
from inference.decoder.layers import Norm
from inference.decoder.rope import inverse_frequencies, rotate, rotation_tables
from inference.decoder.rope_settings import Rope

SIZES = {"vocabulary": 9, "width": 64, "depth": 1, "heads": 1, "key_value_heads": 1, "head_width": 64, "mlp_width": 8}


def config(**switches):
    return DecoderConfig(**SIZES, ropes=(Rope(1e4, 64),), **switches)


@pytest.mark.parametrize("mean", [0.0, 1e3])
def test_layer_norm_at_a_large_mean(mean):
    x = (np.random.default_rng(0).standard_normal((5, 64)) + mean).astype(np.float32)
    norm = Norm(config(norm="layer", norm_epsilon=1e-5), (64,))
    norm.weight = nnx.Param(jnp.ones(64))
    exact = x.astype(np.float64) - x.astype(np.float64).mean(-1, keepdims=True)
    exact /= np.sqrt((exact**2).mean(-1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(norm(jnp.asarray(x)), exact, atol=1e-4)


def test_offset_is_added_to_the_weight():
    x = jnp.asarray(np.random.default_rng(1).standard_normal((3, 64)).astype(np.float32))
    stored, plain = Norm(config(norm_offset=1.0), (64,)), Norm(config(), (64,))
    plain.weight = nnx.Param(jnp.ones(64))
    np.testing.assert_array_equal(stored(x), plain(x))


@pytest.mark.parametrize("interleaved", [False, True])
def test_scores_depend_on_distance_alone(interleaved):
    cosines, sines = rotation_tables((Rope(1e4, 16),), 50, jnp.array([50]), unrotated=False)
    q, k = np.random.default_rng(2).standard_normal((2, 16)).astype(np.float32)
    turned = [
        rotate(jnp.tile(one, (1, 50, 1, 1)), cosines[0], sines[0], interleaved=interleaved)[0, :, 0] for one in (q, k)
    ]
    scores = np.asarray(turned[0] @ turned[1].T)
    for distance in (0, 1, 7, 40):
        along = np.diagonal(scores, -distance)
        np.testing.assert_allclose(along, along[0], atol=2e-5)
    assert np.ptp(scores[:, 0]) > 0.1


def test_dimensions_beyond_the_width_pass_through():
    cosines, sines = rotation_tables((Rope(1e4, 8),), 5, jnp.array([5]), unrotated=False)
    x = np.random.default_rng(3).standard_normal((1, 5, 2, 20)).astype(np.float32)
    found = np.asarray(rotate(jnp.asarray(x), cosines[0], sines[0], interleaved=False))
    np.testing.assert_array_equal(found[..., 8:], x[..., 8:])
    np.testing.assert_array_equal(found[:, 0], x[:, 0])
    assert np.abs(found[:, 1:, :, :8] - x[:, 1:, :, :8]).max() > 0.1


def test_the_table_without_rotation_changes_nothing():
    cosines, sines = rotation_tables((Rope(1e4, 8),), 5, jnp.array([5]), unrotated=True)
    x = np.random.default_rng(4).standard_normal((1, 5, 1, 8)).astype(np.float32)
    np.testing.assert_array_equal(rotate(jnp.asarray(x), cosines[1], sines[1], interleaved=False), x)


def test_linear_scaling_stretches_positions():
    plain = inverse_frequencies(Rope(1e4, 32))
    np.testing.assert_allclose(inverse_frequencies(Rope(1e4, 32, kind="linear", factor=4.0)), plain / 4, rtol=1e-6)
    np.testing.assert_allclose(plain, 1e4 ** (-np.arange(0, 32, 2) / 32), rtol=1e-6)


def test_llama3_keeps_fast_turns_and_stretches_slow_ones():
    rope = Rope(5e5, 128, kind="llama3", factor=8.0, original_max_length=8192)
    ratio = inverse_frequencies(rope) / inverse_frequencies(Rope(5e5, 128))
    turns = 8192 * inverse_frequencies(Rope(5e5, 128)) / (2 * np.pi)
    np.testing.assert_allclose(ratio[turns > 4], 1, rtol=1e-6)
    np.testing.assert_allclose(ratio[turns < 1], 1 / 8, rtol=1e-6)
    between = (turns > 1) & (turns < 4)
    assert ((ratio[between] > 1 / 8) & (ratio[between] < 1)).all()
    assert between.any()


def test_longrope_goes_by_the_length_of_each_text():
    rope = Rope(1e4, 8, kind="longrope", original_max_length=4, short_factors=(1.0,) * 4, long_factors=(2.0,) * 4)
    cosines, _ = rotation_tables((rope,), 10, jnp.array([4, 5]), unrotated=False)
    angles = np.arange(10)[:, None] * inverse_frequencies(Rope(1e4, 8))
    np.testing.assert_allclose(cosines[0, 0, :, 0], np.cos(angles), atol=1e-6)
    np.testing.assert_allclose(cosines[0, 1, :, 0], np.cos(angles / 2), atol=1e-6)
