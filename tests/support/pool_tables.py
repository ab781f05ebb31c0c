"""Small loss tables, and pools evaluated the slow and plain way."""

from itertools import combinations

import numpy as np
import xarray as xr


def loss_table(nll, *, families=None, parameters=None, clusters=None, sizes=None):
    nll = np.asarray(nll, dtype=float)
    samples, models = nll.shape
    table = xr.Dataset(
        {
            "nll": (("sample", "lm"), nll),
            "family": ("lm", list(families or [f"f{m % 3}" for m in range(models)])),
            "parameters": ("lm", np.asarray(parameters if parameters is not None else 1e8 * 1.5 ** np.arange(models))),
        },
        coords={"sample": [f"s{s}" for s in range(samples)], "lm": [f"m{m}" for m in range(models)]},
        attrs={"kind": "losses", "unit": "word", "source": "by hand"},
    )
    if clusters is not None:
        table["cluster"] = ("sample", np.asarray(clusters).astype(str))
    if sizes is not None:
        table["bytes"] = ("sample", np.asarray(sizes, dtype=float))
    return table


def random_table(samples, models, seed=0, **others):
    generator = np.random.default_rng(seed)
    nll = generator.lognormal(0.5, 1, (samples, 1)) * generator.lognormal(0, 0.3, (samples, models))
    return loss_table(nll, **others)


def subsets(models, max_size):
    return [members for size in range(1, max_size + 1) for members in combinations(range(models), size)]


def plain_pool(table, members, rule):
    """Loss, standard error and shares of one pool, with nothing clever."""
    nll = table["nll"].to_numpy()[:, list(members)]
    weights = table["bytes"].to_numpy() if "bytes" in table else np.ones(len(nll))
    scale = 1 / np.log(2) if "bytes" in table else 1.0
    labels = table["cluster"].to_numpy() if "cluster" in table else None
    if rule == "oracle":
        loss = nll.min(axis=1)
        shares = (nll == loss[:, None]).astype(float)
    else:
        lowest = nll.min(axis=1, keepdims=True)
        shares = np.exp(lowest - nll)
        loss = lowest[:, 0] - np.log(shares.mean(axis=1))
    shares /= shares.sum(axis=1, keepdims=True)
    mean = loss.sum() / weights.sum()
    residuals = loss - mean * weights
    sums = residuals if "cluster" not in table else [residuals[labels == label].sum() for label in np.unique(labels)]
    count = len(sums)
    error = np.sqrt(count / (count - 1) * np.sum(np.square(sums))) / weights.sum() if count > 1 else np.nan
    return scale * mean, scale * error, weights @ shares / weights.sum()
