"""The parameters of a law, and how their groups differ."""

from dataclasses import dataclass

from bayeslaw.laws.priors import Prior, log_normal

POOLING = ("partial", "complete", "separate")
FLOOR = "floor"
"""The loss at infinite budgets, in laws whose loss is a floor plus what vanishes there."""
SPREAD = "_spread"
POPULATION = "_population"


@dataclass(frozen=True)
class Parameter:
    """One parameter of a law with its prior and grouping.

    Parameters
    ----------
    name
        Name in the law's equation.
    pooling
        ``"partial"``: groups vary around a population value, on the log scale where the prior is positive;
        ``"complete"``: one value; ``"separate"``: one value a group with no sharing.
    prior
        Prior of the population value, of the one value, or of each group's.
    spread
        Prior of the standard deviation of the groups around the population, or None where groups do not vary partially.
    """

    name: str
    pooling: str
    prior: Prior
    spread: Prior | None

    @property
    def grouped(self) -> bool:
        """Whether each group has a value of its own."""
        return self.pooling != "complete"

    @property
    def positive(self) -> bool:
        """Whether groups vary on the log scale."""
        return self.prior.support[0] >= 0

    @property
    def support(self) -> tuple[float, float]:
        """Lowest and highest value that it may have."""
        return self.prior.support


def default_spread(prior: Prior | None) -> Prior:
    """Spread of the groups around the population: some 30 % on the log scale, or 0.1 where a parameter may be negative.

    A log-normal keeps away from zero, where centred groups would pinch the sampler, while 95 % of it spans a factor of
    seven.

    Parameters
    ----------
    prior
        Prior of the population value.

    Returns
    -------
    Prior
        A log-normal prior.
    """
    centre = 0.3 if prior is None or prior.support[0] >= 0 else 0.1
    return log_normal(centre, 0.5)
