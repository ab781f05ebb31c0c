"""JSON from a server or a file: what cannot be read is a `ValueError`, however it is made."""

import json
from typing import Any

# Deeper than any file or answer that is read here, and shallow enough for everything that walks through one.
DEEPEST = 100


def parse_json(content: str | bytes, **options: Any) -> Any:
    """Read JSON.

    Parameters
    ----------
    content
        The JSON; bytes in UTF-8, UTF-16 or UTF-32.
    **options
        As in `json.loads`.

    Returns
    -------
    Any
        Its value: None, numbers, texts, lists and dictionaries, at most `DEEPEST` levels deep.

    Raises
    ------
    ValueError
        If it is not JSON, its encoding is another, a number has thousands of digits, it is nested too deeply, or an
        option refuses a part of it.
    """
    try:
        value = json.loads(content, **options)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise
    except ValueError as error:
        if "int_max_str_digits" not in str(error):
            raise
        # Python's own words say how to lift its limit.
        raise ValueError("it holds a number of thousands of digits") from None
    _check_depth(value)
    return value


_TOO_DEEP = f"it is nested more than {DEEPEST} levels deep"


def _check_depth(value: Any) -> None:
    # Level by level, since a function that calls itself would end where the parser did.
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(DEEPEST):
        if not level:
            return
        parts = (each for one in level for each in (one.values() if isinstance(one, dict) else one))
        level = [part for part in parts if isinstance(part, dict | list)]
    if level:
        raise ValueError(_TOO_DEEP)
