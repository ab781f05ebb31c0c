"""Losses of the models of a table on new samples, as the joint law has them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from bayeslaw.joint.dependence_at_draws import DependenceAtDraws, bartlett_factor
from bayeslaw.joint.joint_model import JointModel
from bayeslaw.joint.normal_at_draws import factor_of
from bayeslaw.joint.sample_scales import SampleScales
from bayeslaw.joint.shifted_losses import with_means


@dataclass(frozen=True)
class ReplicatedLosses:
    """Simulates the losses of all models of a table on as many new samples.

    Parameters
    ----------
    model
        The joint law with its table.
    scales
        The samples' scales.
    means
        Mean loss of each model that a replicate is to have, [lm].
    """

    model: JointModel
    scales: SampleScales
    means: np.ndarray

    def draw(self, values: Mapping[str, np.ndarray], generator: np.random.Generator) -> Iterator[np.ndarray]:
        """Draw a table for each draw of every site.

        Parameters
        ----------
        values
            Draws of every site, each [draw, ...].
        generator
            Source of randomness.

        Yields
        ------
        np.ndarray
            Loss per unit of weight in the reported unit, float32, [lm, sample].
        """
        dependence = DependenceAtDraws(self.model.dependence, values)
        factor = self.common_factor(dependence, generator)
        for own, common in zip(dependence.seen_own_share, factor, strict=True):
            yield self._losses(own, common, generator)

    def common_factor(self, dependence: DependenceAtDraws, generator: np.random.Generator) -> np.ndarray:
        """Draw factors of correlation matrices around that of what models share (Wishart), [draw, lm, lm]."""
        quality, family = self.model.dependence.quality, self.model.dependence.family
        shared = (quality, family, np.zeros_like(dependence.seen_own_share))
        count, freedom = len(quality), dependence.values["structure_freedom"][:, None]
        factor = factor_of(dependence.kernel(shared, shared) + 1e-9 * np.eye(count))
        factor = factor @ bartlett_factor(count + 1 + freedom - np.arange(count), generator)
        return factor / np.sqrt((factor**2).sum(axis=2, keepdims=True))

    def _losses(self, own: np.ndarray, common: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        table, single = self.model.table, np.float32
        shape = (len(own), len(table.weights))
        shared, alone = table.latent_deviation * np.sqrt(1 - own), table.latent_deviation * np.sqrt(own)
        noise = generator.standard_normal(shape, dtype=single)
        noise *= np.sqrt(self.scales.draw_new(generator, table.link.mean_is_finite)).astype(single)
        noise *= alone[:, None].astype(single)
        common_noise = generator.standard_normal(shape, dtype=single)
        noise += (shared[:, None] * common).astype(single) @ common_noise
        return with_means(table, noise, self.means)
