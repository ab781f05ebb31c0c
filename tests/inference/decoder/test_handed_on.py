"""What blocks hand on beside hidden states: declared by the layer plan, packed and unpacked, none for most decoders."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bayeslaw.errors import InputError
from inference.decoder.configuration import DecoderConfig
from inference.decoder.handed_on import Handed, pack, packed_width, unpack, widths_beside
from inference.decoder.layer_plan import BlockKind
from inference.decoder.rope_settings import Rope
from inference.decoder.stream_settings import AlternatingUpdates, LayerEmbeddings
from inference.decoder.transformer import Decoder

PLAIN = DecoderConfig(
    vocabulary=19, width=16, depth=5, heads=4, key_value_heads=2, head_width=4, mlp_width=24, ropes=(Rope(1e4, 4),)
)
# The second layer's keys and values serve the last three.
SHARED = replace(
    PLAIN,
    layer_mixer=("attention", "kept_attention", *("reused_attention",) * 3),
    layer_memory=(-1, 0, 0, 0, 0),
)
PARTS = (AlternatingUpdates(3), LayerEmbeddings(19, 6))


def test_most_decoders_hand_on_hidden_states_alone():
    assert widths_beside(PLAIN) == {}
    assert packed_width(PLAIN) == PLAIN.width
    x = jnp.ones((2, 3, 16))
    assert pack(PLAIN, Handed(x, {})) is x
    assert unpack(PLAIN, x) == Handed(x, {})


def test_what_is_handed_on_comes_back_from_one_array():
    config = replace(SHARED, parts=PARTS)
    widths = widths_beside(config)
    assert widths == {"streams": 32, "embeddings": 30, "keys 0": 8, "values 0": 8}
    rng = np.random.default_rng(0)
    beside = {name: jnp.asarray(rng.random((2, 3, width))) for name, width in widths.items()}
    handed = Handed(jnp.asarray(rng.random((2, 3, 16))), beside)
    packed = pack(config, handed)
    assert packed.shape == (2, 3, packed_width(config)) == (2, 3, 94)
    jax.tree.map(np.testing.assert_array_equal, unpack(config, packed), handed)


def test_layers_that_share_are_of_one_kind_and_compiled_once():
    assert [(run.first, run.unit, run.repeats) for run in SHARED.layer_plan] == [
        (0, (BlockKind("attention", "mlp"), BlockKind("kept_attention", "mlp", memory=0)), 1),
        (2, (BlockKind("reused_attention", "mlp", memory=0),), 3),
    ]


def test_layers_that_read_have_no_keys_and_move_with_those_that_they_read():
    decoder = Decoder(SHARED)
    state = nnx.state(decoder)
    rng = np.random.default_rng(1)
    filled = jax.tree.map(lambda one: jnp.asarray(0.3 * rng.standard_normal(one.shape), jnp.float32), state)
    nnx.update(decoder, filled)
    stems = {path[3:5] for path, _ in nnx.to_flat_state(state) if path[:2] == ("blocks", 1)}
    assert {stem[1] for stem in stems if stem[0] == "reused_attention"} == {"query", "output"}
    tokens = jnp.asarray(rng.integers(0, 19, (1, 7)))
    before = decoder.embed(tokens)
    assert {name: one.shape for name, one in before.beside.items()} == {"keys 0": (1, 7, 8), "values 0": (1, 7, 8)}
    whole = decoder(tokens)
    keeper = decoder.blocks[0][1].kept_attention
    # With values of zero the three layers after it mix none, and their own output is not asked for.
    keeper.value.weight[...] = jnp.zeros_like(keeper.value.weight[...])
    without = decoder(tokens)
    readers = decoder.blocks[1][0].reused_attention
    readers.output.weight[...] = jnp.zeros_like(readers.output.weight[...])
    np.testing.assert_allclose(decoder(tokens), without, atol=1e-6)
    assert np.abs(whole - without).max() > 0.1


@pytest.mark.parametrize(
    "changes",
    [
        {"layer_mixer": ("reused_attention",) * 5, "layer_memory": (0,) * 5},
        {"layer_memory": (-1, 0, 1, 1, 1)},
        {"layer_settings": ((), (), (("key_value_heads", 1),), (), ())},
    ],
)
def test_what_no_earlier_layer_hands_on_is_not_read(changes):
    with pytest.raises(InputError, match="a layer reads keys"):
        widths_beside(replace(SHARED, **changes))


def test_settings_are_those_of_their_layers():
    config = replace(PLAIN, layer_settings=((), (("mlp_width", 48),), (), (), (("mlp_width", 48),)))
    widths = [config.of_kind(kind).mlp_width for run in config.layer_plan for kind in run.unit * run.repeats]
    assert widths == [24, 48, 24, 24, 48]
    with pytest.raises(InputError, match="one kind for each of 5 layers"):
        replace(PLAIN, layer_settings=((),))


def test_rotations_of_several_widths_turn_whole_heads():
    ropes = (Rope(1e4, 4), Rope(1e6, 8, kind="proportional", share=0.5))
    heads = tuple((("head_width", width),) for width in (4, 4, 8, 4, 8))
    assert replace(PLAIN, ropes=ropes, layer_rope=(0, 0, 1, 0, 1), layer_settings=heads)
    for changes in ({"layer_rope": (0, 1, 1, 0, 1)}, {"layer_settings": (*heads[:4], ())}):
        with pytest.raises(InputError, match="the whole head width of each layer"):
            replace(PLAIN, ropes=ropes, **{"layer_rope": (0, 0, 1, 0, 1), "layer_settings": heads} | changes)


def test_rotations_of_several_widths_turn_what_layers_state():
    ropes, states = (Rope(1e4, 2), Rope(1e6, 4)), {"layer_rope": (0, 0, 1, 0, 1)}
    rotated = tuple((("rotated_width", width),) for width in (2, 2, 4, 2, 4))
    assert replace(PLAIN, ropes=ropes, layer_settings=rotated, **states)
    with pytest.raises(InputError, match="or the rotated width that it states"):
        replace(PLAIN, ropes=ropes, layer_settings=(*rotated[:3], (("rotated_width", 4),), rotated[4]), **states)


@pytest.mark.parametrize(("kind", "values"), [(AlternatingUpdates, (1,)), (LayerEmbeddings, (0, 4))])
def test_settings_that_cannot_be_are_told(kind, values):
    with pytest.raises(InputError, match=kind.__name__):
        kind(*values)
