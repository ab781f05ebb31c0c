"""Which models a run scores: sources as typed, or a YAML file that lists them."""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bayeslaw.errors import InputError, nearest, shown
from bayeslaw.inputs.arguments import a_text, accepts, check_fields, optional
from bayeslaw.inputs.foreign_files import read_regular
from bayeslaw.inputs.foreign_text import excerpt
from bayeslaw.inputs.foreign_yaml import LARGEST, parse_yaml
from bayeslaw.losses.model_names import check_family_names, check_model_names, family_of_name
from bayeslaw.losses.sizes import read_size
from inference.checkpoints.gguf_files import ENDING
from inference.checkpoints.hub import a_source

YAML_ENDINGS = (".yaml", ".yml")
FIELDS = ("model", "name", "family", "revision", "training_tokens", "price", "active_parameters", "resources")
NUMBERS = ("training_tokens", "price", "active_parameters")
ABOVE_ZERO = ("training_tokens", "active_parameters")


def _a_name(name: str, value: Any) -> str:
    if not a_text(name, value).strip():
        raise InputError(f"{name} is {value!r}", "text that is not blank", f'write {name}="..."')
    return value


def _facts(name: str, value: Any) -> dict[str, float]:
    if not isinstance(value, Mapping):
        raise InputError(f"{name} is {shown(value)}", "a mapping from names to numbers", f"leave {name} out")
    if unknown := next((key for key in value if key not in NUMBERS), None):
        raise InputError(f"the fact {unknown!r} is not known", ", ".join(NUMBERS), nearest(str(unknown), NUMBERS))
    return {key: _number(entry, key, "") for key, entry in value.items()}


@dataclass(frozen=True)
class ModelRequest:
    """A model to score.

    Attributes
    ----------
    source
        Local folder, GGUF file or hub id, without revision.
    name
        What it is called in the loss table.
    family
        The models it is grouped with.
    revision
        Branch, tag or commit of a hub id.
    facts
        What else is known of it, for the table of models: ``training_tokens``, ``price``, ``active_parameters``.
    resources
        What a task of it asks a Ray cluster for, such as ``num_gpus``.

    Raises
    ------
    InputError
        If a name is no text, or a fact is not known or no number.
    """

    source: str
    name: str
    family: str
    revision: str | None = None
    facts: Mapping[str, float] = field(default_factory=dict)
    resources: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self, source=_a_name, name=_a_name, family=_a_name, revision=optional(a_text), facts=_facts)
        object.__setattr__(self, "resources", _resources(self.resources, ""))


def _sources(name: str, value: Any) -> list[str]:
    several = isinstance(value, Iterable) and not isinstance(value, str | os.PathLike | Mapping)
    return [str(a_source(name, entry)) for entry in (value if several else [value])]


@accepts(models=_sources)
def read_requests(models: Sequence[str]) -> list[ModelRequest]:
    """Read which models to score.

    Parameters
    ----------
    models
        Local folders and GGUF files, hub ids with an optional ``@revision``, and YAML files that list models with
        family, price and so on.

    Returns
    -------
    list of ModelRequest
        The models in the order given.

    Raises
    ------
    InputError
        If there is none, a YAML file is not a list of models, or two models would have one name.

    Examples
    --------
    >>> import inference
    >>> [request.source for request in inference.read_requests(["EleutherAI/pythia-160m"])]
    ['EleutherAI/pythia-160m']
    """
    requests = []
    for model in models:
        listed = str(model).lower().endswith(YAML_ENDINGS)
        requests += _from_file(Path(model)) if listed else [_request({"model": str(model)}, "")]
    check_names(requests)
    return requests


def check_names(requests: Sequence[ModelRequest]) -> None:
    """Check that a table can hold the models of a run.

    Parameters
    ----------
    requests
        The models.

    Raises
    ------
    InputError
        If there is none, two have one name, or a name or a family has signs that mean something in tables.
    """
    if not requests:
        raise InputError("no model is given", "local folders, GGUF files or hub ids", "name a model")
    names = [request.name for request in requests]
    for name in names:
        if names.count(name) > 1:
            problem = f"two models are called {name!r}"
            raise InputError(problem, "one name for each", "list them in a YAML file with a name for each")
    check_model_names(names)
    check_family_names(request.family for request in requests)


