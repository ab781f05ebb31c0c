"""Whether a model fits into memory."""

import jax.numpy as jnp

from inference.runs.free_memory import free_memory, free_on_devices
from inference.runs.prepared import PreparedModel

# Room for activations and logits beside the weights.
SPARE = 1 << 30


def weight_bytes(model: PreparedModel) -> int:
    """Return how much memory a model's weights take once they are loaded."""
    return model.parameters["total"] * jnp.dtype(model.dtype).itemsize


def fits(model: PreparedModel) -> bool:
    """Say whether a model's weights fit into the memory that is free now, on this machine and on its accelerators.

    Parameters
    ----------
    model
        The model.

    Returns
    -------
    bool
        Whether they do, with room to score.
    """
    needed = weight_bytes(model) + SPARE
    if free_memory() < needed:
        return False
    free = free_on_devices()
    # Devices that share out rows hold all weights each, and those that split weights an equal part.
    return not free or min(free) * model.tensor_parallel > needed
