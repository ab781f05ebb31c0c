"""A law before it is fitted: draws of its prior, and losses of the rows of a table as the prior has them."""

from collections.abc import Iterable, Set
from typing import Any

import xarray as xr

from bayeslaw.errors import InputError, check_choice
from bayeslaw.fitting.fit_file import SMALL_BYTES
from bayeslaw.fitting.fits import Fit, a_count_of_parameters, a_noise
from bayeslaw.fitting.slim_tree import slim
from bayeslaw.fitting.tree import PRIOR_DRAWS
from bayeslaw.inputs.arguments import a_seed, a_whole_number, accepts, optional, shown, texts
from bayeslaw.laws.argument import a_law
from bayeslaw.laws.kinds import kind_of
from bayeslaw.laws.protocol import AnyLaw
from bayeslaw.likelihood.noise import Noise
from bayeslaw.losses.table_arguments import any_table

PRIOR_FORMAT = "bayeslaw prior"
PRIOR, PREDICTIVE = "prior", "prior_predictive"
GROUPS = (PRIOR, PREDICTIVE)
FEWEST_DRAWS, MOST_DRAWS = 50, 100_000
BYTES = 4
"""Of each loss of the prior predictive."""


def prior_groups(name: str, value: object) -> tuple[str, ...]:
    """Accept names of `GROUPS`."""
    return tuple(
        check_choice("group", each, GROUPS) for each in texts(name, list(value) if isinstance(value, Set) else value)
    )


def a_prior_tree(name: str, value: Any) -> xr.DataTree:
    """Accept a tree that `prior_predictive` made."""
    if not isinstance(value, xr.DataTree) or value.attrs.get("format") != PRIOR_FORMAT or PRIOR not in value.children:
        held = "no tree of a prior" if isinstance(value, xr.DataTree) else shown(value)
        accepted = "a tree that bayeslaw.prior_predictive made, with its group prior"
        raise InputError(f"{name} is {held}", accepted, f"write {name}=bayeslaw.prior_predictive(law, data)")
    return value


@accepts(
    law=a_law,
    data=any_table,
    noise=optional(a_noise),
    draws=a_whole_number(lowest=FEWEST_DRAWS, highest=MOST_DRAWS, suggested=PRIOR_DRAWS),
    seed=a_seed,
    parameters=a_count_of_parameters,
    keep=optional(prior_groups),
)
def prior_predictive(
    law: AnyLaw,
    data: xr.Dataset,
    *,
    noise: Noise | None = None,
    draws: int = PRIOR_DRAWS,
    seed: int = 0,
    parameters: str = "total",
    keep: Iterable[str] | None = None,
) -> xr.DataTree:
    """Draw from the prior of a law before it is fitted, and losses of the rows of a table with it.

    Parameters
    ----------
    law, data, noise, parameters
        As in `bayeslaw.fit`: default priors are scaled to the data, here too.
    draws
        How many draws.
    seed
        Seed. Of a law of rows a thousand draws are those that a fit with this seed keeps as its prior.
    keep
        Which of ``prior`` and ``prior_predictive`` the tree has. None for both, but for the prior predictive where it
        exceeds 5 MB (1,250 rows at a thousand draws); `bayeslaw.prior_check` and `bayeslaw.plot_prior_predictive` make
        it for themselves.

    Returns
    -------
    xarray.DataTree
        As ArviZ has it: ``prior`` and ``prior_predictive`` on ``(chain, draw, ...)`` with one chain, ``observed_data``,
        and ``constant_data`` with what the law takes of the rows. Losses are in the table's unit, or logarithms of them
        where the noise is on these (variable ``log_loss``).

    Raises
    ------
    InputError
        If the law cannot be fitted to this table.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> law = bl.PowerLaw(exponent=bl.between(0.1, 0.6))
    >>> tree = bl.prior_predictive(law, bl.load_dataset("zoo", unit="document"), draws=200)
    >>> dict(tree["prior_predictive"].sizes)
    {'chain': 1, 'draw': 200, 'lm': 24}
    >>> tree["prior"]["exponent_population"].median().round(1).item()
    0.2
    """
    tree = kind_of(law).prior(law, data, noise=noise, draws=draws, seed=seed, parameters=parameters)
    tree.attrs["format"] = PRIOR_FORMAT
    rows = tree["observed_data"].sizes[tree.attrs["row_dimension"]]
    small = BYTES * draws * rows <= SMALL_BYTES
    kept = (GROUPS if small else (PRIOR,)) if keep is None else tuple(keep)
    if PREDICTIVE in kept:
        tree = with_prior_predictive(tree)
    return slim(tree.filter(lambda node: node.name not in GROUPS or node.name in kept))


def with_prior_predictive(tree: xr.DataTree) -> xr.DataTree:
    """Make the losses of the rows that a tree of a prior may not hold; the same numbers each time."""
    return stands_for_fit(tree).with_groups([PREDICTIVE]).tree


def stands_for_fit(tree: xr.DataTree) -> Fit:
    """Let a tree of a prior be asked for its law, noise and rows as a fit is; it has no posterior."""
    return Fit(tree)
