"""The manifest of a folder: what the folder says it is."""

import os
from pathlib import Path
from typing import Any

from bayeslaw.errors import InputError
from bayeslaw.inputs.foreign_files import read_regular
from bayeslaw.inputs.foreign_json import parse_json

MANIFEST = "manifest.json"
FORMAT_VERSION = 1


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
