"""From the losses of your own models to predictions you can trust.

    python examples/01_your_own_losses.py                          # a simulated table stands in for yours
    python examples/01_your_own_losses.py losses.csv models.csv --unit sentence --cluster document

``losses.csv`` has one row a sample and one column a model: the negative log-likelihood, in nats, that the model gives
to the whole sample. Other columns describe the samples. ``models.csv`` has the columns model, family, parameters.

What it prints is in ``01_your_own_losses.txt``; the fit and the pictures go into the folder ``--out``.
"""

import argparse
import tempfile
from pathlib import Path

import arviz as az
import pandas as pd

import bayeslaw as bl

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("losses", nargs="?", type=Path, help="CSV of losses; simulated where it is left out")
arguments.add_argument("models", nargs="?", type=Path, help="CSV of models")
arguments.add_argument("--unit", default="sentence", help="what a sample is")
arguments.add_argument("--cluster", default=None, help="columns that name the document each sample comes from")
arguments.add_argument("--out", default=Path("example-output"), type=Path, help="folder for the results")
arguments.add_argument("--quick", action="store_true", help="fewer draws, to see that everything runs")
given = arguments.parse_args()
if given.losses and not given.models:
    arguments.error("name the CSV of models after the CSV of losses")
pd.set_option("display.width", 120, "display.max_columns", 20, "display.precision", 3)

print("# 1. The table")
# Without a table of your own: 2,000 sentences of 100 documents, under 18 models of three families whose true law is
# known. Written as CSV files, so that what follows is what you would do with yours.
with tempfile.TemporaryDirectory() as folder:
    if given.losses is None:
        simulated = bl.simulate_losses(families=3, sizes=6, samples=2000, clusters=100, seed=0)
        table = simulated["nll"].to_pandas().round(5)
        table.insert(0, "document", simulated["cluster"].to_numpy())
        given.losses, given.models, given.cluster = Path(folder, "losses.csv"), Path(folder, "models.csv"), "document"
        table.to_csv(given.losses)
        simulated[["family", "parameters"]].to_dataframe().rename_axis("model").to_csv(given.models)
    losses = bl.read_losses(given.losses, models=given.models, unit=given.unit, cluster=given.cluster)

report = bl.loss_report(losses)
print(f"{report.samples} samples (unit: {report.unit}), {len(report.models)} models of {len(report.families)} families")
print(pd.DataFrame(report.as_dict()["models"]).to_string(index=False))
for warning in report.warnings:
    print("warning", warning)

print("\n# 2. Pools")
# An oracle pool takes, for each sample, the loss of its best member: a bound on what collaboration could give.
pools = bl.make_pools(losses, rule="oracle", max_size=3)
by_regime = pools[["regime", "loss", "gain"]].to_dataframe().groupby("regime", sort=False)
summary = by_regime.agg(pools=("loss", "size"), loss=("loss", "mean"), gain=("gain", "mean"))
print(summary.reset_index().to_string(index=False))
print(f"losses in {pools.attrs['loss_unit']}; gain: over the best member, chosen on other documents")

print("\n# 3. The law")
# Priors are NumPyro distributions, or text; those not given are scaled to the losses seen.
law = bl.CollaborationLaw(exponent="LogNormal(-1.2, 0.5)")
print(law)

print("\n# 4. The fit")
fit = bl.fit(law, pools, draws=500 if given.quick else 1000, seed=0)
print(fit)
# fit.tree is an xarray.DataTree that every function of ArviZ takes.
print(az.summary(fit.tree, var_names=["floor", "amplitude", "exponent"]).to_string())

print("\n# 5. Can it be trusted?")
for finding in bl.check(fit):
    print(f"{finding.severity} {finding.code}: {finding.message}\n  remedy: {finding.remedy}")
print("findings:", len(bl.check(fit)))

print("\n# 6. What it says of collaboration")
for claim in bl.claims(fit):
    print(f"P({claim.claim}) = {claim.probability:.2f}, before the data {claim.prior_probability:.2f}")

print("\n# 7. Predictions")
# kind="new": where one new pool would lie; kind="mean": the law itself.
targets = {"parameters": [2e11, 2e11, 2e12, 2e12], "regime": ["single", "heterogeneous"] * 2}
for kind in ("new", "mean"):
    bands = bl.predict(fit, targets, kind=kind, interval=0.9)
    print(bands.drop(columns=["interval_kind", "unit"]).to_string(index=False))

print("\n# 8. Keep it")
fit.save(given.out / "fit.nc")
again = bl.load_fit(given.out / "fit.nc")
assert bl.predict(again, targets).equals(bl.predict(fit, targets))
bl.save_plot(again, given.out / "law.png", what="law")
bl.save_plot(again, given.out / "claims.png", what="claims")
print("wrote fit.nc, law.png, claims.png")
