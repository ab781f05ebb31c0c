"""Floor, amplitude and exponent of each family, which the curve integrates out."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jax import Array

from bayeslaw.joint.curve import LEVEL_DEVIATION, Curve


def family_lines(curve: Curve, values: Mapping[str, Any], noise: Array) -> dict[str, Array]:
    """Draw what is integrated out, given one draw of the sites: floor, amplitude and exponent of each family.

    Parameters
    ----------
    curve
        The curve of the models seen.
    values
        One draw of every site.
    noise
        Standard normal numbers, [2 families].

    Returns
    -------
    dict
        ``floor`` and ``amplitude`` (at the reference size) in the reported unit and ``exponent``, each [family].
    """
    models = curve.models
    floors, _ = curve.floors(values)
    families = curve.families
    scale = values["family_scale"]
    above = jnp.log(curve.loss - floors[models.family])
    seen = curve.covariance(values, models, models, scale[models.family], scale[models.family])
    seen = seen + curve.own_variance(values, len(curve.loss))
    cross, within = _line(curve, values, scale)
    gain = jnp.linalg.solve(seen, cross.T).T
    prior = jnp.concatenate([jnp.full(families, curve.mean(0.0)), jnp.full(families, curve.exponent[0])])
    mean = prior + gain @ (above - curve.mean(models.log_size))
    covariance = within - gain @ cross.T
    factor = jnp.linalg.cholesky(covariance + 1e-9 * jnp.eye(2 * families))
    level, exponent = jnp.split(mean + factor @ noise, 2)
    return {"floor": floors, "amplitude": jnp.exp(level), "exponent": exponent}


def _line(curve: Curve, values: Mapping[str, Any], scale: Array) -> tuple[Array, Array]:
    """Covariance of levels and exponents of families with the models seen, and among themselves."""
    models, families, x = curve.models, curve.families, jnp.asarray(curve.models.log_size)
    of_family = jnp.eye(families)
    member = of_family[:, models.family]
    level_seen = LEVEL_DEVIATION**2 + member * values["amplitude_spread"] ** 2 * scale[:, None]
    slope_seen = -x[None, :] * (curve.exponent[1] ** 2 + member * values["exponent_spread"] ** 2)
    level = LEVEL_DEVIATION**2 + of_family * values["amplitude_spread"] ** 2 * scale[:, None]
    slope = curve.exponent[1] ** 2 + of_family * values["exponent_spread"] ** 2
    apart = jnp.zeros((families, families))
    return jnp.concatenate([level_seen, slope_seen]), jnp.block([[level, apart], [apart, slope]])
