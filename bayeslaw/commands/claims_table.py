"""Claims as a table on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

CAPTION = (
    "Probabilities are shares of draws. Families drawn: were families draws of a population, by how far least squares "
    "moves without each (± one jackknife error).\nAn exponent is of the part above the floor; whether loss falls "
    "faster is told by slopes, each at its budget."
)
INDEPENDENT = "independent_probability"


def show_claims(claims: list[dict[str, Any]], out: Console) -> None:
    """Print claims with their probabilities after and before the data, and what else is known of them.

    Parameters
    ----------
    claims
        Fields of each claim, as `bayeslaw.laws.results.Claim` has them.
    out
        Where to.
    """
    from rich.table import Table

    with_families = any(claim["families_probability"] is not None for claim in claims)
    with_independent = any(claim[INDEPENDENT] is not None for claim in claims)
    table = Table(header_style="bold", caption=CAPTION if with_families else None, caption_justify="left")
    table.add_column("claim")
    names = ["probability", "before the data"]
    names += ["families drawn"] * with_families + ["rows independent"] * with_independent
    names += ["least squares"] * with_families
    for name in names:
        table.add_column(name, justify="right")
    table.add_column("unit")
    for claim in claims:
        cells = [probability_text(claim["probability"]), probability_text(claim["prior_probability"])]
        cells += [_optional(claim["families_probability"])] * with_families
        cells += [_optional(claim[INDEPENDENT])] * with_independent
        cells += [_difference(claim)] * with_families
        beyond = f" ({claim['extrapolation']:.2g} ranges beyond the data)" if claim["extrapolation"] > 0 else ""
        table.add_row(claim["claim"] + beyond, *cells, claim["unit"])
    out.print(table)


def _optional(probability: float | None) -> str:
    return "" if probability is None else probability_text(probability)


def _difference(claim: dict[str, Any]) -> str:
    if claim["least_squares"] is None:
        return ""
    return f"{claim['least_squares']:.3g} ± {claim['jackknife_deviation']:.2g}"


def probability_text(value: float) -> str:
    """Write a share of draws; no finite number of draws shows a certainty."""
    if value > 0.999:
        return "> 0.999"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
