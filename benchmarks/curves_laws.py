"""The laws of the curves: a power law and a smoothly broken one, with independent or serially correlated errors.

Every law is a log posterior density over free coordinates of one curve, in JAX, so that curves and draws are batched.
With ``u`` the log budget relative to the reference of the curve,

    power      log loss = log(floor + exp(a - g u)) + error                            a = log amplitude, g = exponent
    broken     log loss = log(floor + exp(a - g u + c B(u))) + error                   B(u) = chord(u) - S(u)
               S(u) = w softplus((u - b) / w), chord(u) the line through S at the lowest and highest budget fitted

The first is the package's own `PowerLaw` of one group, its priors and those of the noise the package's defaults. The
second is the broken law of Caballero et al. 2023 with one break: the exponent rises by ``c`` around ``u = b``, over a
width ``w``. Written about the chord, ``g`` is the mean exponent over the budgets fitted whatever the break, so that its
prior is that of the power law, which ``c = 0`` is.

    error      independent: Normal(0, noise^2)
               correlated: departure(u) + Normal(0, noise^2), the departure an Ornstein-Uhlenbeck process of deviation
               ``departure`` and correlation exp(-distance / reach); it says that a smooth curve misses the law
               smoothly, and carries the last departures into the rows that follow
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from curves_protocol import Curve
from jax import Array

from bayeslaw.laws.power import data_scaled_priors, power_law
from bayeslaw.noise import NOISE_SCALE, Noise, noise_priors
from bayeslaw.observations import Observations
from bayeslaw.priors import Prior
from bayeslaw.sampling.coordinates import levels_to_logs

# The change of the exponent is of the order of exponents themselves; a break takes about a tenth of the log budgets.
CHANGE_DEVIATION = 0.3
WIDTH_SHARE = 0.1
# Departures are correlated over about a quarter of the log budgets (95 %: 9 to 67 %).
REACH_SHARE, REACH_SCALE = 0.25, 0.5
LEVELS = ("floor", "amplitude", "exponent")
IMPOSSIBLE = -1e10


@dataclass(frozen=True)
class CurveLaw:
    """A law of one curve.

    Attributes
    ----------
    broken
        Whether the exponent changes at a break, whose place is data.
    correlated
        Whether errors are serially correlated.
    """

    broken: bool = False
    correlated: bool = False

    @property
    def quantities(self) -> tuple[str, ...]:
        """What has priors: logarithms of positive quantities, and the change of the exponent."""
        own = ("change",) if self.broken else ()
        return (*LEVELS, "noise", *own, *(("departure", "reach") if self.correlated else ()))


def prior_table(curve: Curve) -> dict[str, tuple[float, float]]:
    """Location and scale of the normal priors of logarithms, and of the change of the exponent.

    Those of the power law and its noise are the defaults of the package, in the units of the curve.
    """
    noise = noise_priors(Noise(response="log_loss"), np.log(curve.loss))[NOISE_SCALE]
    span = float(np.log(curve.budget.max() / curve.budget.min()))
    table = {name: _log_normal(prior) for name, prior in data_scaled_priors(observations(curve)).items()}
    return table | {
        "noise": _log_normal(noise),
        "departure": _log_normal(noise),
        "reach": (float(np.log(REACH_SHARE * span)), REACH_SCALE),
        "change": (0.0, CHANGE_DEVIATION),
    }


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
        budget and ``break_share`` ``[curve]``, and ``priors``, location and scale by name, each ``[curve, 2]``. Padding repeats the last
        row.
    """
    rows = max(len(curve.loss) for curve in curves)
    pad = lambda values: np.pad(values, (0, rows - len(values)), mode="edge")  # noqa: E731
    u = np.stack([pad(np.log(curve.budget / curve.reference)) for curve in curves])
    tables = [prior_table(curve) for curve in curves]
    single = {
        "u": u,
        "log_loss": np.stack([pad(np.log(curve.loss)) for curve in curves]),
        "known": np.stack([np.arange(rows) < len(curve.loss) for curve in curves]),
        "low": u[:, 0],
        "high": u[:, -1],
        "priors": {name: np.array([table[name] for table in tables]) for name in tables[0]},
    }
    repeated = jax.tree.map(lambda values: np.repeat(values, len(breaks), axis=0), single)
    return repeated | {"break_share": np.tile(breaks, len(curves))}


def free_quantities(law: CurveLaw, position: Array, data: Mapping[str, Any]) -> tuple[dict[str, Array], Array]:
    """Map coordinates of one curve to the quantities that have priors.

    The first three coordinates are the levels of `levels_to_logs`, the others are the quantities themselves.

    Returns
    -------
    free : dict
        Logarithms of positive quantities, and the change.
    log_determinant : Array
        Of the map, scalar.
    """
    logs, log_determinant = levels_to_logs(position[:3], data["low"], data["high"])
    values = jnp.concatenate([logs, position[3:]])
    return dict(zip(law.quantities, values, strict=True)), log_determinant


def draw_priors(law: CurveLaw, data: Mapping[str, Any], draws: int, seed: int) -> np.ndarray:
    """Draw coordinates from the prior of every curve of a batch, [curve, draw, coordinate]."""
    generator = np.random.default_rng(seed)
    place = {name: prior[..., None] for name, prior in data["priors"].items()}
    shape = (len(data["u"]), draws)
    free = {name: place[name][:, 0] + place[name][:, 1] * generator.standard_normal(shape) for name in law.quantities}
    low, high = data["low"][:, None], data["high"][:, None]
    exponent = np.exp(free["exponent"])
    log_reducible = free["amplitude"] - exponent * high
    levels = [
        np.logaddexp(free["floor"], log_reducible),
        log_reducible + np.log(np.expm1(exponent * (high - low))),
        free["floor"] - log_reducible,
    ]
    return np.stack([*levels, *(free[name] for name in law.quantities[3:])], axis=-1)


