"""That ``import inference`` finds the package that comes with this one, not another of that name."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import bayeslaw
from bayeslaw.errors import InputError

NAME = "inference"
# Stands in the first lines of our package and of no other.
MARK = "Scores of texts under Hugging Face checkpoints, in JAX with Flax decoders"


def require_scoring_package() -> None:
    """Check that the package `inference` that Python would import is the one that comes with `bayeslaw`.

    Nothing of it is run. Another distribution on PyPI installs a top-level package of that name, which may lie before
    ours on the path or, where both are installed in one environment, take the place of some of our files.

    Raises
    ------
    InputError
        If there is no such package, or it is another one.
    """
    accepted = f"the package {NAME!r} that comes with bayeslaw"
    ours = Path(bayeslaw.__file__).parents[1] / NAME / "__init__.py"
    found = _found()
    if found is None:
        raise InputError(f"Python finds no package {NAME!r}", f"{accepted}, {ours}", "install bayeslaw again, whole")
    if found.resolve() != ours.resolve():
        problem = f"`import {NAME}` finds {str(found)!r}{_installed_by()}"
        fix = "remove that folder from Python's path, or install bayeslaw in an environment of its own"
        raise InputError(problem, f"{accepted}, {ours}", fix)
    if MARK not in ours.read_text(encoding="utf-8", errors="replace"):
        problem = f"{str(ours)!r} is of another package{_installed_by()}"
        fix = f"uninstall that package and install bayeslaw again: two packages {NAME!r} cannot share an environment"
        raise InputError(problem, accepted, fix)


def _found() -> Path | None:
    """Return the file that ``import inference`` would run, or the folder of a package without one."""
    if (loaded := sys.modules.get(NAME)) is not None and loaded.__file__:
        return Path(loaded.__file__)
    spec = find_spec(NAME)
    if spec is None:
        return None
    return Path(spec.origin or next(iter(spec.submodule_search_locations or [NAME])))


def _installed_by() -> str:
    # Asked for only where something is wrong.
    from importlib.metadata import packages_distributions

    others = sorted(set(packages_distributions().get(NAME, ())) - {"bayeslaw"})
    return f", which the distribution {', '.join(map(repr, others))} installed" if others else ""
