#!/usr/bin/env bash
# A model's name taken from a coordinate cannot be stored as an attribute with h5netcdf.
#
# Expected: a NumPy string is a `str` (`isinstance` says so), so an attribute may be one; xarray's own check lets it by.
# Seen: `attrs={"best": table.lm.values[0]}` saves with the netCDF4 engine and to Zarr, and ends with h5netcdf in
# `TypeError: No conversion path for dtype`, which names no attribute, and leaves a file behind that opens as an
# empty dataset.
# Versions: h5netcdf 1.8.2, h5py 3.16.0, xarray 2026.9.0, netCDF4 1.7.5.1.post1.
# Matters to: who writes fits or tables with whatever engine xarray finds installed.
# Instead: `str(...)` around every attribute that comes from an array.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
packages=("h5netcdf==1.8.2" "h5py==3.16.0" "xarray==2026.9.0" "netCDF4==1.7.5.1.post1" "zarr==3.4.2" "numpy==2.5.5")
if uv --version >/dev/null 2>&1; then
  "${PYTHON:-python3}" -m venv --without-pip "$folder/venv"
  uv --directory "$folder" pip install --quiet --python "$folder/venv/bin/python" "${packages[@]}"
else
  "${PYTHON:-python3}" -m venv "$folder/venv"
  "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "${packages[@]}"
fi

cd "$folder"
PYTHONWARNINGS=ignore venv/bin/python - <<'PYTHON'
from importlib.metadata import version

import xarray as xr

print({name: version(name) for name in ("h5netcdf", "h5py", "xarray", "netCDF4", "zarr")})
table = xr.Dataset({"nll": ("lm", [1.5, 2.5])}, coords={"lm": ["gpt2", "opt"]})
table.attrs["best"] = table.lm.values[0]
print("attribute:", repr(table.attrs["best"]), "is a str:", isinstance(table.attrs["best"], str))
table.to_netcdf("with-netcdf4.nc", engine="netcdf4")
table.to_zarr("with-zarr", consolidated=False)
kept = xr.open_dataset("with-netcdf4.nc", engine="netcdf4").attrs["best"]
kept_zarr = xr.open_zarr("with-zarr", consolidated=False, chunks=None).attrs["best"]
print("netCDF4:", repr(kept), "Zarr:", repr(kept_zarr))
try:
    answer = table.to_netcdf("with-h5netcdf.nc", engine="h5netcdf")
except TypeError as error:
    answer = error
print("h5netcdf:", repr(answer))
left = xr.open_dataset("with-h5netcdf.nc", engine="h5netcdf")
print("variables in the file that is left:", list(left.variables))
table.attrs["best"] = str(table.attrs["best"])
table.to_netcdf("as-str.nc", engine="h5netcdf")
assert isinstance(table.lm.values[0], str)
assert kept == kept_zarr == "gpt2"
assert isinstance(answer, TypeError) and "best" not in str(answer)
assert not left.variables
assert xr.open_dataset("as-str.nc", engine="h5netcdf").attrs["best"] == "gpt2"
PYTHON
