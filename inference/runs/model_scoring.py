"""Loading a prepared model and scoring the batches of its plan, on this machine."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np

from inference.checkpoints.sharding import make_mesh
from inference.checkpoints.weights import load_decoder
from inference.runs.batch_journal import Journal
from inference.runs.free_memory import free_memory
from inference.runs.layer_streaming import stream_batches
from inference.runs.model_memory import fits, weight_bytes
from inference.runs.prepared import Plan, PreparedModel
from inference.scoring.language_models import LanguageModel
from inference.scoring.scores import batch_log_probabilities

Scored = tuple[int, np.ndarray, float]
GIBIBYTE = 1 << 30


def load_prepared(model: PreparedModel) -> LanguageModel:
    """Load the weights of a prepared model.

    Parameters
    ----------
    model
        The model.

    Returns
    -------
    LanguageModel
        The model, spread over all devices of this process.
    """
    mesh = make_mesh(tensor=model.tensor_parallel)
    return LanguageModel(
        decoder=load_decoder(model.checkpoint, dtype=jnp.dtype(model.dtype), mesh=mesh),
        tokenizer=model.tokenizer,
        name=model.name,
        revision=model.checkpoint.revision,
        model_type=str(model.checkpoint.config["model_type"]),
        dtype=model.dtype,
        parameters=model.parameters,
        mesh=mesh,
    )


def score_batch(model: LanguageModel, plan: Plan, batch: int) -> np.ndarray:
    """Return the log-probabilities of the tokens that a batch scores, [token], float32."""
    arrays = plan.arrays(batch)
    return plan.gather(batch, batch_log_probabilities(model, arrays), arrays.scored)


class LocalScorer:
    """Scores on the devices of this process, one model in memory at a time, or two while the next one is loading.

    Parameters
    ----------
    stream_layers
        As in `inference.runs.options.ScoreOptions`.
    say
        Called with each sentence of how a model is scored that is read layer by layer.
    progress
        As in `inference.runs.runner.run`.

    Attributes
    ----------
    load_seconds
        How long each model took to load, by name.
    streamed
        Models that were read layer by layer, by name.
    """

    def __init__(
        self,
        *,
        stream_layers: bool | None = None,
        say: Callable[[str], None] = lambda sentence: None,
        progress: bool | None = None,
    ) -> None:
        self.load_seconds: dict[str, float] = {}
        self.streamed: set[str] = set()
        self._stream_layers, self._say, self._progress = stream_layers, say, progress
        self._loader = ThreadPoolExecutor(1)
        self._next: tuple[tuple[str, str], Future[LanguageModel]] | None = None

    @property
    def device(self) -> str:
        """Where models are scored."""
        devices = jax.devices()
        return f"{len(devices)} x {devices[0].device_kind}"

    def fits(self, model: PreparedModel) -> bool:
        """Say whether there is memory for a model."""
        return fits(model)

    def prefetch(self, model: PreparedModel) -> None:
        """Begin to load the model that comes next, if it fits into memory beside the present one."""
        which = model.name, model.dtype
        if self._next is not None and self._next[0] == which:
            return
        # A model that was loaded ahead and not asked for had all its batches in the journal.
        self._next = None
        if not self._stream_layers and fits(model):
            self._next = which, self._loader.submit(self._load, model)

    def _load(self, model: PreparedModel) -> LanguageModel:
        begun = time.monotonic()
        loaded = load_prepared(model)
        # The first load counts: a later one may be in float32, to measure the drift.
        self.load_seconds.setdefault(model.name, round(time.monotonic() - begun, 3))
        return loaded

    def score(
        self, model: PreparedModel, plan: Plan, batches: Sequence[int], *, journal: Journal | None = None
    ) -> Iterator[Scored]:
        """Score batches.

        Parameters
        ----------
        model
            The model.
        plan
            Its plan.
        batches
            Which batches.
        journal
            Where hidden states are kept of a model that is read layer by layer; None to keep none.

        Yields
        ------
        tuple
            Number of the batch, log-probabilities of the tokens it scores, [token], float32, and seconds.
        """
        if self._streams(model, journal):
            self.streamed.add(model.name)
            kept = {"journal": journal, "say": self._say, "progress": self._progress}
            yield from stream_batches(model, plan, batches, **kept)
            return
        loaded = self._take(model)
        for batch in batches:
            begun = time.monotonic()
            values = score_batch(loaded, plan, batch)
            yield batch, values, time.monotonic() - begun

    def _streams(self, model: PreparedModel, journal: Journal | None) -> bool:
        """Say whether to read a model layer by layer."""
        ahead = self._next is not None and self._next[0] == (model.name, model.dtype)
        if self._stream_layers is not None or ahead or model.tensor_parallel > 1:
            return bool(self._stream_layers)
        # What was begun so is gone on with so.
        if journal is not None and journal.holds_hidden_states():
            return True
        if fits(model):
            return False
        self._say(
            f"{model.name}: {weight_bytes(model) / GIBIBYTE:,.1f} GiB of weights in {model.dtype} do not fit beside "
            f"what scoring takes into the memory that is free ({free_memory() / GIBIBYTE:,.1f} GiB on this machine)"
        )
        return True

    def _take(self, model: PreparedModel) -> LanguageModel:
        if self._next is not None and self._next[0] == (model.name, model.dtype):
            loading, self._next = self._next[1], None
            return loading.result()
        return self._load(model)

    def close(self) -> None:
        """Drop what was loading."""
        self._loader.shutdown(wait=True, cancel_futures=True)
        self._next = None
