"""A hash over what was written of a fit, so that damage is seen before any library looks at the bytes.

A netCDF file carries it behind the end of its HDF5 content, where HDF5 looks at nothing, and cuts it off when it writes
to the file itself. The root of a Zarr folder carries one of each group, over all of the group's files, so that a lost
file is seen too. What other programs write has none, and is read without.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bayeslaw.errors import InputError

MAGIC = b"\nbayeslaw sha256 "
SEAL_LENGTH = len(MAGIC) + hashlib.sha256().digest_size * 2
FEWEST_BYTES = 4
"""Of the start of a seal by which it is known; fewer may end any file by chance."""
ATTRIBUTE = "bayeslaw_sha256"
ROOT = "/"
ZARR_ROOT = "zarr.json"


def sealed(content: bytes | memoryview) -> bytes:
    """Put a seal behind the bytes of a netCDF file.

    Parameters
    ----------
    content
        The file.

    Returns
    -------
    bytes
        The file with its seal.
    """
    return bytes(content) + MAGIC + hashlib.sha256(content).hexdigest().encode()


def check_sealed_file(path: Path) -> None:
    """Refuse a netCDF file that was damaged after it was sealed.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    InputError
        If its bytes are not those that were sealed.
    OSError
        If it cannot be read.
    """
    content = memoryview(path.read_bytes())
    end = bytes(content[-SEAL_LENGTH:])
    if end.startswith(MAGIC):
        right = hashlib.sha256(content[:-SEAL_LENGTH]).hexdigest().encode() == end[len(MAGIC) :]
    else:
        # Of a file that was cut off within its seal, the seal is shorter.
        right = MAGIC not in end and not any(end.endswith(MAGIC[:n]) for n in range(FEWEST_BYTES, len(MAGIC)))
    if not right:
        raise _damaged(path, "its content", "fit again, or take another copy")


def seal_folder(folder: Path) -> None:
    """Put seals of all groups into the root of a Zarr folder.

    Parameters
    ----------
    folder
        The folder.

    Raises
    ------
    OSError
        If it cannot be written to.
    """
    root = json.loads((folder / ZARR_ROOT).read_text(encoding="utf-8"))
    seals = {entry.name: _hash_of_group(entry) for entry in sorted(folder.iterdir()) if entry.is_dir()}
    root["attributes"][ATTRIBUTE] = {ROOT: _hash_of_root(root)} | seals
    (folder / ZARR_ROOT).write_text(json.dumps(root), encoding="utf-8")


def check_sealed_folder(path: Path, left_out: Iterable[str] = ()) -> None:
    """Refuse a Zarr folder of which a group was damaged, or lost a file, after it was sealed.

    Parameters
    ----------
    path
        The folder.
    left_out
        Groups that are not looked at.

    Raises
    ------
    InputError
        If the files are not those that were sealed.
    OSError, ValueError, TypeError, AttributeError
        If it cannot be read, or is no Zarr folder.
    """
    root = json.loads((path / ZARR_ROOT).read_text(encoding="utf-8"))
    if ATTRIBUTE not in root["attributes"]:
        return
    seals = dict(root["attributes"][ATTRIBUTE])
    fix = f"fit again, or take another copy; if it was changed on purpose, remove the attribute {ATTRIBUTE} of its root"
    present = {entry.name for entry in path.iterdir() if entry.is_dir()}
    if seals.pop(ROOT, None) != _hash_of_root(root):
        raise _damaged(path, ZARR_ROOT, fix)
    for name in sorted((present | seals.keys()) - set(left_out)):
        if name not in present or seals.get(name) != _hash_of_group(path / name):
            raise _damaged(path, f"the group {name}", fix)


def _damaged(path: Path, what: str, fix: str) -> InputError:
    problem = f"{str(path)!r} cannot be read as a fit: {what} is not as it was written (its hash differs)"
    return InputError(problem, "a fit as bayeslaw wrote it", fix)


def _hash_of_root(root: dict[str, Any]) -> str:
    attributes = {name: value for name, value in root["attributes"].items() if name != ATTRIBUTE}
    return hashlib.sha256(json.dumps(root | {"attributes": attributes}, sort_keys=True).encode()).hexdigest()


def _hash_of_group(folder: Path) -> str:
    """Hash the files of a group, with their names and lengths."""
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        whole.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
        whole.update(content)
    return whole.hexdigest()
