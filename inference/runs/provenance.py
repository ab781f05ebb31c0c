"""Where a model's scores come from, for the manifest and the table of models."""

import sys
import time
from importlib.metadata import version
from typing import Any

from inference.checkpoints.stored_forms import stated_method
from inference.runs.prepared import PreparedModel
from inference.texts.tokenizer_loading import READER

VERSIONS = ("bayeslaw", "jax", "jaxlib", "flax", "transformers", "tokenizers", "numpy")


def model_row(model: PreparedModel) -> dict[str, Any]:
    """Return a model's row in the table of models.

    Parameters
    ----------
    model
        The model.

    Returns
    -------
    dict
        ``model, family, parameters, embedding_parameters, active_parameters`` and what else is known of it.
    """
    counts = {
        "parameters": model.parameters["total"],
        "embedding_parameters": model.parameters["embedding"],
        "active_parameters": model.parameters["active"],
    }
    return {"model": model.name, "family": model.request.family, **counts, **model.request.facts}


def model_facts(model: PreparedModel, *, device: str) -> dict[str, Any]:
    """Return what the manifest tells of how a model was scored.

    Parameters
    ----------
    model
        The model.
    device
        Where it was scored.

    Returns
    -------
    dict
        Source, revision, what its weights are stored as (numbers by form, and ``quant_method`` where one is stated),
        tokenizer, keys, counts of parameters, type, versions, device, time and ``row``.
    """
    return {
        "source": model.request.source,
        "revision": model.checkpoint.revision,
        "model_type": model.checkpoint.config["model_type"],
        "stored_forms": model.checkpoint.stored_forms,
        "quant_method": stated_method(model.checkpoint.config),
        "tokenizer": model.tokenizer.hash,
        "tokenizer_reader": READER,
        "prefix_text": model.tokenizer.prefix_text,
        "keys": model.keys,
        "parameters": model.parameters,
        "dtype": model.dtype,
        "versions": {name: version(name) for name in VERSIONS} | {"python": sys.version.split()[0]},
        "device": device,
        "scored_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "row": model_row(model),
    }
