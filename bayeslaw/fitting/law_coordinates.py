"""Coordinates in which a law is easy to sample: losses at a low and a high budget instead of floor and amplitude."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bayeslaw.laws.base import POPULATION, SPREAD, Parameter
from bayeslaw.laws.parameter import POOLING
from bayeslaw.likelihood.law_model import LawModel
from bayeslaw.likelihood.noise import MEMBER_SCALE, NOISE_SCALE
from bayeslaw.likelihood.row_model import RowModel
from bayeslaw.posterior.coordinates import POSITIVE, constrain, unconstrained_centre

LEVELS = ("floor", "amplitude", "exponent")
TOKEN_LEVELS = ("floor", "parameter_amplitude", "parameter_exponent", "token_amplitude", "token_exponent")
START_FLOOR_SHARE = 0.6


def levels_to_logs(levels: Array, low: Any, high: Any) -> tuple[Array, Array]:
    """Map levels of a power law to the logarithms of floor, amplitude and exponent.

    The levels are ``log y_high``, ``log (y_low - y_high)`` and ``logit (floor / y_high)``, with ``y_low`` and
    ``y_high`` the losses at a low and a high budget. Every point of the space is a power law with positive parameters,
    and the first two coordinates are what data determine well, whatever the third.

    Parameters
    ----------
    levels
        Shape ``[..., 3]``.
    low, high
        Natural logarithms of the two budgets relative to the reference, ``low < high``, of shape ``[...]``.

    Returns
    -------
    logs : Array
        Logarithms of floor, amplitude and exponent, shape ``[..., 3]``.
    log_determinant : Array
        Log absolute determinant of the map's Jacobian, shape ``[...]``: ``log s - log g`` with
        ``g = log(1 + drop / reducible)`` and ``s = drop / (drop + reducible)``.
    """
    high_level, drop, share = levels[..., 0], levels[..., 1], levels[..., 2]
    log_floor = high_level + jax.nn.log_sigmoid(share)
    log_reducible = high_level + jax.nn.log_sigmoid(-share)
    decay = jax.nn.softplus(drop - log_reducible)
    log_exponent = jnp.log(decay) - jnp.log(high - low)
    log_amplitude = log_reducible + decay * high / (high - low)
    log_determinant = jax.nn.log_sigmoid(drop - log_reducible) - jnp.log(decay)
    return jnp.stack([log_floor, log_amplitude, log_exponent], axis=-1), log_determinant


def token_levels_to_logs(levels: Array, low: Any, high: Any) -> tuple[Array, Array]:
    """Map levels of a law of parameters and training tokens to the logarithms of its floor, amplitudes and exponents.

    The levels are ``log y_high``, ``log (y_low - y_high)``, the logs of the parameters' and the tokens' parts of
    ``y_high`` over the floor's, and the logit of the parameters' share of the drop, with ``y_low`` and ``y_high`` the
    losses at the lowest budgets and at the highest. Every point of the space is a law with positive parameters, and the
    first two coordinates are what data determine well, whatever the others.

    Parameters
    ----------
    levels
        Shape ``[..., 5]``.
    low, high
        Natural logarithms of the lowest and highest parameters and training tokens relative to their references, of
        shape ``[2, ...]``.

    Returns
    -------
    logs : Array
        Logarithms in the order of `TOKEN_LEVELS`, shape ``[..., 5]``.
    log_determinant : Array
        Log absolute determinant of the map's Jacobian, shape ``[...]``: ``log s - log g`` of either part, with
        ``g = log(1 + drop / part)`` and ``s = drop / (drop + part)``.
    """
    level, drop, share = levels[..., 0], levels[..., 1], levels[..., 4]
    parts = jnp.stack([jnp.zeros_like(level), levels[..., 2], levels[..., 3]], axis=-1)
    log_parts = level[..., None] + jax.nn.log_softmax(parts, axis=-1)
    log_floor = log_parts[..., 0]
    drops = jnp.stack([drop + jax.nn.log_sigmoid(share), drop + jax.nn.log_sigmoid(-share)])
    remaining = jnp.stack([log_parts[..., 1], log_parts[..., 2]])
    decay = jax.nn.softplus(drops - remaining)
    log_exponent = jnp.log(decay) - jnp.log(high - low)
    log_amplitude = remaining + decay * high / (high - low)
    log_determinant = (jax.nn.log_sigmoid(drops - remaining) - jnp.log(decay)).sum(axis=0)
    logs = [log_floor, log_amplitude[0], log_exponent[0], log_amplitude[1], log_exponent[1]]
    return jnp.stack(logs, axis=-1), log_determinant


@dataclass(frozen=True)
class LevelMap:
    """Levels in place of the parameters of a law.

    Parameters
    ----------
    parameters
        Names of the law's parameters, in the order of the map's results.
    covariates
        Number of the law's covariates.
    to_logs
        From levels and log budgets to logs of the parameters, with the map's log determinant.
    poolings
        Kinds of pooling for which levels are used.
    start
        Levels where a search begins after the first two: shares at the high budget.
    scaled
        Whether rows at the ends of one covariate tell the first two, which are then sampled in units of the noise.
    """

    parameters: tuple[str, ...]
    covariates: int
    to_logs: Callable[[Array, Any, Any], tuple[Array, Array]]
    poolings: tuple[str, ...]
    start: tuple[float, ...]
    scaled: bool


OF_REST = math.log(START_FLOOR_SHARE / (1 - START_FLOOR_SHARE))
HALF_OF_REST = math.log((1 - START_FLOOR_SHARE) / 2 / START_FLOOR_SHARE)
LEVEL_MAPS = (
    LevelMap(LEVELS, 1, levels_to_logs, POOLING, (OF_REST,), scaled=True),
    # One law of all rows is sampled well as it is.
    LevelMap(
        TOKEN_LEVELS, 2, token_levels_to_logs, ("partial", "separate"), (HALF_OF_REST, HALF_OF_REST, 0.0), scaled=False
    ),
)


@dataclass(frozen=True)
class Coordinates:
    """A map from positions, free of constraints, to the values of every site of a model.

    Parameters
    ----------
    model
        The model; its rows may be what JAX is tracing.
    """

    model: RowModel

    @cached_property
    def level_map(self) -> LevelMap | None:
        """The levels of the law, where it is one of positive parameters with one kind of pooling that has them."""
        parameters = self.model.parameters
        names, poolings = tuple(p.name for p in parameters), {p.pooling for p in parameters}
        positive = all(p.prior.support == POSITIVE for p in parameters)
        kind = names, len(self.model.covariate_names)
        fitting = (
            each for each in LEVEL_MAPS if (each.parameters, each.covariates) == kind and poolings <= set(each.poolings)
        )
        return next(fitting, None) if positive and len(poolings) == 1 else None

    @property
    def uses_levels(self) -> bool:
        """Whether levels are used."""
        return self.level_map is not None

    @cached_property
    def centred(self) -> bool:
        """Whether groups are sampled as they are, not as offsets from the population in units of their spread.

        Offsets are needed where a spread may come near zero, since groups that follow it there form a funnel.
        """
        return not any(p.spread is not None and p.spread.reaches_zero for p in self.model.parameters)

    def values(self, position: Mapping[str, Array]) -> tuple[dict[str, Array], Array]:
        """Map a position to the value of every site.

        Parameters
        ----------
        position
            Arrays as in `start`.

        Returns
        -------
        values : dict
            Constrained value of every site of the model.
        log_determinant : Array
            Log absolute determinant of the map's Jacobian, scalar.
        """
        noise, of_noise = self._noise(position)
        values, total = self._levels(position, noise) if self.uses_levels else self._plain(position)
        return values | noise, total + of_noise

    def _noise(self, position: Mapping[str, Array]) -> tuple[dict[str, Array], Array]:
        values, total = {}, jnp.zeros(())
        for site, prior in self.model.noise_priors.items():
            values[site], term = constrain(prior, position[site])
            total = total + term
        return values, total

    @property
    def in_noise_units(self) -> bool:
        """Whether levels are sampled as distances from where the data put them, in units of the noise.

        Where there are hardly more rows than parameters the noise may be anything from nothing to all of the scatter,
        and the levels are as uncertain as it is: in units of it they are not pinched where it is small. Rows that share
        errors move levels by these, whatever noise they have of their own; a population has no rows.
        """
        pooling, level_map = self.model.parameters[0].pooling, self.level_map
        scaled = level_map is not None and level_map.scaled and self.model.dependence is None
        return scaled and (pooling != "partial" or self.centred)

    def _scaled(self, free: Array, noise: Mapping[str, Array]) -> tuple[Array, Array]:
        """Map distances in units of the noise to levels, each [..., 3]; with the log determinant, scalar."""
        scales, index = self.model.level_scales, np.arange(len(self.model.level_scales.log_top))
        scale = jnp.sqrt(jnp.broadcast_to(self.model.scale(noise, index), index.shape) ** 2 + scales.squared_error)
        # No wider than a factor of e, as levels are where no noise is small.
        widths = [jnp.where(of > 0, of * scale / (1 + of * scale), 1.0) for of in (scales.of_top, scales.of_drop)]
        centre = jnp.stack([scales.log_top, scales.log_drop, jnp.zeros(index.shape)], axis=-1)
        width = jnp.stack([*widths, jnp.ones(index.shape)], axis=-1)
        if free.ndim == 1:
            centre, width = centre[0], width[0]
        return centre + width * free, jnp.log(width).sum()

    def _levels(self, position: Mapping[str, Array], noise: Mapping[str, Array]) -> tuple[dict[str, Array], Array]:
        assert self.level_map is not None
        pooling, names = self.model.parameters[0].pooling, self.level_map.parameters
        offsets = pooling == "partial" and not self.centred
        low, high = self.model.budget_range
        if pooling == "complete" or offsets:
            low, high = low.min(axis=-1), high.max(axis=-1)
        levels, of_scale = position["levels"], jnp.zeros(())
        if self.in_noise_units:
            levels, of_scale = self._scaled(levels, noise)
        logs, term = self.level_map.to_logs(levels, low, high)
        total = term.sum() + logs.sum() + of_scale
        if pooling != "partial":
            return {name: jnp.exp(logs[..., i]) for i, name in enumerate(names)}, total
        values: dict[str, Array] = {}
        for i, parameter in enumerate(self.model.parameters):
            assert parameter.spread is not None
            values[parameter.name + SPREAD], term = constrain(parameter.spread, position["spread"][i])
            total = total + term
        if offsets:
            spread = jnp.stack([values[name + SPREAD] for name in names])
            population, logs = logs, logs + spread * position["offset"]
            total = total + logs.sum() + len(logs) * jnp.log(spread).sum()
        else:
            population = position["log_population"]
            total = total + population.sum()
        values |= {name + POPULATION: jnp.exp(population[i]) for i, name in enumerate(names)}
        return values | {name: jnp.exp(logs[:, i]) for i, name in enumerate(names)}, total

    def _plain(self, position: Mapping[str, Array]) -> tuple[dict[str, Array], Array]:
        values: dict[str, Array] = {}
        total = jnp.zeros(())
        for parameter in self.model.parameters:
            pieces, term = self._plain_parameter(parameter, position)
            values |= pieces
            total = total + term
        return values, total

    def _plain_parameter(self, parameter: Parameter, position: Mapping[str, Array]) -> tuple[dict[str, Array], Array]:
        name = parameter.name
        if parameter.pooling != "partial":
            value, total = constrain(parameter.prior, position[name])
            return {name: value}, total
        assert parameter.spread is not None
        population, total = constrain(parameter.prior, position[name + POPULATION])
        spread, term = constrain(parameter.spread, position[name + SPREAD])
        free = position[name]
        if not self.centred:
            free = (jnp.log(population) if parameter.positive else population) + spread * free
            total = total + len(free) * jnp.log(spread)
        total = total + term + (free.sum() if parameter.positive else 0.0)
        group = jnp.exp(free) if parameter.positive else free
        return {name + POPULATION: population, name + SPREAD: spread, name: group}, total


def start_of(model: LawModel) -> dict[str, np.ndarray]:
    """Find a position near the data: floors at a share of the lowest loss, priors' centres elsewhere.

    Parameters
    ----------
    model
        The model.

    Returns
    -------
    dict
        Arrays by coordinate, float64.
    """
    groups, position, coordinates = len(model.groups), {}, Coordinates(model)
    for site, prior in model.noise_priors.items():
        shape = (groups,) if site == NOISE_SCALE and model.noise_by_group else ()
        free = unconstrained_centre(prior)
        position[site] = np.full(shape, free - 1.0 if site in (NOISE_SCALE, MEMBER_SCALE) else free)
    start = _start_levels if coordinates.uses_levels else _start_plain
    return position | start(model, groups, centred=coordinates.centred)


def _start_levels(model: LawModel, groups: int, *, centred: bool) -> dict[str, np.ndarray]:
    scales, pooling, coordinates = model.level_scales, model.parameters[0].pooling, Coordinates(model)
    level_map = coordinates.level_map
    assert level_map is not None
    shares = [np.full(len(scales.log_top), share) for share in level_map.start]
    each = np.stack([scales.log_top, scales.log_drop, *shares], axis=-1)
    free = np.stack([np.zeros(len(each)), np.zeros(len(each)), *shares], axis=-1)
    levels = free if coordinates.in_noise_units else each
    if pooling == "complete":
        return {"levels": levels[0]}
    if pooling == "separate":
        return {"levels": levels}
    spread = np.array([unconstrained_centre(p.spread) for p in model.parameters if p.spread is not None])
    if not centred:
        offsets = np.zeros((groups, len(level_map.parameters)))
        return {"levels": each.mean(0), "spread": spread, "offset": offsets}
    logs = level_map.to_logs(jnp.asarray(each), *model.budget_range)[0]
    return {"levels": levels, "log_population": np.asarray(logs).mean(0), "spread": spread}


def _start_plain(model: LawModel, groups: int, *, centred: bool) -> dict[str, np.ndarray]:
    position: dict[str, np.ndarray] = {}
    for parameter in model.parameters:
        centre = _centre(model, parameter)
        if parameter.pooling != "partial":
            position[parameter.name] = np.full((groups,) if parameter.grouped else (), centre)
            continue
        assert parameter.spread is not None
        position[parameter.name + POPULATION] = np.array(centre)
        position[parameter.name + SPREAD] = np.array(unconstrained_centre(parameter.spread))
        constrained = float(constrain(parameter.prior, jnp.asarray(centre))[0])
        free = np.log(constrained) if parameter.positive else constrained
        position[parameter.name] = np.full(groups, free if centred else 0.0)
    return position


def _centre(model: LawModel, parameter: Parameter) -> float:
    """Free coordinate of the centre of a parameter's prior; of a relative one a share of the lowest loss."""
    if not parameter.prior.relative:
        return unconstrained_centre(parameter.prior)
    loss = model.observations.loss
    return float(np.log(START_FLOOR_SHARE * max(loss.min(), 1e-3 * loss.max())))
