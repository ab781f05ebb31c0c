"""The run: many models over many texts to a loss table that can be stopped at any moment and taken up again."""

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bayeslaw.errors import InputError, shown
from bayeslaw.findings import Finding
from bayeslaw.inputs.arguments import a_flag, a_function, a_path, accepts, an_instance, optional
from bayeslaw.inputs.output_paths import check_output_folder
from bayeslaw.progress import progress_bar
from inference.runs.batch_journal import Journal, check_keys, remove_journal
from inference.runs.drift import Scorer, measure_drift
from inference.runs.model_list import ModelRequest, check_names
from inference.runs.model_scoring import LocalScorer
from inference.runs.options import ScoreOptions, check_place
from inference.runs.prepared import Plan, PreparedModel, plan_texts, prepare_model
from inference.runs.provenance import model_facts, model_row
from inference.runs.scored_texts import ScoredTexts
from inference.runs.table_folder import IMPORTED, TableFolder
from inference.scoring.batch_rules import shares_rows
from inference.scoring.gates import drift_gates, model_gates, size_gates
from inference.texts.documents import Corpus
from inference.texts.tokenizer_loading import READER


class RunScorer(Scorer, Protocol):
    """What scores models for a run: this process or a cluster."""

    load_seconds: dict[str, float]

    @property
    def device(self) -> str:
        """Where models are scored."""
        ...

    @property
    def streamed(self) -> Collection[str]:
        """Models that were read layer by layer, by name."""
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
    gates: list[Finding] = field(default_factory=list)
    refused: bool = False


def _requests(name: str, value: Any) -> list[ModelRequest]:
    one = an_instance(
        ModelRequest,
        accepted="a list of requests, as inference.read_requests returns them",
        fix=f'write {name}=inference.read_requests(["FOLDER"])',
    )
    requests = [one(name, entry) for entry in (value if isinstance(value, list | tuple) else [value])]
    check_names(requests)
    return requests


def _a_scorer(name: str, value: Any) -> RunScorer:
    if not all(callable(getattr(value, method, None)) for method in ("score", "close")):
        raise InputError(f"{name} is {shown(value)}", "an object with the methods score and close", f"leave {name} out")
    return value


@accepts(
    requests=_requests,
    corpus=an_instance(
        Corpus,
        accepted="the texts, as inference.read_texts returns them",
        fix='write corpus=inference.read_texts(["texts.txt"])',
    ),
    out=a_path,
    options=an_instance(ScoreOptions, accepted="how to score", fix="write options=inference.ScoreOptions()"),
    scorer=optional(_a_scorer),
    say=a_function,
    progress=optional(a_flag),
)
def run(
    requests: Sequence[ModelRequest],
    corpus: Corpus,
    out: str | os.PathLike[str],
    options: ScoreOptions,
    *,
    scorer: RunScorer | None = None,
    say: Callable[[str], None] = lambda sentence: None,
    progress: bool | None = None,
) -> list[ModelResult]:
    r"""Score texts under models into a loss table.

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
        Whether to show progress in a terminal or a notebook; None for notebooks only. Where none is shown the logger
        ``bayeslaw.progress`` is told how far work is.

    Returns
    -------
    list of ModelResult
        What was done, by model.

    Raises
    ------
    InputError
        If a model, the options or the texts cannot be used, or the folder holds other texts, another unit, or scores
        made differently. What is wrong with a model or the options is found before anything is written.

    Examples
    --------
    With the folder of a checkpoint:

    >>> from pathlib import Path
    >>> import inference, bayeslaw as bl
    >>> _ = Path("texts.txt").write_text("One line.\nAnother.\n")
    >>> requests = inference.read_requests([str(checkpoint)])
    >>> results = inference.run(requests, inference.read_texts(["texts.txt"]), "scored", inference.ScoreOptions())
    >>> bl.read_losses("scored").sizes["lm"]
    1
    """
    check_place(options, elsewhere=scorer is not None)
    out = Path(out)
    if not out.is_dir():
        check_output_folder(out, "losses")
    TableFolder(out, options.unit)
    prepared = []
    try:
        for request in requests:
            say(f"{request.name}: opening {request.source}")
            prepared.append(prepare_model(request, options))
        if scorer is None:
            scorer = LocalScorer(stream_layers=options.stream_layers, say=say, progress=progress)
        return _Run(out, options, scorer, say, progress).score(prepared, corpus)
    finally:
        if scorer is not None:
            scorer.close()


