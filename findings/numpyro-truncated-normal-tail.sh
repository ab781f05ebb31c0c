#!/usr/bin/env bash
# NumPyro's two-sided truncated normal has an infinite density in the upper tail, but not in the lower one.
#
# Expected: the normal is symmetric, so the density over [5.5, 6.5] mirrors the one over [-6.5, -5.5].
# Seen: in float32 `TruncatedNormal(0, 1, low=5.5, high=6.5).log_prob` is +inf (at 4 standard deviations it is off by
# 1e-3), while the mirror image and the truncation on one side are right to six digits, and its draws are fine.
# Version: numpyro 0.22.0 with jax 0.12.0.1.
# Matters to: priors with a hard interval (floors, exponents) that a refit or a transfer moves far from their
# location: the sampler meets +inf, which looks like the best point there is.
# Instead: mirror the variable, so that the interval lies below the location, or truncate on one side, or use float64
# (which fails in the same way, between 8 and 8.5 standard deviations).
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
import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
from scipy.stats import truncnorm

print("numpyro", numpyro.__version__, "jax", jax.__version__)
for start in (2.0, 4.0, 5.5):
    upper = float(dist.TruncatedNormal(0.0, 1.0, low=start, high=start + 1).log_prob(start + 0.1))
    lower = float(dist.TruncatedNormal(0.0, 1.0, low=-start - 1, high=-start).log_prob(-start - 0.1))
    one_side = float(dist.TruncatedNormal(0.0, 1.0, low=start).log_prob(start + 0.1))
    exact = truncnorm(start, start + 1).logpdf(start + 0.1)
    print(f"from {start}: upper {upper:.5f}  lower {lower:.5f}  SciPy {exact:.5f}  one side only {one_side:.5f}")
    assert abs(lower - exact) < 1e-4
    assert abs(one_side - truncnorm(start, np.inf).logpdf(start + 0.1)) < 1e-4
assert upper == np.inf
draws = np.asarray(dist.TruncatedNormal(0.0, 1.0, low=5.5, high=6.5).sample(jax.random.key(0), (4,)))
print("draws over [5.5, 6.5]:", draws)
assert ((draws >= 5.5) & (draws <= 6.5)).all()
with jax.enable_x64(True):
    wide = [float(dist.TruncatedNormal(0.0, 1.0, low=s, high=s + 1).log_prob(s + 0.1)) for s in (5.5, 8.0, 8.5)]
print("float64 from 5.5, 8 and 8.5:", wide)
assert np.isfinite(wide[:2]).all() and wide[2] == np.inf
PYTHON
