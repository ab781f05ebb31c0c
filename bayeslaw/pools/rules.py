"""The rules by which the members of a pool are combined: one entry each, looked up and never compared."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from bayeslaw.errors import check_choice

if TYPE_CHECKING:
    from bayeslaw.pools.rule_functions import RuleFunctions


@dataclass(frozen=True)
class Rule:
    """A rule of combination.

    Parameters
    ----------
    name
        What it is called on the command line and in tables of pools.
    description
        What a pool loses by it, in a few words.
    functions_at
        Where its `bayeslaw.pools.rule_functions.RuleFunctions` are, as ``"module:NAME"``; read when first asked for,
        so that names and descriptions cost no import.
    attainable
        Whether a system can be built that loses this, without seeing the losses that it is judged by.
    cross_fitted
        Whether it chooses on some folds of whole clusters what it is judged by on the others, and so needs two clusters
        or more.
    on_tokens
        Whether it combines members at every token, and so needs models of one tokenizer and the losses of tokens.
    """

    name: str
    description: str
    functions_at: str
    attainable: bool
    cross_fitted: bool = False
    on_tokens: bool = False

    def __post_init__(self) -> None:
        if self.on_tokens and self.cross_fitted:
            raise ValueError(f"{self.name}: a rule of tokens sees one token at a time, and cannot choose by folds")

    @property
    def functions(self) -> RuleFunctions:
        """What is computed by the rule."""
        module, _, name = self.functions_at.partition(":")
        return getattr(import_module(module), name)


RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(
            "oracle",
            "the lowest of the members' losses on every sample",
            "bayeslaw.pools.oracle:ORACLE",
            attainable=False,
        ),
        Rule(
            "mixture",
            "the ensemble that mixes whole samples, all members with one weight",
            "bayeslaw.pools.mixture:MIXTURE",
            attainable=True,
        ),
        Rule(
            "stacked",
            "the ensemble that mixes whole samples, with the weights that lose least on other folds of whole clusters",
            "bayeslaw.pools.stacked:STACKED",
            attainable=True,
            cross_fitted=True,
        ),
        Rule(
            "best",
            "the member that is best on other folds of whole clusters",
            "bayeslaw.pools.best_member:BEST",
            attainable=True,
            cross_fitted=True,
        ),
        Rule(
            "token_oracle",
            "the lowest of the members' losses at every token",
            "bayeslaw.pools.oracle:ORACLE",
            attainable=False,
            on_tokens=True,
        ),
        Rule(
            "token_mixture",
            "the ensemble that mixes the distributions of every token, all members with one weight",
            "bayeslaw.pools.mixture:MIXTURE",
            attainable=True,
            on_tokens=True,
        ),
    )
}
USUAL_RULE = "oracle"


def rule_names(*, on_tokens: bool | None = None, cross_fitted: bool | None = None) -> tuple[str, ...]:
    """List rules.

    Parameters
    ----------
    on_tokens, cross_fitted
        Only those that are so, or are not so; by default both.

    Returns
    -------
    tuple of str
        Their names.
    """
    wanted = {"on_tokens": on_tokens, "cross_fitted": cross_fitted}
    return tuple(
        name
        for name, rule in RULES.items()
        if all(choice is None or getattr(rule, kind) == choice for kind, choice in wanted.items())
    )


sample_rules = partial(rule_names, on_tokens=False)
pointwise_rules = partial(rule_names, on_tokens=False, cross_fitted=False)
"""Rules by which what a pool loses on a sample depends on that sample alone."""


def find_rule(name: str, *, on_tokens: bool | None = None, cross_fitted: bool | None = None) -> Rule:
    """Return a rule by its name.

    Parameters
    ----------
    name
        The name.
    on_tokens, cross_fitted
        Accept only rules that are so, or are not so; by default both.

    Returns
    -------
    Rule
        The rule.

    Raises
    ------
    InputError
        If there is none of that name among those accepted.
    """
    return RULES[check_choice("rule", name, rule_names(on_tokens=on_tokens, cross_fitted=cross_fitted))]


def describe_rules(*, on_tokens: bool | None = None, cross_fitted: bool | None = None) -> str:
    """Describe rules in one line, for help.

    Parameters
    ----------
    on_tokens, cross_fitted
        As in `rule_names`.

    Returns
    -------
    str
        Such as ``"oracle (the lowest ...), mixture (...)"``.
    """
    names = rule_names(on_tokens=on_tokens, cross_fitted=cross_fitted)
    return ", ".join(f"{name} ({RULES[name].description})" for name in names)
