"""Laws as arguments: a law, or its name."""

from typing import Any

from bayeslaw.arguments import shown
from bayeslaw.errors import InputError
from bayeslaw.laws import LAW_NAMES, FactorLaw, Law, law_from_specification

ACCEPTED = f"a law, or one of the names {', '.join(LAW_NAMES)}"
FIX = 'write law="power", or law=bayeslaw.PowerLaw()'
CALIBRATED = ("name", "unit", "identity", "targets", "simulate", "fit")
"""What `bayeslaw.calibration.protocol.Calibrated` asks for."""


def a_law(name: str, value: Any) -> Law | FactorLaw:
    """Accept a law, or the name of one, which then has default priors."""
    if isinstance(value, str):
        return law_from_specification({"law": value})
    if not isinstance(value, Law | FactorLaw):
        fix = f"write {value.__name__}()" if isinstance(value, type) and issubclass(value, Law | FactorLaw) else FIX
        raise InputError(f"{name} is {shown(value)}", ACCEPTED, fix)
    return value


def a_law_of_rows(name: str, value: Any) -> Law:
    """Accept a law other than the factor law, which is not one of rows."""
    law = a_law(name, value)
    if isinstance(law, FactorLaw):
        raise InputError(f"{name} is the factor law", "a law of rows", "use another law, such as power")
    return law


def a_calibrated_law(name: str, value: Any) -> Any:
    """Accept a law, its name, or what else can draw tables from itself and fit them."""
    if not isinstance(value, str | type) and all(hasattr(value, each) for each in CALIBRATED):
        return value
    return a_law(name, value)
