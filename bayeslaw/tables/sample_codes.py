"""Numbers of samples by their names, which come a few at a time."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# Names that may be there already are looked up together, once there are as many as of those that surely differ.
FEWEST_LOOKED_UP = 1 << 20


class SampleCodes:
    """Gives samples numbers in the order in which their names first appear.

    Most tables have all models of a sample side by side, or the samples in the same order for every model: both are
    seen without a look-up. What is not seen so gets a new number, and `settle` finds out whether it is one.
    """

    def __init__(self) -> None:
        self._names: list[pa.Array] = []
        self._settled = self._place = self.count = 0

    @property
    def names(self) -> pa.ChunkedArray:
        """Name of each sample, large_string [sample]; none twice if nothing has come since the last `settle`."""
        return pa.chunked_array(self._names, pa.large_string())

    @property
    def unsettled(self) -> bool:
        """Whether so many numbers may be those of known samples that it is time to `settle`."""
        return self.count - self._settled > max(self._settled, FEWEST_LOOKED_UP)

    def codes(self, names: pa.Array) -> np.ndarray:
        """Give some samples their numbers.

        Parameters
        ----------
        names
            Their names, large_string [sample], no two neighbours alike.

        Returns
        -------
        numpy.ndarray
            Their numbers, int64 [sample]; one beyond those given before may be that of a known sample until `settle`.
        """
        known, number = self.names, len(names)
        for start in dict.fromkeys((self._place, 0)):
            if start + number <= self.count and known.slice(start, number).equals(pa.chunked_array([names])):
                self._place = start + number
                return np.arange(start, start + number)
        if self.count and known[self.count - 1] == names[0]:
            # All models of a sample side by side, a few of them read before.
            return np.concatenate([[self.count - 1], self._added(names.slice(1))])
        windows = [known.slice(start, 2 * number) for start in dict.fromkeys((self._place, 0))]
        probes = [names[0], names[number // 2], names[number - 1]]
        if any(pc.index(window, probe).as_py() >= 0 for window in windows for probe in probes):
            return self._found(names, windows)
        return self._added(names)

    def _added(self, names: pa.Array) -> np.ndarray:
        if len(names):
            self._names.append(names)
        first, self.count = self.count, self.count + len(names)
        self._place = self.count
        return np.arange(first, self.count)

    def _found(self, names: pa.Array, windows: list[pa.ChunkedArray]) -> np.ndarray:
        """Give numbers to samples of which some are in windows of known ones, at the last place and at the start."""
        codes = np.full(len(names), -1)
        for start, window in zip(dict.fromkeys((self._place, 0)), windows, strict=True):
            found = pc.index_in(names, value_set=window).fill_null(-1).to_numpy()
            codes = np.where((codes < 0) & (found >= 0), start + found, codes)
        place = int(codes.max()) + 1
        codes[codes < 0] = self._added(names.filter(pa.array(codes < 0)))
        self._place = place
        return codes

    def settle(self) -> np.ndarray | None:
        """Find samples that were numbered twice, and give each its first number.

        Returns
        -------
        numpy.ndarray or None
            The number of each sample by its number until now, at most the latter, [sample]; None where they are equal.
        """
        together = self.names.combine_chunks()
        encoded = together.dictionary_encode()
        codes, self._names = encoded.indices.to_numpy(zero_copy_only=False), [encoded.dictionary]
        before, self.count = self.count, len(encoded.dictionary)
        self._settled, self._place = self.count, min(self._place, self.count)
        return None if self.count == before else codes
