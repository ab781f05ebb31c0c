"""When a pool pays, in sentences."""

import numpy as np

from bayeslaw.laws.pool_advantages import BudgetAdvantages, RegimeAdvantage
from bayeslaw.losses.loss_text import loss_text
from bayeslaw.losses.sizes import count_label

FEWEST_CROSSINGS = 20
"""Draws with a crossover from which on its median and interval are told."""
UNDECIDED = (0.05, 0.95)
"""Between these probabilities the data do not decide."""
FEW = 0.005
WORTH = "Whether to score more of it is another question: bayeslaw next, of a joint fit, says what that is worth."
INTERVAL_KIND = "equal-tailed"


def share_text(share: float) -> str:
    """Write a share of draws as a probability, to the digits that a few thousand draws support."""
    return "over 0.99" if share > 0.995 else "under 0.01" if share < FEW else f"{share:.2f}"


def undecided(probability: float) -> bool:
    """Say whether data leave open which side is better."""
    return UNDECIDED[0] < probability < UNDECIDED[1]


def sentences(found: BudgetAdvantages, *, unit: str, interval: float) -> tuple[str, ...]:
    """Say when pools pay.

    Parameters
    ----------
    found
        The advantages.
    unit
        Unit of the loss.
    interval
        Level of the intervals.

    Returns
    -------
    tuple of str
        For each regime at which budgets pools lose less, where they begin to, and what is left open; then what this fit
        does not tell.
    """
    said = []
    for regime in found.regimes:
        shown = np.isin(regime.budgets, found.shown)
        if not shown.any():
            shown = np.ones(len(regime.budgets), bool)
        said.append(
            f"{_advantage(regime, shown, unit, interval)} {_crossover(regime, interval)}{_better_below(regime, shown)}"
        )
        if regime.remark:
            said.append(regime.remark)
        if open_ones := _open(found, regime, shown):
            said.append(open_ones)
    return (*said, *found.unanswered)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _place(budget: float, distance: float) -> str:
    """Name a budget, and how far it lies beyond the data."""
    beyond = f" ({distance:.1f} ranges beyond the data)" if distance >= 0.05 else ""
    return f"at {count_label(budget)} parameters{beyond}"


def _band(draws: np.ndarray, interval: float) -> str:
    lower, upper = np.quantile(draws, [(1 - interval) / 2, (1 + interval) / 2])
    return f"{loss_text(lower)} to {loss_text(upper)}"


def _told(regime: RegimeAdvantage, shown: np.ndarray) -> list[int]:
    """Choose the budgets to speak of: the largest inside the data, and the largest of all."""
    places = np.flatnonzero(shown)
    inside = [place for place in places if regime.extrapolation[place] < 0.05]
    return list(dict.fromkeys(map(int, [*inside[-1:], places[-1]])))


def _advantage(regime: RegimeAdvantage, shown: np.ndarray, unit: str, interval: float) -> str:
    first, *others = _told(regime, shown)
    draws = regime.draws[:, first]
    who, verb = (
        (_capital(regime.subject), "are expected to lose")
        if regime.expected
        else (f"Drawn at random, {regime.subject}", "lose")
    )
    text = (
        f"{who} {verb} less than {regime.other} with probability "
        f"{share_text((draws > 0).mean())} {_place(regime.budgets[first], regime.extrapolation[first])}: "
        f"an advantage of {loss_text(np.median(draws))} {unit} (what the single model loses more, above zero the "
        f"pool is better; {interval:.0%} {INTERVAL_KIND} interval {_band(draws, interval)})"
    )
    for place in others:
        draws = regime.draws[:, place]
        text += (
            f"; with probability {share_text((draws > 0).mean())} "
            f"{_place(regime.budgets[place], regime.extrapolation[place])}: {loss_text(np.median(draws))} "
            f"({_band(draws, interval)})"
        )
    return f"{text}."


def _crossover(regime: RegimeAdvantage, interval: float) -> str:
    low, high = count_label(regime.budgets[0]), count_label(regime.budgets[-1])
    exists = np.isfinite(regime.crossing)
    share = float(exists.mean())
    where = f"between {low} and {high} parameters"
    if not exists.any():
        return f"In no draw is there a budget {where} above which they begin to."
    text = (
        f"With probability {share_text(share)} there is a budget {where} above which "
        f"{'they are expected to' if regime.expected else 'the law expects them to'}"
    )
    if int(exists.sum()) >= FEWEST_CROSSINGS:
        median, lower, upper = np.quantile(regime.crossing[exists], [0.5, (1 - interval) / 2, (1 + interval) / 2])
        text += (
            f"; where there is, its median is {count_label(median)} ({interval:.0%} {INTERVAL_KIND} interval "
            f"{count_label(lower)} to {count_label(upper)})"
        )
    if not regime.expected:
        return f"{text}."
    parts = _without(regime)
    return f"{text}{''.join(f'; {words} with probability {share_text(part)}' for words, part in parts)}."


def _better_below(regime: RegimeAdvantage, shown: np.ndarray) -> str:
    """Name budgets below the crossover at which pools lose less as well: an advantage may change its sign often."""
    crossing = regime.crossing[np.isfinite(regime.crossing)]
    if 2 * len(crossing) < len(regime.crossing) or not len(crossing):
        return ""
    below = [place for place in np.flatnonzero(shown) if regime.budgets[place] < np.median(crossing)]
    sure = [place for place in below if (regime.draws[:, place] > 0).mean() > UNDECIDED[1]]
    named = ", ".join(count_label(regime.budgets[place]) for place in sure)
    return (
        f" Below it the sign changes: they lose less at {named} too, each with a probability above 0.95."
        if sure
        else ""
    )


def better_everywhere(regime: RegimeAdvantage) -> np.ndarray:
    """Say in which draws pools lose less at every budget looked at, [draw]."""
    return ~np.isfinite(regime.crossing) & (regime.draws > 0).all(axis=1)


def _without(regime: RegimeAdvantage) -> list[tuple[str, float]]:
    """Shares of the draws without a crossover, by what they are instead."""
    positive, none = regime.draws > 0, ~np.isfinite(regime.crossing)
    everywhere, nowhere = better_everywhere(regime), none & ~positive.any(axis=1)
    below = none & ~everywhere & ~nowhere
    named = {
        "they lose less at every budget of that range": everywhere,
        "at none": nowhere,
        "only at smaller budgets": below,
    }
    return [(words, float(draws.mean())) for words, draws in named.items() if draws.mean() >= FEW]


def _open(found: BudgetAdvantages, regime: RegimeAdvantage, shown: np.ndarray) -> str:
    """Say where the data do not decide, and what would help."""
    places = [place for place in np.flatnonzero(shown) if undecided(float((regime.draws[:, place] > 0).mean()))]
    if not places:
        return ""
    inside = [place for place in places if regime.extrapolation[place] < 0.05]
    first, last = (count_label(regime.budgets[place]) for place in (places[0], places[-1]))
    between = f"at {first}" if len(places) == 1 else f"from {first} to {last}"
    where = (
        f"at any budget shown, {first} to {last}" if len(places) == int(shown.sum()) and len(places) > 1 else between
    )
    text = (
        f"The data do not decide {where} parameters (probabilities between {UNDECIDED[0]:g} and {UNDECIDED[1]:g} at "
        f"{len(places)} of {int(shown.sum())} budgets)."
    )
    # One inside the data is the nearer to being decided.
    helpful = found.suggest(regime.regime, float(regime.budgets[(inside or places)[-1]]))
    return f"{text} The least certain part of it is {helpful}. {WORTH}" if helpful else text
