#!/usr/bin/env bash
# One observation that NumPyro masks makes `arviz.loo` fail for the whole table.
#
# Expected: a masked row has a log-likelihood of 0 in every draw, so leave-one-out adds 0 for it and warns at most.
# Seen: a column that is the same in all draws (masked, censored to a point, or free of parameters) ends in
# `ValueError: All tail values are the same`, which names neither the observation nor the cause.
# Versions: arviz-stats 1.3.3, arviz-base 1.3.1, numpyro 0.22.0.
# Matters to: who masks missing losses in a model and then asks for its elpd.
# Instead: drop the masked rows from `log_likelihood` before `loo`, and add the constant columns by hand.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
packages=("arviz-stats[xarray]==1.3.3" "arviz-base==1.3.1" "xarray==2026.9.0" "numpy==2.5.5" "numpyro==0.22.0" "jax==0.12.0.1")
if uv --version >/dev/null 2>&1; then
  "${PYTHON:-python3}" -m venv --without-pip "$folder/venv"
  uv --directory "$folder" pip install --quiet --python "$folder/venv/bin/python" "${packages[@]}"
else
  "${PYTHON:-python3}" -m venv "$folder/venv"
  "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "${packages[@]}"
fi

cd "$folder"
JAX_PLATFORMS=cpu venv/bin/python - <<'PYTHON'
import arviz_base
import arviz_stats
import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

seen = jnp.array([True, True, True, False])


def model(losses):
    mean = numpyro.sample("mean", dist.Normal(0, 1))
    numpyro.sample("loss", dist.Normal(mean, 1).mask(seen), obs=losses)


mcmc = numpyro.infer.MCMC(
    numpyro.infer.NUTS(model),
    num_warmup=100,
    num_samples=300,
    num_chains=4,
    chain_method="vectorized",
    progress_bar=False,
)
mcmc.run(jax.random.key(0), jnp.array([1.0, 2.0, 0.5, 0.0]))
tree = arviz_base.from_numpyro(mcmc, log_likelihood=True)
print("arviz-stats", arviz_stats.__version__, "numpyro", numpyro.__version__)
print("log-likelihood of the first draw:", tree.log_likelihood.loss.values[0, 0])
try:
    answer = arviz_stats.loo(tree)
except ValueError as error:
    answer = error
print("all rows:", repr(answer))
rows = arviz_stats.loo(tree.isel(loss_dim_0=[0, 1, 2]))
print("rows that were seen:", round(float(rows.elpd), 2))
assert isinstance(answer, ValueError) and "same" in str(answer)
assert -6 < rows.elpd < -3
PYTHON
