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
    try:
        parameters = float(count)
    except ValueError:
        parameters = float("nan")
    if not (np.isfinite(parameters) and parameters > 0 and family):
        raise InputError(
            f"the member {text.strip()!r} cannot be read", "parameters:family", f'write it like "{EXAMPLE}"'
        )
    return parameters, family
