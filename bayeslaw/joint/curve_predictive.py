"""What follows from the curve at many draws, in NumPy: densities of models, other models like them, families' lines."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from bayeslaw.joint.curve import JITTER, LEVEL_DEVIATION
from bayeslaw.joint.curve_gradient import ROOT_TWO_PI, CurveGradient
from bayeslaw.joint.joint_model import BY_FAMILY
from bayeslaw.joint.law import CURVE_SITES
from bayeslaw.joint.normal_at_draws import factor_of
from bayeslaw.joint.positive_definite import inverse_and_log_determinant

BYTES_AT_ONCE = 16_000_000
"""How large a covariance matrix of every draw of a part may be, together."""
SEED_OF_PRIOR_LOSSES = 1
"""Goes with the seed of a fit."""


class CurvePredictive(NamedTuple):
    """What follows from the curve at every draw.

    Parameters
    ----------
    pointwise
        Log density of each model's loss given those of all others, ``[draw, lm]``.
    replicate
        Losses of other models of the same sizes and families, in the reported unit, ``[draw, lm]``.
    floor, amplitude, exponent
        Those of each family, the amplitude at the reference size, ``[draw, family]``.
    """

    pointwise: np.ndarray
    replicate: np.ndarray
    floor: np.ndarray
    amplitude: np.ndarray
    exponent: np.ndarray


def curve_predictive(
    curve: CurveGradient, values: Mapping[str, np.ndarray], generator: np.random.Generator
) -> CurvePredictive:
    """Work out what follows from the curve.

    Parameters
    ----------
    curve
        The curve of the models seen.
    values
        Draws of its sites, each ``[draw, ...]``.
    generator
        Where random numbers are from.

    Returns
    -------
    CurvePredictive
        Densities (Sundararajan and Keerthi 2001), replicates and lines; what is integrated out is drawn given the
        losses, once for each draw.
    """
    parts = [_part(curve, part, generator) for part in _parts(curve, values)]
    return CurvePredictive(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _parts(curve: CurveGradient, values: Mapping[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    """Cut draws into parts that are worked on at once."""
    count = len(values["floor_share"])
    step = max(1, BYTES_AT_ONCE // (8 * len(curve.loss) ** 2))
    for first in range(0, count, step):
        yield {name: array[first : first + step] for name, array in values.items()}


def _part(curve: CurveGradient, values: Mapping[str, np.ndarray], generator: np.random.Generator) -> CurvePredictive:
    floor = curve.floors(values).floor
    above = np.log(curve.loss - floor[:, curve.family])
    away, latent = above - curve.mean, curve.latent_covariance(values)
    of_family, place = values["model_spread"] ** 2 + JITTER, np.arange(len(curve.loss))
    covariance = latent.copy()
    covariance[:, place, place] += of_family[:, None]
    precision, _ = inverse_and_log_determinant(covariance)
    variance = 1 / np.diagonal(precision, axis1=1, axis2=2)
    deviation = variance * (precision @ away[:, :, None])[:, :, 0]
    pointwise = -0.5 * deviation**2 / variance - 0.5 * np.log(variance) - np.log(ROOT_TWO_PI) - above
    log_replicate = _replicate(latent, precision, away, np.sqrt(of_family), generator)
    replicate = floor[:, curve.family] + np.exp(curve.mean + log_replicate)
    return CurvePredictive(pointwise, replicate, floor, *_lines(curve, values, precision, away, generator))


def _replicate(
    latent: np.ndarray, precision: np.ndarray, away: np.ndarray, of_family: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Draw deviations of other models like those seen, given theirs, [draw, lm].

    A draw of all without the losses is moved by what the losses seen differ from it (Matheron's rule: Journel and
    Huijbregts 1978, chapter 7).
    """
    size = away.shape[1]
    root = factor_of(latent + JITTER * np.eye(size))
    unseen = (root @ generator.standard_normal((*away.shape, 1)))[:, :, 0]
    seen = unseen + of_family[:, None] * generator.standard_normal(away.shape)
    moved = (latent @ (precision @ (away - seen)[:, :, None]))[:, :, 0]
    return unseen + moved + of_family[:, None] * generator.standard_normal(away.shape)


def _lines(
    curve: CurveGradient,
    values: Mapping[str, np.ndarray],
    precision: np.ndarray,
    away: np.ndarray,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw amplitude and exponent of each family given the losses, [draw, family] each; as `family_lines` in JAX."""
    families = curve.curve.families
    deviation, of_family = float(curve.curve.exponent[1]), np.eye(families)
    level = (values["amplitude_spread"][:, None] ** 2 * values["family_scale"])[:, :, None]
    slope = deviation**2 + values["exponent_spread"][:, None, None] ** 2 * of_family
    member = curve.member.T
    cross = np.concatenate([LEVEL_DEVIATION**2 + level * member, -curve.log_size * slope[:, :, curve.family]], axis=1)
    within = np.zeros((len(away), 2 * families, 2 * families))
    within[:, :families, :families] = LEVEL_DEVIATION**2 + level * of_family
    within[:, families:, families:] = slope
    gain = cross @ precision
    covariance = within - gain @ cross.swapaxes(1, 2) + JITTER * np.eye(2 * families)
    prior = np.repeat([curve.level, float(curve.curve.exponent[0])], families)
    noise = factor_of(covariance) @ generator.standard_normal((len(away), 2 * families, 1))
    drawn = prior + ((gain @ away[:, :, None]) + noise)[:, :, 0]
    return np.exp(drawn[:, :families]), drawn[:, families:]


def lines_from_prior(
    curve: CurveGradient, values: Mapping[str, np.ndarray], generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """Draw lines of families from the prior.

    Parameters
    ----------
    curve
        The curve of the models seen.
    values
        Draws of its sites from their prior, each ``[draw, ...]``.
    generator
        Where random numbers are from.

    Returns
    -------
    dict
        ``floor``, ``amplitude`` and ``exponent``, each [draw, family].
    """
    count, families = values["floor_offset"].shape
    shared, by_family = generator.standard_normal((2, count, 1)), generator.standard_normal((2, count, families))
    spread = values["amplitude_spread"][:, None] * np.sqrt(values["family_scale"])
    level = curve.level + LEVEL_DEVIATION * shared[0] + spread * by_family[0]
    mean, deviation = map(float, curve.curve.exponent)
    exponent = mean + deviation * shared[1] + values["exponent_spread"][:, None] * by_family[1]
    return {"floor": curve.new_floor(values), "amplitude": np.exp(level), "exponent": exponent}


def prior_losses(curve: CurveGradient, values: Mapping[str, np.ndarray], seed: int) -> np.ndarray:
    """Draw losses of the models seen from the prior.

    Parameters
    ----------
    curve, values
        As of `lines_from_prior`.
    seed
        Seed of the fit: losses are the same whenever they are drawn.

    Returns
    -------
    np.ndarray
        In the reported unit, float32, ``[draw, lm]``.
    """
    generator, away = np.random.default_rng([seed, SEED_OF_PRIOR_LOSSES]), []
    for part in _parts(curve, {name: values[name] for name in (*CURVE_SITES, *BY_FAMILY) if name in values}):
        root = factor_of(curve.covariance(part))
        away.append((root @ generator.standard_normal((*root.shape[:2], 1)))[:, :, 0])
    loss = curve.new_floor(values)[:, curve.family] + np.exp(curve.mean + np.concatenate(away))
    return loss.astype(np.float32)
