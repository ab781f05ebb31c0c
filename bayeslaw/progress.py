"""A progress bar on standard error, for work of more than two seconds and terminals only."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE_SECONDS = 2.0


@contextmanager
def progress_bar(what: str, total: int, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """Show how much of a piece of work is done.

    Parameters
    ----------
    what
        The work, in a word or two.
    total
        Number of steps.
    shown
        Whether to show anything; nothing is ever shown where standard error is no terminal.

    Yields
    ------
    Callable
        Takes the number of steps just done; may be called from several threads.
    """
    if not shown or not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task, lock, begun = bar.add_task(what, total=total), threading.Lock(), time.monotonic()

    def advance(done: int) -> None:
        with lock:
            bar.advance(task, done)
            if not bar.live.is_started and time.monotonic() - begun > PATIENCE_SECONDS:
                bar.start()

    try:
        yield advance
    finally:
        bar.stop()
