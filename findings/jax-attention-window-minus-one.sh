#!/usr/bin/env bash
# -1 for "no limit" makes JAX's attention average over all tokens, causal or not.
#
# Expected: `local_window_size=(-1, -1)`, the way to say "no window" in FlashAttention's interface and in configurations
# made for it, leaves the attention as it is; or is refused.
# Seen: `jax.nn.dot_product_attention` takes it as an empty window and gives every query the plain mean of all values,
# later ones included, even with `is_causal=True`. (-1, 0) does the same.
# Version: jax 0.12.0.1, implementation "xla".
# Matters to: who ports a decoder or reads its window from a configuration: losses are finite and merely bad, and the
# causal mask is gone.
# Instead: pass `None` for no window, and map -1 to it.
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

query, key = jax.random.normal(jax.random.key(0), (2, 1, 6, 1, 4))
value = jnp.arange(6.0)[None, :, None, None]


def attend(window, causal):
    output = jax.nn.dot_product_attention(
        query, key, jnp.broadcast_to(value, key.shape), is_causal=causal, local_window_size=window, implementation="xla"
    )
    return np.asarray(output[0, :, 0, 0])


print("jax", jax.__version__)
for causal in (False, True):
    for window in (None, (5, 5), (-1, -1), (-1, 0)):
        print(f"causal {causal}, window {window}:", attend(window, causal).round(3))
    assert np.allclose(attend((5, 5), causal), attend(None, causal))
    assert np.allclose(attend((-1, -1), causal), 2.5, atol=1e-5)
    assert np.allclose(attend((-1, 0), causal), 2.5, atol=1e-5)
assert attend(None, True)[0] == 0
PYTHON
