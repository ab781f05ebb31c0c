"""What a calibration leaves on disk: ranks, coverage and the picture, all or nothing."""

import os
from pathlib import Path
from typing import Any

import pandas as pd

from bayeslaw.calibration.calibrations import Calibration
from bayeslaw.errors import InputError
from bayeslaw.inputs.manifests import MANIFEST, read_manifest
from bayeslaw.inputs.output_paths import Inputs, check_output_folder
from bayeslaw.storage import atomic_folder, write_manifest

KIND = "calibration"
RANKS, RANK_TABLE, COVERAGE, PICTURE = "ranks.csv", "rank_table.csv", "coverage.csv", "ranks.png"
OWN = {RANKS, RANK_TABLE, COVERAGE, PICTURE, MANIFEST}


def check_calibration_output(path: str | os.PathLike[str], *, inputs: Inputs = ()) -> Path:
    """Refuse early a folder that a calibration could not be written to; nothing is created.

    Parameters
    ----------
    path
        Where the folder would go; one of a calibration that is there is accepted, and would be replaced.
    inputs
        What is calibrated with, which the calibration may not replace.

    Returns
    -------
    pathlib.Path
        The path.

    Raises
    ------
    InputError
        If something else is in the way, or the parent cannot be written to.
    """
    return check_output_folder(path, KIND, replaceable=_is_own, inputs=inputs)


def write_calibration(calibration: Calibration, path: str | os.PathLike[str], *, seed: int) -> None:
    """Write a folder with ``ranks.csv`` (one row a simulation), two tables of results, and ``ranks.png``.

    Parameters
    ----------
    calibration
        What `bayeslaw.calibrate` found.
    path
        The folder; appears whole or not at all, and replaces an earlier one of a calibration.
    seed
        Seed of the calibration, for the record.

    Raises
    ------
    InputError
        If the folder cannot be written.
    """
    from bayeslaw.plotting.plot_style import write_figure
    from bayeslaw.plotting.rank_plot import plot_ranks

    with atomic_folder(path, KIND, replaceable=_is_own) as folder:
        calibration.ranks.rename_axis("fit").to_csv(folder / RANKS)
        calibration.rank_table.to_csv(folder / RANK_TABLE, index=False)
        calibration.coverage.to_csv(folder / COVERAGE, index=False)
        write_figure(plot_ranks(calibration), folder / PICTURE)
        write_manifest(folder, KIND, _facts(calibration) | {"seed": seed})


def calibration_record(calibration: Calibration) -> dict[str, Any]:
    """Everything a calibration says but the single ranks, as plain values for JSON.

    Parameters
    ----------
    calibration
        What `bayeslaw.calibrate` found.

    Returns
    -------
    dict
        ``law``, ``calibrated``, ``simulations`` and how they went, ``ranks`` (one record a quantity) and ``coverage``
        (one record a kind of band, class of targets and level).
    """
    return _facts(calibration) | {
        "calibrated": calibration.calibrated,
        "ranks": _records(calibration.rank_table),
        "coverage": _records(calibration.coverage),
    }


def _facts(calibration: Calibration) -> dict[str, Any]:
    names = ("law", "unit", "simulations", "quick", "failed", "divergent", "slow", "ranked_draws", "seconds")
    return {name: getattr(calibration, name) for name in names} | {
        "envelope_level": calibration.envelope.level,
        "interval_kind": "equal-tailed",
    }


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict(orient="records")]


def _is_own(path: Path) -> bool:
    try:
        found = read_manifest(path).get("kind")
    except InputError:
        return False
    return found == KIND and {entry.name for entry in path.iterdir()} <= OWN
