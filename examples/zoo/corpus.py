"""A folder of text, without repetitions, divided into files to train on, to validate with and to hold out."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from bayeslaw.errors import InputError

# A repeated paragraph stays in the split that comes first here, so that nothing held out is trained on.
SPLITS = ("held_out", "validation", "train")
SHARES = {"held_out": 0.10, "validation": 0.04}
SHORTEST_REPETITION = 40
NO_DOMAIN = "text"


@dataclass(frozen=True)
class TextFile:
    """One file of a corpus.

    Attributes
    ----------
    path
        Its path relative to the corpus, with forward slashes.
    domain
        The first-level subfolder, ``"text"`` for a file directly in the corpus.
    split
        ``"train"``, ``"validation"`` or ``"held_out"``.
    text
        The text without the paragraphs that another file has.
    dropped_paragraphs
        How many paragraphs were left out.
    dropped_bytes
        Their bytes.
    """

    path: str
    domain: str
    split: str
    text: str
    dropped_paragraphs: int = 0
    dropped_bytes: int = 0


@dataclass(frozen=True)
class Corpus:
    """Texts to train a zoo on.

    Attributes
    ----------
    files
        The files with some text left, in the order of their paths.
    repeated
        The files with none left.
    skipped
        Paths of files that are no UTF-8 text.
    """

    files: list[TextFile]
    repeated: list[TextFile] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def texts(self, split: str, domain: str) -> list[str]:
        """Return the texts of one split of one domain.

        Parameters
        ----------
        split
            ``"train"``, ``"validation"`` or ``"held_out"``.
        domain
            A domain.

        Returns
        -------
        list of str
            The texts, in the order of their files' paths.
        """
        return [file.text for file in self.files if (file.split, file.domain) == (split, domain)]

    def summary(self) -> pd.DataFrame:
        """Count by domain and split.

        Returns
        -------
        pandas.DataFrame
            Columns ``files`` (those with some text left), ``bytes``, ``dropped_paragraphs`` and ``dropped_bytes``
            (of repeated paragraphs); index domain and split.
        """
        keys = ("domain", "split", "dropped_paragraphs", "dropped_bytes")
        frame = pd.DataFrame(
            {"files": counted, "bytes": len(file.text.encode())} | {key: getattr(file, key) for key in keys}
            for counted, files in ((1, self.files), (0, self.repeated))
            for file in files
        )
        return pd.DataFrame(frame.groupby(["domain", "split"]).sum())


def read_corpus(folder: Path) -> Corpus:
    """Read every text of a folder, drop paragraphs that another file has, and split by file.

    Parameters
    ----------
    folder
        Any folder of text; its first-level subfolders are the domains. Hidden files, ``sources.json`` at the top and
        files that are not UTF-8 are left out.

    Returns
    -------
    Corpus
        The texts. The split of a file depends on its relative path only.

    Raises
    ------
    InputError
        If the folder is not there or has no text.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{str(folder)!r} is not a folder", "a folder of text files", "name the folder with the texts")
    found, skipped = _read(folder)
    if not found:
        raise InputError(
            f"{str(folder)!r} has no text",
            "files of UTF-8 text, in one subfolder per domain",
            "name another folder, or fill it with examples/zoo/collect_texts.py",
        )
    files = sorted(_without_repetitions(found), key=lambda file: file.path)
    kept = [file for file in files if file.text.strip()]
    return Corpus(kept, [file for file in files if not file.text.strip()], skipped)


def split_of(path: str) -> str:
    """Return the split of a file from a hash of its path, so that it stays when other files come and go.

    Parameters
    ----------
    path
        The path relative to the corpus, with forward slashes.

    Returns
    -------
    str
        ``"held_out"`` for about a tenth of paths, ``"validation"`` for four in a hundred, else ``"train"``.
    """
    position = int.from_bytes(hashlib.sha256(path.encode()).digest()[:8]) / 2**64
    for split, share in SHARES.items():
        if position < share:
            return split
        position -= share
    return "train"


def _read(folder: Path) -> tuple[list[TextFile], list[str]]:
    """Read the files that are text; name those that are not."""
    found, skipped = [], []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        parts = path.relative_to(folder).parts
        name = "/".join(parts)
        if name == "sources.json" or any(part.startswith(".") for part in parts):
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            skipped.append(name)
            continue
        if "\0" in text:
            skipped.append(name)
            continue
        found.append(TextFile(name, parts[0] if len(parts) > 1 else NO_DOMAIN, split_of(name), text))
    return found, skipped


def _without_repetitions(found: list[TextFile]) -> list[TextFile]:
    """Keep a paragraph in the first file that has it: held-out files come first, then validation, then training."""
    seen: set[bytes] = set()
    files = []
    for file in sorted(found, key=lambda file: (SPLITS.index(file.split), file.path)):
        kept, dropped, own = [], [], set()
        for paragraph in _paragraphs(file.text):
            stripped = paragraph.strip()
            # Digests take little memory, however long the texts are.
            key = hashlib.blake2b(stripped.encode(), digest_size=16).digest()
            if len(stripped) >= SHORTEST_REPETITION and key in seen:
                dropped.append(paragraph)
            else:
                kept.append(paragraph)
                own.add(key)
        seen |= own
        size = sum(len(paragraph.encode()) for paragraph in dropped)
        files.append(replace(file, text="".join(kept), dropped_paragraphs=len(dropped), dropped_bytes=size))
    return files


def _paragraphs(text: str) -> Iterator[str]:
    """Split at blank lines; a paragraph keeps the blank lines behind it."""
    start = 0
    for gap in re.finditer(r"\n(?:[^\S\n]*\n)+", text):
        yield text[start : gap.end()]
        start = gap.end()
    if start < len(text):
        yield text[start:]
