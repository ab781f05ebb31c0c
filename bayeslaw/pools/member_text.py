"""Members of pools as people type them: ``70e9:llama``."""

import re

import numpy as np

from bayeslaw.errors import InputError
from bayeslaw.losses.sizes import is_size, read_size

EXAMPLE = "70e9:llama,7e9:mistral"
BETWEEN = re.compile(r"(?<!\d),|,(?!\d{3}(?:,\d{3})*:)")


def read_member(text: str) -> tuple[float, str]:
    """Read a member.

    Parameters
    ----------
    text
        ``"parameters:family"``, such as ``"70e9:llama"`` or ``"70B:llama"``.

    Returns
    -------
    parameters : float
        Number of parameters.
    family : str
        Family.

    Raises
    ------
    InputError
        If the text is not of that form.
    """
    count, _, family = (piece.strip() for piece in text.partition(":"))
    problem = None
    if not family:
        problem = "has no family"
    elif not is_size(count):
        problem = f"has {count!r} where a number of parameters belongs"
    elif not 1 <= read_size("members", count) < np.inf:
        problem = f"has {count} parameters, which is not a positive number of at least 1"
    if problem:
        raise InputError(
            f"the member {text.strip()!r} cannot be read: it {problem}",
            "parameters:family",
            f'write it like "{EXAMPLE}"',
        )
    return read_size("members", count), family


def split_members(text: str) -> list[str]:
    """Take the members of a pool apart, at commas that do not stand within a number such as ``70,000,000``."""
    return BETWEEN.split(text)
