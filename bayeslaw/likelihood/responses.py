"""What of a loss scatters around a law: one entry each, looked up and never compared."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


@dataclass(frozen=True)
class Response:
    """A scale on which noise is added.

    Parameters
    ----------
    name
        What it is called in files and messages; the observed site of a model has this name.
    law
        What a law is on this scale, in words.
    of_loss, to_loss
        From losses to responses and back, for arrays of NumPy and of JAX.
    moved
        Moves losses by deviations of their responses.
    loss_slope
        Derivative of the loss by the response, from losses: standard errors of losses divided by it are those of
        responses, by the delta method.
    log_jacobian
        Logarithm of the derivative of the response by the loss, from responses: added to log densities of responses it
        gives those of losses.
    positive
        Whether only a positive loss has a response.
    needs_light_tails
        Whether losses have a finite mean only under noise of light tails.
    """

    name: str
    law: str
    of_loss: Callable[[Any], Any]
    to_loss: Callable[[Any], Any]
    moved: Callable[[np.ndarray, np.ndarray], np.ndarray]
    loss_slope: Callable[[np.ndarray], np.ndarray]
    log_jacobian: Callable[[np.ndarray], np.ndarray]
    positive: bool = False
    needs_light_tails: bool = False


def _log(losses: Any) -> Any:
    return jnp.log(losses) if isinstance(losses, jax.Array) else np.log(losses)


def _exp(responses: Any) -> Any:
    return jnp.exp(responses) if isinstance(responses, jax.Array) else np.exp(responses)


RESPONSES: dict[str, Response] = {
    entry.name: entry
    for entry in (
        Response(
            "loss",
            "law",
            of_loss=lambda losses: losses,
            to_loss=lambda responses: responses,
            moved=lambda losses, deviations: losses + deviations,
            loss_slope=np.ones_like,
            log_jacobian=np.zeros_like,
        ),
        Response(
            "log_loss",
            "log law",
            of_loss=_log,
            to_loss=_exp,
            moved=lambda losses, deviations: losses * np.exp(deviations),
            loss_slope=lambda losses: losses,
            log_jacobian=lambda responses: -responses,
            positive=True,
            needs_light_tails=True,
        ),
    )
}
