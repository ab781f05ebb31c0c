"""What pools would lose at every token, were their members independent, and of one mind: columns kept on disk.

A column is dealt to buckets that memory holds one at a time. Dealt at random and shuffled in each, it is in random
order (Sanders, Random permutations on distributed, external and hierarchical memory, 1998); dealt by value and sorted
in each, it is sorted.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor

import numpy as np

from bayeslaw.losses.token_columns import ScratchFile, pieces
from bayeslaw.pools.loss_blocks import SAMPLES, stream
from bayeslaw.pools.pool_parts import Part
from bayeslaw.pools.rule_sums import BlockSums
from bayeslaw.pools.table_tokens import TableTokens

# Numbers that are shuffled or sorted together.
IN_MEMORY = 1 << 24
# Values of a column that are looked at to cut it into buckets of about one size.
LOOKED_AT = 1 << 14


def token_null_sums(
    tokens: TableTokens,
    parts: Sequence[Part],
    block_sums: BlockSums,
    *,
    shift: float,
    seed: int,
    executor: Executor,
) -> np.ndarray:
    """Sum up the losses that pools would have, were their members independent, and of one mind.

    Parameters
    ----------
    tokens
        The tokens.
    parts, block_sums, executor
        As in `bayeslaw.pools.rule_sums.null_sums`.
    shift
        What is taken off losses per byte.
    seed
        Seed of the shuffles.

    Returns
    -------
    np.ndarray
        Sums of the shifted losses, [null, pool]. What a token costs does not grow with its bytes, of which it may have
        none: it is shuffled and sorted whole.
    """
    buckets = -(-tokens.count // IN_MEMORY)
    total = float(tokens.sums[1].sum())
    columns, common = _shuffled(tokens, buckets, shift, seed)
    independent = common + _sums(columns, lambda block: block, parts, block_sums, executor)
    for column in columns:
        column.close()
    columns, common = _sorted(tokens, buckets), 0.0

    def less_the_first(block: np.ndarray) -> np.ndarray:
        nonlocal common
        reference = block[0].astype(np.float32)
        common += reference.sum(dtype=np.float64)
        return block - reference

    comonotone = _sums(columns, less_the_first, parts, block_sums, executor) + common - shift * total
    for column in columns:
        column.close()
    return np.stack([independent, comonotone])


def _sums(
    columns: Sequence[ScratchFile],
    prepared: Callable[[np.ndarray], np.ndarray],
    parts: Sequence[Part],
    block_sums: BlockSums,
    executor: Executor,
) -> np.ndarray:
    """Sum up a rule over what is prepared of the columns of all models, [lm, token]; returns [pool]."""
    sums = np.zeros(sum(len(part.pools) for part in parts))

    def add(part: Part, found: np.ndarray) -> None:
        sums[part.rows] += found

    def makers() -> Iterator[Callable[[], Callable[[Part], np.ndarray]]]:
        for start in range(0, columns[0].length, SAMPLES):
            # Read here, by one thread, since a file has one place.
            block = prepared(np.stack([column.read(start, start + SAMPLES) for column in columns]))
            yield lambda block=block: block_sums(np.ascontiguousarray(block, np.float32))

    stream(executor, makers(), parts, lambda made, part: made(part), add)
    return sums


def _shuffled(tokens: TableTokens, buckets: int, shift: float, seed: int) -> tuple[list[ScratchFile], float]:
    """Shuffle each model's deviations from the mean over models, and sum up these means."""
    models, common = len(tokens.columns), 0.0
    # Dealt by a generator of its own, so that few tokens are shuffled as a table in memory is.
    sizes = np.zeros((models, buckets), np.int64)
    for picked in _picked(tokens.count, models, buckets, seed):
        sizes += [np.bincount(row, minlength=buckets) for row in picked]
    dealt = [_Dealt("f4", row) for row in sizes]
    for (nll, size, _), picked in zip(tokens.batches(), _picked(tokens.count, models, buckets, seed), strict=True):
        off = shift * size
        # What all have in common may be rounded, as long as it is put back as it was taken off.
        means = (nll.mean(axis=1) - off).astype(np.float32)
        common += means.sum(dtype=np.float64)
        for model, column in enumerate(dealt):
            column.deal(nll[:, model] - off - means, picked[model])
    generator = np.random.default_rng([seed, 2])
    for column in dealt:
        column.each(lambda values: generator.permuted(values, out=values))
    return [column.file for column in dealt], common


def _picked(count: int, models: int, buckets: int, seed: int) -> Iterator[np.ndarray]:
    """Yield buckets picked at random, [lm, token], for a few tokens at a time."""
    generator = np.random.default_rng([seed, 2, 1])
    for start, stop in pieces(0, count):
        yield generator.integers(buckets, size=(models, stop - start))


def _sorted(tokens: TableTokens, buckets: int) -> list[ScratchFile]:
    """Sort the losses of each model."""
    step = max(1, tokens.count // LOOKED_AT)
    # Copies, since views would hold on to all of it.
    some = (
        [nll[::step].copy() for nll, _, _ in tokens.batches()] if buckets > 1 else [np.zeros((1, len(tokens.columns)))]
    )
    limits = np.quantile(np.concatenate(some), np.arange(1, buckets) / buckets, axis=0).T
    sizes = np.zeros((len(limits), buckets), np.int64)
    for nll, _, _ in tokens.batches():
        for column, limit, counts in zip(nll.T, limits, sizes, strict=True):
            counts += np.bincount(np.searchsorted(limit, column), minlength=buckets)
    dealt = [_Dealt("f8", row) for row in sizes]
    for nll, _, _ in tokens.batches():
        for values, limit, column in zip(nll.T, limits, dealt, strict=True):
            column.deal(values, np.searchsorted(limit, values))
    for column in dealt:
        column.each(np.ndarray.sort)
    return [column.file for column in dealt]


class _Dealt:
    """A column in buckets, one after the other in a file.

    Parameters
    ----------
    kind
        Type of the numbers.
    sizes
        How many each bucket is going to hold, [bucket].
    """

    def __init__(self, kind: str, sizes: np.ndarray) -> None:
        self.file, self.ends = ScratchFile(kind), np.cumsum(sizes)
        self.next = self.ends - sizes

    def deal(self, values: np.ndarray, bucket: np.ndarray) -> None:
        """Put values into buckets, in their order."""
        if len(self.ends) > 1:
            order = np.argsort(bucket, kind="stable")
            values = values[order]
        counts = np.bincount(bucket, minlength=len(self.ends))
        for number, some in enumerate(np.split(values, np.cumsum(counts)[:-1])):
            self.file.write(int(self.next[number]), some)
        self.next += counts

    def each(self, change: Callable[[np.ndarray], object]) -> None:
        """Change the values of one bucket after the other in place."""
        for start, stop in zip(np.append(0, self.ends[:-1]), self.ends, strict=True):
            values = self.file.read(int(start), int(stop))
            change(values)
            self.file.write(int(start), values)
