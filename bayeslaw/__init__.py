"""Bayesian scaling laws of pools of language models."""

import logging
from typing import Any

import lazy_loader

# Nothing is printed unless whoever imports this asks for it.
logging.getLogger(__name__).addHandler(logging.NullHandler())
_find, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
_FORMER_NAMES = {"FactorLaw": "JointLaw"}
# What the command line calls it shadows a name of Python where a module defines it.
_OTHER_NAMES = {"next": "next_scores"}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version(__name__)
    if name in _FORMER_NAMES:
        from bayeslaw.inputs.former_names import say_former

        say_former(f"bayeslaw.{name}", f"bayeslaw.{_FORMER_NAMES[name]}", stacklevel=3)
    return _find(_FORMER_NAMES.get(name, _OTHER_NAMES.get(name, name)))
