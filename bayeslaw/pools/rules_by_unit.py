"""Which rules combine losses of a unit, and which one is meant where none is named."""

from bayeslaw.errors import InputError
from bayeslaw.losses.metrics import WRONG
from bayeslaw.pools.rules import RULES, Rule, find_rule

USUAL_ATTAINABLE, USUAL_OF_ANSWERS = "mixture", "best"
"""Of losses in nats, and of right and wrong answers."""


def check_combines(rule: Rule, unit: str, *, votes: bool = True) -> Rule:
    """Return a rule that can combine losses of a unit.

    Parameters
    ----------
    rule
        The rule.
    unit
        Unit of the losses, as `bayeslaw.loss_unit` names it.
    votes
        Of wrong answers: whether every one is wrong or right, none a share.

    Returns
    -------
    Rule
        The rule, unchanged.

    Raises
    ------
    InputError
        If it mixes probabilities or goes by a member's loss, and the losses are wrong answers; or if it counts votes,
        and they are not.
    """
    if why := not_combined(rule, unit, votes=votes):
        answers = unit == WRONG
        fitting = [each for each in RULES.values() if not not_combined(each, unit, votes=votes)]
        others = ", ".join(each.name for each in fitting if not (answers and each.on_tokens))
        fix = "the best that can be built of answers without knowing more of the samples" if answers else "a mixture"
        raise InputError(f"the rule {rule.name!r} {why}", f"one of {others}", f"use {usual_attainable(unit)!r}, {fix}")
    return rule


def not_combined(rule: Rule, unit: str, *, votes: bool = True) -> str:
    """Say why a rule cannot combine losses of a unit; empty where it can. Arguments as of `check_combines`."""
    if rule.mixes and unit == WRONG:
        return "mixes probabilities, and this table holds right and wrong answers"
    if rule.judged_by_itself and unit == WRONG:
        return "goes on where an answer is wrong, and who knew that would know the answer"
    if rule.votes and unit != WRONG:
        return f"counts who is right, and this table holds losses in {unit}, by which nobody votes"
    if rule.votes and not votes:
        return "counts who is right, and this table holds shares of right answers, which are no votes"
    return ""


def decided_by(name: str | None, unit: str, *, votes: bool = True) -> Rule:
    """Return the rule by which pools are decided on.

    Parameters
    ----------
    name
        The rule asked for, or None: that of a system that can be built.
    unit, votes
        As in `check_combines`.

    Returns
    -------
    Rule
        The rule.

    Raises
    ------
    InputError
        As `find_rule` and `check_combines`.
    """
    return check_combines(find_rule(usual_attainable(unit) if name is None else name), unit, votes=votes)


def usual_attainable(unit: str) -> str:
    """Name the rule of a system that can be built, where none is asked for; `unit` as in `check_combines`."""
    return USUAL_OF_ANSWERS if unit == WRONG else USUAL_ATTAINABLE
