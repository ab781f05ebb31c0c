"""Scoring with one part of a decoder in memory at a time: all texts go through it before the next one is used."""

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from bayeslaw.progress import Advance, progress_bar
from inference.checkpoints.decoder_parts import DecoderPart, decoder_parts
from inference.checkpoints.sharding import make_mesh
from inference.checkpoints.weight_memory import WeightMemory
from inference.decoder.handed_on import packed_width
from inference.runs.batch_journal import Journal
from inference.runs.hidden_states import BatchState, HiddenStates
from inference.runs.prepared import Plan, PreparedModel
from inference.runs.stream_room import MEBIBYTE, StreamRoom, stream_room
from inference.scoring.layer_programs import embed, log_probabilities, take_layer_rows, through_block
from inference.scoring.scores import place_rows
from inference.texts.batches import BatchArrays


def stream_batches(
    model: PreparedModel,
    plan: Plan,
    batches: Sequence[int],
    *,
    journal: Journal | None = None,
    say: Callable[[str], None] = lambda sentence: None,
    progress: bool | None = None,
) -> Iterator[tuple[int, np.ndarray, float]]:
    """Score batches with a model that is never in memory as a whole.

    Parameters
    ----------
    model
        The model.
    plan
        Its plan.
    batches
        Which batches.
    journal
        Where hidden states are kept from which a later run goes on; None to keep none.
    say
        Called with each sentence of what is done.
    progress
        As in `inference.runs.runner.run`.

    Yields
    ------
    tuple
        Number of the batch, log-probabilities of the tokens it scores, [token], float32, and seconds.

    Raises
    ------
    InputError
        If memory does not suffice for the largest part, a tensor cannot be read, or hidden states not be written.
    """
    parts, width = decoder_parts(model.checkpoint), packed_width(model.config)
    shapes = {batch: (plan.batches[batch].rows, plan.batches[batch].inputs, width) for batch in batches}
    room = stream_room(model, parts, shapes)
    states = HiddenStates(journal, shapes, parts=len(parts) - 1, in_memory=room.in_memory)
    passed = states.begin()
    first = min(passed.values())
    say(_sentence(model, parts, room, first))
    mesh, dtype = make_mesh(), jnp.dtype(model.dtype)
    walk = _Walk(model, {batch: plan.arrays(batch) for batch in batches}, states, mesh, width=width)
    left = [[batch for batch in batches if passed[batch] <= number] for number in range(len(parts) - 1)]
    sizes = {batch: plan.tokens(batch) for batch in batches}
    total = sum(sizes[batch] for some in left for batch in some)
    memory = WeightMemory(room.weight_bytes)
    read = _read_in_turn(parts[first:], lambda part: part.read(dtype, memory, mesh), ahead=room.read_ahead)
    with closing(read) as weights:
        with progress_bar(f"{model.name}, layer by layer", total, shown=progress) as advance:
            for number in range(first, len(parts) - 1):
                walk.through(number, parts[number], next(weights), left[number], lambda batch: advance(sizes[batch]))
        head = next(weights)
        for batch in batches:
            values, seconds = walk.finish(batch, head)
            yield batch, plan.gather(batch, values, walk.arrays[batch].scored), seconds
            # Whoever asks for the next batch has kept this one.
            states.remove(batch)


def _sentence(model: PreparedModel, parts: Sequence[DecoderPart], room: StreamRoom, first: int) -> str:
    largest = max(part.count for part in parts) * jnp.dtype(model.dtype).itemsize
    where = "memory" if room.in_memory else "files"
    ahead = "" if room.read_ahead else ", none read ahead"
    onward = f", from {parts[first].name} on" if first else ""
    return (
        f"{model.name}: scored layer by layer{onward}; the largest part takes {largest / MEBIBYTE:,.1f} MiB in "
        f"{model.dtype}{ahead}, hidden states {room.hidden_bytes / MEBIBYTE:,.1f} MiB in {where}"
    )


