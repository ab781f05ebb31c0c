"""Tokenised documents to windows, each of which a model sees at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from bayeslaw.errors import InputError, check_whole


@dataclass(frozen=True)
class Window:
    """A stretch of a document that a model sees at once.

    Attributes
    ----------
    document
        Index of the document.
    start, stop
        The tokens seen or predicted: with a prefix ``[prefix, start, ..., stop - 2]`` predicts ``[start, ..., stop -
        1]``; without, ``[start, ..., stop - 2]`` predicts ``[start + 1, ..., stop - 1]``.
    first
        The first token that this window scores; it scores those from here to `stop`.
    prefix
        Whether a prefix stands in front.
    """

    document: int
    start: int
    stop: int
    first: int
    prefix: bool = True

    @property
    def inputs(self) -> int:
        """Number of input positions."""
        return self.stop - self.start - (not self.prefix)


def plan_windows(lengths: Sequence[int], *, window: int, stride: int, prefix: bool) -> list[Window]:
    """Cut documents into windows so that each token is scored once, with as much context as fits.

    The first window of a document scores all that it holds. Every further one scores `stride` new tokens (the last one
    those that are left) behind as many tokens of context as fit. Without a prefix nothing predicts the first token of a
    document, which is not scored.

    Parameters
    ----------
    lengths
        Number of tokens of each document.
    window
        Most input positions that a model sees at once, the prefix among them, at least 2.
    stride
        New tokens of a window that is not the first of its document, 1 to `window`.
    prefix
        Whether every window starts with a prefix.

    Returns
    -------
    list of Window
        By document, in the order of its tokens. A document without tokens to score has none.

    Raises
    ------
    InputError
        If window or stride is out of bounds.
    """
    check_whole("window", window, lowest=2, suggested=1024)
    check_whole("stride", stride, lowest=1, suggested=max(1, window // 2))
    if stride > window:
        problem = f"stride is {stride} and window is {window}"
        raise InputError(problem, "a stride of at most the window", f"use stride={window // 2}")
    unscored = 0 if prefix else 1
    most = window + unscored
    windows = []
    for document, length in enumerate(lengths):
        first, stop = unscored, min(length, most)
        while first < length:
            windows.append(Window(document, max(0, stop - most), stop, first, prefix))
            first, stop = stop, min(length, stop + stride)
    return windows
