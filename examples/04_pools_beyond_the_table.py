"""Predict pools of models that were not scored: the joint law, and how well it does where the answer is known.

    python examples/04_pools_beyond_the_table.py

The law is fitted to the zoo's models up to 300 thousand parameters. Pools with larger ones are predicted and compared
with what they really lose; then come pools of models that do not exist. Losses are of whole documents, in bits per
byte. What it prints is in ``04_pools_beyond_the_table.txt``; the fit and the picture go into the folder ``--out``.
"""

import argparse
from pathlib import Path

import pandas as pd

import bayeslaw as bl

LARGEST_SEEN = 300_000

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--out", default=Path("example-output"), type=Path, help="folder for the results")
arguments.add_argument("--quick", action="store_true", help="fewer draws, to see that everything runs")
given = arguments.parse_args()
pd.set_option("display.width", 140, "display.max_columns", 20, "display.precision", 3, "display.max_colwidth", 60)

print("# 1. What is known")
losses = bl.load_dataset("zoo", unit="document")
seen = losses.isel(lm=(losses["parameters"] <= LARGEST_SEEN).to_numpy())
print(f"{seen.sizes['lm']} of {losses.sizes['lm']} models, up to {int(seen['parameters'].max()):,} parameters")

print("\n# 2. Which law, and why")
recommendation = bl.recommend(seen)
print(f"{recommendation.law.name}: {recommendation.reason}")
fit = bl.fit(recommendation.law, seen, draws=200 if given.quick else 1000, seed=0)
print(fit)

print("\n# 3. Can it be trusted?")
for finding in bl.check(fit):
    print(f"{finding.severity} {finding.code}: {finding.message}\n  remedy: {finding.remedy}")
print("findings:", len(bl.check(fit)))
# Replicates of the table by the fitted law, beside the table itself: do pools gain what they should?
print(bl.pool_check(fit, max_size=3).to_string(index=False))

print("\n# 4. Larger models, whose losses are known but were not shown")
names = [["zoo-llama-600k"], ["zoo-qwen3-1.5m"], ["zoo-llama-600k", "zoo-qwen3-600k"]]
names += [["zoo-llama-1.5m", "zoo-gpt_neox-1.5m", "zoo-gpt2-1.5m"], ["zoo-llama-250k", "zoo-qwen3-1.5m"]]
facts = losses[["parameters", "family"]].to_dataframe()


def member(name: str) -> str:
    """Return a member as the fit may know it: by name where it was seen, else by parameters and family."""
    return name if name in seen["lm"] else f"{facts.parameters[name]:.0f}:{facts.family[name]}"


bands = bl.predict(fit, {"members": [",".join(map(member, pool)) for pool in names]})
bands["real loss"] = bl.pools_of(losses, names)["loss"].to_numpy()
bands["inside"] = (bands["lower"] <= bands["real loss"]) & (bands["real loss"] <= bands["upper"])
bands["pool"] = [" + ".join(name.removeprefix("zoo-") for name in pool) for pool in names]
print(bands[["pool", "median", "lower", "upper", "real loss"]].to_string(index=False))
print(f"{bands['inside'].sum()} of {len(bands)} inside the 90 % interval")

print("\n# 5. Pools of models that do not exist")
wished = {"members": ["1e7:llama", "5e6:llama,5e6:qwen3", "5e6:llama,5e6:some-new-family"]}
for rule in ("oracle", "mixture"):
    bands = bl.predict(fit, wished, rule=rule)
    print(f"{rule}, {bands['samples'][0]} samples, {bands['unit'][0]}")
    print(bands[["members", "regime", "median", "lower", "upper", "extrapolation"]].to_string(index=False))

print("\n# 6. Keep it")
fit.save(given.out / "joint.nc")
bl.save_plot(fit, given.out / "joint.png")
print("wrote joint.nc, joint.png")
