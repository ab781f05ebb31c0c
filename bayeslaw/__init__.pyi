from .combine import Attainability, attainability, combine
from .compare import Comparison, compare
from .errors import InputError
from .diagnose import Claim, Diagnostics, Finding, check, claims, diagnostics
from .fit import Fit, fit, load_fit, maximum_likelihood
from .laws import ChinchillaLaw, CollaborationLaw, PowerLaw
from .noise import Noise
from .predict import predict, predict_draws
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
from .plots import plot_claims, plot_law, save_plot
from .pools import make_pools, read_pools, write_pools
