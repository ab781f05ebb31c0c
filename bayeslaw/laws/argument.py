"""Laws as arguments: a law, or its name."""

from typing import Any

from bayeslaw.errors import InputError
from bayeslaw.inputs.arguments import shown
from bayeslaw.laws.protocol import AnyLaw
from bayeslaw.laws.registry import HOW, LAWS, law_from_specification

FIX = 'write law="power", or law=bayeslaw.PowerLaw()'
CALIBRATED = ("name", "unit", "identity", "targets", "simulate", "fit")
"""What `bayeslaw.laws.calibrated.Calibrated` asks for."""


def a_law(name: str, value: Any) -> AnyLaw:
    """Accept a law, or the name of one, which then has default priors."""
    if isinstance(value, str):
        return law_from_specification({"law": value})
    if LAWS.holds(value):
        return value
    accepted = f"a law, or one of the names {', '.join(LAWS.names())}"
    if isinstance(value, type) and value in LAWS.values():
        raise InputError(f"{name} is {shown(value)}", accepted, f"write {value.__name__}()")
    if hasattr(type(value), "from_specification"):
        raise InputError(f"{name} is {shown(value)}, which is not registered", "a law that is registered", HOW)
    raise InputError(f"{name} is {shown(value)}", accepted, FIX)


def a_calibrated_law(name: str, value: Any) -> Any:
    """Accept a law, its name, or what else can draw tables from itself and fit them."""
    if not isinstance(value, str | type) and all(hasattr(value, each) for each in CALIBRATED):
        return value
    return a_law(name, value)
