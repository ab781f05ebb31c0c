"""The rules by which the members of a pool are combined: one entry each, looked up and never compared."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from bayeslaw.errors import InputError, check_choice
from bayeslaw.inputs.arguments import a_choice

if TYPE_CHECKING:
    from bayeslaw.pools.known import Known
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
    looks_at
        What it looks at beside the losses of samples: names of fields of `bayeslaw.pools.known.Known`. Such a rule is
        for one pool at a time: ``functions_at`` names what makes its functions of what is known.
    judged_by_itself
        Whether it sees a member's loss on the sample that it is judged by; of right and wrong answers that would be to
        know which is right.
    mixes
        Whether it mixes the members' probabilities, and so needs losses that are minus the logarithms of these.
    votes
        Whether it counts the votes of members, and so needs answers that are right or wrong.
    """

    name: str
    description: str
    functions_at: str
    attainable: bool
    cross_fitted: bool = False
    on_tokens: bool = False
    looks_at: tuple[str, ...] = ()
    mixes: bool = False
    judged_by_itself: bool = False
    votes: bool = False

    def __post_init__(self) -> None:
        if self.on_tokens and self.cross_fitted:
            raise ValueError(f"{self.name}: a rule of tokens sees one token at a time, and cannot choose by folds")

    @property
    def of_losses(self) -> bool:
        """Whether losses are all it looks at, so that it combines the members of any pool, also of drawn losses."""
        return not self.looks_at

    @property
    def functions(self) -> RuleFunctions:
        """What is computed by a rule that looks at losses alone."""
        if self.looks_at:
            raise ValueError(f"{self.name} looks at {', '.join(self.looks_at)}: its functions are of what is known")
        return self._found

    def functions_of(self, known: Known) -> RuleFunctions:
        """Return what is computed by the rule on one pool.

        Parameters
        ----------
        known
            What is known beside losses; of use to rules that look at it.

        Returns
        -------
        RuleFunctions
            The functions.
        """
        return self._found(known) if self.looks_at else self._found

    @property
    def _found(self) -> Any:
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
            mixes=True,
        ),
        Rule(
            "stacked",
            "the ensemble that mixes whole samples, with the weights that lose least on other folds of whole clusters",
            "bayeslaw.pools.stacked:STACKED",
            attainable=True,
            cross_fitted=True,
            mixes=True,
        ),
        Rule(
            "routed",
            "one member for each sample, by a router that sees what is known of the sample before any model runs, "
            "trained on other folds of whole clusters",
            "bayeslaw.pools.routed:routed",
            attainable=True,
            cross_fitted=True,
            looks_at=("features",),
        ),
        Rule(
            "cascade",
            "the smallest member, and the next larger one where its loss on the given text is above a threshold chosen "
            "on other folds of whole clusters",
            "bayeslaw.pools.cascade:cascade",
            attainable=False,
            cross_fitted=True,
            looks_at=("parameters",),
            judged_by_itself=True,
        ),
        Rule(
            "cascade_by_feature",
            "the smallest member, and the next larger one where a feature given is beyond a threshold chosen on other "
            "folds of whole clusters",
            "bayeslaw.pools.cascade:cascade_by_feature",
            attainable=True,
            cross_fitted=True,
            looks_at=("given", "parameters"),
        ),
        Rule(
            "best",
            "the member that is best on other folds of whole clusters",
            "bayeslaw.pools.best_member:BEST",
            attainable=True,
            cross_fitted=True,
        ),
        Rule(
            "majority",
            "the answer of more than half of the members, of answers that are right or wrong; half right where just "
            "half of them are",
            "bayeslaw.pools.majority:MAJORITY",
            attainable=True,
            votes=True,
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
            mixes=True,
        ),
    )
}
USUAL_RULE = "oracle"
LOOKED_AT = {
    "features": "what is known of each sample before any model has run",
    "given": "features that are given of each sample",
    "parameters": "the parameters of members that all have run on these samples",
}
"""What rules look at beside losses, in words."""


def rule_names(
    *, on_tokens: bool | None = None, cross_fitted: bool | None = None, of_losses: bool | None = None
) -> tuple[str, ...]:
    """List rules.

    Parameters
    ----------
    on_tokens, cross_fitted, of_losses
        Only those that are so, or are not so; by default both.

    Returns
    -------
    tuple of str
        Their names.
    """
    wanted = {"on_tokens": on_tokens, "cross_fitted": cross_fitted, "of_losses": of_losses}
    return tuple(
        name
        for name, rule in RULES.items()
        if all(choice is None or getattr(rule, kind) == choice for kind, choice in wanted.items())
    )


pool_rules = partial(rule_names, of_losses=True)
"""Rules by which many pools are evaluated at once."""
sample_rules = partial(rule_names, on_tokens=False, of_losses=True)
pointwise_rules = partial(rule_names, on_tokens=False, cross_fitted=False, of_losses=True)
"""Rules by which what a pool loses on a sample depends on that sample alone."""


def find_rule(
    name: str, *, on_tokens: bool | None = None, cross_fitted: bool | None = None, of_losses: bool | None = None
) -> Rule:
    """Return a rule by its name.

    Parameters
    ----------
    name
        The name.
    on_tokens, cross_fitted, of_losses
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
    names = rule_names(on_tokens=on_tokens, cross_fitted=cross_fitted, of_losses=of_losses)
    return RULES[check_rule(name, names)]


def check_rule(name: str, names: Collection[str]) -> str:
    """Return the name of a rule that is accepted.

    Parameters
    ----------
    name
        The name.
    names
        Those accepted.

    Returns
    -------
    str
        The name, unchanged.

    Raises
    ------
    InputError
        If it is another; of a rule that looks at more than losses it says what that is.
    """
    rule = RULES.get(name) if isinstance(name, str) else None
    if rule is not None and name not in names and rule.looks_at:
        raise InputError(
            f"the rule {name!r} looks at {' and '.join(LOOKED_AT[each] for each in rule.looks_at)}, and here losses "
            "are all there is: those of many pools at once, or drawn for models and samples that nobody has seen",
            f"one of {', '.join(names)}",
            f"ask for {name!r} of members that are all scored: bayeslaw attainability (bl.attainability, bl.combine)",
        )
    return check_choice("rule", name, names)


def a_rule(names: Callable[[], Collection[str]]) -> Callable[[str, Any], str]:
    """Accept the name of one of some rules, as an argument of a public function.

    Parameters
    ----------
    names
        Lists those accepted.

    Returns
    -------
    Callable
        Takes the name of the argument and its value, and returns the value.
    """

    def convert(argument: str, value: Any) -> str:
        known = names()
        return check_rule(value, known) if isinstance(value, str) else a_choice(known)(argument, value)

    return convert


def describe_rules(
    *, on_tokens: bool | None = None, cross_fitted: bool | None = None, of_losses: bool | None = None
) -> str:
    """Describe rules in one line, for help.

    Parameters
    ----------
    on_tokens, cross_fitted, of_losses
        As in `rule_names`.

    Returns
    -------
    str
        Such as ``"oracle (the lowest ...), mixture (...)"``.
    """
    names = rule_names(on_tokens=on_tokens, cross_fitted=cross_fitted, of_losses=of_losses)
    return ", ".join(f"{name} ({RULES[name].description})" for name in names)


def rule_label(name: str) -> str:
    """Name a rule for a reader, with a remark where no system can be built that loses this."""
    return name if RULES[name].attainable else f"{name} (not attainable)"
