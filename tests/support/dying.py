"""A process that dies while a fit is kept."""

import threading

from bayeslaw.posterior.kept_draws import Checkpoint


class Killed(BaseException):
    """Stands for the end of a process."""


def die_after(monkeypatch, files: int) -> None:
    """Let the process die when so many files have been kept."""
    write, left, lock = Checkpoint._write, [files], threading.Lock()

    def dying(self, name, content):
        with lock:
            left[0] -= 1
            if left[0] < 0:
                raise Killed
        return write(self, name, content)

    monkeypatch.setattr(Checkpoint, "_write", dying)
