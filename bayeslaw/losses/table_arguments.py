"""Tables as arguments: a dataset, or the path of one."""

import os
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import xarray as xr

from bayeslaw.inputs.arguments import Converter, a_path
from bayeslaw.inputs.manifests import MANIFEST, read_manifest
from bayeslaw.losses.dataset_arguments import a_dataset
from bayeslaw.losses.dataset_checks import LOSSES, MODELS, POOLS
from bayeslaw.losses.readers import read_losses

PACKAGED = "bayeslaw.datasets.load:packaged_table"
READERS = {POOLS: "bayeslaw.pools.pool_files:read_pools"}
"""What reads the kinds of tables that are no losses, by kind; imported when a path holds such a table."""


def find_table(table: str | os.PathLike[str], unit: str | None = None) -> Path:
    """Return where a table is: the path itself, or the folder of a dataset of the package of that name.

    Parameters
    ----------
    table
        A path, or a name; what is there comes before what the package has.
    unit
        What a sample is, for a dataset of the package.

    Returns
    -------
    pathlib.Path
        The table.
    """
    packaged = None if Path(table).exists() else resolve_name(PACKAGED)(str(table), unit)
    return Path(table) if packaged is None else packaged


def _kind(path: Path) -> str | None:
    return str(read_manifest(path)["kind"]) if (path / MANIFEST).is_file() else None


def holds_pools(path: Path) -> bool:
    """Say whether a path is a folder of pools."""
    return _kind(path) == POOLS


def read_table(path: Path) -> xr.Dataset:
    """Read a loss table, a table of whole models, or pools, whichever the path holds."""
    reader = READERS.get(_kind(path) or LOSSES)
    return read_losses(path) if reader is None else resolve_name(reader)(path)


def a_table(*kinds: str, tell: bool = True) -> Converter:
    """Accept tables of some kinds: datasets, or the paths of such.

    Parameters
    ----------
    *kinds, tell
        As in `bayeslaw.losses.dataset_arguments.a_dataset`.

    Returns
    -------
    Converter
        Returns the dataset.
    """
    dataset = a_dataset(*kinds, tell=tell)

    def convert(name: str, value: Any) -> xr.Dataset:
        given = isinstance(value, str | os.PathLike)
        return dataset(name, read_table(find_table(a_path(name, value))) if given else value)

    return convert


loss_table = a_table(LOSSES)
"""A loss table; errors in it are told."""
losses_or_models = a_table(LOSSES, MODELS)
"""A loss table or a table of whole models; errors in it are told."""
untold_table = a_table(LOSSES, MODELS, tell=False)
"""The same, for what is asked of a table by the way."""
untold_losses = a_table(LOSSES, tell=False)
any_table = a_table(LOSSES, MODELS, POOLS)
pools_table = a_table(POOLS)
