"""Where to predict by a diversity law: pools by their members, or by what the law knows of a pool."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd

from bayeslaw.errors import InputError, nearest
from bayeslaw.fitting.fits import Fit
from bayeslaw.joint.hypothetical import NewModel
from bayeslaw.laws.base import POPULATION
from bayeslaw.laws.diversity import BEST_MEMBER_LOSS, DiversityLaw
from bayeslaw.laws.power import power_law
from bayeslaw.losses.model_names import NEW_FAMILY
from bayeslaw.pools.diversity_numbers import DIVERSITY_NUMBERS, OF_MEMBERS, member_numbers
from bayeslaw.pools.gains import RELATIVE
from bayeslaw.pools.regimes import regime_of
from bayeslaw.prediction.joint_targets import read_pool
from bayeslaw.prediction.targets import complete_targets, read_frame


@dataclass(frozen=True)
class PoolMembers:
    """Members of pools: models of the table, whose losses are known, and new ones.

    Parameters
    ----------
    pool
        Number of each member's pool, [member], in ascending order.
    parameters, family
        Parameters and family of each member, [member].
    loss
        Loss of each model of the table in the fit's unit, NaN for new ones, [member].
    """

    pool: np.ndarray
    parameters: np.ndarray
    family: np.ndarray
    loss: np.ndarray

    @property
    def pools(self) -> int:
        """Number of pools."""
        return int(self.pool[-1]) + 1

    @property
    def new(self) -> np.ndarray:
        """Whether each member is new, [member]."""
        return np.isnan(self.loss)

    def best(self, losses: np.ndarray) -> np.ndarray:
        """Take the lowest loss over the members of each pool.

        Parameters
        ----------
        losses
            Losses of the new members, [draw, new member].

        Returns
        -------
        np.ndarray
            Shape ``[draw, pool]``.
        """
        lowest = np.full((self.pools, len(losses)), np.inf)
        np.minimum.at(lowest, self.pool[~self.new], self.loss[~self.new, None])
        np.minimum.at(lowest, self.pool[self.new], losses.T)
        return lowest.T


def read_pool_members(fit: Fit, texts: Iterable[str]) -> PoolMembers:
    """Read the members of pools.

    Parameters
    ----------
    fit
        A fit of a diversity law.
    texts
        Members of each pool, with commas between: names of models of the table, or new models as
        ``parameters:family``.

    Returns
    -------
    PoolMembers
        The members.

    Raises
    ------
    InputError
        If a member cannot be read or is named twice, a pool has fewer than two, or the fit has no law of members.
    """
    if fit.members is None:
        raise InputError(
            "this fit has no law of single models, since there were fewer than three sizes of them",
            f"pools by {', '.join(fit.law.covariates[:3])} and diversity",
            "give these columns in place of members",
        )
    table = fit.members.observations
    known = {str(name): row for row, name in enumerate(table.labels)}
    records = []
    for number, text in enumerate(map(str, texts)):
        pool = read_pool(text, list(known))
        if len(pool) < 2:
            raise InputError(
                f"the pool {text!r} has one member",
                "pools of two or more: a single model gains nothing over itself",
                "add a member, or fit --law power to the loss table to predict single models",
            )
        if len(set(pool)) < len(pool):
            raise InputError(f"the pool {text!r} names a model twice", "each model once", "leave out its copies")
        for member in pool:
            if isinstance(member, NewModel):
                records.append((number, member.parameters, member.family, np.nan))
            else:
                row = known[member]
                size_and_family = (float(table.covariates["parameters"][row]), str(table.groups["family"][row]))
                records.append((number, *size_and_family, float(table.loss[row])))
    return PoolMembers(*(np.array(column) for column in zip(*records, strict=True)))


def law_targets(fit: Fit, pool_members: PoolMembers) -> pd.DataFrame:
    """Return the new members as targets of the law of members: ``parameters`` and a ``family`` that it knows."""
    assert fit.members is not None
    groups = fit.members.model.groups
    families = [name if name in groups else NEW_FAMILY for name in pool_members.family[pool_members.new]]
    return pd.DataFrame({"parameters": pool_members.parameters[pool_members.new], "family": families})


def columns(law: DiversityLaw) -> tuple[str, ...]:
    """Name the columns that targets may have."""
    return (*law.covariates[:3], *law.diversity, *law.covariates[3:], law.group, "members")


def read_targets(fit: Fit, at: Mapping[str, Any] | pd.DataFrame) -> pd.DataFrame:
    """Check where to predict, and complete it.

    Parameters
    ----------
    fit
        A fit of a diversity law.
    at
        Columns as described in `bayeslaw.predict`.

    Returns
    -------
    pandas.DataFrame
        As `bayeslaw.prediction.targets.read_targets` returns it.

    Raises
    ------
    InputError
        As `diversity_targets`, and where a covariate is not positive or a group unknown.
    """
    return complete_targets(fit, diversity_targets(fit, read_frame(at)))


def _law(fit: Fit) -> DiversityLaw:
    return cast(DiversityLaw, fit.law)


def diversity_targets(fit: Fit, targets: pd.DataFrame) -> pd.DataFrame:
    """Complete targets of a diversity law.

    Parameters
    ----------
    fit
        The fit.
    targets
        ``members`` as `read_pool_members` reads them, or the law's covariates; diversity numbers in their own unit,
        which may be left out where members tell them; ``regime``, which members tell too.

    Returns
    -------
    pandas.DataFrame
        The columns given and the law's covariates. The best member of a pool with new members is given the loss that
        the law expects at the medians of its parameters, to find observed pools like it; predictions draw it.

    Raises
    ------
    InputError
        If a column is unknown, missing or given twice, or a value cannot be used.
    """
    law = _law(fit)
    known = columns(law)
    for name in targets:
        if name not in known:
            raise InputError(
                f"there is no prediction at {name!r}", f"columns {', '.join(known)}", nearest(str(name), known)
            )
    result = _of_members(fit, targets) if "members" in targets else targets
    for number in law.diversity:
        if RELATIVE + number in result and number in result:
            raise InputError(f"{number} is given twice", "one value", f"leave out {RELATIVE}{number}")
        if RELATIVE + number not in result:
            result = result.assign(**{RELATIVE + number: _relative(fit, result, number)})
    if "size" in result and not (_numbers(result, "size") >= 2).all():
        raise InputError(
            f"size is {result['size'].tolist()}", "pools of two or more", "fit --law power to predict single models"
        )
    return result


def _relative(fit: Fit, targets: pd.DataFrame, number: str) -> np.ndarray:
    if number not in targets:
        alone = number not in OF_MEMBERS and "members" in targets
        raise InputError(
            f"the {number} of these pools is not known" + (": members alone do not tell it" if alone else ""),
            f"a column {number}",
            f"add {number}" + (f", or fit the law with diversity {' or '.join(OF_MEMBERS)}" if alone else ""),
        )
    values = _numbers(targets, number)
    if not np.isfinite(values).all():
        raise InputError(f"{number} is {targets[number].tolist()}", "finite numbers", f"give {number} of every pool")
    facts = fit.observations.facts
    return np.exp((values - float(facts[f"{number}_centre"])) / float(facts[f"{number}_scale"]))


def _numbers(targets: pd.DataFrame, name: str) -> np.ndarray:
    """Read a column, NaN where it holds no number; [target]."""
    return np.asarray(pd.Series(pd.to_numeric(targets[name], errors="coerce")), dtype=float)


def _of_members(fit: Fit, targets: pd.DataFrame) -> pd.DataFrame:
    law = _law(fit)
    told_by_members = {*law.covariates[:3], *OF_MEMBERS, *(RELATIVE + number for number in DIVERSITY_NUMBERS)}
    for name in targets:
        if name in told_by_members:
            raise InputError(
                f"both {name} and members are given", "one of them", f"leave out {name}: the members tell it"
            )
    pool_members = read_pool_members(fit, targets["members"])
    families, codes = np.unique(pool_members.family, return_inverse=True)
    amounts = np.zeros((pool_members.pools, len(families)))
    np.add.at(amounts, (pool_members.pool, codes), pool_members.parameters)
    numbers = {name: values for name, values in member_numbers(amounts).items() if name in law.diversity}
    regimes = [regime_of(pool_members.family[pool_members.pool == pool].tolist()) for pool in range(pool_members.pools)]
    named = list(targets["regime"]) if "regime" in targets else regimes
    for text, other, regime in zip(targets["members"], named, regimes, strict=True):
        if other != regime:
            raise InputError(
                f"the members {text!r} make a {regime} pool, not {other!r}",
                "members of the regime named",
                "leave out the regime",
            )
    return targets.assign(
        parameters=amounts.sum(axis=1),
        size=np.bincount(pool_members.pool),
        regime=regimes,
        **{BEST_MEMBER_LOSS: pool_members.best(_expected(fit, pool_members)[None])[0], **numbers},
    )


def _expected(fit: Fit, pool_members: PoolMembers) -> np.ndarray:
    """Loss of each new member at the medians of its family's parameters, or of the population's; [new member]."""
    assert fit.members is not None
    members, targets = fit.members, law_targets(fit, pool_members)
    medians = {name: np.median(draws, axis=0) for name, draws in members.values().items()}
    chosen = {}
    for parameter in members.model.parameters:
        groups = [members.model.groups.index(name) if name != NEW_FAMILY else None for name in targets["family"]]
        by_group, all_families = medians[parameter.name], medians[parameter.name + POPULATION]
        chosen[parameter.name] = np.array([all_families if group is None else by_group[group] for group in groups])
    sizes = targets["parameters"].to_numpy() / members.observations.reference["parameters"]
    return np.asarray(power_law(sizes, **chosen))
