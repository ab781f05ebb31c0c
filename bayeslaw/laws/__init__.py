"""The laws: one a file, and the list by which files and the command line name them."""

from collections.abc import Mapping
from typing import Any

from bayeslaw.errors import check_choice
from bayeslaw.laws.base import Law, Parameter
from bayeslaw.laws.chinchilla import ChinchillaLaw
from bayeslaw.laws.collaboration import CollaborationLaw
from bayeslaw.laws.power import PowerLaw

__all__ = ["LAWS", "ChinchillaLaw", "CollaborationLaw", "Law", "Parameter", "PowerLaw", "law_from_specification"]

LAWS: dict[str, type[Law]] = {law.name: law for law in (PowerLaw, ChinchillaLaw, CollaborationLaw)}


def law_from_specification(specification: Mapping[str, Any]) -> Law:
    """Build a law from plain values, as they stand in a YAML file or a saved fit.

    Parameters
    ----------
    specification
        ``law`` (a key of `LAWS`), and optionally ``priors`` by site name and ``pooling``.

    Returns
    -------
    Law
        The law.

    Raises
    ------
    InputError
        If the law, a prior or a pooling is not known.
    """
    law = LAWS[check_choice("law", str(specification.get("law")), LAWS)]
    pooling = specification.get("pooling")
    default = law.__dataclass_fields__["pooling"].default
    if pooling is None:
        pooling = default
    return law.from_priors(specification.get("priors") or {}, pooling)
