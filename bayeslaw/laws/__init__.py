"""The laws: one a file, and the list by which files and the command line name them."""

from collections.abc import Mapping
from typing import Any

from bayeslaw.errors import InputError, check_choice
from bayeslaw.laws.base import Law, Parameter
from bayeslaw.laws.chinchilla import ChinchillaLaw
from bayeslaw.laws.collaboration import CollaborationLaw
from bayeslaw.laws.diversity import DiversityLaw
from bayeslaw.laws.factor import FactorLaw
from bayeslaw.laws.power import PowerLaw

__all__ = [
    "LAWS",
    "ChinchillaLaw",
    "CollaborationLaw",
    "DiversityLaw",
    "FactorLaw",
    "Law",
    "Parameter",
    "PowerLaw",
    "law_from_specification",
]

LAWS: dict[str, type[Law]] = {law.name: law for law in (PowerLaw, ChinchillaLaw, CollaborationLaw, DiversityLaw)}


LAW_NAMES = (*LAWS, FactorLaw.name)
"""Names of all laws: those of rows in `LAWS`, and the generative one."""


def law_from_specification(specification: Mapping[str, Any]) -> Law | FactorLaw:
    """Build a law from plain values, as they stand in a YAML file or a saved fit.

    Parameters
    ----------
    specification
        ``law`` (one of `LAW_NAMES`), and optionally ``priors`` by site name and ``pooling``; for the factor law
        ``link`` in place of pooling, for the diversity law also ``diversity``.

    Returns
    -------
    Law
        The law.

    Raises
    ------
    InputError
        If the law, a prior or a pooling is not known.
    """
    name = check_choice("law", str(specification.get("law")), LAW_NAMES)
    if name == FactorLaw.name:
        if specification.get("pooling") is not None:
            raise InputError(
                "the factor law was given pooling", "priors and link", "leave out pooling: its spreads are priors"
            )
        return FactorLaw.from_priors(specification.get("priors") or {}, specification.get("link"))
    return LAWS[name].from_specification(specification)
