#!/usr/bin/env bash
# Numba gives other last bits in the process that compiles a function than in all that read it from the cache.
#
# Expected: `cache=True` keeps the machine code that was compiled, so the first process and every later one run the
# same instructions and give the same numbers.
# Seen: where a function calls another compiled one that may reorder sums (`fastmath`), the first process runs the
# callee as it was compiled by itself; the file holds a copy of it that was optimised within its caller. Sums of the
# same numbers differ in the last bit between the first process and the second, and no more after that. Without
# `fastmath`, or with `forceinline=True` on the callee, all processes agree.
# Versions: numba 0.68.1, numpy 2.5.5.
# Matters to: who compares results by hash or to the last bit, or feeds them to a chain (a sampler) that amplifies them:
# the first run after an installation, or on each new machine of a cluster, is the odd one.
# Instead: `forceinline=True` on such callees, or sums in a stated order.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
packages=("numba==0.68.1" "llvmlite==0.50.0" "numpy==2.5.5")
if uv --version >/dev/null 2>&1; then
  "${PYTHON:-python3}" -m venv --without-pip "$folder/venv"
  uv --directory "$folder" pip install --quiet --python "$folder/venv/bin/python" "${packages[@]}"
else
  "${PYTHON:-python3}" -m venv "$folder/venv"
  "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "${packages[@]}"
fi

cd "$folder"
cat > sums.py <<'PYTHON'
import hashlib
import sys

import numba
import numpy as np

REORDER = {"reassoc", "contract", "nsz", "nnan"}
OPTIONS = {"plain": {}, "reordered": {"fastmath": REORDER}, "inlined": {"fastmath": REORDER, "forceinline": True}}


@numba.njit(cache=True, **OPTIONS[sys.argv[1]])
def row_sums(values, steps, lanes, sums):
    for lane in range(lanes):
        sums[lane] = values[lane]
    for step in range(1, steps):
        part = values[step * lanes : (step + 1) * lanes]
        for lane in range(lanes):
            sums[lane] += part[lane]
    total, square = 0.0, 0.0
    for lane in range(lanes):
        total += sums[lane]
        square += sums[lane] * sums[lane]
    return total, square


@numba.njit(cache=True)
def all_sums(table, steps, lanes, output):
    sums = np.empty(lanes)
    for row in range(table.shape[0]):
        output[0, row], output[1, row] = row_sums(table[row], steps, lanes, sums)


table, output = np.random.default_rng(0).gamma(2, 50, (500, 1000)), np.zeros((2, 500))
all_sums(table, 8, 125, output)
print(hashlib.sha256(output.tobytes()).hexdigest()[:12])
PYTHON

venv/bin/python -c 'import numba, numpy; print("numba", numba.__version__, "numpy", numpy.__version__)'
found=()
for options in plain reordered inlined; do
  rm -rf __pycache__ "$folder/cache"
  for process in first second third; do
    found[${#found[@]}]=$(NUMBA_CACHE_DIR="$folder/cache" venv/bin/python sums.py "$options")
    echo "$options, $process process: ${found[-1]}"
  done
done
[ "${found[0]}" = "${found[1]}" ]
[ "${found[1]}" = "${found[2]}" ]
[ "${found[3]}" != "${found[4]}" ]
[ "${found[4]}" = "${found[5]}" ]
[ "${found[6]}" = "${found[7]}" ]
[ "${found[7]}" = "${found[8]}" ]
