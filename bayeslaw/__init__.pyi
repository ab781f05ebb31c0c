from .check import Finding, check, claims
from .combine import attainability, combine
from .compare import compare
from .errors import InputError
from .fit import Fit, fit
