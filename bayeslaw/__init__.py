"""Bayesian scaling laws of pools of language models."""

import sys
from types import ModuleType
from typing import Any

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


class _Package(ModuleType):
    """Keeps public functions in reach where a submodule has the same name, such as ``fit``."""

    def __setattr__(self, name: str, value: Any) -> None:
        # Importing a submodule sets it on the package; the function of that name would be hidden by it.
        if not (isinstance(value, ModuleType) and name in __all__):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
