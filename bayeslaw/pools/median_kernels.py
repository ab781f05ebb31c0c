"""Compiled sums of medians over members."""

import numpy as np

from bayeslaw.pools.kernels import compiled


@compiled(reorder=True)
def median_sums(columns, pools, sizes, output):
    """Sum up the median over the members of each pool, of an even number the mean of the middle two.

    Parameters
    ----------
    columns
        Losses, [model, sample].
    pools, sizes
        Members, [pool, slot], padded with -1, and how many they are, [pool].
    output
        Sums, [pool], added to.
    """
    samples = columns.shape[1]
    for pool in range(pools.shape[0]):
        size, total = sizes[pool], 0.0
        a = columns[pools[pool, 0]]
        if size == 1:
            for sample in range(samples):
                total += a[sample]
        elif size == 2:
            b = columns[pools[pool, 1]]
            for sample in range(samples):
                total += (a[sample] + b[sample]) / 2
        elif size == 3:
            b, c = columns[pools[pool, 1]], columns[pools[pool, 2]]
            for sample in range(samples):
                low, high = min(a[sample], b[sample]), max(a[sample], b[sample])
                total += max(low, min(high, c[sample]))
        elif size == 4:
            b, c, d = columns[pools[pool, 1]], columns[pools[pool, 2]], columns[pools[pool, 3]]
            for sample in range(samples):
                low, high = min(a[sample], b[sample]), max(a[sample], b[sample])
                other_low, other_high = min(c[sample], d[sample]), max(c[sample], d[sample])
                # The middle two are neither the lowest nor the highest.
                total += (max(low, other_low) + min(high, other_high)) / 2
        else:
            values = np.empty(size)
            for sample in range(samples):
                for slot in range(size):
                    values[slot] = columns[pools[pool, slot], sample]
                values.sort()
                total += (values[(size - 1) // 2] + values[size // 2]) / 2
        output[pool] += total