def _from_file(path: Path) -> list[ModelRequest]:
    accepted = f"a list of models with the fields {', '.join(FIELDS)}"
    try:
        entries = parse_yaml(read_regular(path, most=LARGEST).decode("utf-8-sig"))
    except InputError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.problem}", error.accepted, error.fix) from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"cannot read {str(path)!r}: {why}", accepted, "check the path and the file") from None
    if isinstance(entries, dict) and list(entries) == ["models"]:
        entries = entries["models"]
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{str(path)!r} does not list models", accepted, "begin each with '- model: ...'")
    entries = [{"model": entry} if isinstance(entry, str) else entry for entry in entries]
    return [_request(entry, f" in {path.name}") for entry in entries]


def _request(entry: Any, where: str) -> ModelRequest:
    accepted = f"a model with the fields {', '.join(FIELDS)}"
    if not isinstance(entry, dict) or not isinstance(entry.get("model"), str) or not entry["model"].strip():
        raise InputError(f"{excerpt(repr(entry))}{where} names no model", accepted, "add 'model: FOLDER or ID'")
    for name in entry:
        if name not in FIELDS:
            raise InputError(f"the field {name!r}{where} is not known", accepted, nearest(str(name), FIELDS))
    source, revision = _split_revision(entry["model"].strip(), _text(entry, "revision", where))
    name = _text(entry, "name", where) or _default_name(source, revision)
    try:
        name.encode()
    except UnicodeEncodeError as error:
        problem = f"the name {name!r}{where} is not text that can be written as UTF-8"
        raise InputError(problem, "a name in UTF-8", "give it a name in a YAML file") from error
    return ModelRequest(
        source=source,
        name=name,
        family=_text(entry, "family", where) or family_of_name(name.split("@")[0]),
        revision=revision,
        facts={key: _number(entry[key], key, where) for key in NUMBERS if entry.get(key) is not None},
        resources=_resources(entry.get("resources"), where),
    )


def _text(entry: Mapping[str, Any], name: str, where: str) -> str | None:
    """Return a field of text; YAML reads 0123, 1e5 or no as something else, which cannot be turned back."""
    value = entry.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{name} is {value!r}{where}", "text", f'write it in quotes, as in {name}: "v1"')
    return value.strip()


def _split_revision(source: str, revision: str | None) -> tuple[str, str | None]:
    identifier, at, tail = source.rpartition("@")
    # Unlike pathlib's, this question answers no to names that no file can have.
    if os.path.exists(os.path.expanduser(source)) or not at:
        return source, revision
    if not identifier or not tail:
        raise InputError(f"{source!r} lacks the {'revision' if identifier else 'model'}", "ID@REVISION", "complete it")
    if revision is not None and revision != tail:
        problem = f"{source!r} names a revision, and so does the field revision ({revision!r})"
        raise InputError(problem, "one revision", "remove one of them")
    return identifier, tail


def _default_name(source: str, revision: str | None) -> str:
    folder = os.path.expanduser(source)
    if os.path.exists(folder):
        # What a link of a cache leads to has another name.
        name = Path(folder).name if os.path.isfile(folder) else Path(folder).resolve().name
        return name.removesuffix(ENDING).strip() or source
    return source if revision is None else f"{source}@{revision}"


def _number(value: Any, what: str, where: str) -> float:
    accepted = f"a number {'above zero' if what in ABOVE_ZERO else 'of zero or more'}"
    try:
        # YAML reads 3e11 as text: its numbers need a dot.
        read = read_size(what, value) if what in ABOVE_ZERO else float(value)
        number = math.nan if isinstance(value, bool) else read
    except (InputError, TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number) or number < 0 or (number == 0 and what in ABOVE_ZERO):
        raise InputError(f"{what} is {value!r}{where}", accepted, "correct it, or leave it out")
    return number


def _resources(value: Any, where: str) -> dict[str, float]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(f"resources is {value!r}{where}", "names with numbers, such as num_gpus: 1", "correct it")
    return {str(name): _number(number, str(name), where) for name, number in value.items()}
