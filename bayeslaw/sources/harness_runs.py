"""The files of lm-evaluation-harness: which sample logs there are, and what the results beside them say."""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bayeslaw.errors import InputError
from bayeslaw.inputs.foreign_files import read_regular
from bayeslaw.inputs.foreign_json import parse_json
from bayeslaw.inputs.foreign_text import excerpt
from bayeslaw.sources.harness_samples import is_whole

TIME = r"\d{4}-\d{2}-\d{2}T[\d.-]+"
SAMPLES = re.compile(rf"samples_(?P<task>.+?)(?:_(?P<time>{TIME}))?\.jsonl")
ACCEPTED = "the output folder of lm-evaluation-harness, run with --log_samples"
RESULTS = "results.json"
# Levels of folders below one that is named in which logs are looked for.
LEVELS = 4
MODEL_ARGUMENTS = ("peft", "delta", "pretrained", "model", "path", "engine")


@dataclass(frozen=True)
class HarnessLog:
    """A sample log and what is known of it.

    Attributes
    ----------
    path
        The file.
    task
        The task.
    model
        The model's name, with ``@revision`` where the run was of another than main.
    output_type
        What the task asks for; None where no results file says it.
    parameters
        The model's parameters; None where they are not known.
    facts
        What else the results say of the run: ``dtype``, ``sha``, ``harness`` (the version).
    """

    path: Path
    task: str
    model: str
    output_type: str | None
    parameters: int | None
    facts: dict[str, str]


def find_logs(runs: Sequence[str | os.PathLike[str]], known: Iterable[str] = ()) -> list[HarnessLog]:
    """Find the sample logs of runs.

    Parameters
    ----------
    runs
        Sample logs, folders that hold them, or folders with such folders some levels below (what ``--output_path``
        named, or what is above).
    known
        Names of models that a folder may stand for where no results file names its model.

    Returns
    -------
    list of HarnessLog
        One a file, in the order given and by name within a folder.

    Raises
    ------
    InputError
        If there is no such file or folder, it has no sample logs, or a results file cannot be read.
    """
    if not runs:
        raise InputError("no run is given", ACCEPTED, "name one folder for every model")
    paths = dict.fromkeys(path for run in runs for path in _log_paths(Path(run)))
    folder_names = {re.sub(r"[\"<>:/|\\?*\[\]]+", "__", name): name for name in known}
    return [_log(path, folder_names) for path in paths]


def _log_paths(run: Path) -> list[Path]:
    if run.is_file():
        return [run]
    if not run.is_dir():
        raise InputError(f"there is no file or folder {str(run)!r}", ACCEPTED, "check the path")
    try:
        found = sorted(run.glob("samples_*.jsonl")) or sorted(run.glob("*.jsonl")) or _logs_below(run, LEVELS)
    except OSError as error:
        problem = f"the folder {str(run)!r} cannot be read: {error.strerror or error}"
        raise InputError(problem, ACCEPTED, "check its permissions") from error
    if not found:
        raise InputError(f"the folder {str(run)!r} holds no sample logs", ACCEPTED, "run the task with --log_samples")
    return found


def _logs_below(folder: Path, levels: int) -> list[Path]:
    """Return the logs of the runs in a folder of folders; what lies within a run's folder is not looked at."""
    found = []
    for entry in sorted(folder.iterdir()):
        if entry.is_dir():
            logs = sorted(entry.glob("samples_*.jsonl"))
            # Before 0.4.3 a log could have any name, but had the results beside it.
            if not logs and (entry / RESULTS).is_file():
                logs = sorted(entry.glob("*.jsonl"))
            found += logs or (_logs_below(entry, levels - 1) if levels > 1 else [])
    return found


def _log(path: Path, folder_names: dict[str, str]) -> HarnessLog:
    named = SAMPLES.fullmatch(path.name)
    results = _results_beside(path, named["time"] if named else None)
    configs = _mapping(results.get("configs"))
    task = named["task"] if named else _task_of_stem(path.stem, configs)
    config = _mapping(results.get("config"))
    arguments = _model_arguments(config.get("model_args"))
    stated = results.get("model_name") or next((arguments[key] for key in MODEL_ARGUMENTS if key in arguments), "")
    folder = path.absolute().parent.name
    model = str(stated).strip() or folder_names.get(folder, folder)
    revision = str(config.get("model_revision") or arguments.get("revision") or "main")
    count = config.get("model_num_parameters")
    facts = {
        "dtype": config.get("model_dtype"),
        "sha": config.get("model_sha"),
        "harness": results.get("lm_eval_version"),
    }
    return HarnessLog(
        path=path,
        task=task,
        model=model if revision == "main" else f"{model}@{revision}",
        output_type=_output_type(_mapping(configs.get(task)).get("output_type"), path),
        parameters=int(count) if is_whole(count) and count and count > 0 else None,
        facts={name: str(value) for name, value in facts.items() if value},
    )


def _output_type(stated: Any, path: Path) -> str | None:
    if stated is None or isinstance(stated, str):
        return stated
    problem = f"the results beside {str(path)!r} give the output_type {excerpt(repr(stated), 80)}"
    raise InputError(problem, "the JSON that lm-evaluation-harness wrote", "run the task again")


def _results_beside(path: Path, time: str | None) -> dict[str, Any]:
    # Every run of a model writes into one folder: the time says which results belong to which samples.
    found = sorted(path.parent.glob(f"*_{time}.json")) if time else []
    found = found or [file for file in (path.parent / RESULTS,) if file.is_file() and not time]
    if not found:
        return {}
    try:
        results = parse_json(read_regular(found[0]))
    except (OSError, ValueError) as error:
        problem = f"the results {str(found[0])!r} cannot be read: {error}"
        raise InputError(problem, "the JSON that lm-evaluation-harness wrote", "run the task again") from error
    return _mapping(results)


def _task_of_stem(stem: str, configs: dict[str, Any]) -> str:
    # Versions before 0.4.3 named the file after the model's arguments and the task.
    return max((name for name in configs if stem.endswith(f"_{name}")), key=len, default=stem)


def _model_arguments(given: Any) -> dict[str, Any]:
    if isinstance(given, str):
        pairs = [part.partition("=") for part in given.split(",")]
        return {name.strip(): value.strip() for name, _, value in pairs}
    return _mapping(given)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
