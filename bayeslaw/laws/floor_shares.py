"""A positive quantity whose prior says which share it is of a total, the rest being given."""

from typing import Any, ClassVar, final

import jax.numpy as jnp
import numpyro.distributions as dist
from jax import Array
from numpyro.distributions import constraints
from numpyro.distributions.util import validate_sample


@final
class ShareOfTotal(dist.Distribution):
    """Distribution of ``x`` where ``x / (x + rest)`` has a beta distribution: a beta prime one in units of the rest.

    Parameters
    ----------
    concentration1, concentration0
        Concentrations of the beta distribution, as of `numpyro.distributions.Beta`.
    rest
        What the total is beside ``x``, positive, any shape.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {  # pyright: ignore[reportIncompatibleVariableOverride]
        "concentration1": constraints.positive,
        "concentration0": constraints.positive,
        "rest": constraints.positive,
    }
    support: ClassVar[Any] = constraints.positive  # pyright: ignore[reportIncompatibleMethodOverride]
    reparametrized_params: ClassVar[list[str]] = ["rest"]  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, concentration1: Any, concentration0: Any, rest: Any, *, validate_args: bool | None = None):
        # Whole arrays, not shapes that broadcast: every element has a share of its own.
        self.concentration1, self.concentration0, self.rest = jnp.broadcast_arrays(
            *map(jnp.asarray, (concentration1, concentration0, rest))
        )
        super().__init__(batch_shape=jnp.shape(self.rest), validate_args=validate_args)

    @property
    def _share(self) -> dist.Beta:
        return dist.Beta(self.concentration1, self.concentration0)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw, by a draw of the share."""
        share = jnp.asarray(self._share.sample(key, sample_shape))
        # A share that rounds to one would be an infinite value.
        share = jnp.minimum(share, 1 - jnp.finfo(share.dtype).eps)
        return self.rest * share / (1 - share)

    @validate_sample
    def log_prob(self, value: Any, intermediates: Any = None) -> Array:
        """Log density of values, with the derivative of the share by the value."""
        total = jnp.asarray(value) + self.rest
        return self._share.log_prob(value / total) + jnp.log(self.rest) - 2 * jnp.log(total)
