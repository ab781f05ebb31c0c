#!/usr/bin/env bash
# safetensors stores a transposed NumPy array with its values in the wrong places.
#
# Expected: an array comes back as it was, or is refused: the PyTorch side of the same package refuses tensors that are
# not contiguous.
# Seen: `safetensors.numpy.save` and `save_file` write the memory as it lies under the logical shape. A transposed or
# Fortran-ordered weight (what `.T`, `np.asfortranarray` and a pivot of a data frame return) comes back scrambled, with
# the right shape and type and no word. The docstring does ask for contiguous arrays; nothing checks it.
# Version: safetensors 0.8.0.
# Matters to: who converts checkpoints between layouts that keep (in, out) and (out, in) weights.
# Instead: `np.ascontiguousarray` around every array that is saved.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
packages=("safetensors==0.8.0" "numpy==2.5.5")
if uv --version >/dev/null 2>&1; then
  "${PYTHON:-python3}" -m venv --without-pip "$folder/venv"
  uv --directory "$folder" pip install --quiet --python "$folder/venv/bin/python" "${packages[@]}"
else
  "${PYTHON:-python3}" -m venv "$folder/venv"
  "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "${packages[@]}"
fi

cd "$folder"
venv/bin/python - <<'PYTHON'
import numpy as np
import safetensors
from safetensors.numpy import load, save

weight = np.arange(6, dtype=np.float32).reshape(2, 3)
print("safetensors", safetensors.__version__)
for name, array in {"transposed": weight.T, "Fortran order": np.asfortranarray(weight)}.items():
    back = load(save({"weight": array}))["weight"]
    print(f"{name}: saved {array.tolist()}, loaded {back.tolist()}")
    assert back.shape == array.shape and back.dtype == array.dtype
    assert sorted(back.ravel()) == sorted(array.ravel())
    assert not np.array_equal(back, array)
    copied = load(save({"weight": np.ascontiguousarray(array)}))["weight"]
    assert np.array_equal(copied, array)
print("np.ascontiguousarray first: loaded as saved")
PYTHON
