"""Parameters whose rows lie in several tensors, and parts of tensors that hold rows of several."""

import numpy as np
import pytest
from parity.cases import CASES
from parity.checkpoints import write_checkpoint
from parity.seeded import seeded_tensor
from parity.stored import tensor_shapes
from safetensors.numpy import load_file, save_file

from bayeslaw.errors import InputError
from inference.checkpoints.checkpoint import open_checkpoint
from inference.checkpoints.weights import check_tensors, load_decoder
from inference.decoder.stored_layouts import HeadRows

NETWORK = "model.layers.1.linear_attn."


def stored(part):
    name = f"{NETWORK}{part}"
    return seeded_tensor("olmo_hybrid", name, tensor_shapes("olmo_hybrid")[name])


def network(folder):
    """Return the second layer's gated delta network of a checkpoint in a folder."""
    run, place = load_decoder(open_checkpoint(folder)).blocks[0], 0
    return run[place].gated_delta


def changed(folder, change):
    write_checkpoint(folder, CASES["olmo_hybrid"])
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")
    return folder


def test_rows_follow_each_other(tmp_path):
    found = network(write_checkpoint(tmp_path, CASES["olmo_hybrid"]))
    expected = np.concatenate([stored(f"{part}_proj.weight") for part in "qkv"])
    np.testing.assert_array_equal(found.projection.mixed.weight[1], expected)
    convolutions = np.concatenate([stored(f"{part}_conv1d.weight") for part in "qkv"])
    np.testing.assert_array_equal(found.convolution.weight[1], convolutions)


def test_convolutions_may_be_cut_anywhere(tmp_path):
    def change(tensors):
        whole = np.concatenate([tensors[f"{NETWORK}{part}_conv1d.weight"] for part in "qkv"])
        for part, rows in zip("qkv", np.split(whole, (1, 5)), strict=True):
            tensors[f"{NETWORK}{part}_conv1d.weight"] = np.ascontiguousarray(rows)

    found = network(changed(tmp_path, change))
    convolutions = np.concatenate([stored(f"{part}_conv1d.weight") for part in "qkv"])
    np.testing.assert_array_equal(found.convolution.weight[1], convolutions)


@pytest.mark.parametrize(
    ("part", "said"), [("v_conv1d", "rows, expected"), ("q_proj", r"q_proj\.weight is \[\d+, 32\]")]
)
def test_rows_that_are_too_few_are_named(part, said, tmp_path):
    def change(tensors):
        name = f"{NETWORK}{part}.weight"
        tensors[name] = np.ascontiguousarray(tensors[name][1:])

    with pytest.raises(InputError, match=said):
        check_tensors(open_checkpoint(changed(tmp_path, change)))


def test_one_that_is_missing_is_named(tmp_path):
    folder = changed(tmp_path, lambda tensors: tensors.pop(f"{NETWORK}k_conv1d.weight"))
    with pytest.raises(InputError, match=r"missing: layers\.1\.linear_attn\.k_conv1d\.weight"):
        check_tensors(open_checkpoint(folder))


def test_rows_of_heads_are_taken_apart():
    # Two heads of three rows each in either of two maps.
    rows = np.arange(12)[:, None] * np.ones((1, 5))
    assert HeadRows("any", 0, 2).take(rows, 2)[:, 0].tolist() == [0, 1, 2, 6, 7, 8]
    assert HeadRows("any", 1, 2).take(rows, 2)[:, 0].tolist() == [3, 4, 5, 9, 10, 11]
    assert HeadRows("any", 1, 2).stored_shape((6, 5)) == (12, 5)
