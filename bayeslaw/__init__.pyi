from .advantage import Advantage, advantage
from .calibrate import Calibration, calibrate
from .claims import Claim, claims
from .combine import Attainability, attainability, combine
from .compare import Comparison, compare
from .criticism.k_fold import k_fold
from .criticism.leave_out import LeftOut, leave_out
from .criticism.stacking import Stack, stack
from .datasets.load import list_datasets, load_dataset
from .diagnose import check
from .diagnosis.sampling import Diagnostics, diagnostics
from .errors import InputError
from .findings import Finding, LossTableWarning
from .fit import Fit, fit, load_fit
from .laws import (
    BrokenPowerLaw,
    ChinchillaLaw,
    CollaborationLaw,
    DiversityLaw,
    FactorLaw,
    Law,
    PowerLaw,
    register_law,
)
from .losses import clustered_standard_error, loss_unit, mean_losses, sample_weights, win_shares
from .noise import Noise
from .numpyro_models import numpyro_model
from .plots import plot_claims, plot_law, save_plot
from .point_fit import maximum_likelihood
from .pools import make_pools, pools_of, read_pools, write_pools
from .predict import predict, predict_draws
from .predictive_check import pool_check
from .recommend import Recommendation, recommend
from .simulate import simulate_chinchilla, simulate_losses
from .simulated_pools import simulate_pools
from .sources import CompletionsServer, ServedTexts, losses_from_completions, losses_from_harness
from .tables.folders import write_losses
from .tables.frames import losses_from_frames
from .tables.loss_report import LossReport, loss_report
from .tables.model_frames import models_from_frame
from .tables.readers import read_losses
from .tables.token_losses import read_token_losses
from .truth import ChinchillaTruth, PowerTruth, Truth

__all__ = [
    "Advantage",
    "Attainability",
    "BrokenPowerLaw",
    "Calibration",
    "ChinchillaLaw",
    "ChinchillaTruth",
    "Claim",
    "CollaborationLaw",
    "Comparison",
    "CompletionsServer",
    "Diagnostics",
    "DiversityLaw",
    "FactorLaw",
    "Finding",
    "Fit",
    "InputError",
    "Law",
    "LeftOut",
    "LossReport",
    "LossTableWarning",
    "Noise",
    "PowerLaw",
    "PowerTruth",
    "Recommendation",
    "ServedTexts",
    "Stack",
    "Truth",
    "advantage",
    "attainability",
    "calibrate",
    "check",
    "claims",
    "clustered_standard_error",
    "combine",
    "compare",
    "diagnostics",
    "fit",
    "k_fold",
    "leave_out",
    "list_datasets",
    "load_dataset",
    "load_fit",
    "loss_report",
    "loss_unit",
    "losses_from_completions",
    "losses_from_frames",
    "losses_from_harness",
    "make_pools",
    "maximum_likelihood",
    "mean_losses",
    "models_from_frame",
    "numpyro_model",
    "plot_claims",
    "plot_law",
    "pool_check",
    "pools_of",
    "predict",
    "predict_draws",
    "read_losses",
    "read_pools",
    "read_token_losses",
    "recommend",
    "register_law",
    "sample_weights",
    "save_plot",
    "simulate_chinchilla",
    "simulate_losses",
    "simulate_pools",
    "stack",
    "win_shares",
    "write_losses",
    "write_pools",
]
