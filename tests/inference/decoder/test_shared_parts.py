"""Weights that layers share are in memory once, counted once, and asked for under the first layer that has them."""

import math
from dataclasses import replace

import pytest
from flax import nnx
from parity.cases import CASES
from parity.checkpoints import write_checkpoint
from parity.stored import tensor_shapes

from bayeslaw.errors import InputError
from inference.checkpoints.checkpoint import open_checkpoint
from inference.checkpoints.checkpoint_config import read_decoder_config
from inference.checkpoints.decoder_parts import decoder_parts
from inference.decoder.layer_plan import SHARED, sharers
from inference.decoder.parameter_totals import parameter_counts
from inference.decoder.shared_parts import shared_parts
from inference.decoder.transformer import Decoder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return open_checkpoint(write_checkpoint(tmp_path_factory.mktemp("shared"), CASES["zamba2"]))


@pytest.fixture(scope="module")
def config(checkpoint):
    return read_decoder_config(checkpoint)


def test_shared_weights_are_held_and_counted_once(config):
    decoder = nnx.eval_shape(lambda: Decoder(config))
    counts = parameter_counts(decoder)
    assert counts["total"] == counts["active"] == sum(math.prod(shape) for shape in tensor_shapes("zamba2").values())
    width, inside = config.width, config.mlp_width
    heads = config.heads * config.head_width
    one = 3 * 2 * width * heads + heads * width + 3 * inside * width + 3 * width
    held = [variable for path, variable in nnx.to_flat_state(nnx.state(decoder)) if path[0] == SHARED]
    assert sum(math.prod(variable.shape) for variable in held) == 2 * one


def test_layers_take_turns_with_what_is_shared(config):
    assert config.layer_memory == (-1, 0, 1, 0, -1, 1, 0)
    assert [sharers(config.layer_plan, memory) for memory in (0, 1, 2)] == [[1, 3, 6], [2, 5], []]


def test_each_layer_reads_what_it_shares_where_layers_are_read_one_by_one(checkpoint, config):
    parts = decoder_parts(checkpoint)
    first = {}
    for part in parts:
        names = {source.name for one in part.parameters if one.path[0] == SHARED for source in one.pieces[0].sources}
        if part.layer is not None:
            assert bool(names) == (config.layer_memory[part.layer] >= 0)
            first[part.layer] = {name.split(".layers.")[1].split(".")[0] for name in names}
        else:
            assert not names
    assert first == {0: set(), 1: {"1"}, 2: {"2"}, 3: {"1"}, 4: set(), 5: {"2"}, 6: {"1"}}


def test_memories_are_numbered_without_gaps(config):
    gap = tuple(2 if memory == 1 else memory for memory in config.layer_memory)
    with pytest.raises(InputError, match="memory of layers that share weights"):
        shared_parts(replace(config, layer_memory=gap))
