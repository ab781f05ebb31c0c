"""Several devices give what one gives, and share the weights."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from parity.cases import CASES
from parity.checkpoints import write_checkpoint

from bayeslaw.errors import InputError
from inference.checkpoints.sharding import make_mesh
from inference.runs.model_list import ModelRequest
from inference.runs.options import ScoreOptions
from inference.runs.prepared import prepare_model

# Rows alone are spread in "data", weights alone in "tensor".
MESHES = ("data", "both", "tensor")


def on_meshes(folder, families, meshes=MESHES):
    """Return differences and splits on meshes of eight simulated devices."""
    here = Path(__file__).parents[2]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(here / "support"), str(here), str(here.parent)]),
        "JAX_PLATFORMS": "cpu",
    }
    command = [sys.executable, str(here / "support" / "sharded_scores.py"), str(folder), ",".join(meshes), *families]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return on_meshes(tmp_path_factory.mktemp("sharded"), ["llama"], ["data", "both"])


@pytest.mark.parametrize("mesh", ["data", "both"])
def test_meshes_give_the_scores_of_one_device(found, mesh):
    assert found[f"llama {mesh}"]["apart"] <= 1e-5


@pytest.mark.slow
def test_all_meshes_give_the_scores_of_one_device_in_several_families(tmp_path):
    families = ("llama", "gpt2", "falcon")
    found = on_meshes(tmp_path, families)
    assert {name: each["apart"] for name, each in found.items() if each["apart"] > 1e-5} == {}
    assert set(found) == {f"{family} {mesh}" for family in families for mesh in MESHES}


def test_weights_are_split_by_heads_and_columns(found):
    split = found["llama both"]["split"]
    # 4 query heads and 2 of keys and values on 4 devices: heads are kept whole.
    assert split["blocks.0.0.attention.query.weight"] == 4
    assert split["blocks.0.0.attention.key.weight"] == 1
    assert split["blocks.0.0.attention.output.weight"] == 4
    assert split["blocks.0.0.mlp.up.weight"] == split["blocks.0.0.mlp.down.weight"] == 4
    assert split["blocks.0.0.attention_norm.weight"] == 1


def test_rows_alone_leave_weights_whole(found):
    assert set(found["llama data"]["split"].values()) == {1}


@pytest.mark.slow
def test_rows_of_recurrences_may_be_spread(tmp_path):
    found = on_meshes(tmp_path, ["mamba2", "mamba", "qwen3_5_text", "kimi_linear", "rwkv", "xlstm"], ["data"])
    assert {name: each["apart"] for name, each in found.items() if each["apart"] > 1e-5} == {}


@pytest.mark.parametrize(
    ("name", "kind"), [("mamba", "mamba"), ("bamba", "mamba2"), ("lfm2", "short_convolution"), ("rwkv", "time_mixing")]
)
def test_recurrences_are_not_split(name, kind, tmp_path):
    request = ModelRequest(str(write_checkpoint(tmp_path, CASES[name])), name, "any")
    with pytest.raises(InputError, match=f"kind {kind} cannot be split over 2 devices") as refused:
        prepare_model(request, ScoreOptions(tensor_parallel=2))
    assert "--tensor-parallel" in refused.value.fix


def test_one_device_needs_no_mesh():
    assert make_mesh(jax.devices()[:1]) is None


@pytest.mark.parametrize(
    ("tensor", "said"), [(0, "tensor is 0"), (3, "cannot be split into groups"), (1.0, "tensor is 1")]
)
def test_devices_that_cannot_be_divided(tensor, said):
    with pytest.raises(InputError, match=said):
        make_mesh(jax.devices()[:1] * 4, tensor=tensor)


@pytest.mark.parametrize("devices", [[], ["cpu"], 3])
def test_what_is_no_device_is_refused(devices):
    with pytest.raises(InputError, match="devices of JAX"):
        make_mesh(devices)
