from .check import Finding, check, claims
from .combine import Attainability, attainability, combine
from .compare import compare
from .errors import InputError
from .fit import Fit, fit
from .simulate import simulate_chinchilla, simulate_losses, simulate_pools
from .truth import ChinchillaTruth, PowerTruth, Truth
from .frames import losses_from_frames
from .loss_report import LossReport, loss_report
from .losses import (
    clustered_standard_error,
    loss_unit,
    mean_losses,
    sample_weights,
    win_shares,
)
from .model_frames import models_from_frame
from .readers import read_losses, write_losses
from .pools import make_pools, read_pools, write_pools
