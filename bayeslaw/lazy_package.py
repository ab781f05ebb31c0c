"""Packages whose public names load when they are used."""

import sys
from types import ModuleType
from typing import Any


class LazyPackage(ModuleType):
    """Keeps public functions in reach where a submodule has the same name, such as ``fit``."""

    def __setattr__(self, name: str, value: Any) -> None:
        # Importing a submodule sets it on the package; the function of that name would be hidden by it.
        if not (isinstance(value, ModuleType) and name in self.__all__):
            super().__setattr__(name, value)


def keep_functions(package: str) -> None:
    """Make a package keep its public functions when submodules of their names are imported.

    Parameters
    ----------
    package
        Name of the package, which is being imported.
    """
    sys.modules[package].__class__ = LazyPackage
