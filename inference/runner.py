"""The run: many models over many texts to a loss table that can be stopped at any moment and taken up again."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bayeslaw.errors import InputError
from bayeslaw.progress import progress_bar
from bayeslaw.storage import check_output_folder
from inference.running.drift import Scorer, measure_drift
from inference.running.gates import Gate, drift_gates, model_gates, size_gates
from inference.running.journal import Journal, check_keys
from inference.running.model_list import ModelRequest
from inference.running.options import ScoreOptions
from inference.running.prepared import Plan, PreparedModel, corpus_hash, plan_texts, prepare_model
from inference.running.sample_losses import document_losses, loss_rows, token_rows
from inference.running.scoring import LocalScorer
from inference.running.table_folder import TableFolder
from inference.texts import Corpus

VERSIONS = ("bayeslaw", "jax", "jaxlib", "flax", "transformers", "tokenizers", "numpy")


class RunScorer(Scorer, Protocol):
    """What scores models for a run: this process or a cluster."""

    load_seconds: dict[str, float]

    @property
    def device(self) -> str:
        """Where models are scored."""
        ...

    def prefetch(self, model: PreparedModel) -> None:
        """Begin to load the model that comes next, where that is of use."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


@dataclass(frozen=True)
class ModelResult:
    """What a run did with one model.

    Attributes
    ----------
    name
        The model.
    tokens, seconds
        Tokens scored by this run, and how long that took; 0 where all was there already.
    gates
        Sanity gates it did not pass.
    refused
        Whether it was left out of the table for them.
    """

    name: str
    tokens: int
    seconds: float
    gates: list[Gate] = field(default_factory=list)
    refused: bool = False


def run(
    requests: Sequence[ModelRequest],
    corpus: Corpus,
    out: str | os.PathLike[str],
    options: ScoreOptions,
    *,
    scorer: RunScorer | None = None,
    say: Callable[[str], None] = lambda sentence: None,
    progress: bool = False,
) -> list[ModelResult]:
    """Score texts under models into a loss table.

    Parameters
    ----------
    requests
        The models.
    corpus
        The texts: all that the table holds already and, if wanted, more.
    out
        Folder of the loss table; made where missing. What it holds is not scored again.
    options
        How to score.
    scorer
        What scores; this process by default.
    say
        Called with each sentence of what is done and found.
    progress
        Whether to show progress.

    Returns
    -------
    list of ModelResult
        What was done, by model.

    Raises
    ------
    InputError
        If a model, the options or the texts cannot be used, or the folder holds other texts, another unit, or scores
        made differently. What is wrong with a model or the options is found before anything is written.
    """
    out = Path(out)
    if not out.is_dir():
        check_output_folder(out, "losses")
    TableFolder(out, options.unit)
    prepared = []
    for request in requests:
        say(f"{request.name}: opening {request.source}")
        prepared.append(prepare_model(request, options))
    scorer = LocalScorer() if scorer is None else scorer
    try:
        return _Run(out, options, scorer, say, progress).score(prepared, corpus)
    finally:
        scorer.close()


