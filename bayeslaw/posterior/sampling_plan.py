"""How long chains adapt, towards which acceptance, and which of their draws are kept, where a user says so."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class SamplingPlan:
    """What a user asks of a sampler beside the number of chains and draws.

    Parameters
    ----------
    warmup
        Draws that each chain adapts on in the first attempt; that of the sampler where None.
    target_acceptance
        Target acceptance probability of the first attempt, inside (0, 1); that of the sampler where None.
    thin
        Of so many successive draws one is kept.
    """

    warmup: int | None = None
    target_acceptance: float | None = None
    thin: int = 1

    def attempts(self, usual: Sequence[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
        """Say how each attempt adapts.

        Parameters
        ----------
        usual
            Draws of adaptation and target acceptance probability of each attempt where nothing is asked.

        Returns
        -------
        tuple
            The first as asked; later ones, which are made where chains disagree, adapt no shorter and with no larger
            steps than was asked.
        """
        first, *later = usual
        warmup = first[0] if self.warmup is None else self.warmup
        target = first[1] if self.target_acceptance is None else self.target_acceptance
        return ((warmup, target), *((max(warmup, longer), max(target, nearer)) for longer, nearer in later))


USUAL_PLAN = SamplingPlan()
"""For a fit of which nothing is asked."""
