"""Filling a decoder from a checkpoint: every parameter asks for its tensor."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from bayeslaw.errors import InputError
from inference.checkpoints.checkpoint import Checkpoint
from inference.checkpoints.checkpoint_config import check_model_type, read_decoder_config
from inference.checkpoints.sharding import TENSOR, check_splittable, weight_sharding
from inference.checkpoints.weight_memory import aligned_array
from inference.checkpoints.weight_plan import PREFIX, WeightPlan
from inference.decoder.configuration import DecoderConfig
from inference.decoder.families import FAMILIES, MULTIMODAL
from inference.decoder.mixers import MIXERS
from inference.decoder.stored_pieces import Piece, Source
from inference.decoder.transformer import Decoder

MakeArray = Callable[[tuple[int, ...], np.dtype], np.ndarray]
DTYPES = ("float32", "bfloat16", "float16")
# Buffers that older checkpoints hold beside their weights.
BUFFERS = re.compile(
    r"(?:^|\.)(?:(?:attn|attention)\.(?:masked_)?bias|rotary_emb\.(?:inv_freq|\w+_cached)"
    r"|self_attn\.(?:slope_rate|(?:query|key|diagonal)_decay))$"
)
VISION = re.compile(
    r"(?:^|\.)(?:vision_tower|vision_model|audio_tower|multi_modal_projector|vision_embed_tokens|vision_embedder|visual"
    r"|embed_(?:vision|audio)|(?:vision|audio)_tokenizer)\."
)
# Names that the head has beside the embedding where these are one; "decoder.weight" is a prefix and a name.
TIED_HEADS = ("lm_head.weight", "embed_out.weight", "output_projection.weight", "weight")


def load_decoder(checkpoint: Checkpoint, *, dtype: Any = jnp.float32, mesh: Mesh | None = None) -> Decoder:
    """Make a decoder of a checkpoint.

    Parameters
    ----------
    checkpoint
        The opened checkpoint.
    dtype
        Type of the weights and of products: float32, bfloat16 or float16.
    mesh
        Devices to spread the weights over; the first device by default.

    Returns
    -------
    Decoder
        The decoder. Tensors are read one by one into their place, so that the model is never in memory twice.

    Raises
    ------
    InputError
        If the family is not supported; if tensors are missing, unused or of another shape, all of them at once; if one
        holds values that are not finite in `dtype`; or if layers are recurrences and weights are to be split.
    """
    config, graph, flat, pieces = plan_weights(checkpoint)
    check_splittable(config, 1 if mesh is None else mesh.shape[TENSOR])
    if config.tied:
        check_tied_head(checkpoint, pieces["embedding", "weight"][0].sources[0].name)
    filled = {}
    for path, variable in flat.items():
        values = fill(checkpoint, pieces[path], variable.shape, dtype=np.dtype(dtype), stacked=path[0] == "blocks")
        place = None if mesh is None else weight_sharding(mesh, [str(step) for step in path], values.shape, config)
        # On a CPU an aligned array becomes the device's without a copy.
        filled[path] = variable.replace(jax.device_put(values, place, may_alias=True))
    return nnx.merge(graph, nnx.from_flat_state(filled))


def check_tensors(checkpoint: Checkpoint) -> None:
    """Check that a checkpoint has every tensor of its decoder, in its shape, and no other; none is read.

    Parameters
    ----------
    checkpoint
        The opened checkpoint.

    Raises
    ------
    InputError
        If the family is not supported, or tensors are missing, unused or of another shape, all of them at once.
    """
    plan_weights(checkpoint)


def check_tied_head(checkpoint: Checkpoint, embedding: str) -> None:
    """Check that a head stored beside an embedding that serves as head is the same, or raise InputError."""
    for head in sorted(name for name in checkpoint.names if PREFIX.sub("", name) in TIED_HEADS):
        if not checkpoint.same(head, embedding):
            problem = f"config.json of {checkpoint.name!r} makes the embedding the head, and {head} differs from it"
            raise InputError(problem, "one of the two", "set tie_word_embeddings in config.json to false")


def plan_weights(
    checkpoint: Checkpoint,
) -> tuple[DecoderConfig, nnx.GraphDef, dict[tuple, nnx.Variable], dict[tuple, list[Piece]]]:
    """Find the tensors of every parameter of a checkpoint's decoder; none is read.

    Parameters
    ----------
    checkpoint
        The opened checkpoint.

    Returns
    -------
    tuple
        Configuration, structure of the decoder, its parameters by path (shapes alone), and the pieces of each.

    Raises
    ------
    InputError
        If the family is not supported, or tensors are missing, unused or of another shape, all of them at once.
    """
    model_type = check_model_type(checkpoint.config)
    config = read_decoder_config(checkpoint)
    graph, state = nnx.split(nnx.eval_shape(lambda: Decoder(config)))
    flat = dict(nnx.to_flat_state(state))
    plan = WeightPlan(checkpoint, config, FAMILIES[model_type].tensors)
    pieces = {path: plan.pieces(path, variable.shape) for path, variable in flat.items()}
    multimodal = checkpoint.config.get("model_type") in MULTIMODAL

    beginnings = (re.escape(one).replace(r"\*", r"\d+") for one in _unneeded(plan))
    # Without any, nothing begins so.
    unneeded = re.compile("|".join(beginnings) or "(?!)")

    def ignored(name: str) -> bool:
        core = PREFIX.sub("", name)
        tied_head = config.tied and core in TIED_HEADS
        return (
            tied_head
            or bool(unneeded.match(core))
            or bool(BUFFERS.search(name))
            or (multimodal and bool(VISION.search(name)))
        )

    plan.check(model_type, ignored)
    return config, graph, flat, pieces


def _unneeded(plan: WeightPlan) -> Iterator[str]:
    """Yield how names begin, without the base model's prefix, of tensors that no score needs."""
    config = plan.config
    yield from (one.format(config.depth) for one in plan.tensors.ignored)
    for layer, mixer in enumerate(config.layer_mixer):
        if hasattr(MIXERS.get(mixer), "read_widths"):
            yield from (one.format(layer) for one in plan.tensors.unread)


