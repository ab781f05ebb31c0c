"""Loading a prepared model and scoring the batches of its plan, on this machine."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np

from inference.checkpoints.sharding import make_mesh
from inference.checkpoints.weights import load_decoder
from inference.runs.model_memory import fits
from inference.runs.prepared import Plan, PreparedModel
from inference.scoring.scores import LanguageModel, batch_log_probabilities

Scored = tuple[int, np.ndarray, float]


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

    Attributes
    ----------
    load_seconds
        How long each model took to load, by name.
    """

    def __init__(self) -> None:
        self.load_seconds: dict[str, float] = {}
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
        if fits(model):
            self._next = which, self._loader.submit(self._load, model)

    def _load(self, model: PreparedModel) -> LanguageModel:
        begun = time.monotonic()
        loaded = load_prepared(model)
        # The first load counts: a later one may be in float32, to measure the drift.
        self.load_seconds.setdefault(model.name, round(time.monotonic() - begun, 3))
        return loaded

    def score(self, model: PreparedModel, plan: Plan, batches: Sequence[int]) -> Iterator[Scored]:
        """Score batches.

        Parameters
        ----------
        model
            The model.
        plan
            Its plan.
        batches
            Which batches.

        Yields
        ------
        tuple
            Number of the batch, log-probabilities of the tokens it scores, [token], float32, and seconds.
        """
        loaded = self._take(model)
        for batch in batches:
            begun = time.monotonic()
            values = score_batch(loaded, plan, batch)
            yield batch, values, time.monotonic() - begun

    def _take(self, model: PreparedModel) -> LanguageModel:
        if self._next is not None and self._next[0] == (model.name, model.dtype):
            loading, self._next = self._next[1], None
            return loading.result()
        return self._load(model)

    def close(self) -> None:
        """Drop what was loading."""
        self._loader.shutdown(wait=True, cancel_futures=True)
        self._next = None
