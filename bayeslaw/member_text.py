"""Members of pools as people type them: ``70e9:llama``."""

import numpy as np

from bayeslaw.errors import InputError

EXAMPLE = "70e9:llama,7e9:mistral"


def read_member(text: str) -> tuple[float, str]:
    """Read a member.

    Parameters
    ----------
    text
        ``"parameters:family"``, such as ``"70e9:llama"``.

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
    elif not is_number(count):
        problem = f"has {count!r} where a number of parameters belongs"
    elif not (np.isfinite(float(count)) and float(count) > 0):
        problem = f"has {count} parameters, which is not a positive number"
    if problem:
        raise InputError(
            f"the member {text.strip()!r} cannot be read: it {problem}",
            "parameters:family",
            f'write it like "{EXAMPLE}"',
        )
    return float(count), family


def is_number(text: str) -> bool:
    """Say whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
