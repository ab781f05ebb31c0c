"""What the joint law takes from a loss table: mean losses, qualities, and the moments of the latent losses."""

from dataclasses import dataclass
from functools import cached_property

import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from jax import Array
from jax.typing import ArrayLike

from bayeslaw.errors import InputError
from bayeslaw.joint.latent_losses import LatentLosses
from bayeslaw.joint.links import Link, choose_link, suited_link, two_values
from bayeslaw.losses.loss_text import loss_text
from bayeslaw.losses.metrics import WRONG
from bayeslaw.losses.parameter_counts import parameter_counts
from bayeslaw.losses.statistics import clustered_standard_error, loss_unit, sample_weights
from bayeslaw.losses.weighted_means import cluster_codes, loss_scale
from bayeslaw.pools.pool_members import check_table

FEWEST_MODELS = 3
FEWEST_SAMPLES = 30
SAME = 1e-9
"""Relative difference up to which losses are the same."""
MOST_SAMPLES = 20_000
NO_SPREAD = 1e-9


@dataclass(frozen=True)
class JointTable:
    """Losses of models on samples, as the joint law sees them.

    Parameters
    ----------
    losses
        Loss per unit of weight in the reported unit, float64, [sample, lm].
    weights
        Weight of each sample, [sample]; the loss of a model is the weighted mean.
    clusters
        Number of each sample's cluster, [sample], from 0 without gaps.
    mean
        Loss of each model over all samples of the table, [lm].
    parameters
        Number of parameters of each model, [lm].
    names, families
        Name and family of each model, [lm].
    link
        The link.
    unit
        Unit of the losses.
    scale
        Factor from nats per unit of weight to the reported unit.
    design_effect
        How much larger the sampling variance of mean losses is than that of independent samples, 1 or more.
    """

    losses: np.ndarray
    weights: np.ndarray
    clusters: np.ndarray
    mean: np.ndarray
    parameters: np.ndarray
    names: np.ndarray
    families: np.ndarray
    link: Link
    unit: str
    scale: float
    design_effect: float

    @cached_property
    def answer_unit(self) -> str:
        """The unit, or that of wrong answers where all losses are 0 or 1, whatever the table calls them."""
        return self.unit if two_values(self.losses) is None else WRONG

    @property
    def votes(self) -> bool:
        """Whether all losses are one of two values, as of answers that are right or wrong."""
        return two_values(self.losses) is not None

    @cached_property
    def family_names(self) -> list[str]:
        """Names of the families, in alphabetical order."""
        return sorted({str(name) for name in self.families})

    @cached_property
    def family(self) -> np.ndarray:
        """Number of each model's family, [lm]."""
        return np.array([self.family_names.index(str(name)) for name in self.families])

    @cached_property
    def reference(self) -> float:
        """Geometric mean of the numbers of parameters: the ``N0`` of the law."""
        return float(np.exp(np.log(self.parameters).mean()))

    @cached_property
    def log_size(self) -> np.ndarray:
        """Natural log of parameters relative to the reference, [lm]."""
        return np.log(self.parameters / self.reference)

    @cached_property
    def quality_scale(self) -> tuple[float, float]:
        """Mean and standard deviation of the log losses of the models."""
        logs = np.log(self.mean)
        return float(logs.mean()), max(float(logs.std()), NO_SPREAD)

    @cached_property
    def quality(self) -> np.ndarray:
        """Quality of the models of the table, [lm]."""
        centre, scale = self.quality_scale
        return (np.log(self.mean) - centre) / scale

    def quality_of(self, loss: ArrayLike) -> Array:
        """Standardise log mean losses, as distances between models are measured; any shape."""
        centre, scale = self.quality_scale
        return (jnp.log(loss) - centre) / scale

    @cached_property
    def latents(self) -> LatentLosses:
        """Latent losses of the models on the samples."""
        return self.link.latent_losses(self.losses)

    @cached_property
    def latent_mean(self) -> np.ndarray:
        """Mean of the latent losses of each model, [lm]."""
        return self.latents.mean

    @cached_property
    def latent_deviation(self) -> np.ndarray:
        """Standard deviation of the latent losses of each model, [lm]."""
        return self.latents.deviation

    @cached_property
    def standardised(self) -> np.ndarray:
        """Latent losses of mean zero and variance one in each model, or what is expected of them, [sample, lm]."""
        return self.latents.standardised

    @cached_property
    def correlation(self) -> np.ndarray:
        """Correlations of the latent losses, positive definite, [lm, lm]."""
        return self.latents.correlation

    @cached_property
    def nll(self) -> np.ndarray:
        """Losses of whole samples in nats, [lm, sample]."""
        return np.ascontiguousarray((self.losses * (self.weights / self.scale)[:, None]).T)

    @property
    def effective_samples(self) -> float:
        """Number of independent samples, of latent losses that are seen, that the table is worth."""
        return len(self.losses) * self.latents.worth / self.design_effect


