"""Rows around a power law, and models of them."""

import numpy as np

from bayeslaw.laws.observations import Observations
from bayeslaw.likelihood.law_model import LawModel


def cloud(count, *, groups=1, seed=0, distinct=None, span=4.0):
    """Return log budgets, responses and groups of rows around a power law."""
    rng = np.random.default_rng(seed)
    abscissa = rng.uniform(-span, span / 2, count)
    if distinct:
        abscissa = rng.choice(abscissa[:distinct], count)
    group = rng.integers(groups, size=count)
    response = 1.2 + 0.3 * group + np.exp(-0.4 * abscissa) + 0.1 * rng.standard_normal(count)
    return abscissa, response, group


def made_model(law, noise, *, group, groups, span=4.0, count=900):
    abscissa, response, index = cloud(count, groups=groups, span=span)
    names = np.array(["single", "homogeneous", "heterogeneous"])[index]
    return LawModel(
        law,
        noise,
        Observations(
            loss=response,
            covariates={"parameters": np.exp(abscissa + 22)},
            labels=np.arange(count).astype(str),
            row_dimension="pool",
            unit="nats",
            groups={group: names},
            facts={"table": "pools"},
        ),
    )
