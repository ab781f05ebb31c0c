#!/usr/bin/env bash
# On a CPU `jax.lax.top_k` leaves out the NaN that arithmetic makes, and tells 0.0 from -0.0.
#
# Expected: `top_k` orders as `sort`, `argmax` and `max` of the same library do: a NaN counts as largest and so shows in
# the result, and of equal values, -0.0 and 0.0 among them, the one with the lower index comes first.
# Seen: `top_k` orders by sign bit. What 0 / 0, log(-1) or inf - inf give on this processor is a NaN whose sign bit is
# set, which comes last: the result holds ordinary numbers alone. `jnp.nan` itself, whose sign bit is not set, comes
# first. 0.0 comes before a -0.0 of lower index.
# Version: jax 0.12.0.1 on a CPU of the x86-64 kind (elsewhere arithmetic may give a NaN of the other sign).
# Matters to: who chooses experts, tokens or beams by scores: a score that failed is passed over in silence.
# Instead: look for NaN before, or sort by `jnp.argsort`.
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

print("jax", jax.__version__)
zero = jnp.zeros(())
made = {"0 / 0": zero / zero, "log(-1)": jnp.log(zero - 1), "inf - inf": 1 / zero - 1 / zero}
for name, value in made.items():
    scores = jnp.array([1.0, 3.0, 2.0]).at[1].set(value)
    best, places = jax.lax.top_k(scores, 2)
    print(f"scores {scores} with {name} second: top_k {best} at {places}, max {scores.max()}, sorted {jnp.sort(scores)}")
    assert np.isnan(value)
    assert np.signbit(value)
    assert places.tolist() == [2, 0]
    assert int(jnp.argmax(scores)) == 1
    assert np.isnan(jnp.sort(scores)[-1])

best, places = jax.lax.top_k(jnp.array([1.0, jnp.nan, 2.0]), 2)
print(f"with jnp.nan second: top_k {best} at {places}")
assert places.tolist() == [1, 2]

zeros = jnp.array([-0.0, 0.0, -0.0, 0.0])
places = jax.lax.top_k(zeros, 2)[1]
print(f"of {zeros} the top two are at {places}, and the largest is at {jnp.argmax(zeros)}")
assert places.tolist() == [1, 3]
assert int(jnp.argmax(zeros)) == 0
PYTHON
