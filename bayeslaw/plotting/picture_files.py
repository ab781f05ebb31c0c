"""Pictures as files: how wide, drawn and written whole or not at all."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from bayeslaw.inputs.arguments import a_number, optional
from bayeslaw.plotting.plot_style import write_figure

NARROWEST, WIDEST = 2.5, 100.0
a_width = optional(a_number(lowest=NARROWEST, highest=WIDEST, accepted="a width of 2.5 to 100 inches", suggested=7.6))


def write_picture(draw: Callable[[], Figure], path: str | os.PathLike[str], *, width: float | None = None) -> None:
    """Draw a picture and write it to a file, whole or not at all.

    Parameters
    ----------
    draw
        Draws it.
    path
        Where to.
    width
        Width in inches; None for that of the settings.

    Raises
    ------
    InputError
        If it cannot be drawn or written.
    """
    high = matplotlib.rcParams["figure.figsize"][1]
    sized: Any = {} if width is None else {"figure.figsize": (width, high)}
    with closing_new_figures(), matplotlib.rc_context(sized):
        write_figure(draw(), path)


@contextmanager
def closing_new_figures() -> Iterator[None]:
    """Close the figures that ArviZ opens: it draws through pyplot, which keeps them, and notebooks show them."""
    import matplotlib.pyplot as plt

    before = set(plt.get_fignums())
    try:
        yield
    finally:
        for number in set(plt.get_fignums()) - before:
            plt.close(number)
