"""What the attributes of a fit say: the law and noise with every prior, the table, and the versions."""

import json
from importlib.metadata import version
from typing import Any

import xarray as xr

from bayeslaw.fitting.fit_file import FIT_FORMAT, FIT_FORMAT_VERSION
from bayeslaw.fitting.fit_law import class_of
from bayeslaw.laws.base import POPULATION
from bayeslaw.likelihood.law_model import LawModel
from bayeslaw.likelihood.noise import DEPENDENCE_NAMES, MEMBER_SCALE, NOISE_SCALE, Noise


def resolved(model: LawModel) -> LawModel:
    """Fill in every default prior, so that a saved fit says what it used whatever later defaults are."""
    priors = {
        name.removesuffix(POPULATION): prior for name, prior in model.sites.items() if name not in model.noise_priors
    }
    law = type(model.law).from_specification({**model.law.specification, "priors": priors})
    noise = Noise(
        **{
            **{name: getattr(model.noise, name) for name in Noise.__dataclass_fields__},
            "scale": model.noise_priors[NOISE_SCALE],
            **{site: prior for site, prior in model.noise_priors.items() if site in Noise.__dataclass_fields__},
            "by_group": model.noise_by_group,
            "dependence": DEPENDENCE_NAMES[model.dependence is not None],
            "member_scale": model.noise_priors.get(MEMBER_SCALE),
        }
    )
    return model.with_priors(law, noise)


def attributes_of(model: LawModel, data: xr.Dataset, parameters: str) -> dict[str, Any]:
    """Attributes of the fit of a law of rows, before those of the sampler."""
    kind = str(data.attrs.get("parameters_kind", parameters)) if data.attrs.get("kind") == "pools" else parameters
    return {
        "law": json.dumps(model.law.specification),
        **class_of(model.law),
        "unit": model.observations.unit,
        "row_dimension": model.observations.row_dimension,
        "reference": json.dumps(model.observations.reference),
        "facts": json.dumps(dict(model.observations.facts)),
        "families": json.dumps(_families(data)),
    } | common_attributes(model.noise, data, kind)


def common_attributes(noise: Noise, data: xr.Dataset, parameters: str) -> dict[str, Any]:
    """Attributes that the fits of all laws have."""
    packages = ("bayeslaw", "jax", "numpyro", "arviz", "xarray", "numpy")
    return {
        "format": FIT_FORMAT,
        "format_version": FIT_FORMAT_VERSION,
        "noise": json.dumps(noise.specification),
        "parameters_kind": parameters,
        "source": str(data.attrs.get("source", "")),
        "versions": json.dumps({name: version(name) for name in packages}),
    }


def _families(data: xr.Dataset) -> dict[str, str]:
    """Family of every model of the table, by which whole families are left out."""
    return dict(zip(data["lm"].to_numpy().astype(str), data["family"].to_numpy().astype(str), strict=True))
