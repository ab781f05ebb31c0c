"""What every setting of a decoder is held to."""

import math
from dataclasses import fields
from typing import Any

from bayeslaw.errors import InputError


def refuse_setting(name: str, value: object, accepted: str) -> InputError:
    """Return the error that says a setting cannot be."""
    return InputError(f"{name} is {value!r}", accepted, "correct config.json, or use another checkpoint")


def check_finite(settings: Any) -> None:
    """Raise InputError if a field of a dataclass is, or holds, a number that is not finite."""
    for field in fields(settings):
        value = getattr(settings, field.name)
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, float) and not math.isfinite(number):
                raise refuse_setting(field.name.replace("_", " "), value, "finite numbers")
