"""Members of pools to predict: models of the table by name, and models that may not exist yet by size and family."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bayeslaw.errors import InputError, nearest


@dataclass(frozen=True)
class NewModel:
    """A model that the table does not hold.

    Parameters
    ----------
    parameters
        Number of parameters, of the kind that the law was fitted with.
    family
        Name of its family; one that the table does not hold is a new family.
    name
        Tells models of one size and family apart; members of the same name are the same model.
    """

    parameters: float
    family: str
    name: str = ""


Member = str | NewModel


@dataclass(frozen=True)
class Candidates:
    """All models that pools to predict are made of: those of the table first, then the new ones.

    Parameters
    ----------
    new
        The new models.
    members
        Positions of members in ascending order, [pool, slot], padded with -1.
    """

    new: tuple[NewModel, ...]
    members: np.ndarray


def read_candidates(names: Sequence[str], pools: Sequence[Sequence[Member]]) -> Candidates:
    """Give numbers to the members of pools.

    Parameters
    ----------
    names
        Names of the models of the table.
    pools
        Members of each pool: names of models of the table, or new models.

    Returns
    -------
    Candidates
        The models and pools.

    Raises
    ------
    InputError
        If there are no pools, a pool is empty, names a model twice or one that the table does not hold, or the
        parameters of a new model are not positive.
    """
    if not pools or not all(pools):
        raise InputError(
            "a pool to predict has no members" if pools else "there are no pools to predict",
            "pools of one member or more",
            "name members, such as 70e9:llama",
        )
    place = {name: number for number, name in enumerate(names)}
    new: dict[NewModel, int] = {}
    rows = []
    for pool in pools:
        row = []
        for member in pool:
            if isinstance(member, NewModel):
                if not (np.isfinite(member.parameters) and member.parameters > 0):
                    raise InputError(
                        f"a member has {member.parameters!r} parameters",
                        "a positive number",
                        "write it like 70e9:llama",
                    )
                row.append(new.setdefault(member, len(names) + len(new)))
            elif member in place:
                row.append(place[member])
            else:
                raise InputError(
                    f"the table has no model {member!r}",
                    "names of models of the table, or parameters:family such as 70e9:llama",
                    nearest(str(member), list(names)),
                )
        if len(set(row)) < len(row):
            raise InputError("a pool names a model twice", "each model once", "name each member once")
        rows.append(sorted(row))
    members = np.full((len(rows), max(map(len, rows))), -1)
    for target, row in zip(members, rows, strict=True):
        target[: len(row)] = row
    return Candidates(tuple(new), members)
