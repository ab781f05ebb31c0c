"""Numbers of samples by their names, which come a few at a time."""

import numpy as np
import pyarrow as pa
from pandas.util import hash_array

# New names are compared with each other once there are as many as of those that surely differ.
FEWEST_COMPARED = 1 << 18


class SampleCodes:
    """Gives samples numbers in the order in which their names first appear.

    Most tables have all models of a sample side by side, or the samples in the same order for every model: both are
    seen without a look-up. Other names are looked up by their hashes, and those that are not found get new numbers;
    `settle` finds names that got two, since a table of all names would take more room than the losses.
    """

    def __init__(self) -> None:
        self._names: list[pa.Array] = []
        self._hashes: list[np.ndarray] = []
        # Hashes of the samples that surely differ, in their order, and whose they are.
        self._sorted, self._order = np.zeros(0, np.uint64), np.zeros(0, np.int64)
        self._place, self.count = 0, 0

    @property
    def names(self) -> pa.ChunkedArray:
        """Name of each sample, large_string [sample]; none twice if nothing has come since the last `settle`."""
        return pa.chunked_array(self._names, pa.large_string())

    @property
    def settled(self) -> int:
        """How many samples surely differ: the first ones."""
        return len(self._order)

    @property
    def unsettled(self) -> bool:
        """Whether there are so many others that it is time to `settle`."""
        return self.count - self.settled > max(self.settled // 3, FEWEST_COMPARED)

    def codes(self, names: pa.Array) -> np.ndarray:
        """Give some samples their numbers.

        Parameters
        ----------
        names
            Their names, large_string [sample], no two neighbours alike.

        Returns
        -------
        numpy.ndarray
            Their numbers, int64 [sample]; one that is not among the `settled` may be changed by `settle`.
        """
        known, number = self.names, len(names)
        for start in dict.fromkeys((self._place, 0)):
            if start + number <= self.count and known.slice(start, number).equals(pa.chunked_array([names])):
                self._place = start + number
                return np.arange(start, start + number)
        if self.count and known[self.count - 1] == names[0]:
            # All models of a sample side by side, a few of them read before.
            return np.concatenate([np.array([self.count - 1]), self._numbered(names.slice(1))])
        return self._numbered(names)

    def _numbered(self, names: pa.Array) -> np.ndarray:
        hashes = _hashes(names)
        place = np.minimum(np.searchsorted(self._sorted, hashes), max(len(self._sorted) - 1, 0))
        codes = np.full(len(names), -1)
        if len(self._sorted):
            found = np.flatnonzero(self._sorted[place] == hashes)
            same = _equal(self.names, self._order[place[found]], names, found)
            codes[found[same]] = self._order[place[found[same]]]
        new = codes < 0
        if new.any():
            self._names.append(names if new.all() else names.filter(pa.array(new)))
            self._hashes.append(hashes[new])
            first, self.count = self.count, self.count + int(np.count_nonzero(new))
            codes[new] = np.arange(first, self.count)
        self._place = int(codes.max(initial=-1)) + 1
        return codes

    def settle(self) -> np.ndarray | None:
        """Find samples that got two numbers, and give each its first.

        Returns
        -------
        numpy.ndarray or None
            The number of each sample by its number until now, at most the latter, [sample]; None where they are equal.
        """
        hashes, names = np.concatenate([*self._hashes, np.zeros(0, np.uint64)]), self.names
        order = np.argsort(hashes, kind="stable")
        ordered = hashes[order]
        again = np.flatnonzero(ordered[1:] == ordered[:-1]) + 1
        places = None
        if len(again):
            first = np.ones(len(order), bool)
            first[again] = False
            # The sort is stable: the first of equal ones is the earliest.
            earliest = order[np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))]
            known = np.empty_like(order)
            known[order] = earliest
            later = order[again]
            if not _equal(names, known[later], names, later).all():
                # Two names of one hash.
                encoded = names.combine_chunks().dictionary_encode().indices.to_numpy()
                known = np.unique(encoded, return_index=True)[1][encoded]
            kept = known == np.arange(len(known))
            places = (np.cumsum(kept) - 1)[known]
            names, hashes = names.filter(pa.array(kept)), hashes[kept]
            order = np.argsort(hashes, kind="stable")
            ordered = hashes[order]
        self._names, self._hashes, self.count = list(names.chunks), [hashes], len(names)
        self._sorted, self._order, self._place = ordered, order, min(self._place, self.count)
        return places


def _hashes(names: pa.Array) -> np.ndarray:
    values = names.to_numpy(zero_copy_only=False)
    return hash_array(values, categorize=False)  # pyright: ignore[reportCallIssue]


def _equal(one: pa.ChunkedArray, ones: np.ndarray, other: pa.Array | pa.ChunkedArray, others: np.ndarray) -> np.ndarray:
    """Say which names are equal to the others, by their places in two lists."""
    return one.take(pa.array(ones)).to_numpy() == other.take(pa.array(others)).to_numpy(zero_copy_only=False)
