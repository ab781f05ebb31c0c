"""The joint law and a table, put together: its sites, their priors, and the density that is sampled."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bayeslaw.joint.curve import TAIL, Curve, Models
from bayeslaw.joint.joint_table import JointTable
from bayeslaw.joint.law import CURVE_SITES, JointLaw
from bayeslaw.joint.model_dependence import ModelDependence
from bayeslaw.laws.priors import Prior
from bayeslaw.losses.sizes import count_label

STANDARD = Prior("Normal", (("loc", 0.0), ("scale", 1.0)))
FAMILY_SCALE = Prior("InverseGamma", (("concentration", TAIL / 2), ("rate", TAIL / 2)))
BY_FAMILY = ("family_scale", "floor_offset")
BY_MODEL = ("own_offset",)


@dataclass(frozen=True)
class FamilyParameter:
    """What of the curve of each family is reported.

    Parameters
    ----------
    name
        Name in the law's equation.
    prior
        Prior of the population's value; None where that follows from the priors of other sites and the losses seen, as
        of floor (share of the lowest loss) and amplitude (see `bayeslaw.joint.curve`). Draws of it are in the fit.
    support
        Lowest and highest value that it may have.
    """

    name: str
    prior: Prior | None
    support: tuple[float, float]
    pooling: str = "partial"
    grouped: bool = True


@dataclass(frozen=True)
class JointModel:
    """The joint law with the table it is fitted to.

    Parameters
    ----------
    law
        The law.
    table
        The table.
    """

    law: JointLaw
    table: JointTable

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """Names of the families."""
        return tuple(self.table.family_names)

    @property
    def group_index(self) -> np.ndarray:
        """Number of each model's family, [lm]."""
        return self.table.family

    @cached_property
    def models(self) -> Models:
        """The models seen."""
        return Models(self.table.log_size, self.table.family)

    @cached_property
    def curve(self) -> Curve:
        """The curve of the models seen."""
        prior = dict(self.law.priors["exponent"].arguments)
        return Curve(self.models, self.table.mean, (prior["loc"], prior["scale"]), len(self.groups))

    @cached_property
    def dependence(self) -> ModelDependence:
        """The dependence between the models seen."""
        table = self.table
        return ModelDependence(
            quality=table.quality,
            family=table.family,
            correlation=table.correlation,
            log_deviation=np.log(table.latent_deviation),
            effective_samples=table.effective_samples,
            worth=table.latents.worth,
        )

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every site, in the order sampled."""
        families, models = len(self.groups), len(self.table.mean)
        by_group = {"family_scale": (families,), "floor_offset": (families,), "own_offset": (models,)}
        return {name: () for name in self.law.priors if name != "exponent"} | by_group

    @cached_property
    def sites(self) -> dict[str, Prior]:
        """Prior of every site, in the order sampled; of each element where a site has several."""
        priors = self.law.priors | {"family_scale": FAMILY_SCALE, "floor_offset": STANDARD, "own_offset": STANDARD}
        return {name: priors[name] for name in self.shapes}

    @cached_property
    def parameters(self) -> tuple[FamilyParameter, ...]:
        """What of the curve a reader looks at first: floor, amplitude and exponent of each family."""
        exponent, positive = self.law.priors["exponent"], (0.0, np.inf)
        return (
            FamilyParameter("floor", None, positive),
            FamilyParameter("amplitude", None, positive),
            FamilyParameter("exponent", exponent, exponent.support),
        )

    @property
    def noise_priors(self) -> dict[str, Prior]:
        """Priors of the scales of the curve."""
        return {name: self.sites[name] for name in CURVE_SITES if name in self.sites}

    def draw_prior(self, key: Array) -> dict[str, Array]:
        """Draw every site from its prior."""
        keys = jax.random.split(key, len(self.sites))
        return {
            name: jnp.asarray(prior.distribution().sample(site_key, self.shapes[name]))
            for (name, prior), site_key in zip(self.sites.items(), keys, strict=True)
        }

    def log_prior(self, values: Mapping[str, Any]) -> dict[str, Array]:
        """Log prior density of every site at one draw, each of the site's shape."""
        return {name: jnp.asarray(prior.distribution().log_prob(values[name])) for name, prior in self.sites.items()}

    def log_likelihood(self, values: Mapping[str, Any]) -> Array:
        """Log density of the table's mean losses and correlations at one draw, scalar."""
        return self.curve.log_likelihood(values) + self.dependence.log_likelihood(values)

    def __str__(self) -> str:
        table = self.table
        lines = [
            f"{type(self.law).__name__} of {table.unit}",
            f"  loss = {self.law.equation}   per family, with N0 = {count_label(table.reference)}",
            f"  link: {table.link.name}",
        ]
        return "\n".join([*lines, *(f"  {name} ~ {prior}" for name, prior in self.law.priors.items())])
