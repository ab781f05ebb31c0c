"""Names of files in the folder of a loss table: those of models, and those that a killed run left."""

import hashlib
import re

# Names that may differ in nothing but what some file systems do not tell apart are not plain.
_PLAIN = re.compile(r"[a-z0-9_](?:[a-z0-9_-]|\.(?!\.)){0,99}")
# What `bayeslaw.storage.atomic_file` writes to before a file takes its place.
_TEMPORARY = re.compile(r"\..+-[0-9a-f]{8}\.(?:json|parquet|npz)")
_OWN = re.compile(r"(?:part-|tokens/).+-\d{4,}\.parquet|corpus/\d{4,}\.parquet")
_DIGITS = 16


def model_slug(name: str) -> str:
    """Return a model's name as a part of file names: no other name has the same, whatever the file system.

    Parameters
    ----------
    name
        The name.

    Returns
    -------
    str
        The name itself where it is short, of lower-case letters, digits and ``._-``; else what is left of it, a percent
        sign and the beginning of its hash. It never has a separator of folders.
    """
    if _PLAIN.fullmatch(name):
        return name
    shown = re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:60].strip("_")
    return f"{shown}%{hashlib.sha256(name.encode()).hexdigest()[:_DIGITS]}"


def is_own_file(name: str) -> bool:
    """Say whether a file is one that runs write: of texts or of a model, or a temporary one.

    Parameters
    ----------
    name
        The file's path in the folder of the table, with slashes.
    """
    return any(pattern.fullmatch(part) for pattern, part in ((_OWN, name), (_TEMPORARY, name.rpartition("/")[2])))