class _Run:
    """One run; its methods share the folder, the options and the scorer."""

    def __init__(
        self, out: Path, options: ScoreOptions, scorer: RunScorer, say: Callable[[str], None], progress: bool
    ) -> None:
        self.out, self.options, self.scorer, self.say, self.progress = out, options, scorer, say, progress
        self.folder = TableFolder(out, options.unit)
        self.done: list[Journal] = []

    def score(self, models: Sequence[PreparedModel], corpus: Corpus) -> list[ModelResult]:
        with self.folder.locked():
            self.folder = TableFolder(self.out, self.options.unit)
            for model in models:
                if known := self.folder.models.get(model.name):
                    check_keys(model.name, known["keys"], model.keys, str(self.out))
            segments = self.folder.add_texts(corpus)
            results = []
            for place, model in enumerate(models):
                coming = next((one for one in models[place + 1 :] if self._lacks(one, len(segments))), None)
                results.append(self._score_model(model, segments, coming))
            results = self._look_at_sizes(results)
            for journal in self.done:
                journal.remove()
            self._note_gaps(len(segments))
            return results

    def _lacks(self, model: PreparedModel, segments: int) -> bool:
        return not all(self.folder.has(model.name, segment) for segment in range(segments))

    def _score_model(
        self, model: PreparedModel, segments: Sequence[Corpus], coming: PreparedModel | None
    ) -> ModelResult:
        tokens, seconds, gates = 0, 0.0, []
        for number, texts in enumerate(segments):
            if self.folder.has(model.name, number):
                self._check_tokens_kept(model)
                continue
            plan = plan_texts(model, texts.texts)
            keys = model.keys | {"texts": corpus_hash(texts), "unit": self.options.unit}
            journal = Journal(self.folder.journal_folder(model.name, number), model.name, keys)
            batches, spent, new = self._score_batches(model, plan, journal, coming)
            found = self._add_up(model, plan, texts, batches, number=number, seconds=spent)
            tokens, seconds, gates = tokens + new, seconds + spent, gates + found
            if found and self.options.strict:
                for gate in found:
                    self.say(f"refused: {gate}")
                return ModelResult(model.name, tokens, seconds, gates, refused=True)
            self.done.append(journal)
        for gate in gates:
            self.say(f"warning: {gate}")
        if model.name in self.folder.models:
            self.folder.set_facts(model.name, {"row": _row(model)})
        if not tokens:
            self.say(f"{model.name}: all texts are scored already")
        return ModelResult(model.name, tokens, seconds, gates)

    def _check_tokens_kept(self, model: PreparedModel) -> None:
        if self.options.keep_tokens and not self.folder.models[model.name].get("tokens_kept"):
            problem = f"{model.name!r} is in {str(self.out)!r} without its tokens"
            raise InputError(problem, "--tokens from the first run on", "score into another --out")

    def _score_batches(
        self, model: PreparedModel, plan: Plan, journal: Journal, coming: PreparedModel | None
    ) -> tuple[list[np.ndarray], float, int]:
        """Score what is not in the journal; return all batches, seconds of all, and tokens scored now."""
        sizes = [plan.tokens(batch) for batch in range(len(plan.batches))]
        held = {batch: kept for batch, size in enumerate(sizes) if (kept := journal.read(batch, size)) is not None}
        missing = [batch for batch in range(len(sizes)) if batch not in held]
        new = sum(sizes[batch] for batch in missing)
        if held and missing:
            self.say(f"{model.name}: {len(held):,} of {len(sizes):,} batches are there from an earlier run")
        with progress_bar(model.name, new, shown=self.progress, unit="tokens") as advance:
            for done, (batch, values, seconds) in enumerate(self.scorer.score(model, plan, missing)):
                journal.write(batch, values, seconds)
                held[batch] = values, seconds
                advance(sizes[batch])
                if done == 0 and coming is not None:
                    self.scorer.prefetch(coming)
        return [held[batch][0] for batch in range(len(sizes))], sum(seconds for _, seconds in held.values()), new

    def _add_up(
        self,
        model: PreparedModel,
        plan: Plan,
        texts: Corpus,
        batches: Sequence[np.ndarray],
        *,
        number: int,
        seconds: float,
    ) -> list[Gate]:
        """Sum up a segment, look at it, and add it to the table unless it is refused."""
        unit, keep = self.options.unit, self.options.keep_tokens
        found = plan.scatter(batches)
        losses = [
            document_losses(text, encoding, values, unit)
            for text, encoding, values in zip(texts.texts, plan.encodings, found, strict=True)
        ]
        rows = loss_rows(texts, losses, name=model.name, unit=unit)
        size = sum(int(one.bytes.sum()) for one in losses)
        drift = measure_drift(self.scorer, model, plan, batches)
        gates = model_gates(model.name, rows, documents_bytes=size, vocabulary=model.config.vocabulary)
        gates += drift_gates(model.name, drift)
        if gates and self.options.strict:
            return gates
        tokens = token_rows(texts, plan.encodings, found, losses, name=model.name, unit=unit) if keep else None
        scored = sum(plan.tokens(batch) for batch in range(len(batches)))
        facts = self._facts(model, tokens=scored, seconds=seconds, drift=drift, gates=gates)
        self.folder.add_part(model.name, number, rows=rows, tokens=tokens, facts=facts)
        loss = float(np.sum(rows["nll"].to_numpy()))
        self.say(
            f"{model.name}: {loss / np.log(2) / max(1, size):.4f} bits per byte over {size:,} bytes in "
            f"{rows.num_rows:,} samples (unit: {unit}); {scored:,} tokens in {seconds:.1f} s"
        )
        return gates

    def _facts(
        self, model: PreparedModel, *, tokens: int, seconds: float, drift: dict[str, Any] | None, gates: list[Gate]
    ) -> dict[str, Any]:
        """Tell in the manifest where a model's scores come from; counts add up over segments."""
        known = self.folder.models.get(model.name, {})
        tokens, seconds = tokens + known.get("tokens", 0), seconds + known.get("seconds", 0.0)
        return {
            "source": model.request.source,
            "revision": model.checkpoint.revision,
            "model_type": model.checkpoint.config["model_type"],
            "tokenizer": model.tokenizer.hash,
            "prefix_text": model.tokenizer.prefix_text,
            "keys": model.keys,
            "parameters": model.parameters,
            "dtype": model.dtype,
            "versions": {name: version(name) for name in VERSIONS} | {"python": sys.version.split()[0]},
            "device": self.scorer.device,
            "scored_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "load_seconds": self.scorer.load_seconds.get(model.name, known.get("load_seconds")),
            "seconds": round(seconds, 3),
            "tokens": tokens,
            "tokens_per_second": round(tokens / seconds, 1) if seconds else None,
            "tokens_kept": self.options.keep_tokens and known.get("tokens_kept", True),
            "drift": drift or known.get("drift"),
            "gates": known.get("gates", []) + [{"code": gate.code, "message": gate.message} for gate in gates],
            "row": _row(model),
        }

    def _look_at_sizes(self, results: list[ModelResult]) -> list[ModelResult]:
        """Compare the models of the whole table, once all are there."""
        found = size_gates(self.out) if self.folder.models else {}
        looked = []
        for result in results:
            gates = found.get(result.name, [])
            refused = bool(gates) and self.options.strict and result.tokens > 0
            for gate in gates:
                self.say(f"{'refused' if refused else 'warning'}: {gate}")
            if refused:
                self.folder.remove_model(result.name)
                self.done = [journal for journal in self.done if journal.name != result.name]
            own = [*result.gates, *gates]
            looked.append(ModelResult(result.name, result.tokens, result.seconds, own, result.refused or refused))
        return looked

    def _note_gaps(self, segments: int) -> None:
        for name, model in self.folder.models.items():
            if len(model["segments"]) < segments:
                self.say(f"note: {name} is not scored on all texts; name it in a run to add what is new")


def _row(model: PreparedModel) -> dict[str, Any]:
    """Return a model's row in the table of models."""
    counts = {
        "parameters": model.parameters["total"],
        "embedding_parameters": model.parameters["embedding"],
        "active_parameters": model.parameters["active"],
    }
    return {"model": model.name, "family": model.request.family, **counts, **model.request.facts}
