"""Texts scored by an OpenAI-compatible completions server, as a loss table."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.inputs.arguments import (
    a_flag,
    a_path,
    a_text,
    accepts,
    an_instance,
    by_name,
    check_fields,
    optional,
    texts,
)
from bayeslaw.journal import Journal
from bayeslaw.losses.dataset_arguments import a_frame_or_path
from bayeslaw.losses.frames import losses_from_frames
from bayeslaw.losses.warned_once import tell_errors
from bayeslaw.progress import progress_bar
from bayeslaw.sources.model_facts import facts_of_models
from bayeslaw.sources.prompt_requests import first_score, score_prompt
from bayeslaw.sources.prompt_scores import PromptScore
from bayeslaw.sources.server import CompletionsServer

COLUMNS = ("sample", "cluster", "bytes", "tokens", "domain")
# The second way takes a first log-prob of 0 for none.
JOURNAL_VERSION = 2


@dataclass(frozen=True)
class ServedTexts:
    """The texts that a server is to score.

    Attributes
    ----------
    names
        A name for each, none twice.
    texts
        The texts, none empty.
    domains
        The domain of each, where they are known.
    clusters
        What each was taken from, such as a book; by default every text is a cluster of its own.
    """

    names: Sequence[str]
    texts: Sequence[str]
    domains: Sequence[str] | None = None
    clusters: Sequence[str] | None = None

    def __post_init__(self) -> None:
        check_fields(self, names=texts, texts=texts, domains=optional(texts), clusters=optional(texts))
        if not len(self.texts):
            raise InputError("there are no texts", "at least one text", "name a file with texts")
        for what, given in (("names", self.names), ("domains", self.domains), ("clusters", self.clusters)):
            if given is not None and len(given) != len(self.texts):
                raise InputError(f"{len(given)} {what} for {len(self.texts)} texts", "one each", f"give the {what}")
        for name, text in zip(self.names, self.texts, strict=True):
            if not text:
                raise InputError(f"text {name!r} is empty", "texts of at least one byte", "leave it out")
            if any("\ud800" <= character <= "\udfff" for character in text):
                raise InputError(f"text {name!r} holds half of a surrogate pair", "text in UTF-8", "correct the text")


def _a_prefix(name: str, value: Any) -> str | dict[str, str]:
    """Accept one text for all models, or one by model."""
    if isinstance(value, str):
        return value
    accepted = "text, or a mapping from models to text"
    return by_name(a_text, accepted=accepted, fix='write prefix="<s>"')(name, value)


@accepts(
    server=an_instance(
        CompletionsServer,
        accepted="a server",
        fix='write server=bayeslaw.CompletionsServer("http://localhost:8000/v1")',
    ),
    texts=an_instance(ServedTexts, accepted="texts to score", fix="write texts=bayeslaw.ServedTexts(names, texts)"),
    names=texts,
    models=optional(a_frame_or_path),
    journal=optional(a_path),
    prefix=_a_prefix,
    allow_unscored=a_flag,
    quiet=a_flag,
)
def losses_from_completions(
    server: CompletionsServer,
    texts: ServedTexts,
    *,
    names: Sequence[str],
    models: str | os.PathLike[str] | pd.DataFrame | None = None,
    journal: str | os.PathLike[str] | None = None,
    prefix: str | Mapping[str, str] = "",
    allow_unscored: bool = False,
    quiet: bool = True,
) -> xr.Dataset:
    """Make a loss table of the log-probs that a completions server gives for its prompts.

    Parameters
    ----------
    server
        The server.
    texts
        The texts; each is sent whole and must fit the model.
    names
        The models, as the server calls them.
    models
        A CSV or frame with ``model``, ``parameters``, and optionally ``family`` and more; the server says neither.
    journal
        A file that keeps finished texts, so that a broken run goes on; by default nothing is kept.
    prefix
        What to put before each text, for all models or by model, so that its first token has a log-prob where the
        server puts nothing there itself: the beginning-of-text or end-of-text token of the model. It is not scored.
    allow_unscored
        Accept that the first token of a text has no log-prob. Its bytes count as if it had cost nothing, which makes
        losses too low; how many bytes that are is in the attribute ``unscored_bytes``, a JSON object by model. A text
        of which no token has one under some model is left out: its loss is unknown, not zero.
    quiet
        Show no progress.

    Returns
    -------
    xarray.Dataset
        The loss table, a sample for every text, with ``bytes``, ``cluster`` and ``tokens``, by model where models cut
        the texts into different ones, and ``scored_bytes`` by model where some were not; the unit is ``"document"``.

    Raises
    ------
    InputError
        If the server cannot be asked or gives no log-probs, if it did not score all of a text, or if the parameters of
        a model are not known.

    Notes
    -----
    The server's tokenizer may read a text such as ``</s>`` as a control token; the API has no way to forbid it.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> server = bl.CompletionsServer("http://localhost:8000/v1")  # doctest: +SKIP
    >>> texts = bl.ServedTexts(["One text.", "Another."])  # doctest: +SKIP
    >>> losses = bl.losses_from_completions(server, texts, names=["Qwen/Qwen3-0.6B"])  # doctest: +SKIP
    """
    names = _checked_names(names)
    facts = facts_of_models({name: {} for name in names}, models)
    prefixes = {name: prefix if isinstance(prefix, str) else prefix.get(name, "") for name in names}
    header = {"journal": "bayeslaw completions", "version": JOURNAL_VERSION, "url": server.endpoint}
    with ExitStack() as stack:
        kept = None
        if journal is not None:
            kept = Journal(journal, header)
            stack.callback(kept.close)
        scores = _Scores(prefixes, kept)
        total = len(names) * len(texts.texts)
        advance = stack.enter_context(progress_bar("scoring", total, shown=not quiet))
        for name in names:
            advance(len(texts.texts) - len(scores.missing(name, texts)))
            for scored in _score_missing(server, name, texts, scores, allow_unscored=allow_unscored):
                advance(scored)
    return _table(texts, scores, facts, names, source=server.endpoint)


def _checked_names(names: Sequence[str]) -> list[str]:
    made = [names] if isinstance(names, str) else list(names)
    if not made or not all(made):
        raise InputError("no model is named", "names as the server calls them", "give --model NAME")
    if len(set(made)) < len(made):
        raise InputError(f"model {max(made, key=made.count)!r} is named twice", "every model once", "leave one out")
    clash = [name for name in made if name in COLUMNS]
    if clash:
        raise InputError(f"a model is called {clash[0]!r}, like a column of the table", "another name", "rename it")
    return made


class _Scores:
    """The scores by model and text, those of an earlier run included."""

    def __init__(self, prefixes: Mapping[str, str], journal: Journal | None) -> None:
        self.prefixes, self.journal = prefixes, journal
        self.known: dict[tuple[str, str, str], PromptScore] = {}
        for record in [] if journal is None else journal.records:
            try:
                score = PromptScore(float(record["nats"]), int(record["tokens"]), int(record["unscored_bytes"]))
                self.known[record["model"], record["prefix"], record["text"]] = score
            except (KeyError, TypeError, ValueError) as error:
                problem = f"the journal holds a record that cannot be read: {record!r:.80}"
                raise InputError(problem, "records of this version", "move the journal away") from error

    def of(self, model: str, text: str) -> PromptScore | None:
        return self.known.get((model, self.prefixes[model], _digest(text)))

    def missing(self, model: str, texts: ServedTexts) -> dict[str, str]:
        """Return the texts without a score, each once, with the name it has first."""
        found: dict[str, str] = {}
        for name, text in zip(texts.names, texts.texts, strict=True):
            if self.of(model, text) is None:
                found.setdefault(text, name)
        return found

    def add(self, model: str, text: str, score: PromptScore) -> None:
        key = (model, self.prefixes[model], _digest(text))
        self.known[key] = score
        if self.journal is not None:
            record = dict(zip(("model", "prefix", "text"), key, strict=True))
            numbers = {"nats": score.nats, "tokens": score.tokens, "unscored_bytes": score.unscored_bytes}
            self.journal.add(record | numbers)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _score_missing(
    server: CompletionsServer, model: str, texts: ServedTexts, scores: _Scores, *, allow_unscored: bool
) -> Iterator[int]:
    prefix, missing = scores.prefixes[model], scores.missing(model, texts)
    if not allow_unscored:
        for name, text in zip(texts.names, texts.texts, strict=True):
            _check_scored(model, name, text, scores.of(model, text))
    if not missing:
        return
    first = next(iter(missing))
    way, score = first_score(server, model, text=first, prefix=prefix, name=missing[first])
    scores.add(model, first, score)
    if not allow_unscored:
        _check_scored(model, missing.pop(first), first, score)
    missing.pop(first, None)
    yield 1
    failure = None
    with ThreadPoolExecutor(server.concurrency) as pool:
        running = {
            pool.submit(score_prompt, server, model, text=text, prefix=prefix, way=way, name=name): text
            for text, name in missing.items()
        }
        for future in as_completed(running):
            text = running[future]
            try:
                scores.add(model, text, future.result())
                if not allow_unscored:
                    _check_scored(model, missing[text], text, scores.of(model, text))
                yield 1
            except CancelledError:
                continue
            except InputError as error:
                # What is under way is still kept; what nobody has asked for yet is not asked for.
                failure = failure or error
                pool.shutdown(wait=False, cancel_futures=True)
    if failure is not None:
        raise failure


def _check_scored(model: str, name: str, text: str, score: PromptScore | None) -> None:
    if score is not None and score.unscored_bytes:
        size = len(text.encode())
        raise InputError(
            f"model {model!r} has no log-prob for the first {score.unscored_bytes} of the {size:,} bytes of text "
            f"{name!r} ({text[:20]!r})",
            "log-probs for every byte of every text",
            "put the model's beginning-of-text or end-of-text token before the texts with --prefix, or accept losses "
            "that are too low with --allow-unscored",
        )


def _table(texts: ServedTexts, scores: _Scores, facts: pd.DataFrame, names: list[str], *, source: str) -> xr.Dataset:
    table = {name: [scores.of(name, text) for text in texts.texts] for name in names}
    found = {name: [score for score in column if score is not None] for name, column in table.items()}
    columns: dict[str, Any] = {
        "sample": list(texts.names),
        "cluster": list(texts.names if texts.clusters is None else texts.clusters),
        "bytes": [len(text.encode()) for text in texts.texts],
    }
    counts = np.array([[score.tokens for score in found[name]] for name in names])
    known = (counts > 0).all(axis=0)
    if not known.any():
        problem = f"none of the {len(texts.texts)} texts has a token with a log-prob under every model"
        raise InputError(problem, "texts of two tokens and more, or a --prefix before them", "add --prefix")
    agree = (counts[:, known] == counts[0, known]).all()
    if agree:
        columns["tokens"] = counts[0]
    if texts.domains is not None:
        columns["domain"] = list(texts.domains)
    nats = {name: [score.nats if score.tokens else np.nan for score in found[name]] for name in names}
    frame = pd.DataFrame(columns | nats)
    frame.attrs["source"] = source
    left_out = np.array([[score.unscored_bytes for score in found[name]] for name in names])[:, known]
    unscored = dict(zip(names, left_out.sum(axis=1).tolist(), strict=True))
    dataset = losses_from_frames(frame, facts, unit="document", missing="drop-samples")
    of_models = [names.index(name) for name in dataset["lm"].to_numpy().tolist()]
    if not agree:
        dataset["tokens"] = (("sample", "lm"), counts[of_models][:, known].T)
    if left_out.any():
        scored = dataset["bytes"].to_numpy().astype(np.int64)[:, None] - left_out[of_models].T
        dataset["scored_bytes"] = (("sample", "lm"), scored)
    dataset = dataset.assign_attrs(
        unscored_bytes=json.dumps({name: count for name, count in unscored.items() if count}),
        prefix=json.dumps({name: text for name, text in scores.prefixes.items() if text}, ensure_ascii=False),
    )
    return tell_errors(dataset)
