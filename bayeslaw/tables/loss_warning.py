"""Something in a loss table that deserves a look, or makes it worthless."""

from dataclasses import dataclass
from typing import Literal


class LossTableWarning(UserWarning):
    """Losses, sizes or rows of a table are likely wrong; `bayeslaw.loss_report` says all that deserves a look."""


@dataclass(frozen=True)
class LossWarning:
    """Something in a loss table that deserves a look.

    Attributes
    ----------
    code
        A short name that stays the same between versions.
    message
        What was seen, and what to do about it.
    severity
        ``"error"`` where losses, sizes or rows are likely wrong, so that nothing should be made of the table before it
        is corrected; ``"note"`` for what is to be known when results are read.
    """

    code: str
    message: str
    severity: Literal["error", "note"] = "note"

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def listed(names: list[str]) -> str:
    """List the first eight of some names, and say how many more there are."""
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