def joint_table(losses: xr.Dataset, *, link: str | None, parameters: str, seed: int = 0) -> JointTable:
    """Prepare a loss table for the joint law.

    Parameters
    ----------
    losses
        A loss table with losses on samples.
    link
        Name of a link, or None to let the data choose; see `bayeslaw.joint.links.choose_link`.
    parameters
        Which count of parameters.
    seed
        Seed of the samples kept where there are more than 20,000: mean losses are of all samples, the dependence
        between models and the losses of new ones of those kept.

    Returns
    -------
    JointTable
        The table.

    Raises
    ------
    InputError
        If the table is of whole models, has fewer than 3 models or 30 samples, losses that are negative or not finite,
        all models of one size, or models without parameter counts, or if the losses do not suit the link: scores of 0
        and 1 have the link probit, other losses do not.
    """
    losses = check_joint_table(losses, parameters)
    counts, samples = parameter_counts(losses, parameters), losses.sizes["sample"]
    nll, weights, clusters = losses["nll"].to_numpy(), sample_weights(losses), cluster_codes(losses)
    scale = loss_scale(losses)
    mean = scale * nll.sum(axis=0) / weights.sum()
    kept = np.arange(samples)
    if samples > MOST_SAMPLES:
        kept = np.sort(np.random.default_rng(seed).choice(samples, MOST_SAMPLES, replace=False))
    per_weight = scale * nll[kept] / weights[kept, None]
    return JointTable(
        losses=per_weight,
        weights=weights[kept],
        clusters=pd.factorize(clusters[kept])[0],
        mean=mean,
        parameters=counts,
        names=losses["lm"].to_numpy().astype(str),
        families=losses["family"].to_numpy().astype(str),
        link=suited_link(link, per_weight),
        unit=loss_unit(losses),
        scale=scale,
        design_effect=_design_effect(nll, weights, clusters),
    )


def check_joint_table(losses: xr.Dataset, parameters: str) -> xr.Dataset:
    """Refuse tables that the joint law cannot be fitted to.

    Parameters
    ----------
    losses, parameters
        As in `joint_table`.

    Returns
    -------
    xarray.Dataset
        The table.

    Raises
    ------
    InputError
        As `joint_table`.
    """
    losses = check_table(losses)
    counts = parameter_counts(losses, parameters)
    models, samples = losses.sizes["lm"], losses.sizes["sample"]
    if models < FEWEST_MODELS or len(np.unique(counts)) < 2:
        raise InputError(
            f"the table has {models} models of {len(np.unique(counts))} sizes",
            f"{FEWEST_MODELS} models or more, of two sizes or more",
            "score more models: a curve over sizes cannot be seen from fewer",
        )
    if samples < FEWEST_SAMPLES:
        raise InputError(
            f"the table has {samples} samples",
            f"{FEWEST_SAMPLES} or more: how models depend on each other is seen from samples",
            "score more texts, or read them by a finer unit",
        )
    scores = two_values(losses["nll"].to_numpy())
    if scores:
        _check_answers(losses)
    mean = losses["nll"].to_numpy().mean(axis=0)
    if (mean <= 0).any():
        raise InputError(
            f"the mean loss of {losses['lm'].to_numpy()[mean.argmin()]} is {loss_text(mean.min())} nats",
            "positive mean losses",
            "check the table",
        )
    _check_varies(losses, mean)
    if "bytes" in losses and scores:
        raise InputError(
            "the losses take two values, and the samples have bytes: scores of answers are not losses per byte",
            "scores without bytes",
            "read the table without the column bytes, so that every answer counts once",
        )
    if scores:
        choose_link(losses["nll"].to_numpy())
    return losses


def _check_answers(losses: xr.Dataset) -> None:
    """Refuse scores of which a model has one alone: how right it is on others is then not known."""
    nll = losses["nll"].to_numpy()
    same = np.ptp(nll, axis=0) == 0
    if same.any():
        name, score = losses["lm"].to_numpy()[same.argmax()], nll[0, same.argmax()]
        raise InputError(
            f"{name} has the score {score:.4g} on every sample",
            "scores of which every model has both: a latent value that is never past its threshold has no mean",
            f"leave out {name}, or add samples on which it does otherwise",
        )


def _check_varies(losses: xr.Dataset, mean: np.ndarray) -> None:
    """Refuse losses that show no dependence, since they are the same on all samples, or no curve over sizes."""
    constant = losses["nll"].to_numpy().std(axis=0) <= SAME * mean
    if constant.any():
        raise InputError(
            f"{losses['lm'].to_numpy()[constant.argmax()]} has the same loss on every sample",
            "losses that differ between samples: how models depend on each other is seen from them",
            "check the table; mean losses go into a table of whole models: model, family, parameters, loss",
        )
    if np.ptp(mean) <= SAME * mean.max():
        raise InputError(
            f"all models have the mean loss {loss_text(mean[0])} nats",
            "models whose mean losses differ: the law is of how they fall with size",
            "check the table: the scores of one model may have been given for all",
        )


def _design_effect(nll: np.ndarray, weights: np.ndarray, clusters: np.ndarray) -> float:
    if len(np.unique(clusters)) in (1, len(clusters)):
        return 1.0
    column = nll.mean(axis=1)
    clustered, independent = (
        float(clustered_standard_error(column, weights, codes)) for codes in (clusters, np.arange(len(column)))
    )
    return max(1.0, (clustered / independent) ** 2)
