"""Names of samples as the index of a loss table."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bayeslaw.losses.columns import MOST_CHARACTERS, check_unique, labels


def sample_index(names: pa.ChunkedArray) -> pd.Index:
    """Return names as an index that keeps them as text of their own length, one after the other.

    Parameters
    ----------
    names
        Names of samples, none twice, large_string [sample].

    Returns
    -------
    pandas.Index
        The names without white space around them.

    Raises
    ------
    InputError
        If a name is empty or too long, or two are the same but for white space around them.
    """
    if any(_is_untidy(chunk) for chunk in names.chunks):
        found = labels(pd.Series(names.to_pylist(), dtype=object), "sample name")
        check_unique(found, "sample", "column 'sample'")
        names = pa.chunked_array([pa.array(found, pa.large_string())])
    return pd.Index(pd.arrays.ArrowStringArray(names, dtype=pd.StringDtype("pyarrow", na_value=np.nan)), name="sample")


def _is_untidy(names: pa.Array) -> bool:
    """Say whether there is a name that is empty, too long, or has white space around it."""
    options = pc.TrimOptions("\x1c\x1d\x1e\x1f")
    trimmed = pc.call_function("utf8_trim", [pc.call_function("utf8_trim_whitespace", [names])], options)
    lengths = pc.call_function("utf8_length", [names]).to_numpy()
    shortest, longest = lengths.min(initial=1), lengths.max(initial=1)
    return shortest == 0 or longest > MOST_CHARACTERS or not trimmed.equals(names)
