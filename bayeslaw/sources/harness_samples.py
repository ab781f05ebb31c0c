"""One sample log of lm-evaluation-harness: what it says of every document."""

import hashlib
import io
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from bayeslaw.errors import InputError, nearest
from bayeslaw.inputs.foreign_files import open_regular
from bayeslaw.inputs.foreign_json import parse_json
from bayeslaw.inputs.foreign_text import excerpt

# What the harness asks a model for, and what one number per document then is the loss of.
UNIT_OF_OUTPUT = {"loglikelihood": "target", "loglikelihood_rolling": "document"}
ACCEPTED = "a log that lm-evaluation-harness wrote with --log_samples"
# Numbers of the document, which lie from 0 to 1 where it is the first or second, or has two answers.
NO_SCORES = ("doc_id", "target")
LARGEST_NUMBER = (1 << 63) - 1
# Old versions wrote the pair (log-likelihood, greedy) as one text, some with NumPy's names of its types in it.
NUMBER = re.compile(
    r"^\(?(?:np\.float\d+\()?([-+]?(?:inf|nan|(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?))(?![\w.])", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class HarnessSample:
    """What a log says of one document.

    Attributes
    ----------
    doc_id
        The number of the document in its data set.
    doc_hash
        SHA-256 of the document's JSON, as the harness computes it.
    output_type
        ``"loglikelihood"`` or ``"loglikelihood_rolling"``; where a score of the answer is taken also another one.
    context_hash
        SHA-256 of what stands before the text that is scored; the same for all documents of a rolling task. Of all that
        was asked for, where a score of the answer is taken.
    target_hash
        SHA-256 of the text that is scored.
    size
        Its UTF-8 bytes; 0 where a score of the answer is taken.
    value
        Minus its log-likelihood, or the score.
    """

    doc_id: int
    doc_hash: str
    output_type: str
    context_hash: str
    target_hash: str
    size: int
    value: float


def read_samples(path: Path, output_type: str | None = None, score: str | None = None) -> list[HarnessSample]:
    """Read one sample log.

    Parameters
    ----------
    path
        ``samples_TASK_TIME.jsonl``, or the JSON array of versions before 0.4.3.
    output_type
        What the results file says that the task asks for; by default seen from the requests.
    score
        The score of the answer that is taken in the place of the loss, such as ``"acc"``; None: the loss.

    Returns
    -------
    list of HarnessSample
        One a document, in the order of the file. Where the task has several filters the first one's records are taken:
        the log-likelihood is the same in all, scores may not be.

    Raises
    ------
    InputError
        If the file is no sample log, if its task does not give one log-likelihood a document, or if one is not finite
        or above zero; if a document has not the score.
    """
    samples, first_filter, others = [], None, {}
    for where, record in _records(path):
        number = record.get("doc_id") if isinstance(record, dict) else None
        if not is_whole(number) or number is None or number < 0:
            problem = f"{where} is no record of a document: it has no doc_id of zero or more"
            raise InputError(problem, ACCEPTED, "name the sample log")
        if not samples:
            first_filter = record.get("filter")
        if record.get("filter") == first_filter:
            samples.append(_sample(record, output_type, score, f"document {record['doc_id']} in {str(path)!r}"))
        else:
            others.setdefault(record["doc_id"], where)
    if not samples:
        raise InputError(f"{str(path)!r} holds no documents", ACCEPTED, "run the task again with --log_samples")
    if lone := set(others) - {sample.doc_id for sample in samples}:
        problem = f"{others[min(lone)]} has document {min(lone)} under another filter than {first_filter!r} alone"
        raise InputError(problem, "every document under every filter", "run the task again with --log_samples")
    return samples


def is_whole(value: Any) -> TypeGuard[int]:
    """Say whether a value is a whole number that a table has room for."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_NUMBER


def _records(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        with io.TextIOWrapper(open_regular(path), encoding="utf-8") as stream:
            start = stream.read(64).lstrip()[:1]
            stream.seek(0)
            if start == "[":
                for index, record in enumerate(_parsed(stream.read(), repr(str(path)))):
                    yield f"entry {index} (from 0) of {str(path)!r}", record
                return
            for number, line in enumerate(stream, 1):
                if line.strip():
                    where = f"line {number} of {str(path)!r}"
                    yield where, _parsed(line, where)
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror}", ACCEPTED, "check the path") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{str(path)!r} is not text in UTF-8", ACCEPTED, "name the sample log") from error


def _parsed(text: str, where: str) -> Any:
    try:
        return parse_json(text)
    except ValueError as error:
        fix = "the run may have been cut off: run the task again"
        raise InputError(f"{where} is not JSON: {error}", ACCEPTED, fix) from error


def _sample(record: dict[str, Any], output_type: str | None, score: str | None, where: str) -> HarnessSample:
    requests = _requests(record.get("arguments"), where)
    if score is not None:
        asked = _sha256(json.dumps(requests, default=str))
        kind = output_type or _output_type(requests)
        value = _score(record, score, where)
        return HarnessSample(record["doc_id"], _doc_hash(record, where), kind, asked, asked, 0, value)
    kind = output_type or _output_type(requests)
    if kind not in UNIT_OF_OUTPUT or len(requests) != 1:
        raise unsuitable(where, kind if kind not in UNIT_OF_OUTPUT else f"{kind} with {len(requests)} requests")
    [request] = requests
    # A rolling task scores the text after nothing.
    context, target = ("", *request) if kind == "loglikelihood_rolling" and len(request) == 1 else (*request, 0, 0)[:2]
    if len(request) != (1 if kind == "loglikelihood_rolling" else 2) or not isinstance(target, str):
        problem = f"the request of {where} is {excerpt(repr(request), 80)}, which is not {kind}"
        raise InputError(problem, ACCEPTED, "check the log")
    if not target:
        raise InputError(f"the text scored in {where} is empty", "a text of at least one byte", "leave the task out")
    return HarnessSample(
        doc_id=record["doc_id"],
        doc_hash=_doc_hash(record, where),
        output_type=kind,
        context_hash=_sha256(str(context)),
        target_hash=_sha256(target),
        size=len(target.encode(errors="surrogatepass")),
        value=_nats(record, where),
    )


def unsuitable(where: str, kind: str) -> InputError:
    """Return the error that says why a task of this kind gives no losses."""
    why = {
        "multiple_choice": "multiple_choice scores several answers a document, which is not the loss of one text",
        "generate_until": "generate_until gives text and no log-likelihood",
    }.get(kind, f"{kind} does not give one log-likelihood a document")
    fix = "leave the task out with --tasks, or score its texts with bayeslaw score"
    return InputError(f"{where}: {why}", "tasks of output type loglikelihood or loglikelihood_rolling", fix)


def _requests(arguments: Any, where: str) -> list[tuple[Any, ...]]:
    # Since 0.4.3 {"gen_args_0": {"arg_0": ..., "arg_1": ...}}, before [[..., ...]]. Keys are in the order of writing.
    requests = list(arguments.values()) if isinstance(arguments, dict) else arguments
    if not isinstance(requests, list) or not requests:
        fix = "log the samples with their arguments"
        raise InputError(f"{where} has no arguments, so that its text is not known", ACCEPTED, fix)
    made = [tuple(request.values()) if isinstance(request, dict) else request for request in requests]
    return [tuple(request) if isinstance(request, list | tuple) else (request,) for request in made]


def _output_type(requests: list[tuple[Any, ...]]) -> str:
    if len(requests) > 1:
        return "multiple_choice"
    if len(requests[0]) == 1:
        return "loglikelihood_rolling"
    return "loglikelihood" if isinstance(requests[0][1], str) else "generate_until"


def _doc_hash(record: dict[str, Any], where: str) -> str:
    given = record.get("doc_hash")
    if isinstance(given, str) and given:
        return given
    if "doc" not in record:
        fix = "log the samples with doc_hash (version 0.4.3 or newer)"
        raise InputError(f"{where} has neither doc_hash nor doc", ACCEPTED, fix)
    # The very serialisation that newer versions hash, so that their runs join with older ones.
    return _sha256(json.dumps(record["doc"], indent=2, ensure_ascii=False))


def _nats(record: dict[str, Any], where: str) -> float:
    # Nested by request and repeat; the pair of log-likelihood and greedy begins with the first.
    value: Any = record.get("resps", record.get("filtered_resps"))
    if isinstance(value, list) and len(value) > 1 and all(isinstance(each, list) for each in value):
        problem = f"{where} has the responses of {len(value)} requests, and one is scored"
        raise InputError(problem, "one response in resps", "run the task again with --log_samples")
    while isinstance(value, list) and value:
        value = value[0]
    found = NUMBER.match(str(value).strip()) if isinstance(value, str | int | float) else None
    if found is None or isinstance(value, bool):
        problem = f"the response of {where} is {excerpt(repr(value), 80)}, which is no log-likelihood"
        raise InputError(problem, "a number in resps", "run the task again with --log_samples")
    log_likelihood = float(found[1])
    if not math.isfinite(log_likelihood) or log_likelihood > 0:
        problem = f"the log-likelihood of {where} is {log_likelihood:g}"
        fix = "score the model in float32: an overflow makes such numbers"
        raise InputError(problem, "a finite number of at most zero", fix)
    return -log_likelihood + 0.0


def _score(record: dict[str, Any], score: str, where: str) -> float:
    """Read a score of the answer, from 0 to 1."""
    value = record.get(score)
    is_score = score not in NO_SCORES
    if is_score and isinstance(value, bool | int | float) and 0 <= value <= 1:
        return float(value)
    numbers = {name: each for name, each in record.items() if isinstance(each, int | float) and name not in NO_SCORES}
    known = [name for name, each in numbers.items() if 0 <= each <= 1]
    problem = f"{where} has no {score!r}" if value is None else f"{score} of {where} is {excerpt(repr(value), 40)}"
    problem = problem if is_score else f"{score!r} is no score of an answer"
    accepted = f"a score from 0 to 1: {', '.join(known) or 'the log has none'}"
    raise InputError(problem, accepted, nearest(score, known) if known else "leave out the score: take losses")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
