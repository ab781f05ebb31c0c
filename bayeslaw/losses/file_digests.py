"""What the manifest of a folder says of its Parquet files, and files that are not as they were written."""

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from bayeslaw.errors import InputError
from bayeslaw.inputs.manifests import MANIFEST

FILES = "files"


def file_facts(path: Path) -> dict[str, Any]:
    """Say what tells a file from every other one.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    dict
        ``bytes``, its size, and ``sha256``, in hexadecimal digits.
    """
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
        return {"bytes": stream.tell(), "sha256": digest.hexdigest()}


def folder_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Say it of all Parquet files of a folder, for its manifest.

    Parameters
    ----------
    folder
        The folder, which holds all that it is going to.

    Returns
    -------
    dict
        From the path in the folder, with slashes, to what `file_facts` returns.
    """
    return {path.relative_to(folder).as_posix(): file_facts(path) for path in sorted(folder.rglob("*.parquet"))}


def named_files(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Mapping[str, Any]] | None:
    """Return what a manifest says of the files of its folder.

    Parameters
    ----------
    folder
        The folder.
    manifest
        As `bayeslaw.inputs.manifests.read_manifest` returns it.

    Returns
    -------
    dict or None
        As `folder_files`; None for a folder from elsewhere, or of a version that did not say it.

    Raises
    ------
    InputError
        If the manifest says it in no form that is known.
    """
    files = manifest.get(FILES)
    if files is None:
        return None
    if not isinstance(files, dict) or not all(
        isinstance(facts, dict) and {"bytes", "sha256"} <= facts.keys() for facts in files.values()
    ):
        problem = f"{MANIFEST} in {str(folder)!r} does not say how large its files are and what their SHA-256 is"
        raise InputError(problem, f"{FILES!r} with bytes and sha256 of each", "write the folder again")
    return files


def check_file(folder: Path, manifest: Mapping[str, Any], name: str, *, fix: str = "write the folder again") -> None:
    """Refuse a file that is not the one that its folder was written with.

    Parameters
    ----------
    folder
        The folder.
    manifest
        As `bayeslaw.inputs.manifests.read_manifest` returns it.
    name
        Path of the file in the folder, with slashes. A file that the manifest does not name passes.
    fix
        How to get the file again.

    Raises
    ------
    InputError
        If the file is missing, or its size or its digest is another one.
    """
    facts = (named_files(folder, manifest) or {}).get(name)
    if facts is None:
        return
    try:
        found = file_facts(folder / name)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        why = f"it is missing, and {MANIFEST} names it" if missing else error.strerror or str(error)
        raise _changed(folder, name, why, fix) from error
    if found["bytes"] != facts["bytes"]:
        raise _changed(folder, name, f"it has {found['bytes']:,} bytes, and {facts['bytes']:,} were written", fix)
    if found["sha256"] != facts["sha256"]:
        raise _changed(folder, name, f"it is not the file that was written: {MANIFEST} has another SHA-256 of it", fix)


def _changed(folder: Path, name: str, why: str, fix: str) -> InputError:
    return InputError(
        f"{name} in {str(folder)!r} cannot be read: {why}",
        "every file as it was written",
        f"put the file back as it was, or {fix}; if you changed it on purpose, remove {FILES!r} from {MANIFEST}",
    )


def check_no_others(
    folder: Path, manifest: Mapping[str, Any], found: Collection[str], *, fix: str = "write the folder again"
) -> None:
    """Refuse files beside those that a folder was written with.

    Parameters
    ----------
    folder
        The folder.
    manifest
        As `bayeslaw.inputs.manifests.read_manifest` returns it.
    found
        Paths of files in the folder, with slashes.
    fix
        What else may be done about it.

    Raises
    ------
    InputError
        If the manifest says which files there are, and one is not among them.
    """
    named = named_files(folder, manifest)
    others = sorted(set(found) - named.keys()) if named is not None else []
    if others:
        raise InputError(
            f"{others[0]} in {str(folder)!r} is not one of the files that {MANIFEST} names",
            "the files that were written together, and no others",
            f"move it out of the folder, or {fix}; if you added it on purpose, remove {FILES!r} from {MANIFEST}",
        )
