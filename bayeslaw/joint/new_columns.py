"""Losses of models not seen on the samples seen, given the losses of the models that were."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bayeslaw.joint.curve import Models
from bayeslaw.joint.curve_at_draws import CurveAtDraws
from bayeslaw.joint.dependence_at_draws import DependenceAtDraws, symmetric_root
from bayeslaw.joint.joint_model import JointModel
from bayeslaw.joint.sample_scales import SampleScales
from bayeslaw.joint.shifted_losses import with_means


@dataclass(frozen=True)
class NewColumns:
    """Simulates the losses of new models on the samples seen.

    Parameters
    ----------
    model
        The joint law with its table: the models seen.
    scales
        The samples' scales.
    log_size, family
        Log size relative to the reference and number of the family of each new model, [new]; families that were not
        seen are numbered on from those that were.
    own_part
        Whether new models have a part of their own in their mean loss, or follow the curve of their family.
    """

    model: JointModel
    scales: SampleScales
    log_size: np.ndarray
    family: np.ndarray
    own_part: bool = True

    @cached_property
    def new_families(self) -> int:
        """Number of families not seen."""
        return max(int(self.family.max()) + 1 - len(self.model.groups), 0)

    def draw_means(self, values: Mapping[str, np.ndarray], generator: np.random.Generator) -> np.ndarray:
        """Draw mean losses of the new models in the reported unit, [draw, new], at draws of every site."""
        curve = CurveAtDraws(self.model.curve, values)
        noise = curve.draw_noise(len(self.log_size), self.new_families, generator)
        models = Models(self.log_size, self.family)
        return curve.draw(models, noise, own_part=self.own_part)

    def draw(
        self, values: Mapping[str, np.ndarray], generator: np.random.Generator
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Draw losses of the new models.

        Parameters
        ----------
        values
            Draws of every site, each [draw, ...].
        generator
            Source of randomness.

        Yields
        ------
        losses : np.ndarray
            Of each draw: loss per unit of weight in the reported unit, float32, [new, sample].
        means : np.ndarray
            Their means over samples, [new].
        """
        means = self.draw_means(values, generator)
        yield from zip(self.draw_losses(values, means, generator), means, strict=True)

    def draw_losses(
        self, values: Mapping[str, np.ndarray], means: np.ndarray, generator: np.random.Generator
    ) -> Iterator[np.ndarray]:
        """Draw losses of the new models, whose means over samples are given.

        Parameters
        ----------
        values
            Draws of every site, each [draw, ...].
        means
            Mean losses in the reported unit, [draw, new].
        generator
            Source of randomness.

        Yields
        ------
        np.ndarray
            Of each draw: loss per unit of weight in the reported unit, float32, [new, sample].
        """
        dependence = DependenceAtDraws(self.model.dependence, values)
        drawn = self._drawn(dependence, means, generator, smooth=False)
        seen = self.model.table.latents.draws(dependence.seen_correlation, generator)
        for each in zip(seen, means, *drawn, strict=True):
            yield self._losses(*each, generator)

    def draw_replicates(
        self, values: Mapping[str, np.ndarray], means: np.ndarray, replicates: int, generator: np.random.Generator
    ) -> Iterator[np.ndarray]:
        """Draw losses of several models in the place of each, with the same means and the same latents of those seen.

        Parameters
        ----------
        values, means, generator
            As of `draw_losses`. With the same random numbers losses are smooth in means and sizes.
        replicates
            How many models are in the place of each.

        Yields
        ------
        np.ndarray
            Of each draw, [replicate, new, sample].
        """
        dependence = DependenceAtDraws(self.model.dependence, values)
        several = {name: np.repeat(draws, replicates, axis=0) for name, draws in values.items()}
        drawn = self._drawn(
            DependenceAtDraws(self.model.dependence, several),
            np.repeat(means, replicates, axis=0),
            generator,
            smooth=True,
        )
        weights, factor, deviation = (each.reshape(-1, replicates, *each.shape[1:]) for each in drawn)
        seen = self.model.table.latents.draws(dependence.seen_correlation, generator)
        for each in zip(seen, means, weights, factor, deviation, strict=True):
            yield self._losses(*each, generator)

    def _drawn(
        self, dependence: DependenceAtDraws, means: np.ndarray, generator: np.random.Generator, *, smooth: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw what models seen tell of new ones, weights and factor of the rest, and deviations, [draw, new, ...]."""
        centre, scale = self.model.table.quality_scale
        quality = (np.log(means) - centre) / scale
        weights, factor = dependence.conditional(quality, self.family, generator.standard_normal(means.shape))
        weights, factor = dependence.scattered(weights, symmetric_root(factor) if smooth else factor, generator)
        return weights, factor, dependence.draw_deviation(quality, self.family, generator.standard_normal(means.shape))

    def _losses(
        self,
        seen: np.ndarray,
        means: np.ndarray,
        weights: np.ndarray,
        factor: np.ndarray,
        deviation: np.ndarray,
        generator: np.random.Generator,
    ) -> np.ndarray:
        """Draw losses, [..., new, sample]; weights, factor and deviation may have replicates in front."""
        table, single = self.model.table, np.float32
        noise = generator.standard_normal((*deviation.shape, len(table.weights)), dtype=single)
        noise = factor.astype(single) @ noise
        noise *= np.sqrt(self._scales(deviation.shape[:-1], generator)).astype(single)
        # Weights of models much alike are large and of either sign: their sum keeps its digits before it is rounded.
        latent = (weights @ seen.T).astype(single)
        latent += noise
        latent -= latent.mean(axis=-1, keepdims=True)
        latent *= (deviation / latent.std(axis=-1)).astype(single)[..., None]
        wanted = np.broadcast_to(means, deviation.shape).ravel()
        return with_means(table, latent.reshape(len(wanted), -1), wanted).reshape(latent.shape)

    def _scales(self, replicates: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        """Draw variances of the own parts on the samples, the same for all models of a replicate, [..., 1, sample]."""
        finite = self.model.table.link.mean_is_finite
        drawn = [self.scales.draw(generator, finite) for _ in range(int(np.prod(replicates)))]
        return np.reshape(drawn, (*replicates, 1, -1))
