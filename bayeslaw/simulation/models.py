"""Models of simulated tables: families of several sizes each."""

import numpy as np
import pandas as pd

from bayeslaw.inputs.arguments import a_whole_number

FAMILY_NAMES = ("alder", "birch", "cedar", "dogwood", "elder", "fir", "gorse", "hazel", "ivy", "juniper")
SIMPLE = "{name} {value}"
a_few = a_whole_number(lowest=1, highest=1000, suggested=3, words=SIMPLE)


def round_size(number: float) -> float:
    """Round to three digits, so that a size prints as it is."""
    return float(f"{number:.2e}")


def _label(parameters: float) -> str:
    return f"{parameters / 1e9:.3g}B" if parameters >= 1e9 else f"{parameters / 1e6:.3g}M"


def draw_models(families: int, sizes: int, parameters: tuple[float, float], rng: np.random.Generator) -> pd.DataFrame:
    """Draw the models of some families.

    Parameters
    ----------
    families, sizes
        Number of families, and of models in each.
    parameters
        About the smallest and the largest number of parameters; each family is off them by a factor of its own.
    rng
        Where the factors come from.

    Returns
    -------
    pandas.DataFrame
        Columns ``model``, ``family`` and ``parameters``.
    """
    low, high = parameters
    rows = []
    for f in range(families):
        name = FAMILY_NAMES[f] if f < len(FAMILY_NAMES) else f"family{f}"
        for size in np.geomspace(low, high, sizes) * 1.2 ** rng.uniform(-1, 1):
            rows.append((f"{name}-{_label(round_size(size))}", name, round_size(size)))
    return pd.DataFrame(rows, columns=["model", "family", "parameters"])
