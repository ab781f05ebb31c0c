"""Where outputs may go: what may be written to, and what that is there may be replaced."""

import os
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from bayeslaw.errors import InputError
from bayeslaw.inputs.manifests import MANIFEST, read_manifest

LOCK = ".lock"
# What this package writes into a folder of each kind; one that holds more is not replaced.
OWN_FILES: Mapping[str, re.Pattern[str]] = {
    "losses": re.compile(r"manifest\.json|models\.parquet|part-\d{5,}\.parquet"),
    "models": re.compile(r"manifest\.json|models\.parquet"),
    "pools": re.compile(r"manifest\.json|models\.parquet|pools\.parquet|win_shares\.parquet"),
}
# What a run of scoring keeps beside the losses: its corpus, the losses of tokens, and what it needs to go on.
SCORING, SUBFOLDERS = "scoring", ("tokens", "journal", "corpus")
Inputs = Iterable[str | os.PathLike[str] | None]


def cannot_write(path: Path, why: str, fix: str = "give another --out") -> InputError:
    """Make the error of an output that cannot be written."""
    return InputError(f"cannot write {str(path)!r}: {why}", "a path in a folder that may be written to", fix)


def why_not(error: OSError) -> str:
    """Say why the system refused, in its words."""
    return error.strerror or str(error)


def check_output_file(
    path: str | os.PathLike[str], *, replaceable: Callable[[Path], bool] | None = None, inputs: Inputs = ()
) -> Path:
    """Refuse early an output file that could not be written; nothing is created.

    Parameters
    ----------
    path
        Where the file would go.
    replaceable
        Says of a file that is there whether it may be replaced; by default every one may. An empty one always may.
    inputs
        What the output is made of, which it may not replace, however its path is written.

    Returns
    -------
    pathlib.Path
        The path.

    Raises
    ------
    InputError
        If the path is a folder or a device, a file that is there may not be replaced, or its parent cannot be a folder
        that may be written to.
    """
    path = checked_file(path, replaceable, inputs)
    _probe(path)
    return path


def checked_file(path: str | os.PathLike[str], replaceable: Callable[[Path], bool] | None, inputs: Inputs = ()) -> Path:
    """Check as `check_output_file` does, but for what only shows on writing."""
    path = Path(path)
    try:
        if path.name in ("", "..") or path.is_dir():
            raise cannot_write(path, "it is a folder", "name a file")
        if path.exists() and not path.is_file():
            raise cannot_write(path, "it is not a regular file")
        _check_inputs(path, inputs)
        if path.exists() and path.stat().st_size and replaceable is not None and not replaceable(path):
            why = "a file of another kind is there"
            raise cannot_write(path, why, "name a new file, or move that one away yourself")
        _check_parent(path)
    except OSError as error:
        raise cannot_write(path, why_not(error)) from error
    return path


def check_output_folder(
    path: str | os.PathLike[str],
    kind: str,
    *,
    replaceable: Callable[[Path], bool] | None = None,
    inputs: Inputs = (),
) -> Path:
    """Refuse early an output folder that could not be written; nothing is created.

    Parameters
    ----------
    path
        Where the folder would go.
    kind
        What the folder would hold, as in its manifest: ``"losses"``, ``"models"`` or ``"pools"``.
    replaceable
        Says of a folder that is there whether it may be replaced; by default its manifest decides, and it may hold
        nothing but what is written into a folder of this kind.
    inputs
        What the output is made of, which it may not replace, however its path is written.

    Returns
    -------
    pathlib.Path
        The path.

    Raises
    ------
    InputError
        If a file is in the way, if a folder there is neither empty nor one of ours of the same kind, or if its parent
        cannot be a folder that may be written to.
    """
    path = checked_folder(path, kind, replaceable, inputs)
    _probe(path)
    return path


def checked_folder(
    path: str | os.PathLike[str], kind: str, replaceable: Callable[[Path], bool] | None, inputs: Inputs = ()
) -> Path:
    """Check as `check_output_folder` does, but for what only shows on writing."""
    path = Path(path)
    try:
        if path.is_dir():
            _check_replaceable(path, kind, replaceable)
        elif path.exists() or path.is_symlink():
            raise cannot_write(path, "a file is in the way", "name a new folder, or move that file away")
        _check_inputs(path, inputs)
        _check_parent(path)
    except OSError as error:
        raise cannot_write(path, why_not(error)) from error
    return path


def _check_inputs(path: Path, inputs: Inputs) -> None:
    for given in inputs:
        # The same file may have several names, by links of either kind.
        if given is not None and path.exists() and os.path.exists(given) and os.path.samefile(path, given):
            raise cannot_write(path, f"it is what the output is made of, {str(given)!r}")


def _existing_parent(path: Path) -> Path:
    parent = path.absolute().parent
    while not parent.exists():
        parent = parent.parent
    return parent


def _probe(path: Path) -> None:
    """Make a file without a name where the path would go: what permissions promise, not every file system keeps."""
    parent = _existing_parent(path)
    try:
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        raise cannot_write(path, f"nothing can be written into {str(parent)!r} ({why_not(error)})") from error


def _check_parent(path: Path) -> None:
    parent = _existing_parent(path)
    if not parent.is_dir():
        raise cannot_write(path, f"{str(parent)!r} is not a folder")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise cannot_write(path, f"no permission to write into {str(parent)!r}")


def _check_replaceable(path: Path, kind: str, replaceable: Callable[[Path], bool] | None) -> None:
    entries = list(path.iterdir())
    if not entries or (replaceable is not None and replaceable(path)):
        return
    manifest: dict[str, Any] = {}
    with suppress(InputError):
        manifest = read_manifest(path)
    # What is plainly of others is named first; what only looks like ours is told by the kind of the folder.
    foreign = [entry.name for entry in entries if not _looks_own(entry, kind)]
    more = [entry.name for entry in entries if not _is_own(entry, kind)]
    if kind not in OWN_FILES:
        held = f"is not a folder of {kind}, or holds more"
    elif foreign:
        held = f"holds {foreign[0]!r}"
    elif manifest.get("kind") != kind:
        held = f"is not a folder of {kind}"
    elif SCORING in manifest:
        held = "is a table that bayeslaw score wrote, with what it needs to go on"
    elif more:
        held = f"holds {more[0]!r}"
    else:
        return
    raise cannot_write(path, f"the folder exists and {held}", "name a new folder, or empty that one yourself")


def _looks_own(entry: Path, kind: str) -> bool:
    if entry.name in SUBFOLDERS and entry.is_dir() and not entry.is_symlink():
        return kind == "losses"
    return entry.name in (MANIFEST, LOCK) or entry.suffix == ".parquet"


def _is_own(entry: Path, kind: str) -> bool:
    pattern = OWN_FILES.get(kind)
    return entry.name in (MANIFEST, LOCK) or (pattern is not None and pattern.fullmatch(entry.name) is not None)


def is_scored_table(path: Path) -> bool:
    """Say whether a folder is a loss table that a run of scoring wrote, and holds nothing else."""
    with suppress(InputError):
        manifest = read_manifest(path, "losses")
        entries = (entry for entry in path.iterdir() if not (entry.name in SUBFOLDERS and entry.is_dir()))
        only_parts = all(entry.name in (MANIFEST, LOCK) or entry.suffix == ".parquet" for entry in entries)
        return SCORING in manifest and only_parts
    return False
