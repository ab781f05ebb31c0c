#!/usr/bin/env bash
# A NaN among the observations has the log-likelihood -inf in NumPyro, not NaN.
#
# Expected: NaN goes through arithmetic: one missing loss makes the log-density NaN, which `debug_nans` or a check for
# NaN finds.
# Seen: the check of the support turns NaN into -inf for nearly all distributions (not for AsymmetricLaplace, which
# gives NaN), with a warning of "out-of-support values" outside jit. So the pointwise log-likelihood of a table with
# holes looks like that of an impossible outlier, NUTS ends in "Cannot find valid initial parameters", and checks for NaN
# find nothing.
# Version: numpyro 0.22.0.
# Matters to: tables of losses with missing cells.
# Instead: look for NaN in the data before the model, and mask those cells.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
packages=("numpyro==0.22.0" "jax==0.12.0.1")
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
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

print("numpyro", numpyro.__version__)
missing = float("nan")
cases = {
    "Normal": dist.Normal(0.0, 1.0),
    "StudentT": dist.StudentT(3.0, 0.0, 1.0),
    "LogNormal": dist.LogNormal(0.0, 1.0),
    "AsymmetricLaplace": dist.AsymmetricLaplace(0.0, 1.0, 1.0),
    "Normal, validate_args=False": dist.Normal(0.0, 1.0, validate_args=False),
}
values = {name: float(distribution.log_prob(missing)) for name, distribution in cases.items()}
print(values)


def model(losses):
    mean = numpyro.sample("mean", dist.Normal(0, 1))
    numpyro.sample("loss", dist.Normal(mean, 1), obs=losses)


losses = jnp.array([1.0, missing])
rows = numpyro.infer.log_likelihood(model, {"mean": jnp.array([0.0])}, losses)["loss"]
print("pointwise log-likelihood:", rows)
mcmc = numpyro.infer.MCMC(numpyro.infer.NUTS(model), num_warmup=10, num_samples=10, progress_bar=False)
try:
    mcmc.run(jax.random.key(0), losses)
    message = "no error"
except RuntimeError as error:
    message = str(error)
print("NUTS:", message)
assert all(values[name] == -np.inf for name in ("Normal", "StudentT", "LogNormal"))
assert np.isnan(values["AsymmetricLaplace"]) and np.isnan(values["Normal, validate_args=False"])
assert rows[0, 1] == -np.inf and not np.isnan(rows).any()
assert "Cannot find valid initial parameters" in message
PYTHON
