"""Names of models and families: what they say, and which ones cannot be used."""

import re
from collections.abc import Iterable
from unicodedata import category

from bayeslaw.errors import InputError
from bayeslaw.losses.sizes import is_size

NEW_FAMILY = "new"
"""Stands for a family that was not seen, where predictions are asked for."""
# Columns that stand beside those of models where a table has a column for each.
TAKEN = frozenset(
    (
        *("sample", "item_id", "id", "lm", "nll", "bytes", "scored_bytes", "tokens", "n_tokens", "cluster"),
        *("unit", "domain", "document", "position", "sample_of_token", "task", "doc_id", NEW_FAMILY),
    )
)
SEPARATORS = {" + ": "joins the names of a pool's members", ",": "separates the members of a pool"}
MISSING_WORDS = frozenset({"NA", "N/A", "NaN", "nan", "null", "None", "<NA>"})
# Control characters, halves of surrogate pairs, and ends of lines and paragraphs.
UNSEEN = frozenset({"Cc", "Cs", "Zl", "Zp"})

# A size: 160m, 1.3b, 1_6b, 8x7B, and A3B for the active part of a mixture of experts. A context length such as 128k is
# none, and neither is a version such as 3.1.
SIZE_NUMBER = re.compile(r"(?i)(^|[-_: ])(?:\d+x)?a?\d+(?:[._]\d+)?[mbt](?=$|[-_: ])")
SIZE_WORD = re.compile(r"(?i)[-_](?:tiny|mini|small|medium|large|xl|xxl)(?=$|[-_])")


def family_of_name(name: str) -> str:
    """Return the family that a model's name suggests: the name without its owner, its revision and its size.

    Parameters
    ----------
    name
        A hub id, with or without ``@revision``, or a path.

    Returns
    -------
    str
        The family: ``"pythia"`` for ``"EleutherAI/pythia-160m"``. A name that holds no size stays as it is, and so does
        one that is nothing but a size.
    """
    base = re.split(r"[/\\]", name.strip().rstrip("/\\"))[-1].partition("@")[0]
    family = SIZE_WORD.sub("", SIZE_NUMBER.sub("", base)).strip("-_: ")
    return family or base


def check_model_names(names: Iterable[str], *, as_given: bool = False) -> None:
    """Refuse names that a model cannot have, since they stand for something else where models are named.

    Parameters
    ----------
    names
        Names of models.
    as_given
        Also refuse space around a name, which readers of files leave out.

    Raises
    ------
    InputError
        If a name is empty, has a control character, is that of a column, or reads as several models or as a new one.
    """
    for name in dict.fromkeys(names):
        _check_text("model", name, as_given=as_given)
        if name in TAKEN:
            fix = "rename it, such as to my-" + name
            raise InputError(f"a model is called {name!r}, like a column of a table", "another name", fix)
        for sign, why in SEPARATORS.items():
            if sign in name:
                problem = f"the name of model {name!r} has {sign!r} in it, which {why}"
                raise InputError(problem, f"names without {sign!r}", f"write {name.replace(sign, '-')!r}")
        size, colon, _ = name.partition(":")
        if colon and is_size(size):
            problem = f"the model name {name!r} reads as a new model of {size} parameters"
            raise InputError(problem, "a name without a size before a colon", f"write {name.replace(':', '-')!r}")


def check_family_names(families: Iterable[str], *, as_given: bool = False) -> None:
    """Refuse names that a family cannot have.

    Parameters
    ----------
    families
        Names of families.
    as_given
        Also refuse space around a name, which readers of files leave out.

    Raises
    ------
    InputError
        If a name is empty, has a control character or a comma, or is ``"new"``, which stands for a family not seen.
    """
    for name in dict.fromkeys(families):
        _check_text("family", name, as_given=as_given)
        if name == NEW_FAMILY:
            problem = f"a family is called {name!r}, which stands for a family that was not seen"
            raise InputError(problem, "another name", "rename it, such as to new-models")
        if "," in name:
            problem = f"the family {name!r} has ',' in it, which separates the members of a pool"
            raise InputError(problem, "names without ','", f"write {name.replace(',', '-')!r}")


def check_unit(unit: object) -> str:
    """Return the unit of a sample without space around it.

    Parameters
    ----------
    unit
        What a sample is, such as ``"word"``.

    Returns
    -------
    str
        The unit.

    Raises
    ------
    InputError
        If it is no text, empty, or has a control character.
    """
    accepted = "a word such as document, sentence, line or word"
    if not isinstance(unit, str) or not unit.strip():
        problem = "the unit is empty" if isinstance(unit, str) else f"the unit is {unit!r}"
        raise InputError(problem, accepted, "declare the unit")
    _check_text("unit", unit.strip())
    return unit.strip()


def _check_text(what: str, name: str, *, as_given: bool = False) -> None:
    if not name.strip() or name.strip() in MISSING_WORDS:
        raise InputError(f"a {what} is called {name!r}", f"a name for every {what}", f"name the {what}")
    if as_given and name != name.strip():
        raise InputError(f"the {what} {name!r} has space around its name", "names without it", f"use {name.strip()!r}")
    odd = next((character for character in name if category(character) in UNSEEN), None)
    if odd is not None:
        problem = f"the {what} {name!r} has the character {odd!r} in its name, which cannot be seen"
        raise InputError(problem, "names of characters that can be seen", "rename it")


def listed(names: list[str]) -> str:
    """List the first eight of some names, and say how many more there are."""
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
