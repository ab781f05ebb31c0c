"""The tokens of the samples of a loss table, a few of them at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.losses import token_columns
from bayeslaw.losses.frames import on_samples
from bayeslaw.losses.token_columns import TokenColumns, TokensInMemory
from bayeslaw.losses.token_folders import TokenFolder
from bayeslaw.losses.token_losses import check_sums, tokenizer_groups


@dataclass(frozen=True)
class TableTokens:
    """Tokens in the order of a table's samples, in spans of one sample and one cluster.

    Attributes
    ----------
    source
        Where they are read from.
    columns
        Positions of the models wanted among those of the source, [lm].
    starts, counts
        First token of each span in the source, and how many it has, [span].
    sample
        Number of the span's sample in the table, [span], ascending.
    clusters
        Name of its cluster, objects [span].
    """

    source: TokenColumns
    columns: np.ndarray
    starts: np.ndarray
    counts: np.ndarray
    sample: np.ndarray
    clusters: np.ndarray

    @property
    def count(self) -> int:
        """Number of tokens."""
        return int(self.counts.sum())

    def batches(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield losses [token, lm], bytes [token] and numbers of the spans [token], ascending, of a few tokens."""
        ends = np.cumsum(self.counts)
        for start, stop in token_columns.pieces(0, self.count):
            first, last = int(np.searchsorted(ends, start, side="right")), int(np.searchsorted(ends, stop))
            spans = np.arange(first, last + 1)
            before = ends[spans] - self.counts[spans]
            low, high = np.maximum(start - before, 0), np.minimum(stop - before, self.counts[spans])
            yield self._read(spans, self.starts[spans] + low, self.starts[spans] + high)

    def of_spans(self, spans: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return losses [token, lm], bytes [token] and numbers of the spans [token] of all tokens of some spans."""
        return self._read(spans, self.starts[spans], self.starts[spans] + self.counts[spans])

    def _read(
        self, spans: np.ndarray, start: np.ndarray, stop: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        # Spans that follow each other are read together.
        breaks = np.flatnonzero(start[1:] != stop[:-1]) + 1
        first, last = np.concatenate([[0], breaks]), np.append(breaks, len(start)) - 1
        read = [self.source.rows(int(start[one]), int(stop[two])) for one, two in zip(first, last, strict=True)]
        nll, size = (np.concatenate(column) if len(read) > 1 else column[0] for column in zip(*read, strict=True))
        if not np.array_equal(self.columns, np.arange(nll.shape[1])):
            nll = nll[:, self.columns]
        return nll, size, np.repeat(spans, stop - start)

    @cached_property
    def sums(self) -> tuple[np.ndarray, np.ndarray]:
        """Losses in nats [span, lm] and bytes [span] added up."""
        nll, size = np.zeros((len(self.counts), len(self.columns))), np.zeros(len(self.counts), np.int64)
        for token_nll, token_size, span in self.batches():
            starts = np.flatnonzero(np.diff(span, prepend=-1))
            of_batch = slice(span[0], span[-1] + 1)
            nll[of_batch] += np.add.reduceat(token_nll, starts, axis=0)
            size[of_batch] += np.add.reduceat(token_size, starts)
        return nll, size


def table_tokens(
    losses: xr.Dataset,
    token_losses: xr.Dataset | TokenFolder | None,
    *,
    rule: str,
    members: Sequence[str] | None = None,
) -> TableTokens:
    """Find the tokens of a table's samples.

    Parameters
    ----------
    losses
        A loss table, ``nll`` (sample, lm) in nats.
    token_losses
        Losses of the tokens of the same texts, as `bayeslaw.read_token_losses` returns them, or the folder of them.
    rule
        The rule that needs them, for messages.
    members
        Names of the models wanted; by default those of `losses` that are also in `token_losses`.

    Returns
    -------
    TableTokens
        The tokens of the samples in `losses`. Clusters are those of `losses`, or else of `token_losses`.

    Raises
    ------
    InputError
        If there are no losses of tokens, members are not in them, or they do not add up to the losses of the table.
    """
    source = _opened(losses, token_losses, rule, members)
    names = _shared_models(losses, source, rule, members)
    samples = losses["sample"].to_numpy().astype(str).astype(object)
    place = pd.Index(samples).get_indexer(pd.Index(source.spans.sample, dtype=object))
    there = np.flatnonzero(place >= 0)
    # Stable, so that clusters come in the order of the table and are dealt to the same folds.
    spans = there[np.argsort(place[there], kind="stable")]
    number, columns = place[spans], np.array([source.names.index(name) for name in names])
    clusters = losses["cluster"].to_numpy()[number] if "cluster" in losses else source.spans.cluster[spans]
    tokens = TableTokens(
        source, columns, source.spans.starts[spans], source.spans.counts[spans], number, np.asarray(clusters, object)
    )
    nll = losses["nll"].transpose("sample", "lm").sel(lm=names).to_numpy()
    sums = [np.bincount(number, column, minlength=len(nll)) for column in tokens.sums[0].T]
    check_sums(np.stack(sums, axis=1), nll, samples=samples, names=names)
    return tokens


def span_table(losses: xr.Dataset, tokens: TableTokens) -> xr.Dataset:
    """Make a loss table of spans of tokens.

    Parameters
    ----------
    losses
        A loss table.
    tokens
        Its tokens, as `table_tokens` returns them.

    Returns
    -------
    xarray.Dataset
        ``nll`` (sample, lm), ``bytes`` and ``cluster`` of the spans, which are its samples; what `losses` knows of the
        models; attributes with unit ``"token"``, and the ``tokenizer``.
    """
    nll, size = tokens.sums
    of_models = losses.sel(lm=[tokens.source.names[column] for column in tokens.columns])
    made = of_models.drop_dims("sample").reset_coords(drop=True)
    made = made.assign(
        nll=(("sample", "lm"), nll), bytes=("sample", size), cluster=on_samples(np.asarray(tokens.clusters, object))
    )
    made.attrs = {"kind": "losses", "unit": "token", "source": losses.attrs.get("source", "")}
    made.attrs |= {"tokenizer": tokens.source.tokenizer}
    return made


def _opened(
    losses: xr.Dataset, token_losses: xr.Dataset | TokenFolder | None, rule: str, members: Sequence[str] | None
) -> TokenColumns:
    if token_losses is None:
        raise InputError(
            f"the rule {rule!r} needs the loss of every token",
            "token_losses, as read_token_losses returns them, or the folder of a table scored with --tokens",
            "score the texts with --tokens, and give token_losses=read_token_losses(folder)",
        )
    if isinstance(token_losses, TokenFolder):
        return token_losses.open([str(name) for name in (losses["lm"].to_numpy() if members is None else members)])
    if not {"nll", "bytes", "cluster", "sample_of_token"} <= {*token_losses.data_vars}:
        raise InputError(
            "token_losses is not a table of tokens",
            "token_losses, as read_token_losses returns them",
            "give token_losses=read_token_losses(folder)",
        )
    return TokensInMemory(token_losses)


def _shared_models(losses: xr.Dataset, tokens: TokenColumns, rule: str, members: Sequence[str] | None) -> list[str]:
    there = set(tokens.names)
    known = [str(name) for name in losses["lm"].to_numpy()]
    names = [name for name in known if name in there] if members is None else list(members)
    absent = [name for name in names if name not in there]
    if not absent and names:
        return names
    hashes = dict.fromkeys(there, tokens.tokenizer)
    if "tokenizer" in losses:
        hashes |= dict(zip(known, losses["tokenizer"].to_numpy().tolist(), strict=True))
    raise InputError(
        f"the rule {rule!r} cannot combine {tokenizer_groups(names or known, hashes)}: the losses of tokens are those "
        f"of {tokenizer_groups(sorted(there), hashes)}, and a mixture of the probabilities of tokens is a probability "
        "only where all members cut the text by one tokenizer",
        "members that are all in token_losses",
        "name members of one tokenizer, or read the losses of tokens of these",
    )
