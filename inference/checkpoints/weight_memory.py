"""Memory that weights are read into: aligned, so that a CPU's runtime takes it over, and bounded where asked."""

import math
import time
import weakref

import jax
import numpy as np

ALIGNMENT = 64
# How long memory may take to come back that is given up already.
PATIENCE_SECONDS = 10.0
SECONDS_BETWEEN_LOOKS = 5e-4


def aligned_array(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return an array [shape] of undefined values that the runtime of a CPU takes over without a copy."""
    size = math.prod(shape) * dtype.itemsize
    buffer = np.empty(size + ALIGNMENT, np.uint8)
    start = -buffer.ctypes.data % ALIGNMENT
    return buffer[start : start + size].view(dtype).reshape(shape)


class WeightMemory:
    """Memory of which so much is taken at once and no more.

    The runtime gives memory back some time after an array is deleted: once its last computation is cleared away, and
    then only during another call. Whoever asks for more waits for that.

    Parameters
    ----------
    most
        Bytes that may be in use at once; more once memory does not come back in `PATIENCE_SECONDS`.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._held: dict[int, int] = {}
        self._number = 0

    @property
    def in_use(self) -> int:
        """Bytes in use now."""
        return sum(list(self._held.values()))

    def array(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Return an array as `aligned_array` does, once there is memory for it."""
        size, until = math.prod(shape) * dtype.itemsize, time.monotonic() + PATIENCE_SECONDS
        while self.in_use + size > self.most and time.monotonic() < until:
            jax.device_put(np.zeros(()))
            time.sleep(SECONDS_BETWEEN_LOOKS)
        # Something else holds on to it: it is better to take more than to wait for each array.
        self.most = max(self.most, self.in_use + size)
        values = aligned_array(shape, dtype)
        self._number += 1
        self._held[self._number] = size
        weakref.finalize(values.base, self._held.pop, self._number, None)
        return values
