"""What transformers would tell users of its own accord, kept off standard error."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

ADVICE = "TRANSFORMERS_NO_ADVISORY_WARNINGS"
# One model is loaded while another is scored: each would restore what the other has set.
_ALONE = threading.RLock()


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep advice about PyTorch, class names and model lengths, none of which matters here, off standard error.

    Yields
    ------
    None
        Import transformers within: that it finds no PyTorch, which is not needed, it says when it is first imported.
    """
    with _ALONE:
        before = os.environ.get(ADVICE)
        os.environ[ADVICE] = "1"
        try:
            from transformers.utils import logging

            level = logging.get_verbosity()
            logging.set_verbosity_error()
            try:
                yield
            finally:
                logging.set_verbosity(level)
        finally:
            if before is None:
                del os.environ[ADVICE]
            else:
                os.environ[ADVICE] = before