def fill(
    checkpoint: Checkpoint,
    pieces: list[Piece],
    shape: tuple[int, ...],
    *,
    dtype: np.dtype,
    stacked: bool,
    array: MakeArray = aligned_array,
) -> np.ndarray:
    """Read a parameter.

    Parameters
    ----------
    checkpoint
        The opened checkpoint.
    pieces
        What fills it, as `plan_weights` finds it.
    shape
        Its shape.
    dtype
        Its type.
    stacked
        Whether there is a piece for each entry of its first dimension.
    array
        Makes the array that is read into.

    Returns
    -------
    numpy.ndarray
        Its values, where an accelerator's runtime on a CPU takes them over without a copy.

    Raises
    ------
    InputError
        If a tensor cannot be read, or holds values that are not finite in `dtype`.
    """
    values = array(shape, dtype)
    rows = values if stacked else values[None]
    # An ellipsis keeps what is a single number an array to read into.
    for number, piece in enumerate(pieces):
        if not piece.sources:
            rows[number, ...] = 0
        first = 0
        for entry, source in enumerate(piece.sources):
            whole = rows[number, entry, ...] if piece.spread else rows[number, ...]
            _read(checkpoint, source, whole[first : first + source.shape[0]] if piece.joined else whole)
            first += source.shape[0] if piece.joined else 0
    return values


def _read(checkpoint: Checkpoint, source: Source, values: np.ndarray) -> None:
    if source.rows is not None:
        checkpoint.read_rows_into(values, source.name, source.rows)
    elif source.take is None:
        checkpoint.read_into(values, source.name, source.entry)
    else:
        with np.errstate(over="ignore"):
            values[...] = source.take(checkpoint.read(source.name, source.entry, decoded=values.dtype))
    if not _finite(values):
        kind = values.dtype.name
        problem = f"{source.name} of {checkpoint.name!r} holds values that are not finite in {kind}"
        fix = "use another checkpoint" + ("" if kind == "float32" else ", or dtype float32")
        raise InputError(problem, "finite weights", fix)


def _finite(values: np.ndarray) -> bool:
    """Say whether all values are finite, from their exponent bits: all set means infinite or not a number."""
    kind, mask = {"float32": (np.uint32, 0x7F800000), "bfloat16": (np.uint16, 0x7F80), "float16": (np.uint16, 0x7C00)}[
        values.dtype.name
    ]
    bits = values.reshape(-1).view(kind)
    step = 1 << 20
    return all(int((bits[start : start + step] & mask).max()) != mask for start in range(0, len(bits), step))
