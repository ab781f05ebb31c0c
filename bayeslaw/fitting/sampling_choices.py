"""The numbers that a sampler is run with, checked before anything is worked out."""

from typing import Any

from bayeslaw.errors import InputError, check_whole, shown
from bayeslaw.inputs.arguments import a_seed, plain

FEWEST_DRAWS, MOST_DRAWS, MOST_CHAINS = 50, 1_000_000, 1_000
FEWEST_WARMUP = 20
"""With fewer draws a sampler adapts its steps, but learns nothing of the posterior's scales."""


def checked_choices(
    *,
    draws: Any,
    chains: Any,
    seed: Any,
    warmup: Any = None,
    target_acceptance: Any = None,
    thin: Any = 1,
    **others: Any,
) -> dict[str, Any]:
    """Refuse numbers that no sampler can be run with.

    Parameters
    ----------
    draws, chains, seed, warmup, target_acceptance, thin, **others
        As in `fit`; the others are not looked at.

    Returns
    -------
    dict
        All of them by name, numbers as those of Python.

    Raises
    ------
    InputError
        If one is no number, or out of range.
    """
    numbers = {
        "draws": check_whole("draws", plain(draws), lowest=FEWEST_DRAWS, suggested=1000),
        "chains": check_whole("chains", plain(chains), lowest=1, suggested=4),
        "seed": a_seed("seed", seed),
        "warmup": None,
        "target_acceptance": None,
        "thin": check_whole("thin", plain(thin), lowest=1, suggested=1),
    }
    if warmup is not None:
        numbers["warmup"] = check_whole("warmup", plain(warmup), lowest=FEWEST_WARMUP, suggested=1000)
    if target_acceptance is not None:
        numbers["target_acceptance"] = an_acceptance("target_acceptance", target_acceptance)
    return others | numbers


def an_acceptance(name: str, value: Any) -> float:
    """Accept an acceptance probability, inside (0, 1)."""
    number = plain(value)
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < 1:
        accepted = "a probability between 0 and 1, both excluded"
        raise InputError(f"{name} is {shown(number)}", accepted, f"use {name}=0.95 for smaller steps than usual")
    return float(number)
