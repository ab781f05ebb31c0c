#!/usr/bin/env bash
# NumPyro gives an observation of exactly 0 no density under a half-normal or an exponential.
#
# Expected: as in SciPy and in the textbooks, the half-normal has its highest density at 0: log 2 - log sqrt(2 pi).
# Seen: HalfNormal, HalfCauchy, Exponential, Gamma(1, 1) and Pareto (at its scale) give -inf at the edge, since their
# support is open; `TruncatedNormal(0, 1, low=0)`, the same law as HalfNormal(1), gives the finite density, and so do
# Uniform and Beta(1, 1) at their edges. Outside jit a warning says that the value is out of the support.
# Version: numpyro 0.22.0.
# Matters to: gaps between losses, clipped residuals or rounded waiting times that can be exactly 0: one such row makes
# the whole likelihood -inf.
# Instead: write the half-normal as a truncated normal; or pass `validate_args=False`, as shown.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
packages=("numpyro==0.22.0" "jax==0.12.0.1" "scipy==1.18.1")
if uv --version >/dev/null 2>&1; then
  "${PYTHON:-python3}" -m venv --without-pip "$folder/venv"
  uv --directory "$folder" pip install --quiet --python "$folder/venv/bin/python" "${packages[@]}"
else
  "${PYTHON:-python3}" -m venv "$folder/venv"
  "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "${packages[@]}"
fi

cd "$folder"
JAX_PLATFORMS=cpu venv/bin/python - <<'PYTHON'
import numpy as np
import numpyro
import numpyro.distributions as dist
from scipy import stats

print("numpyro", numpyro.__version__)
edges = {
    "HalfNormal(1)": (dist.HalfNormal(1.0), stats.halfnorm, 0.0),
    "HalfCauchy(1)": (dist.HalfCauchy(1.0), stats.halfcauchy, 0.0),
    "Exponential(1)": (dist.Exponential(1.0), stats.expon, 0.0),
    "Gamma(1, 1)": (dist.Gamma(1.0, 1.0), stats.gamma(1), 0.0),
    "Pareto(1, 2)": (dist.Pareto(1.0, 2.0), stats.pareto(2), 1.0),
    "TruncatedNormal(0, 1, low=0)": (dist.TruncatedNormal(0.0, 1.0, low=0.0), stats.halfnorm, 0.0),
    "Uniform(0, 1)": (dist.Uniform(0.0, 1.0), stats.uniform, 0.0),
    "Beta(1, 1)": (dist.Beta(1.0, 1.0), stats.uniform, 0.0),
}
for name, (distribution, reference, edge) in edges.items():
    here, there = float(distribution.log_prob(edge)), float(reference.logpdf(edge))
    print(f"{name:29} at {edge}: {here:8.4f}   SciPy {there:8.4f}")
    assert np.isfinite(there)
    if name.startswith(("Trunc", "Uniform", "Beta")):
        assert abs(here - there) < 1e-5
    else:
        assert here == -np.inf
unchecked = float(dist.HalfNormal(1.0, validate_args=False).log_prob(0.0))
print("HalfNormal(1, validate_args=False) at 0:", round(unchecked, 4))
assert abs(unchecked - stats.halfnorm.logpdf(0)) < 1e-5
PYTHON