def _read_in_turn(
    parts: Sequence[DecoderPart], read: Callable[[DecoderPart], nnx.State], *, ahead: bool
) -> Generator[nnx.State]:
    """Yield the weights of parts, the next one being read meanwhile if asked for; each is good for one turn."""
    if not ahead:
        for part in parts:
            weights = read(part)
            yield weights
            _free(weights)
        return
    with ThreadPoolExecutor(1) as pool:
        coming: Future[nnx.State] | None = pool.submit(read, parts[0])
        for after in [*parts[1:], None]:
            assert coming is not None
            weights = coming.result()
            coming = None if after is None else pool.submit(read, after)
            yield weights
            _free(weights)


def _free(weights: nnx.State) -> None:
    # Left to the collector, a part would still be there while the next but one is read.
    for array in jax.tree.leaves(weights):
        array.delete()


class _Walk:
    """Batches on their way through a decoder; what is done to each depends on no other."""

    def __init__(
        self,
        model: PreparedModel,
        arrays: Mapping[int, BatchArrays],
        states: HiddenStates,
        mesh: Mesh | None,
        *,
        width: int,
    ) -> None:
        self.config, self.arrays, self._states, self._mesh = model.config, arrays, states, mesh
        self._width = width
        self._since = time.monotonic()

    def through(
        self, number: int, part: DecoderPart, weights: nnx.State, batches: Sequence[int], advance: Advance
    ) -> None:
        """Take batches through one part; `advance` is called with each."""
        for batch in batches:
            state = self._states.get(batch) if number else BatchState(0, 0.0, self._blank(batch))
            found = self._step(part)(batch, part, weights, state)
            rows = len(self.arrays[batch].lengths)
            self._states.put(batch, BatchState(number + 1, state.seconds + self._seconds(), np.asarray(found)[:rows]))
            advance(batch)
        self._states.end_part()

    def _blank(self, batch: int) -> np.ndarray:
        # Pages of zeros that no one reads take no memory.
        return np.zeros((*self.arrays[batch].inputs.shape, self._width), np.float32)

    def _step(self, part: DecoderPart) -> Callable[..., jax.Array]:
        if part.first_row is not None:
            return self._take_rows
        return self._embed if part.kind is None else self._through_block

    def _take_rows(self, batch: int, part: DecoderPart, weights: nnx.State, state: BatchState) -> jax.Array:
        values, tokens = place_rows(self._mesh, state.values, self.arrays[batch].inputs)
        return take_layer_rows(self.config, weights, values, tokens, jnp.asarray(part.first_row))

    def _embed(self, batch: int, part: DecoderPart, weights: nnx.State, state: BatchState) -> jax.Array:
        if not state.parts:
            (tokens,) = place_rows(self._mesh, self.arrays[batch].inputs)
            return embed(self.config, weights, tokens)
        values, tokens = place_rows(self._mesh, state.values, self.arrays[batch].inputs)
        return embed(self.config, weights, tokens, values)

    def _through_block(self, batch: int, part: DecoderPart, weights: nnx.State, state: BatchState) -> jax.Array:
        assert part.kind is not None
        values, lengths = place_rows(self._mesh, state.values, self.arrays[batch].lengths)
        return through_block(self.config, part.kind, weights, values, lengths, jnp.asarray(part.layer))

    def finish(self, batch: int, weights: nnx.State) -> tuple[np.ndarray, float]:
        """Return a batch's log-probabilities [row, position], and the seconds that it took in all."""
        state, arrays = self._states.get(batch), self.arrays[batch]
        values, targets = place_rows(self._mesh, state.values, arrays.targets)
        found = np.asarray(log_probabilities(self.config, weights, values, targets))
        scores = np.where(arrays.scored, found[: len(arrays.scored)], np.float32(0))
        return scores, state.seconds + self._seconds()

    def _seconds(self) -> float:
        """Return the time since this was asked last: waiting for weights counts to the batch that comes first."""
        before, self._since = self._since, time.monotonic()
        return self._since - before
