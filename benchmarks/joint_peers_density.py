"""The density of the joint law written in PyMC, site by site and term by term, for `joint_peers.py`.

It has the priors that the law's table has, and of the losses, correlations and deviations seen the densities of
`bayeslaw.joint.curve`, `bayeslaw.joint.correlation_density` and `bayeslaw.joint.model_dependence`, with everything
that does not depend on a site worked out beforehand.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from bayeslaw.joint.curve import DRIFT_LENGTH, JITTER, LEVEL_DEVIATION, LEVEL_SHARE, Curve
from bayeslaw.joint.joint_model import JointModel
from bayeslaw.joint.model_dependence import DEVIATION_LEVEL, DEVIATION_SLOPE, FARTHEST_QUALITY, ModelDependence
from bayeslaw.laws.priors import Prior

NEWTON_STEPS = 30
SMALL_DECREMENT = 1e-7
LOG_TWO_PI = math.log(2 * math.pi)

DISTRIBUTIONS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "Beta": ("Beta", {"concentration1": "alpha", "concentration0": "beta"}),
    "InverseGamma": ("InverseGamma", {"concentration": "alpha", "rate": "beta"}),
    "LogNormal": ("LogNormal", {"loc": "mu", "scale": "sigma"}),
    "Normal": ("Normal", {"loc": "mu", "scale": "sigma"}),
    "Uniform": ("Uniform", {"low": "lower", "high": "upper"}),
}
"""PyMC's name of a distribution, and of each of its arguments, by those of the package's priors."""


class CurveData(NamedTuple):
    """What is seen of the curve, and what of its covariance no site changes."""

    loss: np.ndarray
    family: np.ndarray
    bound: np.ndarray
    mean: np.ndarray
    population: np.ndarray
    same: np.ndarray
    product: np.ndarray
    drift: np.ndarray


def pymc_model(model: JointModel) -> Any:
    """Write the joint law of a table in PyMC.

    Parameters
    ----------
    model
        The law with its table; its priors are among `DISTRIBUTIONS`.

    Returns
    -------
    pymc.Model
        With a variable for every site of `JointModel.sites`.
    """
    import pymc as pm  # pyright: ignore[reportMissingImports]

    with pm.Model() as written:
        values = {name: _site(pm, name, prior, model.shapes[name]) for name, prior in model.sites.items()}
        pm.Potential("loss", curve_log_density(model.curve, values))
        pm.Potential("correlation", correlation_log_density(model.dependence, values))
        pm.Potential("log_deviation", deviation_log_density(model.dependence, values))
    return written


def _site(pm: Any, name: str, prior: Prior, shape: tuple[int, ...]) -> Any:
    distribution, arguments = DISTRIBUTIONS[prior.name]
    given = {arguments[key]: value for key, value in prior.arguments}
    return getattr(pm, distribution)(name, **given, shape=shape)


def curve_log_density(curve: Curve, values: Mapping[str, Any]) -> Any:
    """Log density of the mean losses, as `Curve.log_likelihood`."""
    import pytensor.tensor as pt  # pyright: ignore[reportMissingImports]
    from pymc.distributions.dist_math import normal_lcdf  # pyright: ignore[reportMissingImports]

    data = _curve_data(curve)
    lowest = data.loss.min()
    centre = pt.log(values["floor_share"] * lowest)
    spread = values["floor_spread"] * (1 - values.get("floor_shrinkage", 1.0) * values["floor_share"])
    bound = (np.log(data.bound) - centre) / spread
    share = pt.clip(_ndtr(pt, values["floor_offset"]) * _ndtr(pt, bound), 1e-15, 1 - 1e-15)
    quantile = -math.sqrt(2) * pt.erfcinv(2 * share)
    floors = pt.minimum(pt.exp(centre + spread * quantile), data.bound * (1 - 1e-9))
    above = pt.log(data.loss - floors[data.family])
    scale = pt.sqrt(values["family_scale"])[data.family]
    level = values["amplitude_spread"] ** 2 * scale[:, None] * scale[None, :]
    covariance = data.population + data.same * (level + values["exponent_spread"] ** 2 * data.product)
    covariance += values["exponent_drift"] ** 2 * data.drift
    covariance += (values["model_spread"] ** 2 + JITTER) * np.eye(len(data.loss))
    return _normal_log_density(pt, above - data.mean, covariance) - above.sum() + normal_lcdf(0.0, 1.0, bound).sum()


def _curve_data(curve: Curve) -> CurveData:
    loss, family = np.asarray(curve.loss), np.asarray(curve.models.family)
    x = np.asarray(curve.models.log_size)
    same = (family[:, None] == family[None, :]).astype(float)
    product = x[:, None] * x[None, :]
    excursion = {name: _excursion(size) for name, size in {"x": x, "between": x[:, None] - x[None, :]}.items()}
    drift = excursion["x"][:, None] + excursion["x"][None, :] - excursion["between"]
    return CurveData(
        loss=loss,
        family=family,
        bound=np.array([loss[family == each].min() for each in range(curve.families)]),
        mean=np.log(LEVEL_SHARE * loss.min()) - curve.exponent[0] * x,
        population=LEVEL_DEVIATION**2 + curve.exponent[1] ** 2 * product,
        same=same,
        product=product,
        drift=drift * (0.5 + 0.5 * same),
    )


def _excursion(distance: np.ndarray) -> np.ndarray:
    steps = np.abs(distance) / DRIFT_LENGTH
    return DRIFT_LENGTH**2 * (steps + np.expm1(-steps))


def _ndtr(pt: Any, x: Any) -> Any:
    return 0.5 * pt.erfc(-x / math.sqrt(2))


def _normal_log_density(pt: Any, deviation: Any, covariance: Any) -> Any:
    """Log density of deviations of mean zero, scalar."""
    factor = pt.linalg.cholesky(covariance, lower=True)
    whitened = pt.linalg.solve_triangular(factor, deviation, lower=True, b_ndim=1)
    count = deviation.shape[0]
    return -0.5 * (whitened @ whitened + count * LOG_TWO_PI) - pt.log(pt.diag(factor)).sum()


def correlation_log_density(dependence: ModelDependence, values: Mapping[str, Any]) -> Any:
    """Log density of the correlations seen, as `bayeslaw.joint.correlation_density.correlation_log_density`."""
    import pytensor.tensor as pt  # pyright: ignore[reportMissingImports]

    count, correlation = len(dependence.quality), np.asarray(dependence.correlation)
    identity = np.eye(count)
    freedom = count + 1 + 1 / (1 / values["structure_freedom"] + 1 / dependence.effective_samples)
    factor = pt.linalg.cholesky(_structure(pt, dependence, values), lower=True)
    product = pt.linalg.cho_solve((factor, True), identity, b_ndim=2) * correlation
    scale = _newton_step(pt, product, _best_scale(pt, product))[0]
    balanced = product * scale[:, None] * scale[None, :]
    remainder = (count - balanced.sum()) / 2
    log_determinant = 2 * pt.log(pt.diag(factor)).sum()
    profile = freedom * (pt.log(scale).sum() + remainder - log_determinant / 2)
    curvature = 2 * pt.log(pt.diag(pt.linalg.cholesky(balanced + identity))).sum() - count * math.log(2)
    multivariate = count * (count - 1) / 4 * math.log(math.pi) + pt.gammaln(freedom / 2 - np.arange(count) / 2).sum()
    seen = (freedom - count - 1) / 2 * np.linalg.slogdet(correlation)[1]
    return count * pt.gammaln(freedom / 2) - multivariate + seen + profile - curvature / 2


def _structure(pt: Any, dependence: ModelDependence, values: Mapping[str, Any]) -> Any:
    quality, family = np.asarray(dependence.quality), np.asarray(dependence.family)
    differ = family[:, None] != family[None, :]
    log_distance = np.log(np.abs(quality[:, None] - quality[None, :]) + np.eye(len(quality)))
    near = np.clip(quality, -FARTHEST_QUALITY, FARTHEST_QUALITY)
    level = values["own_level"] + values["own_slope"] * near + values["own_spread"] * values["own_offset"]
    shared = pt.exp(-0.5 * pt.softplus(level))
    decay = pt.exp(-pt.exp(values["roughness"] * (log_distance - pt.log(values["length"]))))
    kernel = shared[:, None] * shared[None, :] * decay * (1 - values["family_difference"] * differ)
    return pt.where(np.eye(len(quality), dtype=bool), 1.0, kernel)


def _best_scale(pt: Any, product: Any) -> Any:
    """Solve ``d_i (Q d)_i = 1`` by damped Newton steps, of which no gradient is taken, [lm]."""
    import pytensor  # pyright: ignore[reportMissingImports]
    from pytensor.gradient import disconnected_grad  # pyright: ignore[reportMissingImports]
    from pytensor.scan.utils import until  # pyright: ignore[reportMissingImports]

    fixed = disconnected_grad(product)

    def step(scale: Any, matrix: Any) -> tuple[Any, Any]:
        moved, decrement = _newton_step(pt, matrix, scale)
        return moved, until(decrement <= SMALL_DECREMENT)

    count = fixed.shape[0]
    start = pt.sqrt(count / fixed.sum()) * pt.ones(count)
    scales = pytensor.scan(
        step, outputs_info=[start], non_sequences=[fixed], n_steps=NEWTON_STEPS, return_updates=False
    )
    return disconnected_grad(scales[-1])


def _newton_step(pt: Any, product: Any, scale: Any) -> tuple[Any, Any]:
    """Take a damped Newton step; returns scales and the Newton decrement before it, which has no gradient."""
    from pytensor.gradient import disconnected_grad  # pyright: ignore[reportMissingImports]

    balanced = product * scale[:, None] * scale[None, :]
    slope = 1 - balanced.sum(axis=1)
    factor = pt.linalg.cholesky(balanced + pt.eye(scale.shape[0]), lower=True)
    direction = pt.linalg.cho_solve((factor, True), slope, b_ndim=1)
    decrement = pt.sqrt(pt.maximum(disconnected_grad(slope @ direction), 0.0))
    return scale * (1 + direction / (1 + decrement)), decrement


def deviation_log_density(dependence: ModelDependence, values: Mapping[str, Any]) -> Any:
    """Log density of the log deviations seen, as `ModelDependence.log_likelihood_of_deviations`."""
    import pytensor.tensor as pt  # pyright: ignore[reportMissingImports]

    seen, family = np.asarray(dependence.log_deviation), np.asarray(dependence.family)
    near = np.clip(np.asarray(dependence.quality), -FARTHEST_QUALITY, FARTHEST_QUALITY)
    same = (family[:, None] == family[None, :]).astype(float)
    fixed = DEVIATION_LEVEL**2 + DEVIATION_SLOPE**2 * near[:, None] * near[None, :]
    covariance = fixed + same * values["deviation_family_spread"] ** 2
    covariance += values["deviation_spread"] ** 2 * np.eye(len(seen))
    return _normal_log_density(pt, pt.as_tensor(seen - seen.mean()), covariance)


class Density(NamedTuple):
    """The log density of a PyMC model, compiled.

    Parameters
    ----------
    evaluate
        Of PyMC's unconstrained values by name: the log density of the sites, that of these values, and its gradient.
    transformed
        By site: name of its unconstrained value, and how it is had from the site's own.
    start
        Unconstrained values at which PyMC starts.
    """

    evaluate: Callable[[Mapping[str, np.ndarray]], list[Any]]
    transformed: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray]]]
    start: dict[str, np.ndarray]

    def at(self, values: Mapping[str, np.ndarray]) -> float:
        """Evaluate at one value of every site, in its unit."""
        point = {
            key: forward(np.asarray(values[name], dtype=float)) for name, (key, forward) in self.transformed.items()
        }
        return float(self.evaluate(point)[0])

    def slopes(self, places: int, step: float = 1e-5) -> tuple[np.ndarray, np.ndarray]:
        """Slopes along random directions around the start, by the gradient and by differences, each [place]."""
        generator = np.random.default_rng(0)

        def moved(place: Mapping[str, np.ndarray], direction: Mapping[str, np.ndarray], by: float) -> dict[str, Any]:
            return {name: np.asarray(value) + by * direction[name] for name, value in place.items()}

        slopes, quotients = np.empty(places), np.empty(places)
        for number in range(places):
            offset, direction = (
                {name: generator.standard_normal(np.shape(value)) for name, value in self.start.items()}
                for _ in range(2)
            )
            place = moved(self.start, offset, 0.3)
            flat = np.concatenate([np.ravel(direction[name]) for name in self.start])
            slopes[number] = self.evaluate(place)[2] @ flat
            ends = [float(self.evaluate(moved(place, direction, by))[1]) for by in (step, -step)]
            quotients[number] = (ends[0] - ends[1]) / (2 * step)
        return slopes, quotients


def compiled_density(written: Any) -> Density:
    """Compile the log density of a PyMC model and its gradient.

    Parameters
    ----------
    written
        As `pymc_model` returns it.

    Returns
    -------
    Density
        All in one function.
    """
    outputs = [written.logp(jacobian=False), written.logp(), written.dlogp()]
    initial = written.initial_point()
    transformed = {}
    for variable in written.free_RVs:
        transform, inputs = written.rvs_to_transforms[variable], variable.owner.inputs
        transformed[variable.name] = (written.rvs_to_values[variable].name, _forward(transform, inputs))
    start = {variable.name: np.asarray(initial[variable.name]) for variable in written.continuous_value_vars}
    return Density(written.compile_fn(outputs, inputs=written.value_vars, point_fn=True), transformed, start)


def _forward(transform: Any, inputs: Any) -> Callable[[np.ndarray], np.ndarray]:
    return lambda value: value if transform is None else np.asarray(transform.forward(value, *inputs).eval())
