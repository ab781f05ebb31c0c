"""Which pools: all subsets up to a size, a stratified sample of them, or pairs matched in budget.

Pools are rows of positions of models in ascending order, padded with -1. Counting and sampling never enumerate more
than `ENUMERATED` pools.
"""

from math import comb

import numpy as np

from bayeslaw.errors import InputError

DESIGNS = ("all", "stratified", "matched")
MOST_POOLS = 200_000
ENUMERATED = 250_000
BUDGET_BINS = 10
CANDIDATES = 20_000
SAMPLING_ROUNDS = 12
DRAWN_PER_PAIR = 10


def count_subsets(models: int, max_size: int) -> int:
    """Count the subsets of one to `max_size` of `models` models.

    Parameters
    ----------
    models
        Number of models.
    max_size
        Largest size.

    Returns
    -------
    int
        The count, exact.
    """
    return sum(comb(models, size) for size in range(1, max_size + 1))


def all_subsets(models: int, max_size: int) -> np.ndarray:
    """List all subsets up to a size.

    Parameters
    ----------
    models
        Number of models.
    max_size
        Largest size.

    Returns
    -------
    np.ndarray
        Members, [pool, slot], by size and then in lexicographic order.
    """
    level, levels = np.arange(models)[:, None], []
    for size in range(1, max_size + 1):
        levels.append(_pad(level, max_size))
        if size == max_size:
            break
        following = models - 1 - level[:, -1]
        parent = np.repeat(np.arange(len(level)), following)
        offset = np.arange(len(parent)) - np.repeat(np.cumsum(following) - following, following)
        level = np.column_stack([level[parent], level[parent, -1] + 1 + offset])
    return np.concatenate(levels)


def stratified_subsets(
    families: np.ndarray, parameters: np.ndarray, max_size: int, limit: int, generator: np.random.Generator
) -> np.ndarray:
    """Sample subsets evenly over size, number of families and budget.

    Parameters
    ----------
    families
        Number of each model's family, [lm], from 0.
    parameters
        Parameters of each model, [lm].
    max_size
        Largest size.
    limit
        Number of pools wanted, at least the number of models.
    generator
        Where the randomness comes from.

    Returns
    -------
    np.ndarray
        Members, [pool, slot]: every single model, and then as equal a number as there are pools for from each
        combination of size, number of families and tenth of the range of log budgets.
    """
    models = len(families)
    singles = _pad(np.arange(models)[:, None], max_size)
    if count_subsets(models, max_size) <= ENUMERATED:
        candidates = all_subsets(models, max_size)[models:]
    else:
        candidates = _draw_candidates(families, parameters, max_size, limit, generator)
    log_budget = np.log(_pool_sums(candidates, parameters))
    edges = np.linspace(np.log(parameters.min()), np.log(np.sort(parameters)[-max_size:].sum()), BUDGET_BINS + 1)
    size, number = (candidates >= 0).sum(axis=1), _number_of_families(candidates, families)
    stratum = (size * (max_size + 1) + number) * BUDGET_BINS + np.searchsorted(edges[1:-1], log_budget, side="right")
    chosen = _evenly(stratum, limit - models, generator)
    return np.concatenate([singles, candidates[np.sort(chosen)]])


