"""How far work is: a bar in a terminal or a notebook, a line now and then in a log, and what was done in the log."""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Protocol

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
        Whether to show a bar where there is a terminal or a notebook to show it in; None for notebooks, and for
        terminals within `bars_in_terminals`. Where there is none, `UNDER_WAY` is told in lines, which go nowhere unless
        a handler asks for them. Of works within works the innermost one is shown or told.
    unit
        What the steps are, to show how many are done per second; nothing by default.

    Yields
    ------
    Callable
        Takes the number of steps just done; may be called from several threads.
    """
    work = _Work(printable(what), total, unit)
    clock = _clock_of(work, shown)
    _at_work.append(work)
    if clock is not None:
        clock.start()
    try:
        yield work.advance
    finally:
        _at_work.remove(work)
        work.end()
        if clock is not None:
            clock.join()
    say_done(work.what, work.seconds)


def say_done(what: str, seconds: float) -> None:
    """Tell the log that a piece of work is done, and how long it took."""
    DONE.log(logging.INFO if seconds > PATIENCE_SECONDS else logging.DEBUG, "%s: done in %.1f s", what, seconds)


def in_notebook() -> bool:
    """Say whether this runs in a notebook: in a kernel of IPython."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return hasattr(shell, "kernel")


class Bar(Protocol):
    """A bar that is seen."""

    def advance(self, done: int) -> None:
        """Move it on by some steps."""
        ...

    def close(self) -> None:
        """Take it away."""
        ...


class _Work:
    """A piece of work: how far it is, and its bar once it has one."""

    def __init__(self, what: str, total: int | None, unit: str | None) -> None:
        self.what, self.total, self.unit = what, total, unit
        self.over, self.made, self._begun = threading.Event(), 0, time.monotonic()
        self._lock = threading.Lock()
        self._bar: Bar | None = None

    @property
    def seconds(self) -> float:
        """How long it has been going on."""
        return time.monotonic() - self._begun

    @property
    def innermost(self) -> bool:
        """Whether no other work goes on within it."""
        return bool(_at_work) and _at_work[-1] is self

    def advance(self, done: int) -> None:
        """Say that some steps are done."""
        with self._lock:
            self.made += done
            if self._bar is not None:
                self._bar.advance(done)

    def show(self, make: Callable[["_Work"], Bar]) -> None:
        """Show a bar from now on, and none of the works that this is within, unless the work is over."""
        for other in [each for each in _at_work if each is not self]:
            other.hide()
        with self._lock:
            if not self.over.is_set() and self._bar is None:
                self._bar = make(self)

    def hide(self) -> None:
        """Take the bar away."""
        with self._lock:
            if self._bar is not None:
                self._bar.close()
                self._bar = None

    def end(self) -> None:
        """Take the bar away for good."""
        self.over.set()
        self.hide()


_at_work: list[_Work] = []
"""Works that go on, each within the one before."""
_asked: list[Callable[[], bool]] = []
"""By whom bars are asked for that nobody else says anything of."""


@contextmanager
def bars_in_terminals(wanted: Callable[[], bool]) -> Iterator[None]:
    """Show bars in a terminal, too, of work that is not told whether to show one, as commands do.

    Parameters
    ----------
    wanted
        Whether to, asked when work begins.
    """
    _asked.append(wanted)
    try:
        yield
    finally:
        _asked.remove(wanted)


def _clock_of(work: _Work, shown: bool | None) -> threading.Thread | None:
    """Return what shows or tells a work as time goes by: no step may come for minutes."""
    if shown is not False and in_notebook():
        target, given = _show_late, (work, _NotebookBar)
    elif (shown or (shown is None and any(wanted() for wanted in _asked))) and sys.stderr.isatty():
        target, given = _show_late, (work, _TerminalBar)
    elif UNDER_WAY.isEnabledFor(logging.INFO):
        target, given = _tell, (work,)
    else:
        return None
    return threading.Thread(target=target, args=given, name="bayeslaw progress", daemon=True)


def _show_late(work: _Work, make: Callable[[_Work], Bar]) -> None:
    while not work.over.wait(PATIENCE_SECONDS):
        if work.innermost:
            work.show(make)


def _tell(work: _Work) -> None:
    while not work.over.wait(SECONDS_BETWEEN_LINES):
        if work.innermost:
            UNDER_WAY.info("%s", line(work.what, work.made, work.total, work.seconds))


class _TerminalBar:
    """A bar of rich on standard error."""

    def __init__(self, work: _Work) -> None:
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn
        from rich.progress import TimeRemainingColumn as TimeLeft
        from rich.text import Text

        class Speed(ProgressColumn):
            def render(self, task: Any) -> Text:
                return Text("" if task.speed is None else f"{task.speed:,.0f} {work.unit} per second")

        columns: list[ProgressColumn] = [TextColumn("{task.description}"), BarColumn()]
        if work.total is None:
            columns += [TimeElapsedColumn()]
        else:
            columns += [TextColumn("{task.percentage:>3.0f} %")]
            columns += [Speed()] if work.unit is not None else []
            columns += [TimeLeft(), TextColumn("left")]
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(escape(work.what), total=work.total, completed=work.made)
        self._bar.start()

    def advance(self, done: int) -> None:
        """Move it on by some steps."""
        self._bar.advance(self._task, done)

    def close(self) -> None:
        """Take it away."""
        self._bar.stop()


class _NotebookBar:
    """A bar of tqdm in a notebook, which goes when the work is done; of text where there are no widgets."""

    def __init__(self, work: _Work) -> None:
        if find_spec("ipywidgets") is not None:
            from tqdm.notebook import tqdm
        else:
            from tqdm.std import tqdm
        self._bar = tqdm(
            total=work.total,
            initial=work.made,
            desc=work.what,
            unit=f" {work.unit or 'steps'}",
            bar_format="{desc}: at work for {elapsed}" if work.total is None else None,
            leave=False,
        )

    def advance(self, done: int) -> None:
        """Move it on by some steps."""
        self._bar.update(done)

    def close(self) -> None:
        """Take it away."""
        self._bar.close()


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
