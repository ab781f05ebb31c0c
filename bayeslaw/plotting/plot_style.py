"""How pictures look: one style, groups told apart without colour, plain-number ticks, and writing to a file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib import rcParams, rcParamsDefault
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from PIL import Image

from bayeslaw.errors import InputError, nearest
from bayeslaw.losses.sizes import count_label
from bayeslaw.storage import atomic_file

ENDINGS = (".png", ".svg", ".pdf")
PAGE = ".html"
DPI = 200
INK = "#26262b"
FAINT = "#8a8a91"
STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.labelpad": 5,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "legend.fontsize": "small",
    "legend.frameon": False,
    "savefig.dpi": DPI,
    "text.color": INK,
    "xtick.color": FAINT,
    "xtick.labelcolor": INK,
    "xtick.major.width": 0.7,
    "ytick.color": FAINT,
    "ytick.labelcolor": INK,
    "ytick.major.width": 0.7,
}
FORCED: Any = {
    # A family or unit with a dollar sign is shown as it is.
    "text.parse_math": False,
    "text.usetex": False,
    "pdf.fonttype": 42,
    "svg.hashsalt": "bayeslaw",
}
FOLLOWS = {"xtick.labelcolor": "xtick.color", "ytick.labelcolor": "ytick.color"}
"""Settings that are the caller's where another is."""
WIDTH, NARROW = 7.6, 4.6
"""Usual width of a picture, and the width below which letters are smaller, in inches."""
SMALL_LETTERS = 7
FEWEST = 3


@dataclass(frozen=True)
class GroupStyle:
    """What tells a group from the others: lightness, line and marker, so that colour is not needed.

    Parameters
    ----------
    colour
        Colour of line, marker and bands.
    dashes
        Matplotlib line style.
    marker
        Matplotlib marker.
    """

    colour: str
    dashes: Any
    marker: str


GROUP_STYLES = (
    GroupStyle("#1c2550", "solid", "o"),
    GroupStyle("#b23f26", (0, (5, 1.6)), "s"),
    GroupStyle("#3aaea0", (0, (7, 1.4, 1.2, 1.4)), "^"),
    GroupStyle("#f0c653", (0, (1.4, 1.2)), "D"),
)
"""Styles in the order of the groups, from dark to light."""


@contextmanager
def house_style(width: float = WIDTH) -> Iterator[None]:
    """Draw in our style where the caller's settings are Matplotlib's own, and leave all settings as they were.

    What a style of the caller changes, such as ``plt.style.use("dark_background")``, stays changed.

    Parameters
    ----------
    width
        Width of the picture in inches: narrow ones have smaller letters.
    """
    ours = STYLE | {"font.size": SMALL_LETTERS} if width < NARROW else STYLE
    kept = {name: value for name, value in ours.items() if is_usual(name) and is_usual(FOLLOWS.get(name, name))}
    with matplotlib.rc_context(kept | FORCED):
        yield


def is_usual(name: Any) -> bool:
    """Say whether a setting is as Matplotlib has it, and not the caller's."""
    return rcParams[name] == rcParamsDefault[name]


def lightness(colour: str) -> float:
    """Lightness of a colour as the eye sees it in grey.

    Parameters
    ----------
    colour
        Any Matplotlib colour.

    Returns
    -------
    float
        CIE 1976 L*, from 0 (black) to 100 (white).
    """
    channels = np.array(to_rgb(colour))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ [0.2126, 0.7152, 0.0722])
    return 116 * luminance ** (1 / 3) - 16 if luminance > (6 / 29) ** 3 else luminance * (29 / 3) ** 3


