#!/usr/bin/env bash
# ArviZ compares models row by row, whatever the labels of the rows say.
#
# Expected: xarray aligns by label, and both log-likelihoods carry the same labels of texts, so the order in which
# a model's texts are stored does not matter to `compare`.
# Seen: pointwise elpds are subtracted by position. With the second model's texts in another order (labels and all)
# the standard error of the difference grows from 3e-6 to 2.7, and the stacking weight of the worse model from 0 to
# 0.44, without a warning. Labels that have nothing in common are compared as well.
# Versions: arviz-stats 1.3.3, arviz-base 1.3.1.
# Matters to: who compares models whose log-likelihoods come from separate runs, files or evaluation harnesses.
# Instead: reindex every log-likelihood to the labels of the first before `compare`.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
packages=("arviz-stats[xarray]==1.3.3" "arviz-base==1.3.1" "xarray==2026.9.0" "numpy==2.5.5")
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

import arviz_base
import arviz_stats
import numpy as np

generator = np.random.default_rng(1)
texts = list("abcdefgh")
likelihood = generator.normal(-2, 1, 8) + generator.normal(0, 0.1, (4, 500, 8))


def tree(values):
    groups = {"posterior": {"mu": generator.normal(size=(4, 500))}, "log_likelihood": {"y": values}}
    return arviz_base.from_dict(groups, coords={"text": texts}, dims={"y": ["text"]})


better, worse = tree(likelihood), tree(likelihood - 0.05)
shuffled = worse.isel(text=[3, 1, 0, 2, 7, 6, 5, 4])
print("arviz-stats", arviz_stats.__version__)
print("texts of the second model:", shuffled.log_likelihood["text"].values)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    plain = arviz_stats.compare({"better": better, "worse": worse}, round_to="none")
    moved = arviz_stats.compare({"better": better, "worse": shuffled}, round_to="none")
    texts = list("ijklmnop")
    other = arviz_stats.compare({"better": better, "worse": tree(likelihood - 0.05)}, round_to="none")
for name, table in {"same order": plain, "shuffled": moved, "other labels": other}.items():
    row = table.loc["worse"]
    print(f"{name:12}  difference {row.elpd_diff:.2f}  its error {row.dse:.2g}  weight {row.weight:.2f}")
print("warnings:", [str(warning.message) for warning in caught])
assert plain.loc["worse", "dse"] < 1e-3 and plain.loc["worse", "weight"] < 0.01
assert moved.loc["worse", "dse"] > 1 and moved.loc["worse", "weight"] > 0.3
assert other.loc["worse", "dse"] < 1e-3
assert not caught
PYTHON
