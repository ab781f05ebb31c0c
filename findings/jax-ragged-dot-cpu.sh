#!/usr/bin/env bash
# On a CPU `jax.lax.ragged_dot` multiplies every row with the weights of every group, and holds all of these at once.
#
# Expected: `ragged_dot` is the product for mixtures of experts: rows sorted by expert, each multiplied with the weights
# of its expert alone, so that its cost depends on the rows and not on how many experts there are.
# Seen: the compiled program for 64 groups counts 64 times the operations of that for one group, and as many times the
# temporary memory, though the rows are the same.
# Version: jax 0.12.0.1 on a CPU.
# Matters to: who scores or tests a mixture of experts without an accelerator.
# Instead: a loop over experts with a slice of the sorted rows each, in tiles of a fixed size.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
packages=("jax==0.12.0.1" "numpy==2.5.5")
if uv --version >/dev/null 2>&1; then
  "${PYTHON:-python3}" -m venv --without-pip "$folder/venv"
  uv --directory "$folder" pip install --quiet --python "$folder/venv/bin/python" "${packages[@]}"
else
  "${PYTHON:-python3}" -m venv "$folder/venv"
  "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "${packages[@]}"
fi

cd "$folder"
JAX_PLATFORMS=cpu venv/bin/python - <<'PYTHON'
import jax
import jax.numpy as jnp
import numpy as np

ROWS, INPUTS, OUTPUTS = 256, 64, 64
NEEDED = 2 * ROWS * INPUTS * OUTPUTS


def compiled(groups):
    x = jax.random.normal(jax.random.key(0), (ROWS, INPUTS))
    weights = jax.random.normal(jax.random.key(1), (groups, INPUTS, OUTPUTS))
    sizes = jnp.full(groups, ROWS // groups)
    program = jax.jit(jax.lax.ragged_dot).lower(x, weights, sizes).compile()
    each = x.reshape(groups, -1, INPUTS) @ weights
    assert np.allclose(program(x, weights, sizes), each.reshape(ROWS, OUTPUTS), atol=1e-4)
    return program.cost_analysis()["flops"] / NEEDED, program.memory_analysis().temp_size_in_bytes


print("jax", jax.__version__)
seen = {groups: compiled(groups) for groups in (1, 8, 64)}
for groups, (times, temporary) in seen.items():
    print(f"{groups} groups: {times:.1f} times the operations needed, {temporary / 2**20:.2f} MiB of temporary memory")
assert seen[1][0] < 1.1
assert seen[64][0] > 60
assert seen[64][1] > 40 * seen[1][1]
PYTHON
