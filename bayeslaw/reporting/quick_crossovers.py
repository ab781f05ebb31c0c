"""When a pool pays, as far as a fit tells it in the time that a page or a summary may take."""

from __future__ import annotations

from dataclasses import replace

from bayeslaw.decision.crossovers import Crossovers, when
from bayeslaw.fitting.fits import Fit
from bayeslaw.laws.kinds import kind_of
from bayeslaw.reporting.fewer_draws import fewer_draws

ON_A_PAGE = 2e8
"""Losses of single samples that may be drawn for a page: a minute on a slow core, a few seconds on most tables."""
IN_A_SUMMARY = 5e6
ELSEWHERE = "When a pool pays takes longer to work out: bayeslaw when FIT says it, and a page (bayeslaw report FIT)."


def quick_crossovers(fit: Fit, *, interval: float, most_losses: float) -> Crossovers | None:
    """Say when a pool pays, with few draws and sizes of pools where more would take long.

    Parameters
    ----------
    fit
        The fit.
    interval
        Level of the equal-tailed intervals.
    most_losses
        About how many losses of single samples may be drawn for it.

    Returns
    -------
    Crossovers or None
        What `bayeslaw.when` says, and last in its sentences what was left out; None where the law does not tell, or
        would take longer.
    """
    quick = kind_of(fit.law).quick_comparison(fit)
    if quick is None or quick.losses > most_losses:
        return None
    fewer = fit if quick.draws is None else fewer_draws(fit, quick.draws)
    found = when(fewer, interval=interval, **quick.choices)
    return replace(found, sentences=(*found.sentences, *filter(None, (quick.remark,))))


def crossover_sentences(fit: Fit, *, interval: float, most_losses: float) -> tuple[str, ...]:
    """Say when a pool pays, or who says so where that takes long; arguments as of `quick_crossovers`.

    Parameters
    ----------
    fit, interval, most_losses
        As of `quick_crossovers`.

    Returns
    -------
    tuple of str
        Sentences; none where the law does not tell.
    """
    found = quick_crossovers(fit, interval=interval, most_losses=most_losses)
    if found is not None:
        return found.sentences
    return () if kind_of(fit.law).quick_comparison(fit) is None else (ELSEWHERE,)
