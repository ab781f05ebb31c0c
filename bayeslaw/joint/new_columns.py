"""Losses of models not seen on the samples seen, given the losses of the models that were."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bayeslaw.joint.curve import Models
from bayeslaw.joint.curve_at_draws import CurveAtDraws
from bayeslaw.joint.dependence_at_draws import DependenceAtDraws
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
        dependence = DependenceAtDraws(self.model.dependence, values)
        means = self.draw_means(values, generator)
        centre, scale = self.model.table.quality_scale
        quality = (np.log(means) - centre) / scale
        expected = dependence.conditional(quality, self.family, generator.standard_normal(means.shape))
        weights, factor = dependence.scattered(*expected, generator)
        deviation = dependence.draw_deviation(quality, self.family, generator.standard_normal(means.shape))
        seen = self.model.table.latents.draws(dependence.seen_correlation, generator)
        for each in zip(seen, means, weights, factor, deviation, strict=True):
            yield self._losses(*each, generator), each[1]

    def _losses(
        self,
        seen: np.ndarray,
        means: np.ndarray,
        weights: np.ndarray,
        factor: np.ndarray,
        deviation: np.ndarray,
        generator: np.random.Generator,
    ) -> np.ndarray:
        table, single = self.model.table, np.float32
        noise = generator.standard_normal((len(means), len(table.weights)), dtype=single)
        noise = factor.astype(single) @ noise
        noise *= np.sqrt(self.scales.draw(generator, table.link.mean_is_finite)).astype(single)
        # Weights of models much alike are large and of either sign: their sum keeps its digits before it is rounded.
        latent = (weights @ seen.T).astype(single)
        latent += noise
        latent -= latent.mean(axis=1, keepdims=True)
        latent *= (deviation / latent.std(axis=1)).astype(single)[:, None]
        return with_means(table, latent, means)
