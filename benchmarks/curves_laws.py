"""The power law of one curve, broken or not: posterior densities in JAX, so that curves and draws are batched.

With ``u`` the log budget relative to the reference of the curve,

    log loss = log(floor + exp(a - g u + c B(u))) + Normal(0, noise^2)        a = log amplitude, g = exponent
    B(u) = chord(u) - S(u)
    S(u) = w softplus((u - b) / w), chord(u) the line through S at the lowest and highest budget fitted

It is the package's `BrokenPowerLaw` at a given break and width: the exponent rises by ``c`` around ``u = b``, over a
width ``w``. Written about the chord, ``g`` is the mean exponent over the budgets fitted whatever the
break, so that its prior is that of the power law, which ``c = 0`` is: floor, amplitude, exponent and noise have the
priors that `PowerLaw` and `Noise` give them by default. Positions of four coordinates, without the change, are of the
unbroken law.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from curves_protocol import Curve
from jax import Array

from bayeslaw.fitting.law_coordinates import levels_to_logs
from bayeslaw.laws.broken_power import CHANGE_DEVIATION, WIDTH_SHARE, broken_power_law
from bayeslaw.laws.observations import Observations
from bayeslaw.laws.power import ANY_SHARE, data_scaled_priors
from bayeslaw.laws.priors import Prior
from bayeslaw.likelihood.noise import NOISE_SCALE, Noise, noise_priors

LEVELS = ("floor", "amplitude", "exponent")
# Logarithms of positive quantities, and the change of the exponent. The floor's prior is of its share of the loss at
# the highest budget, whose logit is the third coordinate; all others are normal.
QUANTITIES = (*LEVELS, "noise", "change")
IMPOSSIBLE = -1e10


def prior_table(curve: Curve) -> dict[str, tuple[float, float]]:
    """Location and scale of the normal priors of logarithms, and of the change of the exponent.

    Those of the power law and its noise are the defaults of the package, in the units of the curve.
    """
    noise = noise_priors(Noise(response="log_loss"), np.log(curve.loss))[NOISE_SCALE]
    scaled = data_scaled_priors(observations(curve))
    assert scaled["floor"] == ANY_SHARE
    table = {name: _log_normal(prior) for name, prior in scaled.items() if name != "floor"}
    return table | {"noise": _log_normal(noise), "change": (0.0, CHANGE_DEVIATION)}


def observations(curve: Curve) -> Observations:
    """Wrap the fitted rows of a curve as the package's laws see rows."""
    labels = np.arange(len(curve.loss)).astype(str)
    return Observations(curve.loss, {"parameters": curve.budget}, labels, "lm", "loss of the benchmark")


def _log_normal(prior: Prior) -> tuple[float, float]:
    given = dict(prior.arguments)
    assert prior.name == "LogNormal"
    return given["loc"], given["scale"]


def batch(curves: Sequence[Curve], breaks: Sequence[float] = (0.5,)) -> dict[str, Any]:
    """Stack curves, padded to the longest.

    Parameters
    ----------
    curves
        The curves.
    breaks
        Places of the break as shares of the log budgets fitted; every curve is there once for each, one after another.

    Returns
    -------
    dict
        ``u`` and ``log_loss`` of shape ``[curve, row]`` with ``known`` (whether a row is one), ``low`` and ``high``
        log budget and ``break_share``, each ``[curve]``, and ``priors``, location and scale by name, each
        ``[curve, 2]``. Padding repeats the last row.
    """
    rows = max(len(curve.loss) for curve in curves)
    u = np.stack([pad(np.log(curve.budget / curve.reference), rows) for curve in curves])
    tables = [prior_table(curve) for curve in curves]
    single = {
        "u": u,
        "log_loss": np.stack([pad(np.log(curve.loss), rows) for curve in curves]),
        "known": np.stack([np.arange(rows) < len(curve.loss) for curve in curves]),
        "low": u[:, 0],
        "high": u[:, -1],
        "priors": {name: np.array([table[name] for table in tables]) for name in tables[0]},
    }
    repeated = jax.tree.map(lambda values: np.repeat(values, len(breaks), axis=0), single)
    return repeated | {"break_share": np.tile(breaks, len(curves))}


def pad(values: np.ndarray, length: int) -> np.ndarray:
    """Repeat the last value until there are as many as asked for, [length]."""
    return np.pad(values, (0, length - len(values)), mode="edge")


def free_quantities(position: Array, data: Mapping[str, Any]) -> tuple[dict[str, Array], Array]:
    """Map coordinates of one curve to the quantities that have priors.

    The first three coordinates are the levels of `levels_to_logs`, the others are the quantities themselves.

    Returns
    -------
    free : dict
        Logarithms of positive quantities, and the change if there is one.
    log_determinant : Array
        Of the map, scalar.
    """
    logs, log_determinant = levels_to_logs(position[:3], data["low"], data["high"])
    values = jnp.concatenate([logs, position[3:]])
    return dict(zip(QUANTITIES[: len(values)], values, strict=True)), log_determinant


