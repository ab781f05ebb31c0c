#!/usr/bin/env bash
# The `chinchilla` package reads its grid of starting values by position: keys in another order give another law.
#
# Expected: `param_grid` is a dict with named keys (it is validated by name), so their order has no meaning.
# Seen: on noiseless losses of L = 1.69 + 406.4 / N^0.34 + 410.7 / D^0.28 the order E, a, b, alpha, beta recovers the
# law; the same grid with alpha and beta first ends in exponents of 5 and a floor of 2.1, without an error or a warning.
# Version: chinchilla 0.2.0.
# Matters to: who fits scaling laws with it, from a YAML file with sorted keys for instance.
# Instead: give the keys in the order E, A, B, alpha, beta, and look at `predict_loss` against the table after a fit.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
packages=("chinchilla==0.2.0" "pandas==3.1.1" "numpy==2.5.5" "scipy==1.18.1")
if uv --version >/dev/null 2>&1; then
  "${PYTHON:-python3}" -m venv --without-pip "$folder/venv"
  uv --directory "$folder" pip install --quiet --python "$folder/venv/bin/python" "${packages[@]}"
else
  "${PYTHON:-python3}" -m venv "$folder/venv"
  "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "${packages[@]}"
fi

cd "$folder"
MPLBACKEND=Agg venv/bin/python - <<'PYTHON'
from importlib.metadata import version

import numpy as np
import pandas as pd
from chinchilla import Chinchilla

parameters = np.repeat(np.logspace(7.5, 10, 6), 4)
tokens = parameters * np.tile([5, 20, 60, 200], 6)
loss = 1.69 + 406.4 * parameters**-0.34 + 410.7 * tokens**-0.28
pd.DataFrame({"C": 6 * parameters * tokens, "N": parameters, "D": tokens, "loss": loss}).to_csv("df.csv", index=False)
grid = {"E": [1.5, 1.9], "a": [5.0, 7.0], "b": [5.0, 7.0], "alpha": [0.3, 0.4], "beta": [0.25, 0.35]}
print("chinchilla", version("chinchilla"))
fits = {}
for order in (("E", "a", "b", "alpha", "beta"), ("alpha", "beta", "E", "a", "b")):
    law = Chinchilla("./", param_grid={key: grid[key] for key in order}, log_level=50)
    law.fit(parallel=False)
    fits[order[0]] = {name: float(value) for name, value in law.params.items()}
    worst = float(np.abs(law.predict_loss(parameters, tokens) - loss).max())
    print(", ".join(order), "->", {name: round(value, 3) for name, value in fits[order[0]].items()}, "misses by", worst)
assert abs(fits["E"]["E"] - 1.69) < 1e-3 and abs(fits["E"]["alpha"] - 0.34) < 1e-3
assert fits["alpha"]["E"] > 2 and fits["alpha"]["alpha"] > 4
PYTHON