def nice_numbers(low: float, high: float, *, most: int) -> np.ndarray:
    """Round numbers between two positive ones, about evenly spaced on a log scale.

    Parameters
    ----------
    low, high
        The range.
    most
        Largest number of them.

    Returns
    -------
    np.ndarray
        Increasing; of the densest series (1 2 3 5, 1 2 5, 1 3, powers of ten, of a hundred, ...) that has few enough,
        or multiples of a round step over a range of less than a factor of four, or of ten
        where the series have fewer than three.
    """
    first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
    if high / low < 4:
        return _even_numbers(low, high, most)
    for digits in ((1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        ticks = np.array([digit * 10.0**e for e in range(first, last + 1) for digit in digits])
        ticks = ticks[(ticks >= low * (1 - 1e-9)) & (ticks <= high * (1 + 1e-9))]
        if len(ticks) <= most:
            return ticks if len(ticks) >= FEWEST or high / low >= 10 else _even_numbers(low, high, most)
    return ticks[:: int(np.ceil(len(ticks) / most))]


def _even_numbers(low: float, high: float, most: int) -> np.ndarray:
    """Multiples of a round step between two positive numbers."""
    first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
    ticks = np.array([])
    for step in sorted(m * 10.0**e for m in (1, 2, 5) for e in range(first - 3, last + 1)):
        ticks = step * np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1)
        if len(ticks) <= most:
            break
    return ticks


def budget_axis(ax: Axes, low: float, high: float, *, most: int = 8) -> None:
    """Make the x axis one of counts on a log scale, ticked like ``10M``, ``1B``."""
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    ax.xaxis.set_major_locator(FixedLocator(nice_numbers(low, high, most=most).tolist()))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda count, _: count_label(count)))


def loss_axis(ax: Axes, low: float, high: float, *, most: int = 9) -> None:
    """Make the y axis one of losses on a log scale, ticked in plain numbers."""
    ax.set_yscale("log")
    ax.set_ylim(low, high)
    ax.yaxis.set_major_locator(FixedLocator(nice_numbers(low, high, most=most).tolist()))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda loss, _: f"{loss:.4g}"))


def check_picture_file(path: str | os.PathLike[str], *, page: bool = False) -> Path:
    """Return the path of a picture if its ending is one that can be written.

    Parameters
    ----------
    path
        The path.
    page
        Whether the picture is a page, as plotly writes them.

    Returns
    -------
    pathlib.Path
        The path.

    Raises
    ------
    InputError
        If the ending is not png, svg or pdf, or html for a page.
    """
    path, endings = Path(path), (PAGE,) if page else ENDINGS
    if path.suffix.lower() not in endings:
        kinds = [ending.removeprefix(".") for ending in endings]
        problem = f"no picture can be written to {str(path)!r}, whose ending is {path.suffix or 'missing'!r}"
        raise InputError(
            problem, f"a file that ends in {', '.join(endings)}", nearest(path.suffix.removeprefix("."), kinds)
        )
    return path


def is_picture(path: Path) -> bool:
    """Say whether a file is a picture of one of the kinds that are written here."""
    with path.open("rb") as stream:
        start = stream.read(1024)
    return start.startswith((b"\x89PNG\r\n\x1a\n", b"%PDF-")) or b"<svg" in start


def is_page(path: Path) -> bool:
    """Say whether a file is a page such as plotly writes."""
    with path.open("rb") as stream:
        return b"<html" in stream.read(1024).lower()


def write_page(figure: Any, path: str | os.PathLike[str]) -> None:
    """Write a figure of plotly as one page that needs no network.

    Parameters
    ----------
    figure
        The figure.
    path
        A path that `check_picture_file` accepts for a page.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    with atomic_file(path, replaceable=is_page) as temporary:
        figure.write_html(temporary, include_plotlyjs=True, div_id="picture")


def write_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure by the ending of the path, whole or not at all; the same figure gives the same bytes.

    Parameters
    ----------
    figure
        The figure.
    path
        A path that `check_picture_file` accepts.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    kind = Path(path).suffix.lower().removeprefix(".")
    with atomic_file(path, replaceable=is_picture) as temporary, house_style():
        if kind == "png":
            _write_png(figure, temporary)
        else:
            # The time of writing would otherwise stand in the file.
            figure.savefig(temporary, format=kind, metadata={"Date" if kind == "svg" else "CreationDate": None})


def _write_png(figure: Figure, path: Path) -> None:
    """Write 256 colours, which show no difference in pictures like ours, in a third of the bytes."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    with Image.open(buffer) as drawn:
        small = drawn.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        ground = drawn.convert("RGB").getpixel((0, 0))
    colours = small.getpalette() or []
    corner = 3 * int(np.asarray(small)[0, 0])
    # The nearest of few colours to the ground need not be the ground's.
    colours[corner : corner + 3] = list(ground) if isinstance(ground, tuple) else [255, 255, 255]
    small.putpalette(colours)
    small.save(path, format="png", optimize=True, dpi=(DPI, DPI))
