"""A fit as a notebook shows it: what is told at once, without the checks that take seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayeslaw.decision.crossover_words import INTERVAL_KIND
from bayeslaw.diagnosis.sampling_diagnostics import errors
from bayeslaw.markup import BREAK, Html, element, folded, joined, table
from bayeslaw.reporting.summaries import parameter_summaries
from bayeslaw.reporting.summary_text import COLUMNS, TEXT_COLUMNS, parameter_cells

if TYPE_CHECKING:
    from bayeslaw.fitting.fits import Fit

LEVEL = 0.9


def fit_html(fit: Fit) -> Html:
    """Show a fit in a notebook.

    Parameters
    ----------
    fit
        The fit.

    Returns
    -------
    Html
        The law, the parameters that a reader wants, whether the sampler did its work, and the priors, folded.
    """
    sizes = fit.tree["posterior"].sizes
    codes = ", ".join(finding.code for finding in errors(fit))
    verdict = f"Not to be trusted: {codes}." if codes else "The sampler is in order."
    rows = parameter_cells(list(parameter_summaries(fit, LEVEL)))
    return joined(
        (
            element(
                "p",
                element("strong", f"{fit.law.name.replace('_', ' ').capitalize()} law"),
                f" of {len(fit.observations.loss):,} rows, loss in {fit.unit}; {sizes['chain']} chains of "
                f"{sizes['draw']:,} draws",
                BREAK,
                f"loss = {fit.law.equation}",
            ),
            table(
                COLUMNS,
                rows,
                caption=f"posterior means and {100 * LEVEL:.6g} % {INTERVAL_KIND} intervals",
                left=TEXT_COLUMNS,
            ),
            element("p", verdict, " bayeslaw.summary(fit) checks rows and priors, and states the claims."),
            folded("Priors", element("pre", str(fit.model))),
        )
    )
