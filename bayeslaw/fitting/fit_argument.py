"""Fits as arguments: a fit, or the path of its file."""

import os
from collections.abc import Mapping
from typing import Any

from bayeslaw.errors import InputError
from bayeslaw.fitting.fit_file import FIT_FORMAT
from bayeslaw.fitting.fit_reading import load_fit
from bayeslaw.fitting.fits import Fit
from bayeslaw.inputs.arguments import a_path, paths, shown

ACCEPTED = "a fit that bayeslaw.fit made, or the path of its file"


def a_fit(name: str, value: Any) -> Fit:
    """Accept a fit, or the path of one, which is then read."""
    if isinstance(value, str | os.PathLike):
        return load_fit(a_path(name, value))
    # What stands in for a fit has its rows.
    if not isinstance(value, Fit) and hasattr(value, "observations"):
        return value
    if not isinstance(value, Fit) or value.tree.attrs.get("format") != FIT_FORMAT:
        held = "no fit of bayeslaw" if isinstance(value, Fit) else shown(value)
        raise InputError(f"{name} is {held}", ACCEPTED, f"write {name}=bayeslaw.fit(...), or {name}='f.nc'")
    return value


def fits_by_name(name: str, value: Any) -> dict[str, Fit]:
    """Accept fits, or paths of fits, by name; or a list of paths, which then are the names."""
    if not isinstance(value, Mapping):
        if not isinstance(value, list | tuple) or not all(isinstance(each, str | os.PathLike) for each in value):
            accepted = "a mapping from names to fits, or a list of paths of fits"
            raise InputError(f"{name} is {shown(value)}", accepted, f'write {name}={{"power": one, "joint": other}}')
        named = [str(path) for path in paths(name, value)]
        if len(set(named)) < len(named):
            raise InputError(f"{name} names a fit twice", "different fits", "name each fit once")
        value = dict(zip(named, named, strict=True))
    for key in value:
        if not isinstance(key, str):
            raise InputError(f"a fit is called {shown(key)}", "text as name of each fit", "name it by text")
    return {key: a_fit(f"{name}[{key!r}]", each) for key, each in value.items()}
