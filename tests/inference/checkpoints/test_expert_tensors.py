"""Experts of a checkpoint: one by one or joined, whole or refused by name."""

import json

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

FIRST = "model.layers.0.block_sparse_moe.experts."


def changed(folder, change):
    """Return Mixtral's checkpoint with its tensors changed."""
    write_checkpoint(folder, CASES["mixtral"])
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")
    return open_checkpoint(folder)


def test_a_missing_expert_is_named(tmp_path):
    def change(tensors):
        del tensors[f"{FIRST}3.w1.weight"]
        del tensors["model.layers.2.block_sparse_moe.experts.0.w2.weight"]

    with pytest.raises(InputError, match="not those of a mixtral") as refused:
        check_tensors(changed(tmp_path, change))
    names = ("layers.2.block_sparse_moe.experts.0.w2.weight", "layers.0.block_sparse_moe.experts.3.w1.weight")
    assert f"2 missing: {', '.join(names)}" in str(refused.value)


def test_experts_of_unequal_shapes_are_named(tmp_path):
    def change(tensors):
        for name, axis in (("w1", 0), ("w3", 0), ("w2", 1)):
            tensor = f"{FIRST}4.{name}.weight"
            tensors[tensor] = np.ascontiguousarray(np.delete(tensors[tensor], 0, axis))

    with pytest.raises(InputError) as refused:
        check_tensors(changed(tmp_path, change))
    assert f"{FIRST}4.w1.weight is [23, 32], expected [24, 32]" in str(refused.value)
    assert "3 not as expected" in str(refused.value)


def test_more_experts_than_the_configuration_has_are_unused(tmp_path):
    checkpoint = changed(tmp_path, lambda tensors: tensors.update({f"{FIRST}5.w1.weight": np.zeros((24, 32), "f4")}))
    with pytest.raises(InputError, match=r"1 unused: .*experts\.5\.w1\.weight"):
        check_tensors(checkpoint)


def test_fewer_experts_than_the_configuration_has_are_missing(tmp_path):
    write_checkpoint(tmp_path, CASES["mixtral"])
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_local_experts": 7}))
    with pytest.raises(
        InputError, match=r"(?s)18 missing: .*experts\.5\.w1\.weight.*not as expected: .*gate\.weight is \[5"
    ):
        check_tensors(open_checkpoint(tmp_path))


@pytest.mark.parametrize("value", [-1, 2.5, "8", True, 10**9])
def test_numbers_of_experts_that_cannot_be_are_refused(value, tmp_path):
    write_checkpoint(tmp_path, CASES["mixtral"])
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_local_experts": value}))
    with pytest.raises(InputError, match="num_local_experts is"):
        check_tensors(open_checkpoint(tmp_path))


def test_experts_may_be_joined_in_one_tensor(tmp_path):
    """As transformers names them in memory: gate and up of all experts in one tensor."""

    def change(tensors):
        for layer in range(3):
            base = f"model.layers.{layer}.block_sparse_moe."
            one = {w: [tensors.pop(f"{base}experts.{i}.{w}.weight") for i in range(5)] for w in ("w1", "w2", "w3")}
            joined = [np.concatenate([gate, up]) for gate, up in zip(one["w1"], one["w3"], strict=True)]
            tensors[f"model.layers.{layer}.mlp.experts.gate_up_proj"] = np.stack(joined)
            tensors[f"model.layers.{layer}.mlp.experts.down_proj"] = np.stack(one["w2"])

    decoder = load_decoder(changed(tmp_path, change))
    experts = decoder.blocks[0][0].experts
    for layer, number in ((0, 0), (2, 4)):
        for part, name in (("gate", "w1"), ("up", "w3"), ("down", "w2")):
            tensor = f"model.layers.{layer}.block_sparse_moe.experts.{number}.{name}.weight"
            stored = seeded_tensor("mixtral", tensor, tensor_shapes("mixtral")[tensor])
            np.testing.assert_array_equal(getattr(experts, part).weight[layer, number], stored)


def test_layers_that_predict_further_tokens_are_no_part_of_a_score(tmp_path):
    extra = np.zeros((32, 64), np.float32)
    further = {"model.layers.3.eh_proj.weight": extra}
    check_tensors(open_checkpoint(write_checkpoint(tmp_path / "one", CASES["glm4_moe"], extra=further)))
    beyond = write_checkpoint(tmp_path / "two", CASES["glm4_moe"], extra={"model.layers.4.eh_proj.weight": extra})
    with pytest.raises(InputError, match=r"1 unused: model\.layers\.4"):
        check_tensors(open_checkpoint(beyond))
