"""Writing that either finishes or leaves nothing, and the manifest of a folder."""

import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bayeslaw.errors import InputError
from bayeslaw.foreign_files import read_regular
from bayeslaw.foreign_json import parse_json

MANIFEST = "manifest.json"
FORMAT_VERSION = 1
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


def _cannot_write(path: Path, why: str, fix: str = "give another --out") -> InputError:
    return InputError(f"cannot write {str(path)!r}: {why}", "a path in a folder that may be written to", fix)


def _temporary_sibling(path: Path) -> Path:
    # The ending is kept because matplotlib and xarray choose the format by it.
    return path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")


def _why(error: OSError) -> str:
    return error.strerror or str(error)


def user_cache() -> Path | None:
    """Return the folder for what may be worked out anew; None where the user has no home to keep it in."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bayeslaw"
    except RuntimeError:
        return None


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
    path = _checked_file(path, replaceable, inputs)
    _probe(path)
    return path


def _checked_file(
    path: str | os.PathLike[str], replaceable: Callable[[Path], bool] | None, inputs: Inputs = ()
) -> Path:
    path = Path(path)
    try:
        if path.name in ("", "..") or path.is_dir():
            raise _cannot_write(path, "it is a folder", "name a file")
        if path.exists() and not path.is_file():
            raise _cannot_write(path, "it is not a regular file")
        _check_inputs(path, inputs)
        if path.exists() and path.stat().st_size and replaceable is not None and not replaceable(path):
            why = "a file of another kind is there"
            raise _cannot_write(path, why, "name a new file, or move that one away yourself")
        _check_parent(path)
    except OSError as error:
        raise _cannot_write(path, _why(error)) from error
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
    path = _checked_folder(path, kind, replaceable, inputs)
    _probe(path)
    return path


def _checked_folder(
    path: str | os.PathLike[str], kind: str, replaceable: Callable[[Path], bool] | None, inputs: Inputs = ()
) -> Path:
    path = Path(path)
    try:
        if path.is_dir():
            _check_replaceable(path, kind, replaceable)
        elif path.exists() or path.is_symlink():
            raise _cannot_write(path, "a file is in the way", "name a new folder, or move that file away")
        _check_inputs(path, inputs)
        _check_parent(path)
    except OSError as error:
        raise _cannot_write(path, _why(error)) from error
    return path


def _check_inputs(path: Path, inputs: Inputs) -> None:
    for given in inputs:
        # The same file may have several names, by links of either kind.
        if given is not None and path.exists() and os.path.exists(given) and os.path.samefile(path, given):
            raise _cannot_write(path, f"it is what the output is made of, {str(given)!r}")


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
        raise _cannot_write(path, f"nothing can be written into {str(parent)!r} ({_why(error)})") from error


def _check_parent(path: Path) -> None:
    parent = _existing_parent(path)
    if not parent.is_dir():
        raise _cannot_write(path, f"{str(parent)!r} is not a folder")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise _cannot_write(path, f"no permission to write into {str(parent)!r}")


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
    raise _cannot_write(path, f"the folder exists and {held}", "name a new folder, or empty that one yourself")


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


@contextmanager
def atomic_file(path: str | os.PathLike[str], *, replaceable: Callable[[Path], bool] | None = None) -> Iterator[Path]:
    """Write a file so that it appears whole or not at all.

    Parameters
    ----------
    path
        Where the file goes. Missing parent folders are made; an existing file is replaced at the end.
    replaceable
        As in `check_output_file`; asked at the end, of what is there then.

    Yields
    ------
    pathlib.Path
        A sibling of the same ending to write to. It takes the place of `path` when the block ends without an exception,
        and is removed otherwise.

    Raises
    ------
    InputError
        If the output cannot be written, also where that shows only while writing (a full disk).
    """
    path = _checked_file(path, None)
    temporary = _temporary_sibling(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _checked_file(path, replaceable)
        os.replace(temporary, path)
    except OSError as error:
        raise _cannot_write(path, _why(error)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(
    path: str | os.PathLike[str], kind: str, *, replaceable: Callable[[Path], bool] | None = None
) -> Iterator[Path]:
    """Write a folder so that it appears whole or not at all.

    Parameters
    ----------
    path
        Where the folder goes. Missing parent folders are made; an empty folder, or one of ours of the same kind, is
        replaced at the end.
    kind
        What the folder holds, as in its manifest.
    replaceable
        Says of a folder that is there whether it may be replaced; by default its manifest decides.

    Yields
    ------
    pathlib.Path
        An empty sibling folder to write into. It takes the place of `path` when the block ends without an exception,
        and is removed otherwise.

    Raises
    ------
    InputError
        If the output cannot be written, also where that shows only while writing (a full disk).
    """
    path = _checked_folder(path, kind, replaceable)
    temporary = _temporary_sibling(path)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        _swap_folders(temporary, path)
    except OSError as error:
        raise _cannot_write(path, _why(error)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _swap_folders(new: Path, path: Path) -> None:
    if not path.exists():
        os.replace(new, path)
        return
    old = _temporary_sibling(path)
    os.replace(path, old)
    try:
        os.replace(new, path)
    except OSError:
        os.replace(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def write_manifest(
    folder: Path, kind: str, attrs: Mapping[str, Any], *, sections: Mapping[str, Any] | None = None
) -> None:
    """Write the file that says what a folder is.

    Parameters
    ----------
    folder
        The folder, which exists.
    kind
        What it holds: ``"losses"``, ``"models"`` or ``"pools"``.
    attrs
        The attributes of the dataset; numpy scalars are written as plain numbers.
    sections
        What else the manifest says, by section, such as ``models`` and ``scoring``; readers pass over sections that
        they do not know.

    Raises
    ------
    ValueError
        If a section has the name of what every manifest holds.
    """
    content = {"kind": kind, "format_version": FORMAT_VERSION, "attrs": dict(attrs)}
    taken = sorted(content.keys() & (sections or {}).keys())
    if taken:
        raise ValueError(f"a section of the manifest cannot be called {taken[0]!r}")
    content |= sections or {}
    text = json.dumps(content, indent=2, ensure_ascii=False, default=lambda value: value.item())
    with atomic_file(folder / MANIFEST) as path:
        path.write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: str | os.PathLike[str], *kinds: str) -> dict[str, Any]:
    """Read what a folder says it is.

    Parameters
    ----------
    folder
        A folder written by this package.
    *kinds
        The kinds accepted; none for any.

    Returns
    -------
    dict
        ``kind``, ``format_version`` and ``attrs``, and the sections that were written beside them.

    Raises
    ------
    InputError
        If there is no manifest, or it cannot be read, is of a newer format, or is of another kind.
    """
    folder = Path(folder)
    accepted = f"a folder of {' or '.join(kinds) or 'this package'}, with its {MANIFEST}"
    try:
        content = parse_json(read_regular(folder / MANIFEST))
    except FileNotFoundError as error:
        fix = "name a folder that this package wrote, or a CSV file"
        raise InputError(f"the folder {str(folder)!r} has no {MANIFEST}", accepted, fix) from error
    except (OSError, ValueError) as error:
        fix = "write the folder again"
        raise InputError(f"{MANIFEST} in {str(folder)!r} cannot be read: {error}", accepted, fix) from error
    if not isinstance(content, dict) or not isinstance(content.get("attrs"), dict) or "kind" not in content:
        raise InputError(f"{MANIFEST} in {str(folder)!r} is not one of ours", accepted, "name another folder")
    version = content.get("format_version")
    if version != FORMAT_VERSION:
        fix = "update bayeslaw" if isinstance(version, int) and version > FORMAT_VERSION else "write the folder again"
        problem = f"the folder {str(folder)!r} is of format version {version!r}"
        raise InputError(problem, f"format version {FORMAT_VERSION}", fix)
    if kinds and content["kind"] not in kinds:
        problem = f"the folder {str(folder)!r} holds {content['kind']}, not {' or '.join(kinds)}"
        raise InputError(problem, accepted, "name another folder")
    return content
