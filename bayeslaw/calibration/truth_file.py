"""A stated truth as it is given on a command line: a YAML file, or pairs of name and value."""

from pathlib import Path
from typing import Any

from bayeslaw.errors import InputError
from bayeslaw.inputs.foreign_files import read_regular
from bayeslaw.inputs.foreign_yaml import LARGEST, parse_yaml

ACCEPTED = "a YAML file of values by parameter, or pairs such as floor=1.5,amplitude=0.8,exponent=0.3,noise_scale=0.02"


def truth_from_text(text: str) -> dict[str, Any]:
    """Read a stated truth.

    Parameters
    ----------
    text
        The path of a YAML file with a value, or a mapping of values by group, for each parameter; or pairs
        ``name=value`` with commas between.

    Returns
    -------
    dict
        Values by name, as `bayeslaw.truth_coverage` takes them.

    Raises
    ------
    InputError
        If there is neither such a file nor such pairs.
    """
    if "=" in text and not _is_there(text):
        return _pairs(text)
    fix = "check the path, or write pairs"
    try:
        found = parse_yaml(read_regular(Path(text), most=LARGEST).decode("utf-8-sig"))
    except InputError as error:
        raise InputError(f"{text!r}: {error.problem}", error.accepted, error.fix) from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"the truth {text!r} cannot be read: {why}", ACCEPTED, fix) from None
    if not isinstance(found, dict):
        raise InputError(f"the truth in {text!r} is {type(found).__name__}", ACCEPTED, "write one 'name: value' a line")
    return found


def _is_there(text: str) -> bool:
    try:
        return Path(text).exists()
    except OSError:
        # Many pairs are too long for the name of a file.
        return False


def _pairs(text: str) -> dict[str, float]:
    values: dict[str, float] = {}
    for pair in text.split(","):
        name, _, value = (part.strip() for part in pair.partition("="))
        try:
            number = float(value)
        except ValueError:
            raise InputError(f"the truth has {pair.strip()!r}", ACCEPTED, "write name=number") from None
        if name in values:
            raise InputError(f"the truth states {name} twice", "one value a parameter", "leave out one of them")
        values[name] = number
    return values
