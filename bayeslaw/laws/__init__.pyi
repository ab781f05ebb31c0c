from .base import Law
from .broken_power import BrokenPowerLaw
from .chinchilla import ChinchillaLaw
from .collaboration import CollaborationLaw
from .diversity import DiversityLaw
from .parameter import Parameter
from .power import PowerLaw
from .protocol import AnyLaw
from .registry import LAWS, law_from_specification, register_law

__all__ = [
    "LAWS",
    "AnyLaw",
    "BrokenPowerLaw",
    "ChinchillaLaw",
    "CollaborationLaw",
    "DiversityLaw",
    "Law",
    "Parameter",
    "PowerLaw",
    "law_from_specification",
    "register_law",
]
