#!/usr/bin/env bash
# Appending losses to a Zarr store with xarray rounds them if the store began with whole numbers.
#
# Expected: `to_zarr(append_dim=...)` refuses an array of another type, as it does for strings of another length.
# Seen: floating point appended to a variable stored as int64 is rounded to the nearest whole number, and float64
# appended to float32 overflows to inf. No error; the one warning for the rounding is about a missing fill value and does
# not say that values change. Only the types of strings are compared.
# Versions: xarray 2026.9.0, zarr 3.4.2.
# Matters to: who grows a table of losses or token counts batch by batch: the first batch sets the type of all.
# Instead: fix the type before the first write (`astype(float)`), and compare `dtype` before each append.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
packages=("xarray==2026.9.0" "zarr==3.4.2" "numpy==2.5.5")
if uv --version >/dev/null 2>&1; then
  "${PYTHON:-python3}" -m venv --without-pip "$folder/venv"
  uv --directory "$folder" pip install --quiet --python "$folder/venv/bin/python" "${packages[@]}"
else
  "${PYTHON:-python3}" -m venv "$folder/venv"
  "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "${packages[@]}"
fi

cd "$folder"
venv/bin/python - <<'PYTHON'
import warnings

import numpy as np
import xarray as xr
import zarr

print("xarray", xr.__version__, "zarr", zarr.__version__)


def appended(name, first, second):
    xr.Dataset({"x": ("sample", first)}).to_zarr(name)
    xr.Dataset({"x": ("sample", second)}).to_zarr(name, append_dim="sample")
    return xr.open_zarr(name, chunks=None).x.values


with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    whole = appended("whole.zarr", [3, 4], [1.5, 2.25])
    single = appended("single.zarr", np.array([1.0], np.float32), [1e300])
told = {str(warning.message) for warning in caught if "onsolidated" not in str(warning.message)}
print("3, 4 then 1.5, 2.25:", whole)
print("float32 1 then float64 1e300:", single)
print("warnings:", told)
warnings.simplefilter("ignore")
try:
    answer = appended("text.zarr", ["a"], ["longer"])
except ValueError as error:
    answer = error
print("strings:", repr(answer))
assert whole.tolist() == [3, 4, 2, 2] and whole.dtype == np.int64
assert not any("round" in text or "trunc" in text for text in told)
assert single[1] == np.inf
assert isinstance(answer, ValueError)
PYTHON
