from .calibration.calibrations import Calibration, calibrate
from .calibration.coverage_at_truth import TruthCoverage, truth_coverage
from .comparison.comparisons import Comparison, compare
from .comparison.k_folds import k_fold
from .comparison.left_out import LeftOut, leave_out
from .comparison.stacking import Stack, stack
from .datasets.load import list_datasets, load_dataset
from .decision.choice_rows import Choice, Choices, FrontPool
from .decision.choices import choose
from .decision.crossovers import Crossovers, when
from .decision.score_values import NextScores, next_scores
from .diagnosis.checks import check
from .diagnosis.claim_probabilities import claims
from .diagnosis.predictive_check import pool_check
from .diagnosis.prior_checks import ExpectedLoss, PriorCheck, prior_check
from .diagnosis.sampling_diagnostics import Diagnostics, diagnostics
from .errors import InputError
from .findings import Finding, LossTableWarning
from .fitting.fit_reading import load_fit
from .fitting.fits import Fit, fit
from .fitting.numpyro_models import numpyro_model
from .fitting.point_fit import maximum_likelihood
from .fitting.prior_simulation import prior_predictive
from .fitting.recommendation import Recommendation, recommend
from .joint.law import JointLaw
from .laws import (
    BrokenPowerLaw,
    ChinchillaLaw,
    CollaborationLaw,
    DiversityLaw,
    Law,
    PowerLaw,
    register_law,
)
from .laws.quantile_priors import between
from .laws.results import Claim
from .likelihood.noise import Noise
from .losses.folders import write_losses
from .losses.frames import losses_from_frames
from .losses.model_frames import models_from_frame
from .losses.readers import read_losses
from .losses.statistics import clustered_standard_error, loss_unit, mean_losses, sample_weights, win_shares
from .losses.table_report import LossReport, loss_report
from .losses.token_losses import read_token_losses
from .plotting.attainability_plot import plot_attainability, save_attainability
from .plotting.claims_plot import plot_claims
from .plotting.co_failure_plot import plot_co_failure
from .plotting.diversity_plot import plot_diversity
from .plotting.forest_plot import plot_forest
from .plotting.law_plot import plot_law
from .plotting.matched_plot import plot_matched
from .plotting.pareto_plot import plot_pareto, save_pareto
from .plotting.pictures import plot_posterior, save_plot
from .plotting.pool_size_plot import plot_pool_sizes
from .plotting.predicted_plot import plot_predicted
from .plotting.predictive_plot import plot_predictive
from .plotting.prior_predictive_plot import plot_prior_predictive, save_prior_predictive
from .plotting.rank_plot import plot_ranks
from .plotting.when_plot import plot_when
from .pools.advantages import Advantage, advantage
from .pools.attainabilities import Attainabilities, attainability
from .pools.attained_gains import Attainability
from .pools.co_failures import co_failure
from .pools.combinations import combine
from .pools.costed_cascades import cascade_costs
from .pools.pool_losses import make_pools, pools_of, read_pools, write_pools
from .prediction.predictions import predict, predict_draws
from .reporting.reports import report
from .reporting.summaries import ParameterSummary, Summary, summary
from .simulation.simulated_pools import simulate_pools
from .simulation.tables import simulate_chinchilla, simulate_losses
from .simulation.truth import ChinchillaTruth, PowerTruth, Truth
from .sources import CompletionsServer, ServedTexts, losses_from_completions, losses_from_harness

__version__: str

__all__ = [
    "Advantage",
    "Attainabilities",
    "Attainability",
    "BrokenPowerLaw",
    "Calibration",
    "ChinchillaLaw",
    "ChinchillaTruth",
    "Choice",
    "Choices",
    "Claim",
    "CollaborationLaw",
    "Comparison",
    "CompletionsServer",
    "Crossovers",
    "Diagnostics",
    "DiversityLaw",
    "ExpectedLoss",
    "Finding",
    "Fit",
    "FrontPool",
    "InputError",
    "JointLaw",
    "Law",
    "LeftOut",
    "LossReport",
    "LossTableWarning",
    "NextScores",
    "Noise",
    "ParameterSummary",
    "PowerLaw",
    "PowerTruth",
    "PriorCheck",
    "Recommendation",
    "ServedTexts",
    "Stack",
    "Summary",
    "Truth",
    "TruthCoverage",
    "advantage",
    "attainability",
    "between",
    "calibrate",
    "cascade_costs",
    "check",
    "choose",
    "claims",
    "clustered_standard_error",
    "co_failure",
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
    "next_scores",
    "numpyro_model",
    "plot_attainability",
    "plot_claims",
    "plot_co_failure",
    "plot_diversity",
    "plot_forest",
    "plot_law",
    "plot_matched",
    "plot_pareto",
    "plot_pool_sizes",
    "plot_posterior",
    "plot_predicted",
    "plot_predictive",
    "plot_prior_predictive",
    "plot_ranks",
    "plot_when",
    "pool_check",
    "pools_of",
    "predict",
    "predict_draws",
    "prior_check",
    "prior_predictive",
    "read_losses",
    "read_pools",
    "read_token_losses",
    "recommend",
    "register_law",
    "report",
    "sample_weights",
    "save_attainability",
    "save_pareto",
    "save_plot",
    "save_prior_predictive",
    "simulate_chinchilla",
    "simulate_losses",
    "simulate_pools",
    "stack",
    "summary",
    "truth_coverage",
    "when",
    "win_shares",
    "write_losses",
    "write_pools",
]
