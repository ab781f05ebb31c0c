"""Rows and tables of known truth, built by hand."""

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.laws.observations import Observations
from bayeslaw.losses.model_frames import models_from_frame

SIZES = np.geomspace(7e7, 7e10, 8)
FLOORS = {"alder": 1.5, "birch": 1.7, "cedar": 1.3}
AMPLITUDES = {"alder": 1.4, "birch": 1.2, "cedar": 1.7}
EXPONENTS = {"alder": 0.30, "birch": 0.24, "cedar": 0.34}


def power(parameters, floor, amplitude, exponent):
    return floor + amplitude * (np.asarray(parameters) / 1e9) ** -exponent


def models_table(losses, parameters, families, **columns) -> xr.Dataset:
    """Return a table of whole models, named after their family and row."""
    names = [f"{family}-{row}" for row, family in enumerate(families)]
    frame = {"model": names, "family": families, "parameters": parameters, "loss": losses, **columns}
    return models_from_frame(pd.DataFrame(frame))


def family_table(*, sizes=SIZES, noise=0.01, one_law=False, seed=3, **columns) -> xr.Dataset:
    """Return whole models of three families, each with its own law or all with alder's, and normal noise."""
    rng = np.random.default_rng(seed)
    families = np.repeat(list(FLOORS), len(sizes))
    parameters = np.concatenate([sizes * shift for shift in (1.0, 1.15, 0.9)])
    laws = ["alder" if one_law else family for family in families]
    mean = np.array([power(n, FLOORS[f], AMPLITUDES[f], EXPONENTS[f]) for n, f in zip(parameters, laws, strict=True)])
    return models_table(mean + noise * rng.standard_normal(len(mean)), parameters, families, **columns)


def rows(*, count=9, groups=3, group="family", seed=0, errors=True, tokens=True, table="models") -> Observations:
    """Return rows with every column a law may ask for, near a power law."""
    rng = np.random.default_rng(seed)
    names = np.array(["single", "homogeneous", "heterogeneous"] if group == "regime" else list(FLOORS))
    parameters = np.geomspace(1e8, 1e11, count) * np.exp(0.1 * rng.standard_normal(count))
    covariates = {"parameters": parameters}
    if tokens:
        covariates["training_tokens"] = np.exp(rng.uniform(np.log(1e9), np.log(1e12), count))
    return Observations(
        loss=power(parameters, 1.5, 1.4, 0.3) + 0.05 * rng.standard_normal(count),
        covariates=covariates,
        labels=np.array([f"row-{row}" for row in range(count)]),
        row_dimension="pool" if group == "regime" else "lm",
        unit="nats per word",
        groups={group: names[np.arange(count) % groups]},
        standard_error=np.linspace(0.02, 0.06, count) if errors else None,
        facts={"table": table, "overlapping": False},
    )


TINY_MEDIANS = {"floor": 1.0, "amplitude": 0.8, "exponent": 0.3, "noise_scale": 0.05}


def tiny_table() -> xr.Dataset:
    """Return eight models of one law, with visible noise."""
    loss = power(SIZES, 1.5, 1.4, 0.3) + 0.05 * np.random.default_rng(11).standard_normal(len(SIZES))
    return models_table(loss, SIZES, ["alder"] * 4 + ["birch"] * 4)


def few_rows_table() -> xr.Dataset:
    """Return families of four, two and one model."""
    sizes = np.array([1e8, 1e9, 1e10, 6e10, 4e8, 1.2e10, 3e9])
    families = ["alder"] * 4 + ["birch"] * 2 + ["cedar"]
    mean = [power(n, FLOORS[f], AMPLITUDES[f], EXPONENTS[f]) for n, f in zip(sizes, families, strict=True)]
    return models_table(mean + 0.02 * np.random.default_rng(4).standard_normal(7), sizes, families)
