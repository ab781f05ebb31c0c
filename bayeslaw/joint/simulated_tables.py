r"""Loss tables drawn from the joint law's own prior, with models that a fit does not see.

Written from the equations of `bayeslaw.joint.curve` and `bayeslaw.joint.model_dependence` part by part, with every part
that the density integrates out drawn by itself, so that a mistake in either shows as a law that is not calibrated.

The law's priors are scaled to the table: the floor and the level of the curve to the lowest mean loss seen. Parameters
drawn around a given loss only pass for such a table where its lowest loss is that one, so tables in which it is not,
within `TOLERANCE`, are drawn again: a choice by data, which leaves posteriors as they are. Qualities are standardised
by the models seen, means and standard deviations over samples are exact, and the mean log latent deviation of the
models seen is that of the design, all as the fit has it. What remains: correlations have a unit diagonal and scatter
twice, around the structure and by the samples, where the density is that of one Wishart matrix. Ranks of the sites of
the dependence are therefore only nearly uniform; those of the curve are exact, up to the tolerance.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import numpy as np
import xarray as xr
from scipy import optimize, special, stats

from bayeslaw.errors import InputError, check_choice
from bayeslaw.joint.curve import DRIFT_LENGTH, LEVEL_DEVIATION, LEVEL_SHARE, TAIL
from bayeslaw.joint.law import CORRELATION_SITES, CURVE_SITES, DEVIATION_SITES, JointLaw
from bayeslaw.joint.links import SMOOTH_LINKS
from bayeslaw.joint.model_dependence import DEVIATION_SLOPE

TOLERANCE = 0.006
ATTEMPTS = 20_000
FEWEST_SEEN = 3


@dataclass(frozen=True)
class JointDesign:
    """Models and samples of a simulated table.

    Parameters
    ----------
    parameters
        Number of parameters of each model.
    families
        Family of each model.
    seen
        How many of the models, from the first, a fit sees; the others are to be predicted.
    samples
        Number of samples.
    link
        ``"log"`` or ``"softplus"``.
    lowest
        About the lowest mean loss of the models seen, in nats per sample.
    deviation
        Geometric mean over the models seen of the standard deviation of their latent losses.

    Raises
    ------
    InputError
        If the models are fewer than those seen, a number is not positive, or the link is not one of these.
    """

    parameters: tuple[float, ...]
    families: tuple[str, ...]
    seen: int
    samples: int = 200
    link: str = "log"
    lowest: float = 2.0
    deviation: float = 0.5

    def __post_init__(self) -> None:
        check_choice("link", self.link, (name for name, link in SMOOTH_LINKS.items() if link.positive))
        if not FEWEST_SEEN <= self.seen <= len(self.parameters) == len(self.families):
            raise InputError(
                f"{self.seen} models seen of {len(self.parameters)} sizes and {len(self.families)} families",
                f"as many families as sizes, and {FEWEST_SEEN} models seen or more",
                "give one family a model",
            )
        if not (min(self.parameters) > 0 and self.lowest > 0 and self.deviation > 0 and self.samples > 1):
            raise InputError(
                "a size, loss, deviation or number of samples is not positive", "positive numbers", "check the design"
            )

    @cached_property
    def family_names(self) -> tuple[str, ...]:
        """Families of the models seen in alphabetical order, then the others."""
        known = sorted(set(self.families[: self.seen]))
        return (*known, *dict.fromkeys(name for name in self.families if name not in known))

    @property
    def known_families(self) -> int:
        """Number of families of the models seen."""
        return len(set(self.families[: self.seen]))

    @cached_property
    def family(self) -> np.ndarray:
        """Number of each model's family, [lm]."""
        return np.array([self.family_names.index(name) for name in self.families])

    @cached_property
    def log_size(self) -> np.ndarray:
        """Log size relative to the geometric mean of the models seen, [lm]."""
        logs = np.log(self.parameters)
        return logs - logs[: self.seen].mean()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Name of each model, [lm]."""
        return tuple(f"{family}-{number}" for number, family in enumerate(self.families))


@dataclass(frozen=True)
class JointSimulation:
    """A simulated table and its truth.

    Parameters
    ----------
    design
        The design.
    losses
        Losses of all models on all samples in nats, [sample, lm].
    truth
        The sites of the law for the families and models seen, with ``floor``, ``amplitude`` (at the geometric mean of
        the sizes seen) and ``exponent`` of each family seen.
    mean
        Mean loss of every model, [lm].
    correlation
        True correlations of the latent losses, [lm, lm].
    """

    design: JointDesign
    losses: np.ndarray
    truth: Mapping[str, np.ndarray]
    mean: np.ndarray
    correlation: np.ndarray = field(repr=False)

    @property
    def seen(self) -> xr.Dataset:
        """The table that a fit sees."""
        return self._dataset(slice(None, self.design.seen))

    @property
    def whole(self) -> xr.Dataset:
        """The table with the models to be predicted."""
        return self._dataset(slice(None))

    def _dataset(self, models: slice) -> xr.Dataset:
        design = self.design
        samples = [f"sample-{number:05d}" for number in range(design.samples)]
        return xr.Dataset(
            {
                "nll": (("sample", "lm"), self.losses[:, models]),
                "family": ("lm", np.array(design.families[models])),
                "parameters": ("lm", np.array(design.parameters[models])),
            },
            coords={"sample": samples, "lm": list(design.names[models])},
            attrs={"kind": "losses", "unit": "sample", "missing": "{}", "source": "simulated from the joint law"},
        )


def simulate_joint(
    law: JointLaw, design: JointDesign, *, without_own_part: tuple[int, ...] = (), seed: int = 0
) -> JointSimulation:
    """Draw a loss table from the prior of the joint law.

    Parameters
    ----------
    law
        The law.
    design
        Models and samples.
    without_own_part
        Numbers of models that follow the curve of their family: targets for the law's mean.
    seed
        Same seed, same table.

    Returns
    -------
    JointSimulation
        The table and its truth.

    Raises
    ------
    InputError
        If the priors hardly ever give a table whose lowest loss is near the one they are scaled to.
    """
    rng = np.random.default_rng(seed)
    sites, curve = _draw_curve(law, design, np.isin(np.arange(len(design.names)), without_own_part), rng)
    mean = curve["mean"]
    dependence, correlation, deviation = _draw_dependence(law, design, mean, rng)
    latent = rng.standard_normal((design.samples, len(mean))) @ np.linalg.cholesky(correlation).T
    latent = (latent - latent.mean(axis=0)) / latent.std(axis=0) * deviation
    losses = np.stack(
        [_with_mean(*pair, SMOOTH_LINKS[design.link].array_value) for pair in zip(latent.T, mean, strict=True)], axis=1
    )
    known = design.known_families
    known_sites = {name: curve[name][:known] for name in ("family_scale", "floor", "amplitude", "exponent")}
    offset = _floor_offset(sites, design, known_sites["floor"], mean)
    return JointSimulation(
        design, losses, sites | known_sites | {"floor_offset": offset} | dependence, mean, correlation
    )


def _draw_sites(law: JointLaw, names: tuple[str, ...], count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    keys = jax.random.split(jax.random.PRNGKey(int(rng.integers(2**31))), len(names))
    with jax.enable_x64(True):
        return {
            name: np.asarray(law.priors[name].distribution().sample(key, (count,)))
            for name, key in zip(names, keys, strict=True)
        }


def _draw_curve(
    law: JointLaw, design: JointDesign, bare: np.ndarray, rng: np.random.Generator
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Draw sites of the curve and mean losses until the lowest loss seen is about the design's."""
    names = tuple(name for name in ("exponent", *CURVE_SITES) if name in law.priors)
    drawn = _draw_sites(law, names, ATTEMPTS, rng)
    for number in range(ATTEMPTS):
        sites = {name: array[number] for name, array in drawn.items()}
        curve = _curve(sites, design, bare, dict(law.priors["exponent"].arguments)["loc"], rng)
        if abs(np.log(curve["mean"][: design.seen].min() / design.lowest)) < TOLERANCE:
            del sites["exponent"]
            return sites, curve
    raise InputError(
        f"none of {ATTEMPTS} tables has a lowest loss near the one that the law's priors are scaled to",
        "priors that allow for such tables",
        "give a wider prior of floor_share",
    )


