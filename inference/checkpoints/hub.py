"""Models of the hub: only the files that scoring needs are fetched, and each failure says what to do."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import HfApi, constants, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import validate_repo_id

from bayeslaw.errors import InputError, shown
from inference.checkpoints.weight_files import CONFIG, INDEX, SINGLE, TOKENIZER_FILES, choose_weights, read_index

ACCEPTED = (
    "a folder with config.json and safetensors weights, a GGUF file, or a hub id such as "
    "EleutherAI/pythia-160m[@revision]"
)
ACCEPTED_REVISION = "a branch, a tag or a commit hash of the repository"
# What git forbids in names of branches and tags. The cache has a file for each, so they must not lead out of it.
FORBIDDEN_IN_REVISION = re.compile(r"\.\.|^[/-]|[\s\\~^:?*\[\x00-\x1f\x7f]|@\{|//|/$|^$")


def a_source(name: str, value: Any) -> str | os.PathLike[str]:
    """Accept what a checkpoint may be named by: a path, as text or as an object of `pathlib`, or a hub id."""
    if not isinstance(value, str | os.PathLike):
        raise InputError(f"{name} is {shown(value)}", ACCEPTED, f'write {name}="FOLDER"')
    return value


def split_source(source: str, revision: str | None) -> tuple[str, str | None]:
    """Split ``id@revision`` and check both parts.

    Parameters
    ----------
    source
        A hub id, with or without revision.
    revision
        A revision given apart, or None.

    Returns
    -------
    str
        The id.
    str or None
        The revision, None where none is given.

    Raises
    ------
    InputError
        If the id or the revision cannot be one, or two revisions are given.
    """
    model, mark, given = source.partition("@")
    if mark and revision is not None and revision != given:
        problem = f"{source!r} names a revision and revision={revision!r} another"
        raise InputError(problem, "one revision", f"leave out {'@' + given!r} or the argument")
    revision = given if mark else revision
    try:
        validate_repo_id(model)
    except HFValidationError as error:
        problem = f"there is no folder {source!r}, and it cannot be a hub id either"
        raise InputError(problem, ACCEPTED, "check the path") from error
    if revision is not None and FORBIDDEN_IN_REVISION.search(revision):
        raise InputError(f"{revision!r} cannot be a revision of {model!r}", ACCEPTED_REVISION, "check the revision")
    return model, revision


def fetch(model: str, revision: str | None, *, offline: bool) -> Path:
    """Find a model in the hub's cache, after downloading what is not there.

    Parameters
    ----------
    model
        The hub id.
    revision
        Branch, tag or commit hash; the default branch where None.
    offline
        Whether to look into the cache only; so does the environment variable ``HF_HUB_OFFLINE``.

    Returns
    -------
    pathlib.Path
        The folder of the snapshot, whose name is the commit hash.

    Raises
    ------
    InputError
        If the model or the revision is not there or not accessible, is without safetensors, or cannot be fetched.
    """
    revision = revision or constants.DEFAULT_REVISION
    if offline or constants.is_offline_mode():
        return _cached(model, revision, "offline is asked for" if offline else "HF_HUB_OFFLINE is set")
    commit, files = _list_files(model, revision)
    weights = choose_weights(files, f"the repository {model!r}")
    # Asked for by the revision's own name, this file also notes in the cache which commit the name stands for.
    folder = _download(model, CONFIG, revision).parent
    if folder.name != commit:
        commit, files = _list_files(model, folder.name)
        weights = choose_weights(files, f"the repository {model!r}")
    # Weights come last: where they are in the cache, so is everything else.
    for name in TOKENIZER_FILES:
        if name in files:
            _download(model, name, commit)
    for name in _weight_files(model, weights, commit, files):
        _download(model, name, commit)
    return folder


def _weight_files(model: str, weights: str, commit: str, files: frozenset[str]) -> list[str]:
    if weights == SINGLE:
        return [SINGLE]
    shards = sorted(set(read_index(_download(model, INDEX, commit)).values()))
    missing = [shard for shard in shards if shard not in files]
    if missing:
        problem = f"{INDEX} of {model!r} names {missing[0]!r}, which is not in the repository"
        raise InputError(problem, "an index whose shards are all there", "use another revision")
    return shards


def _cached(model: str, revision: str, why: str) -> Path:
    accepted = f"a model that was downloaded before, since {why}"
    fix = f"score {model} once without --offline and HF_HUB_OFFLINE"
    config = try_to_load_from_cache(model, CONFIG, revision=revision)
    if not isinstance(config, str):
        raise InputError(f"{model!r} at revision {revision!r} is not in the hub's cache", accepted, fix)
    folder = Path(config).parent
    leading = next((name for name in (SINGLE, INDEX) if os.path.exists(folder / name)), None)
    wanted = sorted(set(read_index(folder / INDEX).values())) if leading == INDEX else [leading or SINGLE]
    missing = [name for name in wanted if not os.path.exists(folder / name)]
    if missing:
        problem = f"{missing[0]!r} of {model!r} at revision {revision!r} is not in the hub's cache"
        raise InputError(problem, accepted, fix)
    return folder


def _list_files(model: str, revision: str) -> tuple[str, frozenset[str]]:
    with _explained(model, revision, "the list of files"):
        info = HfApi().model_info(model, revision=revision, timeout=constants.HF_HUB_ETAG_TIMEOUT)
        if info.sha is None or info.siblings is None:
            raise ValueError("no commit or no files in the answer")
        return info.sha, frozenset(file.rfilename for file in info.siblings)


def _download(model: str, file: str, revision: str) -> Path:
    with _explained(model, revision, file):
        return Path(hf_hub_download(model, file, revision=revision))


@contextmanager
def _explained(model: str, revision: str, what: str) -> Iterator[None]:
    """Turn what the hub's client raises into what the user can do about it."""
    hub = constants.ENDPOINT
    try:
        yield
    except GatedRepoError as error:
        fix = f"accept the licence at {hub}/{model}, then set HF_TOKEN to a token of that account"
        raise InputError(f"{model!r} is gated", "a model that you have access to", fix) from error
    except RepositoryNotFoundError as error:
        problem = f"{model!r} is neither a folder here nor a model that {hub} shows you"
        fix = "check the spelling; if it is private, set HF_TOKEN"
        raise InputError(problem, ACCEPTED, fix) from error
    except RevisionNotFoundError as error:
        problem = f"{model!r} has no revision {revision!r}"
        raise InputError(problem, ACCEPTED_REVISION, f"look them up at {hub}/{model}") from error
    except HfHubHTTPError as error:
        raise _refused(model, what, error) from error
    except (OSError, httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise _interrupted(model, revision, what, error) from error
    except (ValueError, TypeError, KeyError) as error:
        problem = f"{hub} does not answer as a hub of models does when asked for {what} of {model!r}: {_brief(error)}"
        raise InputError(
            problem, "a hub of models", "check HF_ENDPOINT, and whether a proxy answers instead"
        ) from error


def _refused(model: str, what: str, error: HfHubHTTPError) -> InputError:
    status = error.response.status_code
    fix = "check HF_TOKEN and its permissions" if status in (401, 403) else "try again later"
    problem = f"{constants.ENDPOINT} refuses {what} of {model!r} with status {status}"
    return InputError(problem, "a model that can be downloaded", fix)


def _interrupted(model: str, revision: str, what: str, error: Exception) -> InputError:
    problem = f"{what} of {model!r} could not be fetched from {constants.ENDPOINT}: {_brief(error)}"
    fix = "check the connection and the space on the disk, and try again"
    if "/" not in model:
        fix = f"check the path, since there is no folder {model!r} here; or {fix}"
    if isinstance(try_to_load_from_cache(model, CONFIG, revision=revision), str):
        fix += "; --offline uses what is in the cache"
    return InputError(problem, "a hub that can be reached, and room in the cache", fix)


def _brief(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{lines[0][:200]} ({type(error).__name__})" if lines else type(error).__name__
