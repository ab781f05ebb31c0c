"""What the name of a model says about its family."""

import re

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
