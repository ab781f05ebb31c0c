"""Writing that either finishes or leaves nothing, and the manifest of a folder."""

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bayeslaw.inputs.manifests import FORMAT_VERSION, MANIFEST
from bayeslaw.inputs.output_paths import (
    cannot_write,
    checked_file,
    checked_folder,
    why_not,
)


def _temporary_sibling(path: Path) -> Path:
    # The ending is kept because matplotlib and xarray choose the format by it.
    return path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")


def user_cache() -> Path | None:
    """Return the folder for what may be worked out anew; None where the user has no home to keep it in."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bayeslaw"
    except RuntimeError:
        return None


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
    path = checked_file(path, None)
    temporary = _temporary_sibling(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        checked_file(path, replaceable)
        os.replace(temporary, path)
    except OSError as error:
        raise cannot_write(path, why_not(error)) from error
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
    path = checked_folder(path, kind, replaceable)
    temporary = _temporary_sibling(path)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        _swap_folders(temporary, path)
    except OSError as error:
        raise cannot_write(path, why_not(error)) from error
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
