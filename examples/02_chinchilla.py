"""A law of parameters and training tokens, and a look at what the noise is assumed to be.

    python examples/02_chinchilla.py                # simulated training runs
    python examples/02_chinchilla.py runs.csv       # your own: columns parameters, training_tokens, loss, [family]

What it prints is in ``02_chinchilla.txt``; the fit and the picture go into the folder ``--out``.
"""

import argparse
import json
from pathlib import Path

import arviz as az
import numpy as np
import pandas as pd

import bayeslaw as bl

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("runs", nargs="?", type=Path, help="CSV of training runs; simulated where it is left out")
arguments.add_argument("--out", default=Path("example-output"), type=Path, help="folder for the results")
arguments.add_argument("--quick", action="store_true", help="fewer runs and draws, to see that everything works")
given = arguments.parse_args()
pd.set_option("display.width", 120, "display.max_columns", 20, "display.precision", 3)

print("# 1. The training runs")
if given.runs is None:
    frame = bl.simulate_chinchilla(points=80 if given.quick else 240, seed=0)
else:
    frame = pd.read_csv(given.runs)
    # Runs of one study are one family; the law gives a family values of its own only where it is asked to.
    frame["family"] = frame.get("family", "own")
runs = bl.models_from_frame(frame, unit="token")
print(runs[["parameters", "training_tokens", "loss"]].to_dataframe().describe().loc[["count", "min", "50%", "max"]])
print("loss in", runs.attrs["loss_unit"])

print("\n# 2. The best fit, as papers report it")
# Flat priors and the mode. Amplitudes are at the geometric means of parameters and tokens, where they are least tied to
# the exponents; multiply by reference ** exponent for the amplitudes A and B at one parameter and one token.
law = bl.ChinchillaLaw()
for family in ("normal", "laplace", "student_t"):
    mode = bl.maximum_likelihood(law, runs, noise=bl.Noise(family, "log_loss"))
    reference = mode["reference"]
    published = {
        "A": mode["parameter_amplitude"] * reference["parameters"] ** mode["parameter_exponent"],
        "B": mode["token_amplitude"] * reference["training_tokens"] ** mode["token_exponent"],
        "E": mode["floor"],
        "alpha": mode["parameter_exponent"],
        "beta": mode["token_exponent"],
    }
    print(f"{family:>10}", ", ".join(f"{name} = {float(value):.4g}" for name, value in published.items()))

print("\n# 3. The posterior")
# Relative errors with heavy tails: a run that went wrong does not bend the law.
noise = bl.Noise(distribution="student_t", response="log_loss")
fit = bl.fit(law, runs, noise=noise, draws=500 if given.quick else 1000, seed=0)
print(fit)
print(az.summary(fit.tree, var_names=list(law.parameter_names)).to_string())
for finding in bl.check(fit):
    print(f"{finding.severity} {finding.code}: {finding.message}\n  remedy: {finding.remedy}")
print("findings:", len(bl.check(fit)))

print("\n# 4. Against the truth")
if "truth" in frame.attrs:
    truth = json.loads(frame.attrs["truth"])
    for name in ("floor", "parameter_exponent", "token_exponent"):
        lower, upper = np.quantile(fit.tree["posterior"][name], [0.05, 0.95])
        print(f"{name}: truth {truth[name]:.3f}, 90 % interval {lower:.3f} to {upper:.3f}")
else:
    print("not known for measured runs")

print("\n# 5. A larger run")
# Twenty tokens a parameter, up to sizes that no run had.
sizes = np.array([1e10, 7e10, 4e11])
targets = {"parameters": sizes, "training_tokens": 20 * sizes}
for kind in ("new", "mean"):
    bands = bl.predict(fit, targets, kind=kind, interval=0.9)
    # A mean of losses with Student-t noise on their logarithms is infinite; medians always exist.
    print(bands.drop(columns=["interval_kind", "unit", "mean"]).to_string(index=False))

print("\n# 6. Keep it")
fit.save(given.out / "chinchilla.nc")
bl.save_plot(fit, given.out / "chinchilla.png")
print("wrote chinchilla.nc, chinchilla.png")
