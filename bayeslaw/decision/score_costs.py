"""What scoring costs: by what candidates say that it does, by their prices, or by size."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from bayeslaw.decision.candidates import Candidate


@dataclass(frozen=True)
class ScoreCosts:
    """Costs of scores.

    Parameters
    ----------
    candidates
        Models that could be scored.
    parameters
        Parameters of all models of the table together.
    size
        Number of samples of the table.

    Examples
    --------
    >>> costs = ScoreCosts([Candidate("a", "f", 1e9, None, 0.5)], 4e9, 100)
    >>> costs.candidate(costs.candidates[0]), costs.samples(10), costs.unit
    (50.0, 20.0, 'price x samples')
    """

    candidates: Sequence[Candidate]
    parameters: float
    size: int

    @property
    def costed(self) -> bool:
        """Whether the candidates say what scoring them costs."""
        return any(each.cost is not None for each in self.candidates)

    @property
    def priced(self) -> bool:
        """Whether prices are what counts: of every candidate there is one, and none says what scoring it costs."""
        prices = [each.price for each in self.candidates]
        return not self.costed and bool(prices) and all(price is not None and price > 0 for price in prices)

    @property
    def unit(self) -> str:
        """What costs are in."""
        if self.costed:
            return "in the unit of the candidates' costs"
        return "price x samples" if self.priced else "parameters x samples"

    @property
    def notes(self) -> list[str]:
        """What is to know of costs, in sentences."""
        found = []
        if self.costed or self.priced:
            found.append(
                "What more samples of the models scored cost is reckoned from what the candidates cost per parameter."
            )
        some = [each.name for each in self.candidates if each.price is not None and each.price > 0]
        if some and not self.costed and not self.priced:
            found.append("Prices are not used: not every candidate has one above zero.")
        return found

    def candidate(self, candidate: Candidate) -> float:
        """Give the cost of scoring a candidate on the samples of the table."""
        if candidate.cost is not None:
            return candidate.cost
        return self.size * (float(candidate.price or 0) if self.priced else candidate.parameters)

    @cached_property
    def _of_parameter(self) -> float:
        """Cost of one parameter on one sample, by the candidates where they tell."""
        if not (self.costed or self.priced):
            return 1.0
        total = sum(self.candidate(each) for each in self.candidates)
        return total / (sum(each.parameters for each in self.candidates) * self.size)

    def samples(self, samples: int) -> float:
        """Give the cost of scoring the models of the table on more samples."""
        return self.parameters * samples * self._of_parameter
