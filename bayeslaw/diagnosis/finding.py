"""One thing to know about a fit."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing to know about a fit.

    Parameters
    ----------
    code
        Stable name, such as ``"rhat"``.
    severity
        ``"error"``: do not use the fit; ``"warning"``: use it with care; ``"info"``: good to know.
    message
        What was found and what it means.
    remedy
        What to do about it.
    """

    code: str
    severity: str
    message: str
    remedy: str