class _Run:
    """One run; its methods share the folder, the options and the scorer."""

    def __init__(
        self, out: Path, options: ScoreOptions, scorer: RunScorer, say: Callable[[str], None], progress: bool | None
    ) -> None:
        self.out, self.options, self.scorer, self.say, self.progress = out, options, scorer, say, progress
        self.folder = TableFolder(out, options.unit)
        # What this run adds, or one that it goes on with: segments by model.
        self.added: dict[str, list[int]] = {}

    def score(self, models: Sequence[PreparedModel], corpus: Corpus) -> list[ModelResult]:
        with self.folder.locked():
            # Another run may have written to it until now.
            self.folder = TableFolder(self.out, self.options.unit)
            for model in models:
                self._check_known(model)
            segments = self.folder.add_texts(corpus)
            self.folder.sweep()
            results = []
            for place, model in enumerate(models):
                coming = next((one for one in models[place + 1 :] if self._lacking(one, len(segments))), None)
                results.append(self._score_model(model, segments, coming))
            results = self._look_at_sizes(results)
            for name, numbers in self.added.items():
                for number in numbers:
                    remove_journal(self.folder.journal_folder(name, number))
            self._note_gaps(len(segments))
            return results

    def _check_known(self, model: PreparedModel) -> None:
        """Refuse a model that the table or a journal holds scores of which were made differently."""
        known = self.folder.models.get(model.name)
        if known is not None:
            check_keys(model.name, known["keys"], model.keys, str(self.out))
            if self.options.keep_tokens and not known["tokens_kept"]:
                problem = f"{model.name!r} is in {str(self.out)!r} without its tokens"
                raise InputError(problem, "--tokens from the first run on", "score into another --out")
        for number in self._lacking(model, len(self.folder.segments)):
            self._journal(model, number)

    def _lacking(self, model: PreparedModel, segments: int) -> list[int]:
        return [number for number in range(segments) if not self.folder.has(model.name, number)]

    def _journal(self, model: PreparedModel, number: int) -> Journal:
        # What is kept by number must be what the same number of this run's plan holds.
        packed = shares_rows(model.config)
        plan = {"texts": self.folder.segments[number]["hash"], "shape_cost": model.shape_cost, "packed": packed}
        keys = model.keys | plan | {"unit": self.options.unit}
        return Journal(self.folder.journal_folder(model.name, number), model.name, keys)

    def _score_model(
        self, model: PreparedModel, segments: Sequence[Corpus], coming: PreparedModel | None
    ) -> ModelResult:
        name, lacking = model.name, self._lacking(model, len(segments))
        # A run that was killed after it wrote a part left the journal: what it did is gone on with.
        had = [number for number in range(len(segments)) if number not in lacking]
        self.added[name] = [number for number in had if self.folder.journal_folder(name, number).exists()]
        tokens, seconds, parts = 0, 0.0, []
        for number in lacking:
            scored, new, spent = self._score_texts(model, number, segments[number], coming)
            tokens, seconds = tokens + new, seconds + spent
            parts.append(scored)
        gates = [gate for scored in parts for gate in self._gates(model, scored)]
        refused = bool(gates) and self.options.strict
        gates = self._known_gates(name) + gates
        for gate in gates:
            self.say(f"{'refused' if refused else 'warning'}: {gate}")
        if refused:
            return ModelResult(name, tokens, seconds, gates, refused=True)
        for scored in parts:
            self._add(model, scored)
        if not lacking:
            # Its keys are those of this version, the hash of its tokenizer among them.
            self.folder.set_facts(name, {"row": model_row(model), "tokenizer_reader": READER})
            self.say(f"{name}: all texts are scored already")
        return ModelResult(name, tokens, seconds, gates)

    def _known_gates(self, name: str) -> list[Finding]:
        parts = self.folder.models.get(name, {}).get("parts", ())
        return [Finding(gate["code"], "warning", gate["message"]) for part in parts for gate in part["gates"]]

    def _score_texts(
        self, model: PreparedModel, number: int, texts: Corpus, coming: PreparedModel | None
    ) -> tuple[ScoredTexts, int, float]:
        """Score what is not in the journal; return all, and tokens scored now with the seconds that took."""
        plan, journal = plan_texts(model, texts.texts), self._journal(model, number)
        sizes = [plan.tokens(batch) for batch in range(len(plan.batches))]
        held = {batch: kept for batch, size in enumerate(sizes) if (kept := journal.read(batch, size)) is not None}
        missing = [batch for batch in range(len(sizes)) if batch not in held]
        tokens, before = sum(sizes[batch] for batch in missing), sum(seconds for _, seconds in held.values())
        if held and missing:
            self.say(f"{model.name}: {len(held):,} of {len(sizes):,} batches are there from an earlier run")
        with progress_bar(model.name, tokens, shown=self.progress, unit="tokens") as advance:
            for batch, values, seconds in self.scorer.score(model, plan, missing, journal=journal) if missing else ():
                _check_finite(model, texts, plan, batch, values)
                journal.write(batch, values, seconds)
                held[batch] = values, seconds
                advance(sizes[batch])
                if coming is not None:
                    self.scorer.prefetch(coming)
                    coming = None
        batches = [held[batch][0] for batch in range(len(sizes))]
        drift = measure_drift(self.scorer, model, plan, batches)
        seconds = sum(seconds for _, seconds in held.values())
        scored = ScoredTexts.of(
            texts, plan, batches, unit=self.options.unit, number=number, seconds=seconds, drift=drift
        )
        return scored, tokens, seconds - before

    def _gates(self, model: PreparedModel, scored: ScoredTexts) -> list[Finding]:
        gates = model_gates(model.name, scored.totals, vocabulary=model.config.vocabulary)
        return gates + drift_gates(model.name, scored.drift)

    def _add(self, model: PreparedModel, scored: ScoredTexts) -> None:
        """Add a model's losses on a segment to the table."""
        name, totals = model.name, scored.totals
        if not totals.samples:
            problem = f"the tokenizer of {name!r} knows nothing of the texts: no loss of them is to be had"
            raise InputError(problem, "texts that it knows some of", "remove that model")
        part = {
            "segment": scored.number,
            **asdict(totals),
            "seconds": round(scored.seconds, 3),
            "gates": [{"code": gate.code, "message": gate.message} for gate in self._gates(model, scored)],
        }
        tokens = scored.token_rows(name) if self.options.keep_tokens else None
        facts = self._facts(model, scored.drift)
        self.folder.add_part(name, part, rows=scored.loss_rows(name), tokens=tokens, facts=facts)
        self.added[name].append(scored.number)
        self.say(
            f"{name}: {totals.nll / np.log(2) / totals.bytes:.4f} bits per byte over {totals.bytes:,} bytes in "
            f"{totals.samples:,} samples (unit: {self.options.unit}); "
            f"{totals.tokens:,} tokens in {scored.seconds:.1f} s"
        )

    def _facts(self, model: PreparedModel, drift: dict[str, Any] | None) -> dict[str, Any]:
        """Tell in the manifest where a model's scores come from."""
        known = self.folder.models.get(model.name, {})
        return model_facts(model, device=self.scorer.device) | {
            "load_seconds": self.scorer.load_seconds.get(model.name, known.get("load_seconds")),
            "tokens_kept": self.options.keep_tokens and known.get("tokens_kept", True),
            "streamed": model.name in self.scorer.streamed,
            "drift": drift or known.get("drift"),
        }

    def _look_at_sizes(self, results: list[ModelResult]) -> list[ModelResult]:
        """Compare the models of the whole table, once all are there."""
        found = size_gates(self.folder.models)
        looked = []
        for result in results:
            gates, added = found.get(result.name, []), self.added.get(result.name, [])
            refused = bool(gates and added) and self.options.strict
            for gate in gates:
                self.say(f"{'refused' if refused else 'warning'}: {gate}")
            if refused:
                self.folder.remove_parts(result.name, added)
                # Its journal stays: without --strict it need not be scored again.
                del self.added[result.name]
            all_gates = [*result.gates, *gates]
            looked.append(replace(result, gates=all_gates, refused=result.refused or refused))
        return looked

    def _note_gaps(self, segments: int) -> None:
        for name, model in self.folder.models.items():
            if len(model["parts"]) < segments:
                how = "import it again" if IMPORTED in model else "name it in a run"
                self.say(f"note: {name} is not scored on all texts; {how} to add what is new")


def _check_finite(model: PreparedModel, texts: Corpus, plan: Plan, batch: int, values: np.ndarray) -> None:
    """Refuse losses that are no numbers, which would pass for tokens that were not scored."""
    wrong = ~np.isfinite(values)
    if wrong.any():
        document = texts.names[plan.documents(batch)[int(wrong.argmax())]]
        problem = f"{model.name!r} gives a token of the text {document!r} the log-probability {values[wrong][0]}"
        fix = "check its weights" if model.dtype == "float32" else "score it with --dtype float32, or check its weights"
        raise InputError(problem, "finite log-probabilities", fix)
