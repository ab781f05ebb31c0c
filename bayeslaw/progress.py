"""How far work is: a bar in a terminal or a notebook, a line now and then in a log, and what was done in the log."""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from typing import Any

from bayeslaw.inputs.foreign_text import printable

PATIENCE_SECONDS = 2.0
"""Work of less shows no bar."""
SECONDS_BETWEEN_LINES = 30.0
DONE = logging.getLogger("bayeslaw")
"""Is told what was done: at INFO where that took more than `PATIENCE_SECONDS`, else at DEBUG."""
UNDER_WAY = logging.getLogger("bayeslaw.progress")
"""Is told every `SECONDS_BETWEEN_LINES` how far work is that has no bar, at INFO."""

Advance = Callable[[int], None]


@contextmanager
def progress_bar(what: str, total: int | None, *, shown: bool | None, unit: str | None = None) -> Iterator[Advance]:
    """Show how much of a piece of work is done.

    Parameters
    ----------
    what
        The work, in a word or two.
    total
        Number of steps; None where that is not known, so that only time is told.
    shown
        Whether to show a bar where there is a terminal or a notebook to show it in; None for notebooks only. Where
        there is none, `UNDER_WAY` is told in lines, which go nowhere unless a handler asks for them.
    unit
        What the steps are, to show how many are done per second; nothing by default.

    Yields
    ------
    Callable
        Takes the number of steps just done; may be called from several threads.
    """
    what, begun = printable(what), time.monotonic()
    with _bar_for(shown)(what, total, unit) as advance:
        yield advance
    say_done(what, time.monotonic() - begun)


def say_done(what: str, seconds: float) -> None:
    """Tell the log that a piece of work is done, and how long it took."""
    DONE.log(logging.INFO if seconds > PATIENCE_SECONDS else logging.DEBUG, "%s: done in %.1f s", what, seconds)


def in_notebook() -> bool:
    """Say whether this runs in a notebook: in a kernel of IPython."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return hasattr(shell, "kernel")


def _bar_for(shown: bool | None) -> Callable[[str, int | None, str | None], AbstractContextManager[Advance]]:
    if shown is not False and in_notebook():
        return _notebook_bar
    return _terminal_bar if shown and sys.stderr.isatty() else _lines


@contextmanager
def _terminal_bar(what: str, total: int | None, unit: str | None) -> Iterator[Advance]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Any) -> Text:
            return Text("" if task.speed is None else f"{task.speed:,.0f} {unit} per second")

    columns = [TextColumn("{task.description}"), BarColumn()]
    if total is None:
        columns += [TimeElapsedColumn()]
    else:
        columns += [TextColumn("{task.percentage:>3.0f} %")]
        columns += [Speed()] if unit is not None else []
        columns += [TimeRemainingColumn(), TextColumn("left")]
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task, lock, over = bar.add_task(escape(what), total=total), threading.Lock(), threading.Event()

    def start() -> None:
        with lock:
            if not over.is_set():
                bar.start()

    # A clock starts it, not a step: one that takes minutes would show nothing.
    clock = threading.Timer(PATIENCE_SECONDS, start)
    clock.daemon = True
    clock.start()
    try:
        yield lambda done: bar.advance(task, done)
    finally:
        with lock:
            over.set()
        clock.cancel()
        bar.stop()


@contextmanager
def _notebook_bar(what: str, total: int | None, unit: str | None) -> Iterator[Advance]:
    """One bar, which goes when the work is done; of text where there are no widgets."""
    if find_spec("ipywidgets") is not None:
        from tqdm.notebook import tqdm
    else:
        from tqdm.std import tqdm

    lock = threading.Lock()
    with tqdm(total=total, desc=what, unit=f" {unit or 'steps'}", delay=PATIENCE_SECONDS, leave=False) as bar:

        def advance(done: int) -> None:
            with lock:
                bar.update(done)

        yield advance


@contextmanager
def _lines(what: str, total: int | None, unit: str | None) -> Iterator[Advance]:
    """A line now and then to `UNDER_WAY`, if anyone listens there."""
    if not UNDER_WAY.isEnabledFor(logging.INFO):
        yield lambda done: None
        return
    begun, made, lock, over = time.monotonic(), [0], threading.Lock(), threading.Event()

    def advance(done: int) -> None:
        with lock:
            made[0] += done

    def tell() -> None:
        while not over.wait(SECONDS_BETWEEN_LINES):
            UNDER_WAY.info("%s", line(what, made[0], total, time.monotonic() - begun))

    thread = threading.Thread(target=tell, name="bayeslaw progress", daemon=True)
    thread.start()
    try:
        yield advance
    finally:
        over.set()
        thread.join()


def line(what: str, made: int, total: int | None, seconds: float) -> str:
    """Say in a line how far work is.

    Parameters
    ----------
    what
        The work.
    made, total
        Steps made, and their number or None.
    seconds
        How long it has been going on.

    Returns
    -------
    str
        The share done, and how long the rest takes at the same pace where anything is done.
    """
    if total is None or total <= 0:
        return f"{what}: at work for {seconds:.0f} s"
    share = min(made / total, 1.0)
    left = f", some {seconds * (1 - share) / share:.0f} s left" if 0 < share < 1 else ""
    return f"{what}: {100 * share:.0f} % after {seconds:.0f} s{left}"
