"""Rotary positions: inverse frequencies of every kind of scaling, and the rotation."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from inference.decoder.rope_settings import Rope


def inverse_frequencies(rope: Rope, *, long: bool = False) -> np.ndarray:
    r"""Return the angle by which each pair of dimensions turns per position.

    Parameters
    ----------
    rope
        The rotary embedding.
    long
        For ``"longrope"`` whether the text is longer than `Rope.original_max_length`; of no effect elsewhere.

    Returns
    -------
    numpy.ndarray
        Radians per position, [rope.width / 2], float32. They are computed in float32 throughout, as the models were
        trained with: in float64 they would be 2.5e-4 radians apart at position 4,096.

    Notes
    -----
    :math:`\theta^{-2i/d}` (Su et al., RoFormer, 2021), divided by the factor (``"linear"``), interpolated between the
    two by wavelength (``"llama3"``, Llama 3.1), by dimension (``"yarn"``, Peng et al., 2023), divided by a table
    (``"longrope"``, Ding et al., 2024), or zero for pairs beyond a share of them (``"proportional"``).
    """
    exponents = np.arange(0, rope.width, 2).astype(np.float32) / np.float32(rope.width)
    periods = np.float32(rope.theta) ** exponents
    factor = np.float32(rope.factor)
    if rope.kind == "linear":
        return (1 / periods) / factor
    if rope.kind == "llama3":
        return _llama3(rope, 1 / periods)
    if rope.kind == "yarn":
        kept = 1 - _yarn_ramp(rope)
        return (1 / (factor * periods)) * (1 - kept) + (1 / periods) * kept
    if rope.kind == "proportional":
        turned = np.arange(rope.width // 2) < int(rope.share * rope.width // 2)
        return np.where(turned, 1 / periods, np.float32(0)) / factor
    if rope.kind == "longrope":
        divisors = np.asarray(rope.long_factors if long else rope.short_factors, np.float32)
        return 1 / (divisors * periods)
    return 1 / periods


def _llama3(rope: Rope, plain: np.ndarray) -> np.ndarray:
    turns = np.float32(rope.original_max_length) / (np.float32(2 * math.pi) / plain)
    span = np.float32(rope.high_frequency_factor - rope.low_frequency_factor)
    smooth = np.clip((turns - np.float32(rope.low_frequency_factor)) / span, np.float32(0), np.float32(1))
    return (1 - smooth) * plain / np.float32(rope.factor) + smooth * plain


def _yarn_ramp(rope: Rope) -> np.ndarray:
    """Return how far each pair of dimensions is interpolated, [width / 2], 0 to 1."""

    def dimension(turns: float) -> float:
        length = math.log(rope.original_max_length / (turns * 2 * math.pi))
        return rope.width * length / (2 * math.log(rope.theta))

    low, high = dimension(rope.beta_fast), dimension(rope.beta_slow)
    if rope.truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, rope.width - 1)
    if low == high:
        high += 0.001
    steps = (np.arange(rope.width // 2, dtype=np.float32) - np.float32(low)) / np.float32(high - low)
    return np.clip(steps, np.float32(0), np.float32(1))


def rotation_tables(
    ropes: tuple[Rope, ...], length: int, lengths: jax.Array, *, unrotated: bool, positions: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """Return cosines and sines for every rotary embedding of a decoder.

    Parameters
    ----------
    ropes
        The rotary embeddings.
    length
        Number of positions.
    lengths
        Length of each row's text, [row], or of the text of each position, [row, position]: ``"longrope"`` chooses its
        table by it, not by the padded length.
    unrotated
        Whether to append a table that rotates nothing, for layers without positions.
    positions
        Number of each position within its text, [row, position]; texts begin with their rows by default.

    Returns
    -------
    tuple of jax.Array
        Cosines and sines, each [rope, row or 1, position, 1, pair], float32, of as many pairs as the widest has: those
        beyond a narrower one's stand still.
    """
    numbers = jnp.arange(length)[None] if positions is None else positions
    numbers = numbers.astype(jnp.float32)[..., None]
    cosines, sines = [], []
    for rope in ropes:
        angles = numbers * inverse_frequencies(rope)
        if rope.kind == "longrope":
            beyond = (lengths > rope.original_max_length).reshape(len(lengths), -1, 1)
            angles = jnp.where(beyond, numbers * inverse_frequencies(rope, long=True), angles)
        cosines.append(jnp.cos(angles) * np.float32(rope.magnitude))
        sines.append(jnp.sin(angles) * np.float32(-rope.magnitude if rope.backward else rope.magnitude))
    if unrotated:
        cosines.append(jnp.ones_like(cosines[0]))
        sines.append(jnp.zeros_like(sines[0]))
    rows = max(table.shape[0] for table in cosines)
    pairs = max(table.shape[-1] for table in cosines)

    def stacked(tables: list[jax.Array], still: float) -> jax.Array:
        wide = [_widened(one, pairs, still) for one in tables]
        return jnp.stack([jnp.broadcast_to(one, (rows, length, pairs)) for one in wide])

    tables = stacked(cosines, 1.0), stacked(sines, 0.0)
    return tables[0][..., None, :], tables[1][..., None, :]


def _widened(table: jax.Array, pairs: int, still: float) -> jax.Array:
    missing = pairs - table.shape[-1]
    return jnp.pad(table, ((0, 0), (0, 0), (0, missing)), constant_values=still) if missing else table


def rotate(x: jax.Array, cosines: jax.Array, sines: jax.Array, *, interleaved: bool) -> jax.Array:
    """Rotate the leading dimensions of heads by their positions.

    Parameters
    ----------
    x
        Queries or keys, [row, position, head, dimension].
    cosines, sines
        Tables of one rotary embedding, [row or 1, position, 1, pair]; of pairs beyond those of a head none is read.
    interleaved
        Whether a pair is two neighbours rather than the same place of two halves.

    Returns
    -------
    jax.Array
        The same shape and type; dimensions beyond the pairs are unchanged.
    """
    pairs = min(cosines.shape[-1], x.shape[-1] // 2)
    if pairs < cosines.shape[-1]:
        cosines, sines = cosines[..., :pairs], sines[..., :pairs]
    rotated, rest = x[..., : 2 * pairs].astype(jnp.float32), x[..., 2 * pairs :]
    if interleaved:
        first, second = rotated[..., 0::2], rotated[..., 1::2]
    else:
        first, second = rotated[..., :pairs], rotated[..., pairs:]
    turned = first * cosines - second * sines, second * cosines + first * sines
    both = jnp.stack(turned, -1).reshape(rotated.shape) if interleaved else jnp.concatenate(turned, -1)
    both = both.astype(x.dtype)
    return both if rest.shape[-1] == 0 else jnp.concatenate([both, rest], -1)
