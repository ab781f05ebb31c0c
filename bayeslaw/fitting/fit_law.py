"""The law of a fit that is read: known here, and with the names that its parameters have today."""

import json
from collections.abc import Mapping
from typing import Any

import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.fitting.fit_file import MEMBERS
from bayeslaw.laws.protocol import AnyLaw
from bayeslaw.laws.registry import ENTRY_POINTS, LAWS

CLASS = "law_class"
"""Attribute of a fit: module and name of the class of its law, to be told where that is not registered."""
SUFFIXES = ("", "_population", "_spread", "_1e9")
"""What follows the name of a parameter in the names of variables."""


def class_of(law: AnyLaw) -> dict[str, str]:
    """Return the attribute that names the class of a law."""
    return {CLASS: f"{type(law).__module__}:{type(law).__qualname__}"}


def with_current_names(tree: xr.DataTree, path: str) -> xr.DataTree:
    """Look up the law of a fit, and give variables the names that its parameters have today.

    Parameters
    ----------
    tree
        The tree of a fit as a file holds it.
    path
        The file, for the message.

    Returns
    -------
    xarray.DataTree
        The tree, as it is where nothing in it has a former name or its law cannot be read.

    Raises
    ------
    InputError
        If the law is not registered, and no installed package brings it.
    """
    try:
        held = json.loads(tree.attrs["law"])
        name = held["law"]
    except (KeyError, TypeError, ValueError):
        return tree
    if not isinstance(name, str):
        return tree
    # What installed packages bring is asked for last: that takes a search.
    if name not in LAWS and name not in LAWS.former_names and name not in LAWS.names():
        raise _not_registered(tree, path, name)
    law = LAWS.find(name)
    former = law.former_names
    renamed = {}
    for group, node in tree.children.items():
        if group == MEMBERS:
            renamed[group] = with_current_names(node, path)
        elif names := _names(former, node.dataset):
            renamed[group] = xr.DataTree(node.to_dataset().rename(names))
    result = tree.assign(renamed) if renamed else tree
    attrs = {key: _current_keys(former, value) for key, value in held.items()} | {"law": law.name}
    if attrs != held:
        result.attrs = {**tree.attrs, "law": json.dumps(attrs)}
    return result


def _names(former: Mapping[str, str], dataset: xr.Dataset) -> dict[str, str]:
    """Map the variables that have a former name to that of today."""
    every = {before + suffix: today + suffix for before, today in former.items() for suffix in SUFFIXES}
    return {name: every[name] for name in map(str, dataset.data_vars) if name in every}


def _current_keys(former: Mapping[str, str], value: Any) -> Any:
    """Give what a specification says by parameter, priors and pooling, the names of today."""
    if not isinstance(value, dict):
        return value
    every = {before + suffix: today + suffix for before, today in former.items() for suffix in SUFFIXES}
    return {every.get(key, key): entry for key, entry in value.items()}


def _not_registered(tree: xr.DataTree, path: str, name: Any) -> InputError:
    module, _, own = str(tree.attrs.get(CLASS, "")).partition(":")
    whose = f", the class {own} of the module {module}" if own else ""
    before = f"before the fit is read, import {module or 'the module'} that registers it by bayeslaw.register_law"
    return InputError(
        f"{path!r} is a fit of the law {name!r}{whose}, which is not registered here",
        f"a law that is registered ({', '.join(LAWS)}), or one that an installed package brings",
        f"{before}; on the command line install a package with an entry point of that name in the group {ENTRY_POINTS}",
    )
