"""Pools on disk: a folder of three Parquet tables and a manifest."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.inputs.arguments import a_path, accepts
from bayeslaw.inputs.manifests import read_manifest
from bayeslaw.losses.file_digests import FILES, check_file, check_no_others, folder_files
from bayeslaw.losses.table_arguments import pools_table
from bayeslaw.storage import atomic_folder, write_manifest

FACTOR = "sampling_factor"
AGAIN = "make the pools again"
POOLS, SHARES, MODELS = "pools.parquet", "win_shares.parquet", "models.parquet"


@accepts(pools=pools_table, folder=a_path)
def write_pools(pools: xr.Dataset, folder: str | os.PathLike[str]) -> None:
    """Write pools to a folder, whole or not at all.

    Parameters
    ----------
    pools
        What `bayeslaw.make_pools` made.
    folder
        A new or empty folder, or one that holds pools, which are then replaced. It will hold ``pools.parquet`` (one row
        a pool, with its list of members and, where known, its loadings on the shared sampling error),
        ``win_shares.parquet`` (pool, lm, share: one row a member), ``models.parquet`` and ``manifest.json``.

    Raises
    ------
    InputError
        If the dataset does not hold pools, or the folder cannot be written.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> pools = bl.make_pools(bl.load_dataset("zoo", unit="document"), max_size=2, limit=50)
    >>> bl.write_pools(pools, "pools")
    >>> bl.read_pools("pools").sizes["pool"]
    50
    """
    names = np.array([str(name) for name in pools["lm"].to_numpy()], dtype=object)
    member = pools["member"].transpose("pool", "slot").to_numpy()
    rows, slots = np.nonzero(member >= 0)
    columns = member[rows, slots]
    sizes = (member >= 0).sum(axis=1)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    labels = pa.array([str(name) for name in pools["pool"].to_numpy()], pa.string())
    lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(names[columns], pa.string()))
    single = [str(name) for name, variable in pools.data_vars.items() if variable.dims == ("pool",)]
    table = {"pool": labels, "members": lists, **{name: pa.array(pools[name].to_numpy()) for name in single}}
    if FACTOR in pools:
        factor = np.ascontiguousarray(pools[FACTOR].transpose("pool", "direction").to_numpy())
        table[FACTOR] = pa.FixedSizeListArray.from_arrays(pa.array(factor.ravel()), factor.shape[1])
    on_models = {str(name): values for name, values in pools.data_vars.items() if values.dims == ("lm",)}
    models = {name: pa.array(values.to_numpy()) for name, values in on_models.items()}
    with atomic_folder(folder, "pools") as place:
        pq.write_table(pa.table(table), place / POOLS)
        pq.write_table(pa.table({"lm": pa.array(names, pa.string()), **models}), place / MODELS)
        if "win_share" in pools:
            shares = pools["win_share"].transpose("pool", "lm").to_numpy()[rows, columns]
            won = {
                "pool": pa.DictionaryArray.from_arrays(pa.array(rows.astype(np.int32)), labels),
                "lm": pa.DictionaryArray.from_arrays(pa.array(columns.astype(np.int32)), pa.array(names, pa.string())),
                "share": pa.array(shares),
            }
            pq.write_table(pa.table(won), place / SHARES)
        attributes = {str(name): value for name, value in pools.attrs.items()}
        write_manifest(place, "pools", attributes, sections={FILES: folder_files(place)})


@accepts(folder=a_path)
def read_pools(folder: str | os.PathLike[str]) -> xr.Dataset:
    """Read pools from a folder.

    Parameters
    ----------
    folder
        A folder that `write_pools` wrote.

    Returns
    -------
    xarray.Dataset
        The pools, as `bayeslaw.make_pools` describes them.

    Raises
    ------
    InputError
        If the folder does not hold pools, is of another format version, or a table in it is missing, cannot be read or
        contradicts another.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> losses = bl.load_dataset("zoo", unit="document")
    >>> bl.write_pools(bl.make_pools(losses, max_size=2, limit=50), "pools")
    >>> bl.read_pools("pools").attrs["rule"]
    'oracle'
    """
    folder = Path(folder)
    manifest = read_manifest(folder, "pools")
    for name in (POOLS, MODELS, SHARES):
        check_file(folder, manifest, name, fix=AGAIN)
    check_no_others(folder, manifest, [path.name for path in folder.glob("[!.]*.parquet")], fix=AGAIN)
    table, models = _read(folder / POOLS), _read(folder / MODELS)
    try:
        return _assemble(table, models, folder, manifest["attrs"])
    except (KeyError, IndexError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"the tables of {str(folder)!r} do not fit together: {error}",
            f"{POOLS}, {SHARES} and {MODELS} as write_pools wrote them",
            AGAIN,
        ) from error


def _read(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        what = "is missing" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise InputError(f"{str(path)!r} {what}", "a folder that write_pools wrote, whole", AGAIN) from error


def _assemble(table: pa.Table, models: pa.Table, folder: Path, attributes: dict[str, object]) -> xr.Dataset:
    names = models["lm"].to_pylist()
    position = {name: index for index, name in enumerate(names)}
    lists = table["members"].combine_chunks()
    sizes = np.diff(lists.offsets.to_numpy())
    columns = np.array([position[name] for name in lists.flatten().to_pylist()], dtype=np.int64)
    rows = np.repeat(np.arange(len(sizes)), sizes)
    slots = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    slot_count = max(int(sizes.max(initial=1)), int(str(attributes.get("max_size", 1))))
    member = np.full((len(sizes), slot_count), -1)
    member[rows, slots] = columns
    pools = xr.Dataset(
        {
            name: ("pool", _values(table[name]))
            for name in table.column_names
            if name not in ("pool", "members", FACTOR)
        },
        coords={"pool": np.array(table["pool"].to_pylist(), dtype=object), "lm": names},
        attrs=attributes,
    )
    pools["member"] = (("pool", "slot"), member)
    if FACTOR in table.column_names:
        loadings = table[FACTOR].combine_chunks()
        pools[FACTOR] = (("pool", "direction"), loadings.flatten().to_numpy().reshape(len(sizes), -1))
    if (folder / SHARES).exists():
        won = _read(folder / SHARES)
        shares = np.zeros((len(sizes), len(names)))
        pool_index, lm_index = pd.Index(table["pool"].to_pylist()), pd.Index(names)
        where = pool_index.get_indexer(won["pool"].to_pylist()), lm_index.get_indexer(won["lm"].to_pylist())
        if min(part.min(initial=0) for part in where) < 0:
            raise ValueError("a win share of a pool or model that is not there")
        shares[where] = won["share"].to_numpy()
        pools["win_share"] = (("pool", "lm"), shares)
    for name in models.column_names:
        if name != "lm":
            pools[name] = ("lm", _values(models[name]))
    return pools


def _values(column: pa.ChunkedArray) -> np.ndarray:
    values = column.to_numpy()
    return values.astype(str) if values.dtype == object else values
