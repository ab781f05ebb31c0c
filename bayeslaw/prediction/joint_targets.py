"""Pools to predict by the joint law: members read from text, with what a reader asks of each pool."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayeslaw.errors import InputError, nearest
from bayeslaw.joint.hypothetical import Member, NewModel
from bayeslaw.joint.joint_model import JointModel
from bayeslaw.losses.sizes import is_size
from bayeslaw.pools.member_text import EXAMPLE, read_member, split_members
from bayeslaw.pools.regimes import regime_of
from bayeslaw.prediction.targets import NOT_SEEN

if TYPE_CHECKING:
    from bayeslaw.fitting.fits import Fit
    from bayeslaw.joint.law import JointLaw

COLUMNS = ("members", "parameters", "family")


def columns(law: "JointLaw") -> tuple[str, ...]:
    """Name the columns that targets may have, of any joint law."""
    return COLUMNS


def read_pool_targets(model: JointModel, at: pd.DataFrame) -> tuple[pd.DataFrame, list[list[Member]]]:
    """Read the pools to predict.

    Parameters
    ----------
    model
        The joint law with its table.
    at
        ``members``: names of models of the table and new models as ``parameters:family``, with commas between; or, for
        single models, ``parameters`` and ``family`` (every known family where it is left out).

    Returns
    -------
    targets : pandas.DataFrame
        One row a pool: ``members``, ``parameters`` (their total) and ``regime``.
    pools : list
        Members of each pool.

    Raises
    ------
    InputError
        If a column is unknown or missing, or a member cannot be read.
    """
    for name in at:
        if name not in COLUMNS:
            raise InputError(
                f"there is no prediction at {name!r} by the joint law",
                f"columns {', '.join(COLUMNS)}",
                nearest(str(name), COLUMNS),
            )
    texts = _member_texts(model, at)
    table = model.table
    pools = [read_pool(text, list(table.names)) for text in texts]
    known = {str(name): number for number, name in enumerate(table.names)}
    members = [
        [
            (member.parameters, member.family)
            if isinstance(member, NewModel)
            else (float(table.parameters[known[member]]), str(table.families[known[member]]))
            for member in pool
        ]
        for pool in pools
    ]
    targets = pd.DataFrame(
        {
            "members": texts,
            "parameters": [sum(parameters for parameters, _ in pool) for pool in members],
            "regime": [regime_of([family for _, family in pool]) for pool in members],
        }
    )
    return targets, pools


def read_pool(text: str, names: Sequence[str]) -> list[Member]:
    """Read the members of one pool.

    Parameters
    ----------
    text
        Names of models and new models as ``parameters:family``, with commas between. New members of one size and family
        are different models.
    names
        Names of the models of the table.

    Returns
    -------
    list of Member
        The members.

    Raises
    ------
    InputError
        If a member is neither a name of the table nor of that form.
    """
    members: list[Member] = []
    for part in (piece.strip() for piece in split_members(text)):
        if part in names:
            members.append(part)
            continue
        if not part:
            raise InputError(
                f"the members {text!r} have an empty one", "members with single commas between", f'write "{EXAMPLE}"'
            )
        if ":" not in part and is_size(part):
            raise InputError(
                f"the member {part!r} has no family",
                "parameters:family",
                f"write {part}: and its family, as in {EXAMPLE}",
            )
        if ":" not in part:
            raise InputError(
                f"the table has no model {part!r}",
                "names of models of the table, or parameters:family such as 70e9:llama",
                nearest(part, names),
            )
        parameters, family = read_member(part)
        copies = sum(
            isinstance(member, NewModel) and (member.parameters, member.family) == (parameters, family)
            for member in members
        )
        members.append(NewModel(parameters, family, str(copies) if copies else ""))
    return members


def new_families(model: JointModel, texts: Sequence[str]) -> list[str]:
    """Families of members that the table does not hold, whose curves come from the population of families.

    Parameters
    ----------
    model
        The joint law with its table.
    texts
        Members of each pool, as `read_pool` takes them.

    Returns
    -------
    list of str
        Their names, each once, in the order in which they appear.
    """
    members = [member for text in texts for member in read_pool(text, list(model.table.names))]
    families = [member.family for member in members if isinstance(member, NewModel)]
    return [family for family in dict.fromkeys(families) if family not in model.groups]


def new_families_of(fit: "Fit", targets: pd.DataFrame) -> list[str]:
    """Name the families of predicted pools that the table does not hold; as `new_families`."""
    return new_families(fit.model, [str(text) for text in targets["members"]])


def pool_extrapolation(model: JointModel, pools: Sequence[Sequence[Member]]) -> np.ndarray:
    """How far members lie outside the sizes seen of their family, in units of their range of log parameters.

    Parameters
    ----------
    model
        The joint law with its table.
    pools
        Members of each pool.

    Returns
    -------
    np.ndarray
        The largest over members, [pool]; 0 for models of the table. A family of which no two sizes were seen is
        measured by the sizes of all models, and one of which none was seen lies one range further.
    """
    table = model.table
    observed = np.log(table.parameters)

    def distance(member: Member) -> float:
        if not isinstance(member, NewModel):
            return 0.0
        of_family = observed[table.families == member.family]
        of_family = of_family if len(of_family) and np.ptp(of_family) > 0 else observed
        value = np.log(member.parameters)
        outside = max(of_family.min() - value, value - of_family.max(), 0.0) / np.ptp(of_family)
        return outside + NOT_SEEN * (member.family not in model.groups)

    return np.array([max(map(distance, pool)) for pool in pools])


def _member_texts(model: JointModel, at: Mapping[str, Any] | pd.DataFrame) -> list[str]:
    frame = pd.DataFrame(at)
    if "members" in frame:
        if len(frame.columns) > 1:
            raise InputError(
                f"both members and {', '.join(name for name in frame if name != 'members')} are given",
                "members alone: they have their own",
                "leave out the other columns",
            )
        return [str(text) for text in frame["members"]]
    if "parameters" not in frame:
        raise InputError("the targets have no members", "members, or parameters and family", "add members")
    families = None if "family" in frame else list(model.groups)
    texts = []
    for row in frame.to_dict(orient="records"):
        try:
            parameters = f"{float(row['parameters']):.17g}"
        except (TypeError, ValueError):
            parameters = str(row["parameters"])
        texts += [f"{parameters}:{family}" for family in families or [row["family"]]]
    return texts
