#!/usr/bin/env bash
# safetensors saves float8 arrays from NumPy and JAX, and cannot read them back with either.
#
# Expected: what `safetensors.numpy` writes it reads; bfloat16, from the same ml_dtypes package, goes both ways.
# Seen: `save_file` takes ml_dtypes' float8 types and writes F8_E4M3; `load_file` and `safe_open` with "numpy" or "flax"
# end in `AttributeError: module 'numpy' has no attribute 'float8_e4m3fn'`.
# Versions: safetensors 0.8.0, ml_dtypes 0.6.0, numpy 2.5.5.
# Matters to: who scores or serves FP8 checkpoints without PyTorch, or converts one in a long job and looks later.
# Instead: read the header and the bytes oneself and view them as ml_dtypes' type, as below.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
packages=("safetensors==0.8.0" "ml_dtypes==0.6.0" "numpy==2.5.5" "jax==0.12.0.1")
if uv --version >/dev/null 2>&1; then
  "${PYTHON:-python3}" -m venv --without-pip "$folder/venv"
  uv --directory "$folder" pip install --quiet --python "$folder/venv/bin/python" "${packages[@]}"
else
  "${PYTHON:-python3}" -m venv "$folder/venv"
  "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "${packages[@]}"
fi

cd "$folder"
JAX_PLATFORMS=cpu venv/bin/python - <<'PYTHON'
import json
from pathlib import Path

import ml_dtypes
import numpy as np
import safetensors
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

print("safetensors", safetensors.__version__, "ml_dtypes", ml_dtypes.__version__)
brain = np.array([1, 0.5], ml_dtypes.bfloat16)
save_file({"weight": brain}, "brain.safetensors")
assert load_file("brain.safetensors")["weight"].dtype == brain.dtype
print("bfloat16 comes back")
weight = np.array([1, 0.5, 448], ml_dtypes.float8_e4m3fn)
save_file({"weight": weight}, "small.safetensors")
readers = {
    "load_file": lambda: load_file("small.safetensors"),
    "safe_open numpy": lambda: safe_open("small.safetensors", "numpy").get_tensor("weight"),
    "safe_open flax": lambda: safe_open("small.safetensors", "flax").get_tensor("weight"),
}
for name, read in readers.items():
    try:
        answer = read()
    except AttributeError as error:
        answer = error
    print(f"{name}: {answer!r}")
    assert isinstance(answer, AttributeError) and "float8_e4m3fn" in str(answer)
data = Path("small.safetensors").read_bytes()
start = 8 + int.from_bytes(data[:8], "little")
entry = json.loads(data[8:start])["weight"]
first, last = entry["data_offsets"]
values = np.frombuffer(data[start + first : start + last], ml_dtypes.float8_e4m3fn)
print("read by hand:", entry["dtype"], values)
assert entry["dtype"] == "F8_E4M3" and np.array_equal(values, weight)
PYTHON
