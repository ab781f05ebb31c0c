#!/usr/bin/env bash
# `arviz.diagnose` never checks the tree depth of NumPyro's or nutpie's draws, and says "no problems detected".
#
# Expected: draws that all stopped at the largest tree depth are told; `from_numpyro` even writes the column for it.
# Seen: `diagnose` looks for `reached_max_treedepth`, `from_numpyro` writes `reached_max_tree_depth` (nutpie writes
# `maxdepth_reached`), so the check is left out in silence, although every single draw was cut off.
# Versions: arviz-stats 1.3.3, arviz-base 1.3.1, numpyro 0.22.0.
# Matters to: who lets `diagnose` decide whether a fit is to be trusted.
# Instead: rename the column in `sample_stats` to `reached_max_treedepth` before `diagnose`, or count it oneself.
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
import numpyro
import numpyro.distributions as dist


def model():
    numpyro.sample("x", dist.Normal(0, 1))


mcmc = numpyro.infer.MCMC(
    numpyro.infer.NUTS(model, max_tree_depth=1),
    num_warmup=100,
    num_samples=200,
    num_chains=4,
    chain_method="vectorized",
    progress_bar=False,
)
mcmc.run(jax.random.key(0), extra_fields=("diverging", "energy", "num_steps"))
tree = arviz_base.from_numpyro(mcmc)
print("arviz-stats", arviz_stats.__version__, "arviz-base", arviz_base.__version__, "numpyro", numpyro.__version__)
print("columns:", list(tree.sample_stats.data_vars))
cut = float(tree.sample_stats.reached_max_tree_depth.mean())
print("share of draws at the largest depth:", cut)
_, checks = arviz_stats.diagnose(tree, return_diagnostics=True)
print("checks made:", list(checks))
renamed = tree.copy()
renamed["sample_stats"] = tree.sample_stats.to_dataset().rename(reached_max_tree_depth="reached_max_treedepth")
problems, renamed_checks = arviz_stats.diagnose(renamed, return_diagnostics=True, show_diagnostics=False)
print("after renaming:", problems, renamed_checks["treedepth"])
assert cut == 1.0
assert "treedepth" not in checks
assert problems and renamed_checks["treedepth"]["n_max"] == 800
PYTHON