def _curve(
    sites: Mapping[str, Any], design: JointDesign, bare: np.ndarray, exponent: float, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Draw the curve of every family and the mean loss of every model; `exponent` is its prior's mean."""
    size, family, count = design.log_size, design.family, len(design.family_names)
    family_scale = TAIL / 2 / rng.gamma(TAIL / 2, size=count)
    level = np.log(LEVEL_SHARE * design.lowest) + LEVEL_DEVIATION * rng.standard_normal()
    level = level + sites["amplitude_spread"] * np.sqrt(family_scale) * rng.standard_normal(count)
    slope = sites["exponent"] + sites["exponent_spread"] * rng.standard_normal(count)
    deviation = _floor_deviation(sites)
    floor = sites["floor_share"] * design.lowest * np.exp(deviation * rng.standard_normal(count))
    walk = _drift_factor(size)
    shared, by_family = rng.standard_normal(len(size)), rng.standard_normal((count, len(size)))
    # Half of the variance of the drift is shared by all families.
    drift = sites["exponent_drift"] * np.sqrt(0.5) * (walk @ shared + np.einsum("ij,ij->i", walk, by_family[family]))
    part = np.where(bare, 0.0, sites["model_spread"] * rng.standard_normal(len(size)))
    mean = floor[family] + np.exp(level[family] - slope[family] * size + drift + part)
    return {"mean": mean, "family_scale": family_scale, "floor": floor, "amplitude": np.exp(level), "exponent": slope}


def _drift_factor(size: np.ndarray) -> np.ndarray:
    """Factor of the covariance over sizes of the integral of an Ornstein-Uhlenbeck process of unit variance."""

    def excursion(distance: np.ndarray) -> np.ndarray:
        steps = np.abs(distance) / DRIFT_LENGTH
        return DRIFT_LENGTH**2 * (steps - 1 + np.exp(-steps))

    x, y = size[:, None], size[None, :]
    eigenvalues, vectors = np.linalg.eigh(excursion(x) + excursion(y) - excursion(x - y))
    return vectors * np.sqrt(np.maximum(eigenvalues, 0.0))


def _floor_deviation(sites: Mapping[str, Any]) -> float:
    """Return the standard deviation of the log floors of families."""
    return sites["floor_spread"] * (1 - sites.get("floor_shrinkage", 1.0) * sites["floor_share"])


def _floor_offset(sites: Mapping[str, Any], design: JointDesign, floor: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Place of each floor in its distribution below the lowest loss of the family, as a normal quantile."""
    seen, family = mean[: design.seen], design.family[: design.seen]
    lowest = np.array([seen[family == number].min() for number in range(design.known_families)])
    centre = np.log(sites["floor_share"] * seen.min())
    deviation = _floor_deviation(sites)
    place = stats.norm.logcdf((np.log(floor) - centre) / deviation)
    bound = stats.norm.logcdf((np.log(lowest) - centre) / deviation)
    return special.ndtri_exp(np.minimum(place - bound, 0.0))


def _draw_dependence(
    law: JointLaw, design: JointDesign, mean: np.ndarray, rng: np.random.Generator
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Draw the sites of the dependence, the correlations of latent losses and their standard deviations."""
    drawn = _draw_sites(law, (*CORRELATION_SITES, *DEVIATION_SITES), 1, rng)
    sites = {name: array[0] for name, array in drawn.items()}
    seen, count, logs = design.seen, len(mean), np.log(mean)
    quality = (logs - logs[:seen].mean()) / logs[:seen].std()
    offset = rng.standard_normal(count)
    near = np.clip(quality, -4.0, 4.0)
    logit = sites["own_level"] + sites["own_slope"] * near + sites["own_spread"] * offset
    unshared = special.expit(logit)
    distance = np.abs(quality[:, None] - quality[None, :]) / sites["length"]
    differ = design.family[:, None] != design.family[None, :]
    structure = np.sqrt(np.outer(1 - unshared, 1 - unshared)) * np.exp(-(distance ** sites["roughness"]))
    structure = np.where(differ, 1 - sites["family_difference"], 1.0) * structure
    np.fill_diagonal(structure, 1.0)
    # The models seen then scatter with the freedom that the density has for as many.
    freedom = max(seen + 1 + sites["structure_freedom"], count)
    scatter = np.asarray(stats.wishart(freedom, structure / freedom).rvs(random_state=rng))
    width = np.sqrt(np.diag(scatter))
    deviation = DEVIATION_SLOPE * rng.standard_normal() * near
    family = rng.standard_normal(len(design.family_names))[design.family]
    deviation = deviation + sites["deviation_family_spread"] * family
    deviation = deviation + sites["deviation_spread"] * rng.standard_normal(count)
    deviation = np.log(design.deviation) + deviation - deviation[:seen].mean()
    return sites | {"own_offset": offset[:seen]}, scatter / np.outer(width, width), np.exp(deviation)


def _with_mean(latent: np.ndarray, mean: float, value: Any) -> np.ndarray:
    """Shift latent losses so that the mean of the losses is the one given."""
    if value is np.exp:
        return mean * np.exp(latent) / np.exp(latent).mean()
    low, high = -latent.max() + np.log(mean) - 50.0, mean + 50.0 - latent.min()
    shift = optimize.brentq(lambda shift: value(latent + shift).mean() - mean, low, high, xtol=1e-12)
    return value(latent + shift)
