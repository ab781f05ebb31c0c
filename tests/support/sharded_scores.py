"""Run with eight simulated devices: scores on meshes beside those on one device, as JSON."""

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"

import jax
import numpy as np
from flax import nnx
from parity.cases import CASES
from parity.checkpoints import write_checkpoint

from inference.checkpoints.checkpoint import open_checkpoint
from inference.checkpoints.sharding import make_mesh
from inference.checkpoints.weights import load_decoder
from inference.decoder.parameter_totals import parameter_counts
from inference.scoring.language_models import LanguageModel
from inference.scoring.scores import token_log_probabilities

MESHES = {"data": 1, "both": 4, "tensor": 8}


def scores(folder: Path, name: str, mesh: object) -> tuple[list[np.ndarray], dict[str, int]]:
    decoder = load_decoder(open_checkpoint(folder), mesh=mesh)
    counts = dict(parameter_counts(decoder))
    model = LanguageModel(decoder, SimpleNamespace(prefix=1), name, None, name, "float32", counts, mesh)
    generator = np.random.default_rng(0)
    lengths, vocabulary = (24, 40, 32, 24, 32), decoder.config.vocabulary
    texts = [SimpleNamespace(ids=generator.integers(0, vocabulary, one).astype(np.int32)) for one in lengths]
    split = {}
    for path, variable in nnx.to_flat_state(nnx.state(decoder)):
        shards = {shard.data.shape for shard in variable[...].addressable_shards}
        split[".".join(map(str, path))] = variable[...].size // int(np.prod(next(iter(shards))))
    return token_log_probabilities(model, texts, window=24, stride=8, batch_tokens=96), split


def main(folder: Path, meshes: list[str], names: list[str]) -> None:
    assert len(jax.devices()) == 8
    jax.config.update("jax_disable_most_optimizations", True)
    found = {}
    for name in names:
        place = write_checkpoint(folder / name.replace("/", "-"), CASES[name])
        alone, _ = scores(place, name, None)
        for label in meshes:
            spread, split = scores(place, name, make_mesh(tensor=MESHES[label]))
            apart = max(float(np.abs(a - b).max()) for a, b in zip(alone, spread, strict=True))
            found[f"{name} {label}"] = {"apart": apart, "split": split}
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2].split(","), sys.argv[3:])
