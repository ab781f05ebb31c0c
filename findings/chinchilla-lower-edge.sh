#!/usr/bin/env bash
# The `chinchilla` package draws its law under the losses, not through them, unless told otherwise.
#
# Expected: a package of this name minimises the Huber loss of log-losses, as the Chinchilla paper does, or at least a
# symmetric error: about half of the runs lie above the curve.
# Seen: the default `loss_fn` counts a run below the curve ten times as much as one above it. With 1% of symmetric noise
# 23 of 24 runs lie above the fitted law, 0.026 nats on average, more than ten times what least squares leaves.
# Version: chinchilla 0.2.0. The source says "fits to the floor of the distribution"; no result does.
# Matters to: who compares its predictions or exponents with laws fitted elsewhere, or adds its floor to a table.
# Instead: pass `loss_fn=log_huber` (or `mse`) from `chinchilla._metrics`, or a symmetric function of one's own.
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
from chinchilla._metrics import mse

parameters = np.repeat(np.logspace(7.5, 10, 6), 4)
tokens = parameters * np.tile([5, 20, 60, 200], 6)
loss = 1.69 + 406.4 * parameters**-0.34 + 410.7 * tokens**-0.28
loss *= np.exp(0.01 * np.random.default_rng(0).normal(size=24))
pd.DataFrame({"C": 6 * parameters * tokens, "N": parameters, "D": tokens, "loss": loss}).to_csv("df.csv", index=False)
grid = {"E": [1.5, 1.9], "a": [5.0, 7.0], "b": [5.0, 7.0], "alpha": [0.3, 0.4], "beta": [0.25, 0.35]}
print("chinchilla", version("chinchilla"))
above, excess = {}, {}
for name, options in {"default": {}, "least squares": {"loss_fn": mse}}.items():
    law = Chinchilla("./", param_grid=grid, log_level=50, **options)
    law.fit(parallel=False)
    residuals = loss - np.asarray(law.predict_loss(parameters, tokens), float)
    above[name], excess[name] = int((residuals > 0).sum()), float(residuals.mean())
    print(f"{name}: floor {law.params['E']:.4f}, {above[name]} of 24 runs above, mean residual {excess[name]:.5f} nats")
assert above["default"] >= 22 and excess["default"] > 0.02
assert 8 <= above["least squares"] <= 16 and abs(excess["least squares"]) < 0.002
PYTHON
