"""Recurrences by chunks equal the plain ones, position by position in float64, and rows and padding stay apart."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from forms import in_gate

from inference.decoder.recurrences.causal_convolution import CausalConvolution
from inference.decoder.recurrences.channel_delta_rule import channel_delta_rule
from inference.decoder.recurrences.decaying_average import decaying_average
from inference.decoder.recurrences.delta_rule import gated_delta_rule, unit_lower_inverse
from inference.decoder.recurrences.diagonal_recurrence import diagonal_recurrence, positions_at_once, selective_scan
from inference.decoder.recurrences.matrix_memory import matrix_memory
from inference.decoder.recurrences.state_space_duality import state_space

ROWS, HEADS, GROUPS, STATES, WIDTH = 2, 4, 2, 3, 5
# Fewer positions than a chunk of 8, as many, one more, and several chunks with a rest.
LENGTHS = (5, 8, 9, 29)
# Large enough to see beside divisors.
MEMORY_EPSILON = 0.01


def normal(*shape, seed=0, centre=0.0, scale=1.0):
    return (centre + scale * np.random.default_rng([seed, *shape]).standard_normal(shape)).astype(np.float32)


def diagonal_case(length):
    decays = 1 / (1 + np.exp(-normal(ROWS, length, WIDTH, seed=1)))
    return {"decays": decays, "inputs": normal(ROWS, length, WIDTH, seed=2)}


def plain_diagonal(decays, inputs):
    state, states = np.zeros((ROWS, WIDTH)), []
    for t in range(decays.shape[1]):
        state = decays[:, t] * state + inputs[:, t]
        states.append(state)
    return np.stack(states, 1)


def selective_case(length):
    return {
        "x": normal(ROWS, length, WIDTH, seed=1),
        "steps": np.logaddexp(0, normal(ROWS, length, WIDTH, seed=2)),
        "rates": -np.exp(normal(WIDTH, STATES, seed=3)),
        "inputs": normal(ROWS, length, STATES, seed=4),
        "outputs": normal(ROWS, length, STATES, seed=5),
    }


def plain_selective(x, steps, rates, inputs, outputs):
    state, results = np.zeros((ROWS, WIDTH, STATES)), []
    for t in range(x.shape[1]):
        decay = np.exp(steps[:, t, :, None] * rates)
        state = decay * state + (steps[:, t] * x[:, t])[..., None] * inputs[:, t, None, :]
        results.append((state * outputs[:, t, None, :]).sum(-1))
    return np.stack(results, 1)


def state_space_case(length):
    return {
        "values": normal(ROWS, length, HEADS, WIDTH, seed=1),
        "log_decays": -np.logaddexp(0, normal(ROWS, length, HEADS, seed=2)),
        "inputs": normal(ROWS, length, GROUPS, STATES, seed=3),
        "outputs": normal(ROWS, length, GROUPS, STATES, seed=4),
    }


def plain_state_space(values, log_decays, inputs, outputs):
    inputs, outputs = (np.repeat(x, HEADS // GROUPS, 2) for x in (inputs, outputs))
    state, results = np.zeros((ROWS, HEADS, STATES, WIDTH)), []
    for t in range(values.shape[1]):
        decay = np.exp(log_decays[:, t])[..., None, None]
        state = decay * state + inputs[:, t, :, :, None] * values[:, t, :, None, :]
        results.append(np.einsum("bhn,bhnp->bhp", outputs[:, t], state))
    return np.stack(results, 1)


def delta_case(length):
    keys = normal(ROWS, length, GROUPS, STATES, seed=2)
    return {
        "queries": normal(ROWS, length, GROUPS, STATES, seed=1),
        "keys": keys / np.linalg.norm(keys, axis=-1, keepdims=True),
        "values": normal(ROWS, length, HEADS, WIDTH, seed=3),
        "log_decays": -np.logaddexp(0, normal(ROWS, length, HEADS, seed=4, centre=-2)),
        "strengths": 1 / (1 + np.exp(-normal(ROWS, length, HEADS, seed=5))),
    }


def plain_delta(queries, keys, values, log_decays, strengths):
    queries, keys = (np.repeat(x, HEADS // GROUPS, 2) for x in (queries, keys))
    state, results = np.zeros((ROWS, HEADS, STATES, WIDTH)), []
    for t in range(values.shape[1]):
        state = state * np.exp(log_decays[:, t])[..., None, None]
        known = np.einsum("bhkv,bhk->bhv", state, keys[:, t])
        change = strengths[:, t, :, None] * (values[:, t] - known)
        state = state + keys[:, t, :, :, None] * change[:, :, None, :]
        results.append(np.einsum("bhkv,bhk->bhv", state, queries[:, t]))
    return np.stack(results, 1)


def channel_delta_case(length):
    keys = normal(ROWS, length, HEADS, STATES, seed=2)
    return {
        "queries": normal(ROWS, length, HEADS, STATES, seed=1),
        "keys": keys / np.linalg.norm(keys, axis=-1, keepdims=True),
        "values": normal(ROWS, length, HEADS, WIDTH, seed=3),
        # Some channels forget within a position, beyond what the exponential of a sum could undo.
        "log_decays": -np.exp(normal(ROWS, length, HEADS, STATES, seed=4, centre=-1, scale=2)),
        "strengths": 1 / (1 + np.exp(-normal(ROWS, length, HEADS, seed=5))),
    }


def plain_channel_delta(queries, keys, values, log_decays, strengths):
    state, results = np.zeros((ROWS, HEADS, STATES, WIDTH)), []
    for t in range(values.shape[1]):
        state = state * np.exp(log_decays[:, t])[..., None]
        known = np.einsum("bhkv,bhk->bhv", state, keys[:, t])
        change = strengths[:, t, :, None] * (values[:, t] - known)
        state = state + keys[:, t, :, :, None] * change[:, :, None, :]
        results.append(np.einsum("bhkv,bhk->bhv", state, queries[:, t]))
    return np.stack(results, 1)


def average_case(length):
    return {
        "keys": normal(ROWS, length, WIDTH, seed=1, scale=3),
        "values": normal(ROWS, length, WIDTH, seed=2),
        "log_decays": -np.exp(normal(WIDTH, seed=3)),
        "bonus": normal(WIDTH, seed=4),
    }


def plain_average(keys, values, log_decays, bonus):
    results = []
    for t in range(keys.shape[1]):
        weights = keys[:, : t + 1] + log_decays * np.arange(t - 1, -2, -1)[:, None]
        weights[:, t] = keys[:, t] + bonus
        weights = np.exp(weights - weights.max(1, keepdims=True))
        results.append((weights * values[:, : t + 1]).sum(1) / weights.sum(1))
    return np.stack(results, 1)


def matrix_case(length):
    return {
        "queries": normal(ROWS, length, HEADS, STATES, seed=1),
        "keys": normal(ROWS, length, HEADS, STATES, seed=2),
        "values": normal(ROWS, length, HEADS, WIDTH, seed=3),
        # On both sides of one, where the sum of keys and the bound of the divisor take turns.
        "log_inputs": normal(ROWS, length, HEADS, seed=4, scale=2),
        "log_decays": -np.logaddexp(0, normal(ROWS, length, HEADS, seed=5, centre=-2, scale=2)),
    }


def plain_matrix(queries, keys, values, log_inputs, log_decays, epsilon=MEMORY_EPSILON):
    memory, summed = np.zeros((ROWS, HEADS, STATES, WIDTH)), np.zeros((ROWS, HEADS, STATES))
    largest, results = np.zeros((ROWS, HEADS)), []
    for t in range(values.shape[1]):
        bound = np.maximum(log_decays[:, t] + largest, log_inputs[:, t])
        decay, taken = np.exp(log_decays[:, t] + largest - bound), np.exp(log_inputs[:, t] - bound)
        key = taken[..., None] * keys[:, t]
        memory = decay[..., None, None] * memory + key[..., None] * values[:, t, :, None, :]
        summed, largest = decay[..., None] * summed + key, bound
        weight = np.abs(np.einsum("bhk,bhk->bh", summed, queries[:, t]))
        divisor = np.maximum(weight, np.exp(-largest)) + epsilon
        results.append(np.einsum("bhkv,bhk->bhv", memory, queries[:, t]) / divisor[..., None])
    return np.stack(results, 1)


KINDS = {
    "diagonal": (diagonal_recurrence, diagonal_case, plain_diagonal),
    "selective": (selective_scan, selective_case, plain_selective),
    "state_space": (state_space, state_space_case, plain_state_space),
    "delta": (gated_delta_rule, delta_case, plain_delta),
    "channel_delta": (channel_delta_rule, channel_delta_case, plain_channel_delta),
    "average": (decaying_average, average_case, plain_average),
    "matrix": (partial(matrix_memory, epsilon=MEMORY_EPSILON), matrix_case, plain_matrix),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.mark.parametrize("length", in_gate([9, 29], LENGTHS))
@every_kind
def test_chunks_equal_one_position_after_the_other(kind, length):
    computed, case, plain = KINDS[kind]
    given = case(length)
    exact = plain(**{name: value.astype(np.float64) for name, value in given.items()})
    for chunk in (1, 8):
        found = computed(**given, chunk=chunk)
        np.testing.assert_allclose(found, exact, rtol=0, atol=2e-6 * np.abs(exact).max())


@every_kind
def test_later_positions_and_other_rows_reach_nothing(kind):
    computed, case, _ = KINDS[kind]
    given = case(29)
    found = np.asarray(computed(**given, chunk=8))
    # Padding may hold anything: of the second row the last positions, huge ones.
    changed = {name: value.copy() for name, value in given.items()}
    for name, value in changed.items():
        # Those of channels alone hold for all rows.
        if value.ndim > 2:
            value[1, 20:] = -30.0 if name == "log_decays" else 30.0
    again = np.asarray(computed(**changed, chunk=8))
    np.testing.assert_array_equal(again[0], found[0])
    np.testing.assert_array_equal(again[1, :20], found[1, :20])
    assert np.abs(again[1, 20:] - found[1, 20:]).max() > 0.1


@every_kind
def test_the_default_chunk_is_one_of_the_same(kind):
    computed, case, plain = KINDS[kind]
    given = case(150)
    exact = plain(**{name: value.astype(np.float64) for name, value in given.items()})
    np.testing.assert_allclose(computed(**given), exact, rtol=0, atol=5e-6 * np.abs(exact).max())


@pytest.mark.parametrize("size", [1, 7, 64])
def test_a_triangle_is_inverted_without_cancellation(size):
    # The worst case of the delta rule: one key at all positions, written in full, whose powers grow like binomials.
    ones = np.tril(np.ones((2, size, size), np.float32), -1)
    found = np.asarray(unit_lower_inverse(jnp.asarray(ones)))
    np.testing.assert_allclose(found, np.linalg.inv(np.eye(size) + ones), atol=1e-5)


def test_a_decay_that_vanishes_is_no_division_by_zero():
    given = state_space_case(20) | {"log_decays": np.full((ROWS, 20, HEADS), -200.0, np.float32)}
    exact = plain_state_space(**{name: value.astype(np.float64) for name, value in given.items()})
    np.testing.assert_allclose(state_space(**given, chunk=8), exact, atol=1e-5)


def test_keys_whose_exponentials_are_no_numbers_weigh_values():
    given = average_case(20)
    given["keys"] = 100 * given["keys"]
    exact = plain_average(**{name: value.astype(np.float64) for name, value in given.items()})
    np.testing.assert_allclose(decaying_average(**given, chunk=8), exact, rtol=0, atol=2e-4)


def test_what_is_compiled_does_not_grow_with_the_text():
    def size(length):
        lowered = jax.jit(lambda given: gated_delta_rule(**given)).lower(delta_case(length))
        return len(lowered.as_text().splitlines())

    assert size(1000) == size(300)


def test_positions_at_once_go_by_the_device(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    assert positions_at_once() == 1
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert positions_at_once() > 1


@pytest.mark.parametrize("bias", [False, True])
def test_a_convolution_sees_its_own_and_earlier_positions(bias):
    convolution = CausalConvolution(WIDTH, 4, bias=bias)
    weight, offset, x = normal(WIDTH, 1, 4), normal(WIDTH, seed=1), normal(ROWS, 11, WIDTH, seed=2)
    convolution.weight = nnx.Param(jnp.asarray(weight))
    if bias:
        convolution.bias = nnx.Param(jnp.asarray(offset))
    exact = np.stack(
        [[np.convolve(x[row, :, c], weight[c, 0, ::-1])[:11] for c in range(WIDTH)] for row in range(ROWS)]
    )
    np.testing.assert_allclose(convolution(jnp.asarray(x)), exact.swapaxes(1, 2) + bias * offset, atol=1e-5)