def log_mean(law: CurveLaw, free: Mapping[str, Array], u: Array, data: Mapping[str, Any]) -> Array:
    """Log loss of the law at log budgets, [row], without departures."""
    floor, amplitude, exponent = (jnp.exp(free[name]) for name in LEVELS)
    bent = free["change"] * bend(u, data) if law.broken else 0.0
    return jnp.log(power_law(jnp.exp(u), floor=floor, amplitude=amplitude * jnp.exp(bent), exponent=exponent))


def bend(u: Array, data: Mapping[str, Any]) -> Array:
    """Evaluate ``B(u)``, what a rise of the exponent by one adds to the log of the loss above the floor, [row]."""
    span = data["high"] - data["low"]
    place, width = data["low"] + data["break_share"] * span, WIDTH_SHARE * span
    rise = lambda at: width * jax.nn.softplus((at - place) / width)  # noqa: E731
    low, high = rise(data["low"]), rise(data["high"])
    return low + (high - low) * (u - data["low"]) / (data["high"] - data["low"]) - rise(u)


def log_densities(law: CurveLaw, data: Mapping[str, Any]) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Build the densities of a batch of curves.

    Returns
    -------
    Callable
        From coordinates, [curve, draw, coordinate], to log prior and log likelihood, each [curve, draw]. Where the
        law overflows both are `IMPOSSIBLE`.
    """

    def densities(position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with jax.enable_x64(True):
            prior, likelihood = map(np.asarray, _densities(law, position, dict(data)))
        possible = np.isfinite(prior) & np.isfinite(likelihood)
        return np.where(possible, prior, IMPOSSIBLE), np.where(possible, likelihood, IMPOSSIBLE)

    return densities


def log_density(law: CurveLaw, position: Array, data: Mapping[str, Any]) -> tuple[Array, Array]:
    """Log prior density of the coordinates of one curve, normalised, and log likelihood of its rows, scalars."""
    free, prior = free_quantities(law, position, data)
    for name, value in free.items():
        location, scale = data["priors"][name]
        prior = prior + jax.scipy.stats.norm.logpdf(value, location, scale)
    return prior, filter_rows(law, free, data)[0]


@partial(jax.jit, static_argnums=0)
def _densities(law: CurveLaw, position: Any, data: Any) -> Any:
    return jax.vmap(jax.vmap(partial(log_density, law), in_axes=(0, None)))(position, data)


def filter_rows(law: CurveLaw, free: Mapping[str, Array], data: Mapping[str, Any]) -> tuple[Array, Array, Array]:
    """Log likelihood of the rows of one curve, and the departure after the last row: mean and variance.

    The departures are a Markov process, so the likelihood is that of a Kalman filter in one dimension.
    """
    residual = data["log_loss"] - log_mean(law, free, data["u"], data)
    variance = jnp.exp(2 * free["noise"])
    if not law.correlated:
        rows = -0.5 * residual**2 / variance - free["noise"] - 0.5 * np.log(2 * np.pi)
        return jnp.where(data["known"], rows, 0.0).sum(), jnp.zeros(()), jnp.zeros(())
    spread = jnp.exp(2 * free["departure"])
    steps = jnp.diff(data["u"], prepend=data["u"][:1])
    decay = jnp.exp(-steps * jnp.exp(-free["reach"]))

    def step(state: tuple[Array, Array], row: tuple[Array, Array, Array]) -> tuple[tuple[Array, Array], Array]:
        (mean, uncertainty), (decay, residual, known) = state, row
        mean, uncertainty = decay * mean, spread + decay**2 * (uncertainty - spread)
        total, error = uncertainty + variance, residual - mean
        density = -0.5 * (error**2 / total + jnp.log(2 * np.pi * total))
        after = mean + uncertainty / total * error, uncertainty * variance / total
        state = jax.tree.map(lambda new, old: jnp.where(known, new, old), after, state)
        return state, jnp.where(known, density, 0.0)

    (mean, uncertainty), rows = jax.lax.scan(step, (jnp.zeros(()), spread), (decay, residual, data["known"]))
    return rows.sum(), mean, uncertainty


def predict_rows(law: CurveLaw, position: np.ndarray, new: np.ndarray, data: Mapping[str, Any]) -> tuple[Any, Any]:
    """Predict log losses beyond the last row.

    Parameters
    ----------
    law
        The law.
    position
        Coordinates, [curve, draw, coordinate].
    new
        Log budgets relative to the reference, none below the last row's, [curve, new].
    data
        As `batch` gives it.

    Returns
    -------
    mean, deviation : np.ndarray
        Of the log loss of a new row, its noise included, each [curve, draw, new].
    """
    with jax.enable_x64(True):
        mean, deviation = map(np.asarray, _predict_rows(law, position, new, dict(data)))
    return mean, deviation


@partial(jax.jit, static_argnums=0)
def _predict_rows(law: CurveLaw, position: Any, new: Any, data: Any) -> Any:
    def one(position: Array, new: Array, data: Any) -> tuple[Array, Array]:
        free = free_quantities(law, position, data)[0]
        mean, variance = log_mean(law, free, new, data), jnp.exp(2 * free["noise"])
        if not law.correlated:
            return mean, jnp.full_like(mean, jnp.sqrt(variance))
        _, last, uncertainty = filter_rows(law, free, data)
        spread, decay = jnp.exp(2 * free["departure"]), jnp.exp(-(new - data["high"]) * jnp.exp(-free["reach"]))
        return mean + decay * last, jnp.sqrt(spread + decay**2 * (uncertainty - spread) + variance)

    return jax.vmap(jax.vmap(one, in_axes=(0, None, None)))(position, new, data)
