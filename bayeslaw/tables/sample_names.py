"""Names of samples as the index of a loss table."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bayeslaw.tables.columns import MOST_CHARACTERS, check_length, check_unique, labels


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
    trimmed = pc.utf8_trim(pc.utf8_trim_whitespace(names), "\x1c\x1d\x1e\x1f \t\n\r")
    if not trimmed.equals(names) or pc.min(pc.utf8_length(trimmed)).as_py() == 0:
        found = labels(pd.Series(names.to_pylist(), dtype=object), "sample name")
        check_unique(found, "sample", "column 'sample'")
        trimmed = pa.chunked_array([pa.array(found, pa.large_string())])
    lengths = pc.utf8_length(trimmed)
    if pc.max(lengths).as_py() > MOST_CHARACTERS:
        check_length(trimmed[int(np.argmax(lengths))].as_py(), "sample name")
    text = pd.StringDtype("pyarrow", na_value=np.nan)
    return pd.Index(pd.arrays.ArrowStringArray(trimmed.combine_chunks(), dtype=text), name="sample")
