"""What configurations of families with linear attention say on the hub, and what their parameters add up to."""

import json
import math

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from parity.cases import CASES
from parity.checkpoints import write_checkpoint
from parity.stored import tensor_shapes

from bayeslaw.errors import InputError
from inference.checkpoints.checkpoint import open_checkpoint
from inference.checkpoints.checkpoint_config import read_decoder_config
from inference.decoder.expert_settings import Experts
from inference.decoder.halving import Halving
from inference.decoder.parameter_totals import parameter_counts
from inference.decoder.transformer import Decoder

# As the makers of these models write them.
KERNELS = {"chunkwise_kernel": "chunkwise--triton_xl_chunk", "sequence_kernel": "native_sequence__triton"}
KERNELS |= {"step_kernel": "triton", "mode": "train_with_padding"}
KIMI_LAYERS = {"kda_layers": [1, 2, 4], "full_attn_layers": [3]}
KIMI_SIZES = {"head_dim": 16, "num_heads": 4, "short_conv_kernel_size": 4}


def read_with(folder, name, without=(), **fields):
    """Return the decoder of a case with fields of its configuration taken away and added."""
    write_checkpoint(folder, CASES[name])
    file = folder / "config.json"
    kept = {key: value for key, value in json.loads(file.read_text()).items() if key not in without}
    file.write_text(json.dumps(kept | fields))
    return read_decoder_config(open_checkpoint(folder))


def test_kernels_of_an_outside_package_change_nothing(tmp_path):
    assert read_with(tmp_path / "hub", "xlstm", **KERNELS) == read_with(tmp_path / "plain", "xlstm")


def test_a_kimi_of_the_hub_lists_its_layers_in_a_part(tmp_path):
    fields = ("layer_types", "linear_head_dim", "linear_num_heads", "linear_conv_kernel_dim", "mlp_layer_types")
    hub = read_with(
        tmp_path / "hub",
        "kimi_linear",
        without=fields,
        linear_attn_config=KIMI_LAYERS | KIMI_SIZES,
        first_k_dense_replace=1,
        mla_use_nope=True,
        rope_theta=10000.0,
        rope_scaling=None,
        moe_router_activation_func="sigmoid",
    )
    assert hub == read_with(tmp_path / "plain", "kimi_linear")


@pytest.mark.parametrize("part", [{"head_dim": 10**9}, {"num_heads": "4"}, {"kda_layers": [0.5]}, {"kda_layers": [9]}])
def test_values_of_that_part_are_looked_at(part, tmp_path):
    with pytest.raises(InputError):
        read_with(tmp_path, "kimi_linear", without=("layer_types",), linear_attn_config=KIMI_LAYERS | KIMI_SIZES | part)


@pytest.mark.parametrize("name", ["kimi_linear", "rwkv", "xlstm", "lfm3"])
def test_parameters_are_those_stored(name, tmp_path):
    config = read_decoder_config(open_checkpoint(write_checkpoint(tmp_path, CASES[name])))
    counts = parameter_counts(nnx.eval_shape(lambda: Decoder(config)))
    shapes = tensor_shapes(name)
    assert counts["total"] == sum(math.prod(shape) for shape in shapes.values())
    idle = 0
    if "experts" in config.layer_feed_forward:
        experts = config.part(Experts)
        layers = config.layer_feed_forward.count("experts")
        idle = layers * (experts.count - experts.chosen) * 3 * experts.width * config.width
    assert counts["active"] == counts["total"] - idle


def test_halves_are_exact():
    x = np.random.default_rng(0).standard_normal(7).astype(np.float32)
    for layers, halves in ((0, 0), (1, 0), (2, 1), (3, 1), (8, 4)):
        np.testing.assert_array_equal(Halving(2).after(jnp.asarray(x), layers), x / np.float32(2**halves))
