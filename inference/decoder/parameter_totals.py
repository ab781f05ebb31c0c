"""How many parameters a decoder has, and how many of them take part in a token."""

import math
from collections.abc import Mapping

from flax import nnx

from inference.decoder.transformer import Decoder

EMBEDDINGS = (("embedding",), ("positions",), ("head",), ("head_bias",), ("layer_table", "table"))


def parameter_counts(decoder: Decoder) -> Mapping[str, int]:
    """Count a decoder's parameters.

    Parameters
    ----------
    decoder
        The decoder, or its shapes alone (``nnx.eval_shape``).

    Returns
    -------
    dict
        ``total``: numbers stored, a tied head counted once; ``embedding``: those of the token and position embeddings,
        of those that layers have besides, and of an untied head; ``active``: those that take part in a token. Of
        experts these are as many as each token goes through; the rows of an embedding count whole, as is usual.
    """
    total = embedding = active = 0
    for path, variable in nnx.to_flat_state(nnx.state(decoder)):
        size = math.prod(variable.shape)
        total += size
        embedding += size if any(path[: len(place)] == place for place in EMBEDDINGS) else 0
        chosen, of = variable.get_metadata().get("chosen", (1, 1))
        active += size * chosen // of
    return {"total": total, "embedding": embedding, "active": active}
