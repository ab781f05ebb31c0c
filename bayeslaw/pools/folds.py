"""Folds of whole clusters, on which what is chosen is judged elsewhere than where it was chosen."""

import numpy as np

from bayeslaw.errors import InputError

FOLDS = 5


def assign_folds(clusters: np.ndarray, seed: int = 0, folds: int = FOLDS) -> np.ndarray:
    """Deal whole clusters to folds.

    Parameters
    ----------
    clusters
        Number of each sample's cluster, [sample], from 0 without gaps.
    seed
        Seed of the deal.
    folds
        How many folds.

    Returns
    -------
    np.ndarray
        Number of each sample's fold, [sample]: as many folds as asked for, or as there are clusters where those are
        fewer.
    """
    number = int(clusters.max()) + 1
    of_cluster = np.random.default_rng(seed).permutation(number) % folds
    return of_cluster[clusters]


def choose_best(fold_sums: np.ndarray) -> np.ndarray:
    """Choose, for each fold, the member that is best on the other folds.

    Parameters
    ----------
    fold_sums
        Sums of losses in nats, [..., fold, member].

    Returns
    -------
    np.ndarray
        Position of the chosen member, [..., fold].
    """
    return (fold_sums.sum(axis=-2, keepdims=True) - fold_sums).argmin(axis=-1)


def check_two_clusters(clusters: np.ndarray, rule: str) -> None:
    """Refuse to cross-fit on one cluster.

    Parameters
    ----------
    clusters
        Number of each sample's cluster, [sample], from 0 without gaps.
    rule
        The rule that needs two, for the message.

    Raises
    ------
    InputError
        If there is one cluster.
    """
    if clusters.max() == 0:
        raise InputError(
            f"the rule {rule!r} needs at least two clusters, and the table has one",
            "a table with two clusters or more: what is chosen is chosen on clusters other than those it is scored on",
            "declare a finer cluster, or use the rule 'oracle' or 'mixture'",
        )
