"""Progress: a bar in terminals and notebooks, lines in logs, and nothing at all unless it is asked for."""

import io
import logging
import subprocess
import sys
import threading
import time
import types

import pytest
import typer
from typer.testing import CliRunner

from bayeslaw import progress
from bayeslaw.commands.common import Group, add
from bayeslaw.inputs.arguments import accepts, as_given
from bayeslaw.progress import DONE, UNDER_WAY, bars_in_terminals, line, progress_bar


class Terminal(io.StringIO):
    """A standard error that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 0.02)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.02)


@pytest.fixture
def terminal(monkeypatch, impatient):
    monkeypatch.setenv("TERM", "xterm-256color")

    def begin() -> Terminal:
        # Between the fixtures and the test pytest puts a standard error of its own.
        stream = Terminal()
        monkeypatch.setattr(sys, "stderr", stream)
        return stream

    return begin


class Listener(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record):
        self.lines.append(record.getMessage())


@pytest.fixture
def listen():
    """Return a function that listens to a logger from then on."""
    heard: list[tuple[logging.Logger, logging.Handler, int]] = []

    def to(logger, level):
        listener = Listener()
        heard.append((logger, listener, logger.level))
        logger.addHandler(listener)
        logger.setLevel(level)
        return listener.lines

    yield to
    for logger, listener, level in heard:
        logger.removeHandler(listener)
        logger.setLevel(level)


def until(happened, seconds=5.0):
    """Wait for something that a clock brings."""
    end = time.monotonic() + seconds
    while not happened() and time.monotonic() < end:
        time.sleep(0.01)
    return happened()


def test_a_terminal_has_a_bar_that_a_clock_starts(terminal):
    screen = terminal()
    with progress_bar("sampling", 10, shown=True) as advance:
        advance(5)
        # No further step comes.
        assert until(lambda: "sampling" in screen.getvalue() and "50 %" in screen.getvalue())
    assert threading.active_count() < 20


def test_work_of_unknown_length_has_a_bar_too(terminal):
    screen = terminal()
    with progress_bar("finding the mode", None, shown=True):
        assert until(lambda: "finding the mode" in screen.getvalue())


def test_quick_work_and_what_is_not_to_be_shown_have_none(terminal, monkeypatch):
    screen = terminal()
    with progress_bar("hidden", 10, shown=False), progress_bar("unasked", 10, shown=None):
        time.sleep(0.1)
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 60.0)
    with progress_bar("quick", 1, shown=True) as advance:
        advance(1)
    assert screen.getvalue() == ""


def test_of_works_within_works_one_is_shown_at_a_time(terminal):
    screen = terminal()
    with progress_bar("outer work", None, shown=True):
        assert until(lambda: "outer work" in screen.getvalue())
        with progress_bar("inner work", 4, shown=True):
            assert until(lambda: "inner work" in screen.getvalue())
            assert until(lambda: [work._bar is not None for work in progress._at_work] == [False, True])
        assert until(lambda: progress._at_work[0]._bar is not None)
    assert progress._at_work == []


def test_what_a_name_of_work_holds_cannot_steer_the_terminal(terminal):
    screen = terminal()
    with progress_bar("a\x1b]0;title\x07 [red]b", 10, shown=True):
        assert until(lambda: "[red]b" in screen.getvalue())
    assert "\x1b]0;" not in screen.getvalue()


def test_a_log_has_a_line_now_and_then_if_anyone_listens(impatient, listen):
    lines = listen(UNDER_WAY, logging.INFO)
    with progress_bar("sampling", 10, shown=True) as advance:
        advance(4)
        assert until(lambda: any("40 %" in each for each in lines))
    seen = len(lines)
    time.sleep(0.1)
    assert len(lines) == seen
    assert all(each.startswith("sampling: 40 % after") for each in lines if "40 %" in each)


def test_the_innermost_work_tells(impatient, listen):
    lines = listen(UNDER_WAY, logging.INFO)
    with progress_bar("outer", None, shown=None), progress_bar("inner", None, shown=False):
        assert until(lambda: len(lines) > 3)
        assert {each.split(":")[0] for each in lines} == {"inner"}


@pytest.mark.parametrize(
    ("made", "total", "says"),
    [
        (0, 10, "work: 0 % after 30 s"),
        (5, 10, "work: 50 % after 30 s, some 30 s left"),
        (3, 4, "work: 75 % after 30 s, some 10 s left"),
        (12, 10, "work: 100 % after 30 s"),
        (5, None, "work: at work for 30 s"),
        (0, 0, "work: at work for 30 s"),
    ],
)
def test_a_line_says_how_far_work_is(made, total, says):
    assert line("work", made, total, 30.2) == says


def test_what_was_done_is_logged(listen, monkeypatch):
    lines = listen(DONE, logging.DEBUG)
    with progress_bar("quick", 1, shown=False):
        pass
    DONE.setLevel(logging.INFO)
    with progress_bar("too quick to be told", 1, shown=False):
        pass
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 0.0)
    with progress_bar("slow", 1, shown=False):
        pass
    assert [each.split(":")[0] for each in lines] == ["quick", "slow"]


def test_public_functions_tell_what_was_done_once(listen):
    @accepts()
    def inner() -> int:
        return 1

    @accepts(number=as_given)
    def outer(number: int) -> int:
        return number + inner()

    lines = listen(DONE, logging.DEBUG)
    assert outer(1) == 2
    assert [each.split(":")[0].rpartition(".")[2] for each in lines] == ["outer"]


def test_work_that_fails_is_not_done(listen):
    lines = listen(DONE, logging.DEBUG)
    with pytest.raises(ZeroDivisionError), progress_bar("failing", 1, shown=False):
        _ = 1 / 0
    assert lines == []
    assert progress._at_work == []


class Kernel:
    """An IPython shell of a notebook."""

    kernel = object()


def in_notebook(monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: Kernel()))


@pytest.mark.parametrize("shown", [None, True])
def test_a_notebook_has_one_bar_of_its_own(monkeypatch, impatient, shown):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    in_notebook(monkeypatch)
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    with progress_bar("sampling", 10, shown=shown) as advance:
        advance(3)
        assert until(lambda: "sampling" in stream.getvalue() and "3/10" in stream.getvalue())
    with progress_bar("hidden", 10, shown=False):
        time.sleep(0.1)
    assert "hidden" not in stream.getvalue()


def test_no_shell_and_a_shell_in_a_terminal_are_no_notebook(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not progress.in_notebook()
    for shell in (None, object()):
        monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda shell=shell: shell))
        assert not progress.in_notebook()
    in_notebook(monkeypatch)
    assert progress.in_notebook()


def test_commands_ask_for_bars_of_what_says_nothing(terminal):
    screen = terminal()
    quiet = [False]
    with bars_in_terminals(lambda: not quiet[0]):
        with progress_bar("choose", None, shown=None):
            assert until(lambda: "choose" in screen.getvalue())
        quiet[0] = True
        with progress_bar("silent", None, shown=None):
            time.sleep(0.1)
    assert "silent" not in screen.getvalue()


@pytest.mark.parametrize(("options", "told"), [((), True), (("--quiet",), False)])
def test_commands_say_in_a_log_how_far_they_are(impatient, options, told):
    app = typer.Typer(cls=Group)

    @app.callback()
    def main(ctx: typer.Context, quiet: bool = False) -> None:
        ctx.obj = {"quiet": quiet}

    def work() -> None:
        """Work."""
        with progress_bar("long work", 4, shown=True) as advance:
            advance(1)
            time.sleep(0.3)

    add(app, work, example="work")
    done = CliRunner().invoke(app, ["work", *options])
    assert done.exit_code == 0
    assert ("long work: 25 % after" in done.stderr) is told
    assert done.stdout == ""
    assert UNDER_WAY.level == logging.NOTSET


def test_nothing_is_printed_unless_it_is_asked_for():
    code = (
        "import logging, bayeslaw; from bayeslaw import progress\n"
        "progress.PATIENCE_SECONDS = progress.SECONDS_BETWEEN_LINES = 0.0\n"
        "with progress.progress_bar('work', 4, shown=True) as advance: advance(2)\n"
        "logging.getLogger('bayeslaw.fitting').warning('told')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
    asked = subprocess.run(
        [sys.executable, "-c", f"import logging; logging.basicConfig(level='INFO')\n{code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "INFO:bayeslaw:work: done in" in asked.stderr
    assert "WARNING:bayeslaw.fitting:told" in asked.stderr
