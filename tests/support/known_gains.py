"""Pools that follow the diversity law, with gains that are known."""

import numpy as np

import bayeslaw as bl
from bayeslaw.laws import DiversityLaw
from bayeslaw.laws.diversity import coefficient_names

TRUTH = {"lasting_gain": 0.05, "amplitude": 0.08, "exponent": 0.3, "growth": 0.6}
EFFECT = 0.5


def gain(parameters, size, scores, values):
    """Work out the gain in numpy, with one coefficient for each part of each number."""
    lasting_gain, amplitude, exponent = (
        values[part] * np.exp(sum(values[f"{name}_on_{part}"] * score for name, score in scores.items()))
        for part in ("lasting_gain", "amplitude", "exponent")
    )
    return np.log2(size) ** values["growth"] * (lasting_gain + amplitude * parameters**-exponent)


def pools_of_known_gain(*, effect=EFFECT, quality=0.0, noise=0.003, seed=0):
    """Return pools that follow the law, with an effect of effective families on what lasts; one family is better."""
    pools = bl.simulate_pools(families=3, sizes=4, max_size=3, seed=seed)
    rng = np.random.default_rng(seed)
    parameters, families = pools["lm_parameters"].to_numpy(), pools["family"].to_numpy()
    alone = 1.5 + (parameters / 1e9) ** -0.3 - quality * (families == families[0]) + rng.normal(0, 0.05, len(families))
    pools["lm_loss"] = ("lm", alone)
    member = pools["member"].to_numpy()
    best = np.append(alone, np.inf)[member].min(axis=1)
    several = pools["size"].to_numpy() > 1
    law = DiversityLaw()
    pools["loss"] = ("pool", best - 1e-3)
    rows = law.observe(pools)
    scores = {"effective_families": np.log(rows.covariates["relative_effective_families"])}
    values = {
        **dict.fromkeys(coefficient_names(law.diversity), 0.0),
        **TRUTH,
        "effective_families_on_lasting_gain": effect,
    }
    ratio = rows.covariates["parameters"] / rows.reference["parameters"]
    best[several] -= gain(ratio, rows.covariates["size"], scores, values)
    best[several] += noise * rng.standard_normal(several.sum())
    return pools.assign(loss=("pool", best))
