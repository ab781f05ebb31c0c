"""Blocks of different kinds in one decoder: each layer is of its kind, with its numbers and its weights."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bayeslaw.errors import InputError
from inference.decoder.configuration import DecoderConfig
from inference.decoder.feed_forwards import FEED_FORWARDS
from inference.decoder.feed_forwards.mlp import MLP
from inference.decoder.layer_plan import place_of
from inference.decoder.residual_factors import ResidualFactors
from inference.decoder.rope_settings import Rope
from inference.decoder.stream_settings import LowRankResidual
from inference.decoder.transformer import Decoder

HEADS: dict[str, Any] = {"heads": 2, "key_value_heads": 2, "head_width": 8}
SIZES: dict[str, Any] = {"vocabulary": 19, "width": 16, "mlp_width": 24} | HEADS
# One layer without a mixer, then a unit of two that comes twice, and windows that differ between layers.
PLAIN = DecoderConfig(**SIZES, depth=5, ropes=(Rope(1e4, 8),), layer_window=(0, 3, 0, 2, 4))
MIXED = replace(PLAIN, layer_feed_forward=("mlp", "twice", "none", "twice", "none"))


class Twice(MLP):
    """An MLP of which all is added twice."""

    def __call__(self, x):
        return 2 * super().__call__(x)


@pytest.fixture(autouse=True)
def twice(monkeypatch):
    monkeypatch.setitem(FEED_FORWARDS, "twice", Twice)


def filled(config, values):
    """Return a decoder whose parameters are those of layers by stem, from a function of stem, leaf and layer."""
    decoder = Decoder(config)
    weights = {}
    for path, variable in nnx.to_flat_state(nnx.state(decoder)):
        place = place_of(path, config.layer_plan)
        shape = variable.shape
        stacked = [values(place, layer, shape[1:]) for layer in place.layers or ()] or values(place, None, shape)
        weights[path] = variable.replace(jnp.asarray(np.asarray(stacked)))
    nnx.update(decoder, nnx.from_flat_state(weights))
    return decoder


def seeded(place, layer, shape):
    part = "mlp" if place.stem[0] == "twice" else place.stem[0]
    seed = [*"".join((part, *place.stem[1:], place.leaf)).encode(), 0 if layer is None else 1 + layer]
    return 0.3 * np.random.default_rng(seed).standard_normal(shape, np.float32)


def test_each_layer_is_of_its_kind():
    assert [(run.first, len(run.unit), run.repeats) for run in MIXED.layer_plan] == [(0, 1, 1), (1, 2, 2)]

    def as_plain(place, layer, shape):
        """Give a decoder of MLPs alone the weights with which it does what the mixed one does."""
        values = seeded(place, layer, shape)
        if place.stem != ("mlp", "down") or layer in (None, 0):
            return values
        return 2 * values if MIXED.layer_feed_forward[layer] == "twice" else 0 * values

    tokens = jnp.asarray(np.random.default_rng(0).integers(0, 19, (2, 9)))
    mixed, plain = filled(MIXED, seeded), filled(PLAIN, as_plain)
    np.testing.assert_allclose(mixed(tokens), plain(tokens), atol=1e-5)
    assert np.abs(filled(PLAIN, seeded)(tokens) - plain(tokens)).max() > 0.1


def test_a_layer_without_a_part_has_neither_weights_nor_norm():
    stems = {path[3] for path, _ in nnx.to_flat_state(nnx.state(Decoder(MIXED))) if path[:3] == ("blocks", 1, 1)}
    assert stems == {"attention", "attention_norm"}
    without = replace(PLAIN, layer_mixer=("none",) * 5)
    stems = {path[3] for path, _ in nnx.to_flat_state(nnx.state(Decoder(without))) if path[0] == "blocks"}
    assert stems == {"mlp", "mlp_norm"}


def test_uniform_layers_are_compiled_once():
    def operations(depth):
        config = replace(PLAIN, depth=depth, layer_window=())
        graph, state = nnx.split(nnx.eval_shape(lambda: Decoder(config)))
        traced = jax.make_jaxpr(lambda state, tokens: nnx.merge(graph, state)(tokens))(state, jnp.zeros((1, 8), int))
        return str(traced).count("dot_general")

    assert operations(2) == operations(12)


@pytest.mark.parametrize("field", ["layer_mixer", "layer_feed_forward"])
def test_kinds_are_known_and_one_for_each_layer(field):
    with pytest.raises(InputError, match="atention"):
        Decoder(replace(PLAIN, **{field: ("atention",) * 5}))
    with pytest.raises(InputError, match="one kind for each of 5 layers"):
        replace(PLAIN, **{field: ("none",) * 4})


def test_parts_are_found_by_their_class():
    rope = Rope(1e4, 8)
    assert replace(PLAIN, parts=("other", rope)).part(Rope) is rope
    with pytest.raises(InputError, match="need Rope"):
        PLAIN.part(Rope)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"parts": (ResidualFactors(feed_forward=(1.0, 0.5)),), "placement": "post"}, "factors on residual additions"),
        ({"parts": (ResidualFactors(by_depth=True),), "residual": "parallel"}, "factors on residual additions"),
        ({"parts": (LowRankResidual(4),), "placement": "shared"}, "map of low rank"),
        ({"parts": (LowRankResidual(4),), "residual": "parallel"}, "map of low rank"),
        ({"residual_scale": 0.5, "placement": "shared"}, "scale of residual additions"),
    ],
)
def test_what_residual_additions_would_pass_over_is_refused(changed, said):
    with pytest.raises(InputError, match=said):
        nnx.eval_shape(lambda: Decoder(replace(PLAIN, **changed)))
