"""Cutting files into documents, and rows of tokens into a training stream."""

from collections.abc import Iterator

TARGET_BYTES = 800
FEWEST_BYTES = 200


def excerpts(text: str, *, target: int = TARGET_BYTES, fewest: int = FEWEST_BYTES) -> Iterator[str]:
    """Cut a text into documents at the ends of paragraphs, or of lines where a paragraph is long.

    Parameters
    ----------
    text
        The text.
    target
        Bytes of UTF-8 after which a document ends at the next paragraph.
    fewest
        A document with fewer bytes is left out.

    Yields
    ------
    str
        A document, at most about twice `target` long unless a line is longer.
    """
    held: list[str] = []
    size = 0
    for piece in _pieces(text, target):
        held.append(piece)
        size += len(piece.encode())
        if size >= target:
            yield from _kept("".join(held), fewest)
            held, size = [], 0
    yield from _kept("".join(held), fewest)


def _pieces(text: str, target: int) -> Iterator[str]:
    """Split into paragraphs with their blank lines, and long ones into lines."""
    paragraph: list[str] = []
    for line in text.splitlines(keepends=True):
        paragraph.append(line)
        if not line.strip():
            yield from _lines(paragraph, target)
            paragraph = []
    yield from _lines(paragraph, target)


def _lines(paragraph: list[str], target: int) -> Iterator[str]:
    if sum(len(line.encode()) for line in paragraph) > target:
        yield from paragraph
    else:
        yield "".join(paragraph)


def _kept(document: str, fewest: int) -> Iterator[str]:
    document = document.strip("\n")
    if len(document.encode()) >= fewest:
        yield document
