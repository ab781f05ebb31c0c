"""Routed experts: who is chosen, how much each counts, and what is added up, beside plain loops in float64."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bayeslaw.errors import InputError
from inference.decoder.configuration import DecoderConfig
from inference.decoder.expert_settings import Experts
from inference.decoder.feed_forwards import experts as experts_module
from inference.decoder.feed_forwards.expert_products import StackedWeight, in_groups, in_tiles
from inference.decoder.feed_forwards.experts import RoutedExperts
from inference.decoder.feed_forwards.routing import assign, route
from inference.decoder.parameter_totals import parameter_counts
from inference.decoder.rope_settings import Rope
from inference.decoder.transformer import Decoder

PLAIN = Experts(count=6, chosen=2, width=5)


def chosen(logits, experts=PLAIN, correction=None):
    numbers, shares = route(jnp.asarray(logits, jnp.float32), experts, correction)
    return np.asarray(numbers).tolist(), np.asarray(shares)


def test_shares_of_each_kind():
    logits = np.log([[0.4, 0.1, 0.3, 0.05, 0.05, 0.1]])
    for kind, shares in {
        ("softmax", "scores"): [0.4, 0.3],
        ("softmax", "normalised"): [4 / 7, 3 / 7],
        ("logits", "softmax"): [4 / 7, 3 / 7],
        ("sigmoid", "scores"): [0.4 / 1.4, 0.3 / 1.3],
        ("logits", "sigmoid"): [0.4 / 1.4, 0.3 / 1.3],
        ("logits", "normalised_sigmoid"): [52 / 94, 42 / 94],
    }.items():
        numbers, found = chosen(logits, replace(PLAIN, scores=kind[0], shares=kind[1], scale=2.5))
        assert numbers == [[0, 2]]
        np.testing.assert_allclose(found[0], 2.5 * np.array(shares), rtol=1e-5)
    _, found = chosen(logits, replace(PLAIN, smallest_sum=2.0))
    np.testing.assert_allclose(found[0], [0.2, 0.15], rtol=1e-5)


def test_a_correction_moves_the_choice_and_not_the_shares():
    logits = np.log([[0.4, 0.1, 0.3, 0.05, 0.05, 0.1]])
    numbers, shares = chosen(logits, replace(PLAIN, shares="scores"), jnp.asarray([0, 0.9, 0, 0, 0, 0.0]))
    assert numbers == [[1, 0]]
    np.testing.assert_allclose(shares[0], [0.1, 0.4], rtol=1e-5)


@pytest.mark.parametrize(("score", "numbers"), [("best", [[0, 1]]), ("two_best", [[4, 5]])])
def test_experts_come_of_the_best_groups(score, numbers):
    # The first group has the best expert, the last one the best two together, and the second best is in the middle.
    logits = [[3.0, 0.0, 2.9, -1.0, 2.0, 1.9]]
    experts = replace(PLAIN, scores="sigmoid", groups=3, chosen_groups=1, group_score=score)
    assert chosen(logits, experts)[0] == numbers
    assert chosen(logits)[0] == [[0, 2]]


def test_of_equal_experts_the_first_is_chosen():
    assert chosen([[1.0, 2.0, 2.0, 2.0, 2.0, 0.0]])[0] == [[1, 2]]
    assert chosen([[0.0] * 6], replace(PLAIN, chosen=3))[0] == [[0, 1, 2]]


def test_a_sparse_mixer_looks_at_experts_near_the_best():
    logits = [[2.0, 1.9, 1.0, -3.0, 0.0, 1.8]]
    near = replace(PLAIN, choice="sparse_mixer", tolerance=0.04)
    numbers, shares = chosen(logits, near)
    assert numbers == [[0, 1]]
    # Of the first only the one 0.1 below is near; of the second the one 0.1 below it.
    np.testing.assert_allclose(shares[0], [1 / (1 + np.exp(-0.1)), 1 / (1 + np.exp(-0.1))], rtol=1e-5)
    np.testing.assert_allclose(chosen(logits, replace(near, tolerance=0.0))[1], [[1, 1]])


def test_tokens_are_sorted_by_expert():
    found = assign(jnp.asarray([[2, 0], [0, 1], [2, 1]]), jnp.asarray([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]), 4)
    assert found.tokens.tolist() == [0, 1, 1, 2, 0, 2]
    assert found.experts.tolist() == [0, 0, 1, 1, 2, 2]
    np.testing.assert_allclose(found.shares, [0.2, 0.3, 0.4, 0.6, 0.1, 0.5])
    assert found.sizes.tolist() == [2, 2, 2, 0]


def module(experts, *, seed=0, gated=True, width=8):
    config = DecoderConfig(9, width, 1, 2, 2, 4, 7, gated=gated, ropes=(Rope(1e4, 4),), parts=(experts,))
    made, rng = RoutedExperts(config), np.random.default_rng(seed)
    state = jax.tree.map(lambda x: jnp.asarray(rng.standard_normal(x.shape), jnp.float32), nnx.state(made))
    nnx.update(made, state)
    return made


def silu(x):
    return x / (1 + np.exp(-x))


def by_hand(made, x):
    """Go through the experts of every token one by one, in float64."""
    experts, weights = made.experts, {"up": made.up, "down": made.down, "gate": made.gate}
    arrays = {name: np.asarray(one.weight[...], np.float64) for name, one in weights.items() if one is not None}
    logits = x @ np.asarray(made.router.weight[...], np.float64).T
    numbers, shares = route(jnp.asarray(logits, jnp.float32), experts, None)
    total = np.zeros(x.shape)
    for token, of in enumerate(np.asarray(numbers)):
        for number, share in zip(of, np.asarray(shares, np.float64)[token], strict=True):
            inner = arrays["up"][number] @ x[token]
            inner = silu(arrays["gate"][number] @ x[token]) * inner if made.gate is not None else silu(inner)
            total[token] += share * (arrays["down"][number] @ inner)
    return total


@pytest.mark.parametrize("gated", [True, False])
def test_outputs_are_sums_over_the_chosen_experts(gated):
    made = module(PLAIN, gated=gated)
    x = np.random.default_rng(1).standard_normal((3, 50, 8))
    found = made(jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(found.reshape(-1, 8), by_hand(made, x.reshape(-1, 8)), rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize(("tokens", "count", "used"), [(70, 5, 5), (9, 4, 1), (1, 3, 2), (130, 2, 2)])
def test_tiles_and_groups_add_up_the_same(tokens, count, used):
    """Of any sizes: experts without tokens, or with all of them, and last tiles that are not full."""
    rng = np.random.default_rng(tokens)
    x = jnp.asarray(rng.standard_normal((tokens, 4)), jnp.float32)
    numbers = jnp.asarray(rng.integers(0, used, (tokens, 1)))
    assignment = assign(numbers, jnp.asarray(rng.random((tokens, 1)), jnp.float32), count)
    weights = {
        "up": StackedWeight(jnp.asarray(rng.standard_normal((count, 3, 4)), jnp.float32), None),
        "down": StackedWeight(
            jnp.asarray(rng.standard_normal((count, 4, 3)), jnp.float32),
            jnp.asarray(rng.standard_normal((count, 4)), jnp.float32),
        ),
    }

    def expert(x, shares, multiply):
        return shares[:, None] * multiply("down", multiply("up", x))

    up, down, bias = (np.asarray(one) for one in (weights["up"].weight, *weights["down"]))
    plain = np.zeros((tokens, 4))
    for token, number, share in zip(*map(np.asarray, assignment[:3]), strict=True):
        plain[token] += share * (down[number] @ (up[number] @ np.asarray(x[token])) + bias[number])
    for way in (in_tiles, in_groups):
        np.testing.assert_allclose(way(x, assignment, weights, expert), plain, rtol=1e-4, atol=1e-4)


def test_a_token_does_not_depend_on_the_others():
    made, x = module(PLAIN), jnp.asarray(np.random.default_rng(2).standard_normal((1, 40, 8)), jnp.float32)
    np.testing.assert_allclose(made(x)[:, 7:8], made(x[:, 7:8]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("way", ["cpu", "elsewhere"])
def test_experts_that_change_nothing_give_tokens_back(way, monkeypatch):
    monkeypatch.setitem(experts_module.APPLY, "cpu", in_tiles if way == "cpu" else in_groups)
    experts = Experts(count=3, chosen=4, width=5, identities=2, shares="scores", scale=1.5, sum_bias=True)
    made, x = module(experts), np.random.default_rng(5).standard_normal((1, 30, 8))
    logits = x[0] @ np.asarray(made.router.weight[...], np.float64).T
    assert logits.shape == (30, 5)
    scores = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    maps = {name: np.asarray(getattr(made, name).weight[...], np.float64) for name in ("gate", "up", "down")}
    assert made.sum_bias is not None
    expected = np.tile(np.asarray(made.sum_bias[...], np.float64), (30, 1))
    for token, row in enumerate(scores):
        for number in np.argsort(-row)[:4]:
            inner = x[0, token]
            if number < 3:
                inner = maps["down"][number] @ (silu(maps["gate"][number] @ inner) * (maps["up"][number] @ inner))
            expected[token] += 1.5 * row[number] * inner
    np.testing.assert_allclose(made(jnp.asarray(x, jnp.float32))[0], expected, rtol=2e-4, atol=2e-4)


def test_what_all_experts_give_is_normed():
    plain, normed = module(PLAIN), module(replace(PLAIN, output_norm=True))
    nnx.update(normed, nnx.state(plain))
    assert normed.output_norm is not None
    normed.output_norm.weight = nnx.Param(jnp.full(8, 2.0))
    x = jnp.asarray(np.random.default_rng(6).standard_normal((1, 9, 8)), jnp.float32)
    y = np.asarray(plain(x), np.float64)
    expected = 2 * y / np.sqrt((y**2).mean(-1, keepdims=True) + plain_epsilon())
    np.testing.assert_allclose(normed(x), expected, rtol=1e-4, atol=1e-5)


def plain_epsilon():
    return DecoderConfig.__dataclass_fields__["norm_epsilon"].default


def test_weights_of_16_bits_give_nearly_the_same():
    made, x = module(PLAIN), jnp.asarray(np.random.default_rng(3).standard_normal((1, 40, 8)), jnp.float32)
    exact = made(x)
    # The router stays as it is: a choice that moves would move all.
    for one in (made.gate, made.up, made.down):
        one.weight = nnx.Param(one.weight[...].astype(jnp.bfloat16))
    assert 0 < np.abs(made(x) - exact).max() < 0.02 * np.abs(exact).max()


def test_gates_of_gpt_oss_are_bounded():
    made = module(replace(PLAIN, gate_bound=0.5, gate_slope=1.3, count=1, chosen=1))
    x = np.random.default_rng(4).standard_normal((1, 20, 8))
    gate, up = (np.asarray(one.weight[0], np.float64) @ x[0].T for one in (made.gate, made.up))
    gate, up = np.minimum(gate, 0.5), np.clip(up, -0.5, 0.5)
    inner = gate / (1 + np.exp(-1.3 * gate)) * (up + 1)
    expected = (np.asarray(made.down.weight[0], np.float64) @ inner).T
    np.testing.assert_allclose(made(jnp.asarray(x, jnp.float32))[0], expected, rtol=1e-4, atol=1e-4)


def test_active_parameters_are_those_of_the_chosen_experts():
    experts = replace(PLAIN, shared_width=3, shared_gated=True, corrected=True)
    config = DecoderConfig(
        9, 8, 3, 2, 2, 4, 7, ropes=(Rope(1e4, 4),), layer_feed_forward=("mlp", "experts", "experts"), parts=(experts,)
    )
    counts = parameter_counts(nnx.eval_shape(lambda: Decoder(config)))
    each = 3 * 5 * 8
    # Router, correction, shared expert and its gate.
    beside = 6 * 8 + 6 + 3 * 3 * 8 + 8
    others = 2 * 9 * 8 + 8 + 3 * (4 * 8 * 8 + 2 * 8) + 3 * 7 * 8
    assert counts["total"] == others + 2 * (6 * each + beside)
    assert counts["active"] == others + 2 * (2 * each + beside)


def test_active_parameters_of_experts_that_change_nothing_are_none():
    experts = replace(PLAIN, chosen=7, identities=3)
    config = DecoderConfig(
        9, 8, 1, 2, 2, 4, 7, ropes=(Rope(1e4, 4),), layer_feed_forward=("experts",), parts=(experts,)
    )
    counts = parameter_counts(nnx.eval_shape(lambda: Decoder(config)))
    assert counts["active"] == counts["total"]


def test_active_parameters_of_routed_attention():
    config = DecoderConfig(
        9, 8, 2, 4, 2, 4, 7, ropes=(Rope(1e4, 4),), layer_mixer=("routed_attention",) * 2, parts=(PLAIN,)
    )
    counts = parameter_counts(nnx.eval_shape(lambda: Decoder(config)))
    each, router, keys_and_values = 2 * 8 * 8, 6 * 8, 2 * 8 * 8
    others = 2 * 9 * 8 + 8 + 2 * (router + keys_and_values + 2 * 8 + 3 * 7 * 8)
    assert counts["total"] == others + 2 * 6 * each
    assert counts["active"] == others + 2 * 2 * each
    with pytest.raises(InputError, match="the number of heads is 2"):
        nnx.eval_shape(lambda: Decoder(replace(config, heads=2)))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"chosen": 7}, "at most 6"),
        ({"count": 0}, "count of experts is 0"),
        ({"groups": 4}, "a divisor of 6"),
        ({"groups": 6, "chosen_groups": 2}, "groups of two or more"),
        ({"groups": 3, "chosen_groups": 4}, "at most 3"),
        ({"groups": 3, "chosen_groups": 1, "chosen": 3}, "at most 2"),
        ({"scores": "tanh"}, "one of softmax, sigmoid, logits"),
        ({"scale": float("nan")}, "finite"),
        ({"choice": "sparse_mixer", "chosen": 3}, "sparse mixer"),
        ({"gate_bound": 0.0}, "above 0"),
        ({"identities": -1}, "0 or more"),
        ({"identities": 2, "groups": 3, "chosen_groups": 2}, "fall into groups"),
        ({"identities": 2, "chosen": 9}, "at most 8"),
    ],
)
def test_experts_that_cannot_be_are_refused(wrong, said):
    with pytest.raises(InputError) as refused:
        replace(PLAIN, **wrong)
    assert said in str(refused.value)
