#!/usr/bin/env bash
# nutpie's `energy` lies below the potential energy of its own draw.
#
# Expected: energy = -logp + kinetic energy, and a kinetic energy is never negative.
# Seen: for five normals with standard deviation 0.001, energy + logp is near -32 and negative in every draw (near +37
# for 1000): the sampler works in rescaled coordinates and its energy contains the logarithm of their volume, 5 log 1000,
# while the `logp` stored beside it does not.
# Versions: nutpie 0.16.11, pymc 6.4.0.
# Matters to: who compares energies between chains (each has its own scales), between samplers or with `logp`, or checks
# a fit by the sign of the kinetic energy. BFMI, made of differences within a chain, is not touched.
# Instead: subtract each chain's mean before an energy plot, and take the density from `logp`.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
packages=("nutpie==0.16.11" "pymc==6.4.0" "numba==0.68.0")
if uv --version >/dev/null 2>&1; then
  "${PYTHON:-python3}" -m venv --without-pip "$folder/venv"
  uv --directory "$folder" pip install --quiet --python "$folder/venv/bin/python" "${packages[@]}"
else
  "${PYTHON:-python3}" -m venv "$folder/venv"
  "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "${packages[@]}"
fi

cd "$folder"
venv/bin/python - <<'PYTHON'
from importlib.metadata import version

import numpy as np
import nutpie
import pymc

with pymc.Model() as model:
    pymc.Normal("x", 0, 0.001, shape=5)
print("nutpie", version("nutpie"), "pymc", pymc.__version__)
tree = nutpie.sample(
    nutpie.compile_pymc_model(model), draws=300, tune=500, chains=2, cores=1, seed=1, progress_bar=False
)
x = tree.posterior["x"].values
density = (-0.5 * (x / 0.001) ** 2 + np.log(1000) - 0.5 * np.log(2 * np.pi)).sum(-1)
logp, energy = tree.sample_stats["logp"].values, tree.sample_stats["energy"].values
kinetic = energy + logp
print("logp is the density of the draw:", np.allclose(logp, density))
print("mean of energy + logp by chain:", kinetic.mean(1), "largest:", kinetic.max())
print("mean after adding 5 log 1000:", (kinetic + 5 * np.log(1000)).mean(1), "(half of 5 dimensions is 2.5)")
assert np.allclose(logp, density)
assert kinetic.max() < 0
assert np.allclose((kinetic + 5 * np.log(1000)).mean(1), 2.5, atol=1.5)
PYTHON
