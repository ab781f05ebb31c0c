"""That texts are those which a table was scored on."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from bayeslaw.errors import InputError
from inference.texts.documents import Corpus, text_hash

LISTED = 3


def labels_of(corpus: Corpus) -> dict[str, tuple[str, ...] | None]:
    """Return what texts are labelled with, by column; None where they are not."""
    return {"domain": corpus.domains, "cluster": corpus.clusters}


def check_same_texts(path: Path, held: pd.DataFrame, corpus: Corpus) -> None:
    """Refuse texts that lack or change some of those that a table was scored on.

    Parameters
    ----------
    path
        The folder of the table.
    held
        What it keeps of its texts: ``document``, ``sha256`` and their labels.
    corpus
        The texts.

    Raises
    ------
    InputError
        If a text of the table is not among them, or it, its domain or its cluster has changed, or some have one and
        some none.
    """
    place = {name: number for number, name in enumerate(corpus.names)}
    absent = [name for name in held["document"] if name not in place]
    if absent:
        listed = ", ".join(repr(name) for name in absent[:LISTED])
        problem = f"{len(absent):,} of the texts that {str(path)!r} was scored on are not given: {listed}"
        fix = "give them all, with the new ones, or give another --out for another corpus"
        raise InputError(problem, "every text of the table, and if wanted more", fix)
    for name, known in zip(held["document"], held["sha256"], strict=True):
        if text_hash(corpus.texts[place[name]]) != known:
            problem = f"the text {name!r} is not the one that {str(path)!r} was scored on (its hash differs)"
            raise InputError(problem, "the same text", "rename it, or give another --out")
    for label, values in labels_of(corpus).items():
        given = None if values is None else {name: values[number] for name, number in place.items()}
        _check_same_labels(path, held, label, given)


def _check_same_labels(path: Path, held: pd.DataFrame, label: str, given: Mapping[str, str] | None) -> None:
    if (label in held) != (given is not None):
        lacking = "not all one" if label == "domain" else "none"
        have, has = (f"no {label}s", "all one") if given is not None else (f"{label}s", lacking)
        problem = f"the texts that {str(path)!r} was scored on have {have}, and those given have {has}"
        raise InputError(problem, f"a {label} for all texts or for none", "give them alike, or give another --out")
    if given is None:
        return
    for name, known in zip(held["document"], held[label], strict=True):
        if (now := given[name]) != known:
            problem = f"the {label} of the text {name!r} is {now!r}, and in {str(path)!r} {known!r}"
            raise InputError(problem, f"the same {label}", "correct it, or give another --out")
