"""A progress bar on standard error, for work of more than two seconds and terminals only."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bayeslaw.inputs.foreign_text import printable

PATIENCE_SECONDS = 2.0


@contextmanager
def progress_bar(what: str, total: int, *, shown: bool, unit: str | None = None) -> Iterator[Callable[[int], None]]:
    """Show how much of a piece of work is done.

    Parameters
    ----------
    what
        The work, in a word or two.
    total
        Number of steps.
    shown
        Whether to show anything; nothing is ever shown where standard error is no terminal.
    unit
        What the steps are, to show how many are done per second; nothing by default.

    Yields
    ------
    Callable
        Takes the number of steps just done; may be called from several threads.
    """
    if not shown or not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Any) -> Text:
            return Text("" if task.speed is None else f"{task.speed:,.0f} {unit} per second")

    columns = [TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %")]
    columns += [Speed()] if unit is not None else []
    columns += [TimeRemainingColumn(), TextColumn("left")]
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task, lock, begun = bar.add_task(escape(printable(what)), total=total), threading.Lock(), time.monotonic()

    def advance(done: int) -> None:
        with lock:
            bar.advance(task, done)
            if not bar.live.is_started and time.monotonic() - begun > PATIENCE_SECONDS:
                bar.start()

    try:
        yield advance
    finally:
        bar.stop()