def draw_priors(data: Mapping[str, Any], draws: int, seed: int, *, broken: bool = True) -> np.ndarray:
    """Draw coordinates from the prior of every curve of a batch, [curve, draw, coordinate]."""
    quantities = QUANTITIES if broken else QUANTITIES[:-1]
    generator = np.random.default_rng(seed)
    place = {name: prior[..., None] for name, prior in data["priors"].items()}
    shape = (len(data["u"]), draws)
    free = {
        name: place[name][:, 0] + place[name][:, 1] * generator.standard_normal(shape)
        for name in quantities
        if name in place
    }
    low, high = data["low"][:, None], data["high"][:, None]
    exponent = np.exp(free["exponent"])
    log_reducible = free["amplitude"] - exponent * high
    share = generator.logistic(size=shape)
    levels = [
        np.logaddexp(log_reducible + share, log_reducible),
        log_reducible + np.log(np.expm1(exponent * (high - low))),
        share,
    ]
    return np.stack([*levels, *(free[name] for name in quantities[3:])], axis=-1)


def log_mean(free: Mapping[str, Array], u: Array, data: Mapping[str, Any]) -> Array:
    """Log loss of the law at log budgets, [row]."""
    floor, amplitude, exponent = (jnp.exp(free[name]) for name in LEVELS)
    change = free.get("change", 0.0)
    place, width, intercept, slope = chord(data)
    return jnp.log(
        broken_power_law(
            jnp.exp(u),
            floor=floor,
            amplitude=amplitude * jnp.exp(change * intercept),
            exponent=exponent - change * slope,
            exponent_change=change,
            break_size=jnp.exp(place),
            break_width=width,
        )
    )


def chord(data: Mapping[str, Any]) -> tuple[Array, Array, Array, Array]:
    """Place and width of the break in log budgets, and intercept and slope of the chord of ``S``, scalars."""
    span = data["high"] - data["low"]
    place, width = data["low"] + data["break_share"] * span, WIDTH_SHARE * span
    low, high = (width * jax.nn.softplus((data[end] - place) / width) for end in ("low", "high"))
    slope = (high - low) / span
    return place, width, low - slope * data["low"], slope


def log_densities(data: Mapping[str, Any]) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Build the densities of a batch of curves.

    Returns
    -------
    Callable
        From coordinates, [curve, draw, coordinate], to log prior and log likelihood, each [curve, draw]. Where the
        law overflows both are `IMPOSSIBLE`.
    """

    def densities(position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with jax.enable_x64(True):
            prior, likelihood = map(np.asarray, _densities(position, dict(data)))
        possible = np.isfinite(prior) & np.isfinite(likelihood)
        return np.where(possible, prior, IMPOSSIBLE), np.where(possible, likelihood, IMPOSSIBLE)

    return densities


def log_density(position: Array, data: Mapping[str, Any]) -> tuple[Array, Array]:
    """Log prior density of the coordinates of one curve, normalised, and log likelihood of its rows, scalars."""
    free, prior = free_quantities(position, data)
    # Uniform on the share of the floor: a logistic density of its logit, here by the logarithm of the floor.
    prior = prior + jax.nn.log_sigmoid(position[2]) + jax.nn.log_sigmoid(-position[2])
    for name, (location, scale) in data["priors"].items():
        if (value := free.get(name)) is None:
            continue
        prior = prior + jax.scipy.stats.norm.logpdf(value, location, scale)
    residual = (data["log_loss"] - log_mean(free, data["u"], data)) * jnp.exp(-free["noise"])
    rows = -0.5 * residual**2 - free["noise"] - 0.5 * np.log(2 * np.pi)
    return prior, jnp.where(data["known"], rows, 0.0).sum()


@jax.jit
def _densities(position: Any, data: Any) -> Any:
    return jax.vmap(jax.vmap(log_density, in_axes=(0, None)))(position, data)


def predict_rows(position: np.ndarray, new: np.ndarray, data: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Predict log losses at new budgets.

    Parameters
    ----------
    position
        Coordinates, [curve, draw, coordinate].
    new
        Log budgets relative to the reference, [curve, new].
    data
        As `batch` gives it.

    Returns
    -------
    mean, deviation : np.ndarray
        Of the log loss of a new row, its noise included, each [curve, draw, new].
    """
    with jax.enable_x64(True):
        mean, deviation = map(np.asarray, _predict_rows(position, new, dict(data)))
    return mean, deviation


@jax.jit
def _predict_rows(position: Any, new: Any, data: Any) -> Any:
    def one(position: Array, new: Array, data: Any) -> tuple[Array, Array]:
        free = free_quantities(position, data)[0]
        mean = log_mean(free, new, data)
        return mean, jnp.full_like(mean, jnp.exp(free["noise"]))

    return jax.vmap(jax.vmap(one, in_axes=(0, None, None)))(position, new, data)
