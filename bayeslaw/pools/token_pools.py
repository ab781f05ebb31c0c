"""Many pools whose members are combined at every token: losses of tokens are read a few clusters at a time.

Memory holds sums over the tokens of each sample, and the tokens of the largest cluster or of a few small ones.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from bayeslaw.losses import token_columns
from bayeslaw.losses.released_memory import release_memory
from bayeslaw.pools.cpu_cores import usable_cores
from bayeslaw.pools.cross_fitted import cross_fitted
from bayeslaw.pools.diversity_numbers import correlation_of
from bayeslaw.pools.loss_blocks import LossColumns
from bayeslaw.pools.pool_parts import lexicographic, make_parts
from bayeslaw.pools.pool_table import Evaluation, PoolTable
from bayeslaw.pools.rule_sums import rule_sums
from bayeslaw.pools.sample_rules import SampleKernels
from bayeslaw.pools.sampling_factor import Block, Clusters, factor_of
from bayeslaw.pools.table_tokens import TableTokens
from bayeslaw.pools.token_nulls import token_null_sums


@dataclass(frozen=True)
class TokenClusters:
    """Tokens cluster by cluster.

    Parameters
    ----------
    tokens
        The tokens.
    clusters
        Number of each span's cluster, [span], from 0 without gaps.
    shift
        What is taken off losses per byte.
    """

    tokens: TableTokens
    clusters: np.ndarray
    shift: float

    @property
    def count(self) -> int:
        """Number of clusters."""
        return int(self.clusters.max()) + 1

    @property
    def total(self) -> float:
        """Bytes of all tokens."""
        return float(self.tokens.sums[1].sum())

    def chunks(self) -> Iterator[tuple[LossColumns, np.ndarray]]:
        """Yield losses of the tokens of a few whole clusters, and numbers of these from 0, [token]."""
        order = np.argsort(self.clusters, kind="stable")
        ends = np.cumsum(np.bincount(self.clusters, self.tokens.counts).astype(np.int64))
        last_spans = np.cumsum(np.bincount(self.clusters))
        first = span = start = 0
        while first < self.count:
            size = token_columns.TOKENS_AT_ONCE
            last = max(int(np.searchsorted(ends, start + size, side="right")), first + 1)
            nll, weights, spans = self.tokens.of_spans(order[span : last_spans[last - 1]])
            columns = LossColumns(nll, weights.astype(np.float64), self.shift)
            yield columns, self.clusters[spans] - first
            first, span, start = last, int(last_spans[last - 1]), int(ends[last - 1])

    def makers(self, size: int) -> Iterator[Callable[[], Block]]:
        """Yield what makes one block of about `size` tokens after the other; a cluster is never cut."""
        for columns, clusters in self.chunks():
            yield from Clusters(columns, clusters).makers(size)


def evaluate_token_pools(
    tokens: TableTokens, kernels: SampleKernels, members: np.ndarray, *, clusters: np.ndarray, seed: int
) -> Evaluation:
    """Evaluate pools whose members are combined at every token.

    Parameters
    ----------
    tokens
        The tokens.
    kernels
        The rule.
    members
        Positions of members in ascending order, [pool, slot], padded with -1; no pool twice.
    clusters
        Number of each span's cluster, [span], from 0 without gaps.
    seed
        Seed of the folds and of the shuffles.

    Returns
    -------
    Evaluation
        In nats per byte, as `bayeslaw.pools.evaluate.evaluate_pools` of a table whose samples are tokens.
    """
    nll, size = tokens.sums
    # All that a single model loses, and all that is chosen by folds, follows from sums over spans.
    table = PoolTable(nll, members, size.astype(np.float64), clusters, seed=seed)
    best, shift, total = cross_fitted(table), table.columns.shift, table.weights.sum()
    pools, back = lexicographic(members)
    parts = make_parts(pools, nll.shape[1])
    blocks = TokenClusters(tokens, clusters, shift)
    sums, wins = np.zeros((3, len(pools))), np.zeros(pools.shape)

    def losses_of(block: Block, pool: int) -> np.ndarray:
        return kernels.losses(block.losses[pools[pool][pools[pool] >= 0]])

    with ThreadPoolExecutor(usable_cores()) as executor:
        for columns, codes in blocks.chunks():
            found = rule_sums(columns, codes, parts, kernels.make_step, executor)
            sums, wins = sums + found[0], wins + found[1]
        loss = sums[0] / total
        factor = factor_of(blocks, losses_of, loss, parts=parts, products=kernels.products, executor=executor)
        release_memory()
        nulls = token_null_sums(tokens, parts, kernels.block_sums, shift=shift, seed=seed, executor=executor) / total
    single = pools[:, 1:].max(axis=1, initial=-1) < 0
    independent, comonotone = np.where(single, loss, nulls)
    return Evaluation(
        loss=loss[back],
        standard_error=table.standard_errors(loss, sums[1], sums[2])[back],
        best=np.where(single[back], loss[back], best.loss),
        independent=independent[back],
        comonotone=comonotone[back],
        shares=wins[back] / total,
        factor=None if factor is None else factor[back],
    ).shifted(shift)


def token_correlation(tokens: TableTokens) -> np.ndarray:
    """Correlate the losses of models on tokens, all with one weight.

    Parameters
    ----------
    tokens
        The tokens.

    Returns
    -------
    np.ndarray
        As `bayeslaw.pools.diversity_numbers.residual_correlation` gives them, [lm, lm].
    """
    return correlation_of(lambda: ((nll, np.ones(len(nll))) for nll, _, _ in tokens.batches()), float(tokens.count))
