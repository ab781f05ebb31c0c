from .check import Finding, check, claims
from .combine import attainability, combine
from .compare import compare
from .errors import InputError
from .fit import Fit, fit
from .simulate import simulate_chinchilla, simulate_losses, simulate_pools
from .truth import ChinchillaTruth, PowerTruth, Truth