def matched_pairs(
    families: np.ndarray,
    parameters: np.ndarray,
    max_size: int,
    *,
    limit: int | None,
    tolerance: float,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Pair homogeneous pools with heterogeneous pools of the same size and nearly the same budget.

    Parameters
    ----------
    families, parameters, max_size, generator
        As in `stratified_subsets`.
    limit
        Number of pools wanted at most, singles included, as evenly over sizes as there are pairs; None for all.
    tolerance
        Largest absolute difference of the natural logarithms of the two budgets.

    Returns
    -------
    members : np.ndarray
        Members, [pool, slot]: every single model, then pair after pair, the homogeneous pool first.
    match : np.ndarray
        Number of the pair, [pool]; -1 for single models.

    Raises
    ------
    InputError
        If there are no two families, no family of two members, more pairs than can be handled without a limit, or no
        pair within the tolerance.
    """
    models = len(families)
    counts = np.bincount(families)
    number = sum(comb(int(count), size) for count in counts for size in range(2, max_size + 1))
    if number == 0 or len(counts) < 2:
        raise InputError(
            f"there are no pairs to match: {len(counts)} families, {counts.max()} models in the largest, "
            f"size up to {max_size}",
            "two families or more, one of them with two models or more, and a max size of 2 or more",
            "use the design 'all' or 'stratified'",
        )
    _check_count(models + 2 * number, limit)
    pairs: list[np.ndarray] = []
    for size in range(2, max_size + 1):
        homogeneous = _homogeneous(families, size, limit, generator)
        if len(homogeneous):
            pairs.extend(
                _match(homogeneous, _heterogeneous(families, parameters, size, generator), parameters, tolerance)
            )
    if not pairs:
        raise InputError(
            f"no homogeneous pool has a heterogeneous one of its size within {tolerance:g} of its log budget",
            "a tolerance that some pair meets",
            "raise the tolerance, or use the design 'stratified'",
        )
    wanted = len(pairs) if limit is None else min(len(pairs), (limit - models) // 2)
    kept = np.sort(_evenly(np.array([pair.shape[1] for pair in pairs]), wanted, generator))
    members = [_pad(np.arange(models)[:, None], max_size), *(_pad(pairs[pair], max_size) for pair in kept)]
    match = np.concatenate([np.full(models, -1), np.repeat(np.arange(wanted), 2)])
    return np.concatenate(members), match


def _check_count(count: int, limit: int | None) -> None:
    if limit is None and count > MOST_POOLS:
        raise InputError(
            f"this asks for {count:,} pools",
            f"at most {MOST_POOLS:,} pools, or a limit",
            "give a limit to take a sample (--limit 20000, or limit=20000), or a smaller max size",
        )


def _pad(members: np.ndarray, max_size: int) -> np.ndarray:
    padded = np.full((len(members), max_size), -1)
    padded[:, : members.shape[1]] = members
    return padded


def _pool_sums(members: np.ndarray, values: np.ndarray) -> np.ndarray:
    padded = np.append(values, 0.0)
    return np.sum([padded[column] for column in members.T], axis=0)


def _number_of_families(members: np.ndarray, families: np.ndarray) -> np.ndarray:
    # A member adds a family if no earlier one is of it; padding gets a family of its own, which is not counted.
    of_slot = [np.append(families, -1)[column] for column in members.T]
    number = np.zeros(len(members), dtype=np.int64)
    for slot, positions in enumerate(of_slot):
        new = positions >= 0
        for earlier in of_slot[:slot]:
            new &= positions != earlier
        number += new
    return number


def _evenly(stratum: np.ndarray, wanted: int, generator: np.random.Generator) -> np.ndarray:
    """Choose rows so that no stratum has two more than another that still has rows to give."""
    key = generator.random(len(stratum))
    order = np.argsort(stratum + key)
    counts = np.bincount(stratum)
    rank = np.empty(len(stratum))
    rank[order] = np.arange(len(stratum)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.argsort(rank + key)[:wanted]


def _draw_candidates(
    families: np.ndarray, parameters: np.ndarray, max_size: int, limit: int, generator: np.random.Generator
) -> np.ndarray:
    """Draw distinct subsets of two or more, many from every size and number of families, at all budgets."""
    models = len(families)
    order = np.argsort(parameters, kind="stable")
    # Draws from all models have middling budgets: those among the smallest or the largest reach the ends.
    windows = [order[int(a * models) : int(np.ceil(b * models))] for a, b in _WINDOWS]
    cells = [
        (size, number, window)
        for window in windows
        for size in range(2, max_size + 1)
        for number in range(1, size + 1)
        if _ways(np.bincount(families[window]), size, number)[0, size, number] > 0
    ]
    drawn = np.zeros((0, max_size), dtype=np.int64)
    each = max(16, -(-2 * limit // len(cells)))
    for _ in range(SAMPLING_ROUNDS):
        rows = [
            _pad(np.sort(window[_draw(families[window], size, number, each, generator)], axis=1), max_size)
            for size, number, window in cells
        ]
        drawn = np.unique(np.concatenate([drawn, *rows]), axis=0)
        if len(drawn) >= 2 * limit:
            break
        each *= 2
    return drawn[np.argsort((drawn >= 0).sum(axis=1), kind="stable")]


_WINDOWS = ((0, 1), (0, 0.5), (0.5, 1), (0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1), (0, 0.125), (0.875, 1))


def _ways(counts: np.ndarray, size: int, number: int) -> np.ndarray:
    """Count the subsets of `k` models from exactly `g` of the families from `f` on: entry [f, k, g]."""
    ways = np.zeros((len(counts) + 1, size + 1, number + 1))
    ways[-1, 0, 0] = 1
    for family in range(len(counts) - 1, -1, -1):
        ways[family] = ways[family + 1]
        for taken in range(1, min(int(counts[family]), size) + 1):
            more = comb(int(counts[family]), taken) * ways[family + 1, : size + 1 - taken, :number]
            ways[family, taken:, 1:] += more
    return ways


def _draw(families: np.ndarray, size: int, number: int, draws: int, generator: np.random.Generator) -> np.ndarray:
    """Draw subsets of a size from a number of families, each as likely as any other: positions [draw, slot]."""
    counts = np.bincount(families)
    ways = _ways(counts, size, number)
    left, families_left = np.full(draws, size), np.full(draws, number)
    chosen = np.zeros((draws, len(families)), dtype=bool)
    for family, count in enumerate(counts):
        taken = np.arange(min(int(count), size) + 1)
        after = left[:, None] - taken
        after_families = families_left[:, None] - (taken > 0)
        feasible = (after >= 0) & (after_families >= 0)
        chance = np.where(feasible, ways[family + 1][np.maximum(after, 0), np.maximum(after_families, 0)], 0.0)
        chance = np.cumsum(chance * [comb(int(count), int(k)) for k in taken], axis=1)
        pick = (generator.random(draws)[:, None] * chance[:, -1:] >= chance).sum(axis=1)
        left, families_left = left - pick, families_left - (pick > 0)
        of_family = np.flatnonzero(families == family)
        rank = generator.random((draws, len(of_family))).argsort(axis=1).argsort(axis=1)
        chosen[:, of_family] = rank < pick[:, None]
    return np.nonzero(chosen)[1].reshape(draws, size)


def _homogeneous(families: np.ndarray, size: int, limit: int | None, generator: np.random.Generator) -> np.ndarray:
    """List the subsets of one size within families, or draw some where there are too many."""
    counts = np.bincount(families)
    number = sum(comb(int(count), size) for count in counts)
    if limit is not None and number > DRAWN_PER_PAIR * limit:
        return np.unique(_draw(families, size, 1, DRAWN_PER_PAIR * limit, generator), axis=0)
    rows = [np.zeros((0, size), dtype=np.int64)]
    for family, count in enumerate(counts):
        if count >= size:
            subsets = all_subsets(int(count), size)[count_subsets(int(count), size - 1) :]
            rows.append(np.flatnonzero(families == family)[subsets])
    return np.concatenate(rows)


def _heterogeneous(
    families: np.ndarray, parameters: np.ndarray, size: int, generator: np.random.Generator
) -> np.ndarray:
    """List the subsets of one size over two families or more, or draw some at all budgets where there are too many."""
    models = len(families)
    if comb(models, size) <= ENUMERATED:
        subsets = all_subsets(models, size)[count_subsets(models, size - 1) :]
        return subsets[_number_of_families(subsets, families) > 1]
    order = np.argsort(parameters, kind="stable")
    rows = []
    for low, high in _WINDOWS:
        window = order[int(low * models) : int(np.ceil(high * models))]
        for number in range(2, size + 1):
            if _ways(np.bincount(families[window]), size, number)[0, size, number] > 0:
                rows.append(np.sort(window[_draw(families[window], size, number, CANDIDATES, generator)], axis=1))
    return np.unique(np.concatenate(rows), axis=0)


def _match(homogeneous: np.ndarray, mixed: np.ndarray, parameters: np.ndarray, tolerance: float) -> list[np.ndarray]:
    """Give every homogeneous pool the nearest heterogeneous pool that is not taken yet, in the order given."""
    if not len(mixed):
        return []
    budgets = np.log(parameters[mixed].sum(axis=1))
    order = np.argsort(budgets, kind="stable")
    budgets, mixed = budgets[order], mixed[order]
    below, above = np.arange(len(mixed) + 2), np.arange(len(mixed) + 2)
    pairs = []
    for pool, budget in zip(homogeneous, np.log(parameters[homogeneous].sum(axis=1)), strict=True):
        place = int(np.searchsorted(budgets, budget))
        lower, upper = _free(below, place) - 1, _free(above, place + 1) - 1
        candidates = [spot for spot in (lower, upper) if 0 <= spot < len(mixed)]
        if not candidates:
            break
        spot = min(candidates, key=lambda spot: abs(budgets[spot] - budget))
        if abs(budgets[spot] - budget) <= tolerance:
            below[spot + 1], above[spot + 1] = spot, spot + 2
            pairs.append(np.stack([pool, mixed[spot]]))
    return pairs


def _free(links: np.ndarray, place: int) -> int:
    """Follow links from taken places to the next free one, shortening the path on the way."""
    root = place
    while links[root] != root:
        root = links[root]
    while links[place] != root:
        links[place], place = root, links[place]
    return int(root)
