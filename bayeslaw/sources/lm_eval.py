"""Sample logs of lm-evaluation-harness as a loss table."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.errors import InputError, check_choice
from bayeslaw.inputs.arguments import a_choice, a_text, accepts, optional, paths, texts
from bayeslaw.losses.dataset_arguments import a_frame_or_path
from bayeslaw.losses.frames import losses_from_frames
from bayeslaw.losses.metrics import USUAL_METRIC
from bayeslaw.losses.missing import MISSING_POLICIES
from bayeslaw.losses.warned_once import tell_errors
from bayeslaw.sources.harness_runs import HarnessLog, find_logs
from bayeslaw.sources.harness_samples import UNIT_OF_OUTPUT, HarnessSample, read_samples, unsuitable
from bayeslaw.sources.model_facts import facts_of_models, model_names

REPEATS = ("error", "first")
Samples = dict[str, HarnessSample]


@accepts(
    runs=paths,
    models=optional(a_frame_or_path),
    tasks=texts,
    repeats=a_choice(REPEATS),
    score=optional(a_text),
    missing=a_choice(MISSING_POLICIES),
)
def losses_from_harness(
    runs: Sequence[str | os.PathLike[str]],
    *,
    models: str | os.PathLike[str] | pd.DataFrame | None = None,
    tasks: Sequence[str] = (),
    repeats: str = "error",
    missing: str = "error",
    score: str | None = None,
) -> xr.Dataset:
    """Make a loss table of sample logs of lm-evaluation-harness.

    Parameters
    ----------
    runs
        What ``lm_eval --log_samples --output_path`` wrote: a folder for every model, the folder above them, or single
        files ``samples_TASK_TIME.jsonl``. The results files beside them name the models and their parameters.
    models
        A CSV or frame with ``model`` and any of ``family``, ``parameters`` and more, which overrides what the results
        say; needed where they do not give the parameters. The family is by default the name without its size.
    tasks
        The tasks to take, by default all. Only tasks that ask for one log-likelihood a document can be taken, and only
        of one output type at a time: ``loglikelihood``, whose samples are targets given their context, or
        ``loglikelihood_rolling``, whose samples are whole documents.
    repeats
        What to do with a document that a task holds several times: ``"error"``, or ``"first"`` to keep the first.
    missing
        What to do where a run lacks documents that others have; see `losses_from_frames`.
    score
        A score of the answers that is taken in the place of losses, such as ``"acc"``, ``"acc_norm"`` or
        ``"exact_match"``, of tasks of any output type: the table's metric is then the accuracy, its samples are
        documents. None: losses.

    Returns
    -------
    xarray.Dataset
        The loss table: documents are joined by their hash; ``bytes`` are those of the target or the document;
        ``cluster`` is the document, which several tasks may share; ``task`` and ``doc_id`` describe the samples. The
        unit is ``"target"`` or ``"document"``. The attribute ``runs`` is a JSON list of the files with what the results
        say of each.

    Raises
    ------
    InputError
        If a file cannot be used, runs do not score the same texts, or the parameters of a model are not known.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> losses = bl.losses_from_harness(["results/small", "results/large"], tasks=["wikitext"])  # doctest: +SKIP
    """
    logs = _chosen(find_logs(runs, model_names(models)), tasks, of_losses=score is None)
    found = {name: {"parameters": _parameters(logs, name)} for name in dict.fromkeys(log.model for log in logs)}
    read: dict[tuple[str, str], Samples] = {}
    for log in logs:
        read[log.task, log.model] = _by_hash(read_samples(log.path, log.output_type, score), log, repeats)
    unit, metric = (_unit(read), USUAL_METRIC) if score is None else ("document", "accuracy")
    for task in dict.fromkeys(log.task for log in logs):
        _check_same_texts(task, {model: samples for (of, model), samples in read.items() if of == task})
    facts = facts_of_models(found, models)
    dataset = losses_from_frames(_frame(read, list(found)), facts, unit=unit, missing=missing, metric=metric)
    listed = [{"file": log.path.name, "task": log.task, "model": log.model, **log.facts} for log in logs]
    runs_read = json.dumps(listed, ensure_ascii=False)
    return tell_errors(dataset.assign_attrs(source="lm-evaluation-harness", runs=runs_read))


def _chosen(logs: list[HarnessLog], tasks: Sequence[str], *, of_losses: bool) -> list[HarnessLog]:
    names = list(dict.fromkeys(log.task for log in logs))
    for task in tasks:
        check_choice("task", task, names)
    chosen = [log for log in logs if not tasks or log.task in tasks]
    for log in chosen:
        if of_losses and log.output_type is not None and log.output_type not in UNIT_OF_OUTPUT:
            raise unsuitable(f"task {log.task!r} of {log.path.parent.name!r}", log.output_type)
    first: dict[tuple[str, str], Path] = {}
    for log in chosen:
        other = first.setdefault((log.task, log.model), log.path)
        if other != log.path:
            problem = f"task {log.task!r} of {log.model!r} is there twice, as {other.name!r} and {log.path.name!r}"
            raise InputError(
                problem, "every task of a model once", "name the files themselves, or move the old one away"
            )
    return chosen


def _parameters(logs: list[HarnessLog], model: str) -> int | None:
    return next((log.parameters for log in logs if log.model == model and log.parameters is not None), None)


def _by_hash(samples: list[HarnessSample], log: HarnessLog, repeats: str) -> Samples:
    kept: Samples = {}
    seen: set[int] = set()
    for sample in samples:
        if sample.doc_id in seen:
            problem = f"document {sample.doc_id} is twice in {str(log.path)!r}"
            raise InputError(problem, "every document once", "name the log of one run")
        seen.add(sample.doc_id)
        other = kept.setdefault(sample.doc_hash, sample)
        if other is not sample and repeats == "error":
            problem = f"documents {other.doc_id} and {sample.doc_id} of task {log.task!r} are the same ({log.model})"
            raise InputError(problem, "every document once", "keep the first of each with --repeats first")
    return kept


def _unit(read: Mapping[tuple[str, str], Samples]) -> str:
    tasks: dict[str, str] = {}
    for (task, _), samples in read.items():
        for sample in samples.values():
            tasks.setdefault(sample.output_type, task)
    if len(tasks) > 1:
        listed = " and ".join(f"{task!r} is {kind}" for kind, task in tasks.items())
        problem = f"the tasks are of different output types: {listed}"
        raise InputError(problem, "one output type in a table", "choose with --tasks, and make a table of each")
    return UNIT_OF_OUTPUT[next(iter(tasks))]


def _check_same_texts(task: str, runs: Mapping[str, Samples]) -> None:
    shared = set.intersection(*(set(samples) for samples in runs.values()))
    if not shared:
        problem = f"the runs of task {task!r} ({', '.join(runs)}) share no documents"
        raise InputError(problem, "runs over the same documents", "run the models on the same version of the task")
    ids: dict[int, tuple[str, str]] = {}
    texts: dict[str, tuple[str, HarnessSample]] = {}
    for model, samples in runs.items():
        for sample in samples.values():
            digest, other = ids.setdefault(sample.doc_id, (sample.doc_hash, model))
            if digest != sample.doc_hash:
                problem = f"document {sample.doc_id} of task {task!r} is another in the runs of {other!r} and {model!r}"
                raise InputError(problem, "one version of the data", "run the models on the same version of the task")
            other, known = texts.setdefault(sample.doc_hash, (model, sample))
            for what, one, two in (
                ("target", known.target_hash, sample.target_hash),
                ("context", known.context_hash, sample.context_hash),
            ):
                if one != two:
                    problem = f"the {what} of document {sample.doc_id} of task {task!r} differs: {other!r}, {model!r}"
                    fix = "use the same version, --num_fewshot, seed and templates for all models"
                    raise InputError(problem, "the same text after the same context for all models", fix)


def _frame(read: Mapping[tuple[str, str], Samples], models: list[str]) -> pd.DataFrame:
    rows: dict[tuple[str, str], HarnessSample] = {}
    for (task, _), samples in read.items():
        for digest, sample in samples.items():
            rows.setdefault((task, digest), sample)
    tasks = list(dict.fromkeys(task for task, _ in rows))
    order = sorted(rows, key=lambda key: (tasks.index(key[0]), rows[key].doc_id))
    nowhere: Samples = {}
    losses = {
        model: [
            sample.value if (sample := read.get((task, model), nowhere).get(digest)) is not None else np.nan
            for task, digest in order
        ]
        for model in models
    }
    samples = {
        # 64 bits of the hash tell documents apart, and the names stay the same whichever runs are joined.
        "sample": [f"{task}:{digest[:16]}" for task, digest in order],
        "task": [task for task, _ in order],
        "doc_id": [rows[key].doc_id for key in order],
        "cluster": [digest for _, digest in order],
    }
    if all(sample.size for sample in rows.values()):
        samples["bytes"] = [rows[key].size for key in order]
    clash = [model for model in models if model in samples]
    if clash:
        raise InputError(f"a model is called {clash[0]!r}, like a column of the table", "another name", "rename it")
    frame = pd.DataFrame(samples | losses)
    frame.attrs["source"] = "the sample logs"
    return frame
