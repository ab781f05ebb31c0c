"""The files of lm-evaluation-harness: which sample logs there are, and what the results beside them say."""

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bayeslaw.errors import InputError

TIME = r"\d{4}-\d{2}-\d{2}T[\d.-]+"
SAMPLES = re.compile(rf"samples_(?P<task>.+?)(?:_(?P<time>{TIME}))?\.jsonl")
ACCEPTED = "the output folder of lm-evaluation-harness, run with --log_samples"
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
        Sample logs, folders that hold them, or folders of such folders (what ``--output_path`` named).
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
    for pattern in ("samples_*.jsonl", "*/samples_*.jsonl", "*.jsonl"):
        if found := sorted(run.glob(pattern)):
            return found
    raise InputError(f"the folder {str(run)!r} holds no sample logs", ACCEPTED, "run the task with --log_samples")


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
        output_type=_mapping(configs.get(task)).get("output_type"),
        parameters=count if isinstance(count, int) and count > 0 else None,
        facts={name: str(value) for name, value in facts.items() if value},
    )


def _results_beside(path: Path, time: str | None) -> dict[str, Any]:
    # Every run of a model writes into one folder: the time says which results belong to which samples.
    found = sorted(path.parent.glob(f"*_{time}.json")) if time else []
    found = found or [file for file in (path.parent / "results.json",) if file.is_file() and not time]
    if not found:
        return {}
    try:
        results = json.loads(found[0].read_text(encoding="utf-8"))
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
