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
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from PIL import Image

from bayeslaw.errors import InputError, nearest
from bayeslaw.losses.sizes import count_label
from bayeslaw.storage import atomic_file

ENDINGS = (".png", ".svg", ".pdf")
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
    with matplotlib.rc_context({name: value for name, value in ours.items() if _is_usual(name)} | FORCED):
        yield


def _is_usual(name: str) -> bool:
    return rcParams[name] == rcParamsDefault[name]


def usual_width() -> float:
    """Width of a new picture in inches: that of the caller's settings, where they say one."""
    return WIDTH if _is_usual("figure.figsize") else float(rcParams["figure.figsize"][0])


def group_styles() -> tuple[GroupStyle, ...]:
    """Styles in the order of the groups, in the colours of the caller's style where it has some."""
    if _is_usual("axes.prop_cycle"):
        return GROUP_STYLES
    colours = rcParams["axes.prop_cycle"].by_key().get("color", [style.colour for style in GROUP_STYLES])
    return tuple(
        GroupStyle(to_hex(colours[place % len(colours)]), style.dashes, style.marker)
        for place, style in enumerate(GROUP_STYLES)
    )


@dataclass(frozen=True)
class Palette:
    """Colours of a picture that are no group's, mixed of the letters' colour and the ground's.

    Parameters
    ----------
    ink, ground
        Colour of letters, and of the axes.
    muted, faint, context, shade
        From dark to light: smaller words, lines that guide, rows of other groups, what lies beyond the data.
    line, other
        Colours of what the picture is about, and of what it is set against.
    """

    ink: str
    ground: str
    muted: str
    faint: str
    context: str
    shade: str
    line: str
    other: str


def palette() -> Palette:
    """Return the colours of the settings at work."""
    ink, ground = np.array(to_rgb(rcParams["text.color"])), np.array(to_rgb(rcParams["axes.facecolor"]))
    mixed = [to_hex(share * ink + (1 - share) * ground) for share in (1.0, 0.0, 0.78, 0.52, 0.24, 0.055)]
    line, other = (style.colour for style in group_styles()[:2])
    return Palette(*mixed, line, other)


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


def spread_labels(positions: np.ndarray, *, gap: float, low: float, high: float) -> np.ndarray:
    """Move labels apart as little as needed.

    Parameters
    ----------
    positions
        Where labels would stand, shape ``[label]``.
    gap
        Smallest distance between two.
    low, high
        Range to stay in, where it is wide enough.

    Returns
    -------
    np.ndarray
        Positions at least `gap` apart, in the same order, shape ``[label]``.
    """
    order = np.argsort(positions, kind="stable")
    offsets = gap * np.arange(len(positions))
    # Least squares under an order is the mean over pooled blocks: shift by the offsets, pool, shift back.
    blocks: list[list[float]] = []
    for value in positions[order] - offsets:
        blocks.append([float(value)])
        while len(blocks) > 1 and np.mean(blocks[-2]) > np.mean(blocks[-1]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    pooled = np.concatenate([np.full(len(block), np.mean(block)) for block in blocks])
    pooled = np.clip(pooled, low, max(low, high - offsets[-1]))
    result = np.empty(len(positions))
    result[order] = pooled + offsets
    return result


def check_picture_file(path: str | os.PathLike[str]) -> Path:
    """Return the path of a picture if its ending is one that can be written.

    Raises
    ------
    InputError
        If the ending is not png, svg or pdf.
    """
    path = Path(path)
    if path.suffix.lower() not in ENDINGS:
        kinds = [ending.removeprefix(".") for ending in ENDINGS]
        problem = f"no picture can be written to {str(path)!r}, whose ending is {path.suffix or 'missing'!r}"
        raise InputError(
            problem, f"a file that ends in {', '.join(ENDINGS)}", nearest(path.suffix.removeprefix("."), kinds)
        )
    return path


def is_picture(path: Path) -> bool:
    """Say whether a file is a picture of one of the kinds that are written here."""
    with path.open("rb") as stream:
        start = stream.read(1024)
    return start.startswith((b"\x89PNG\r\n\x1a\n", b"%PDF-")) or b"<svg" in start


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
