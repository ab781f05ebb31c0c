"""List the zoo's models for ``bayeslaw score``: ``python examples/zoo/list_models.py CHECKPOINTS OUT.yaml``."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console

from bayeslaw.errors import InputError
from bayeslaw.storage import atomic_file

RECORD, WORK = "training.json", ".training"


def main(
    checkpoints: Annotated[Path, typer.Argument(help="The folder that train.py wrote.")],
    out: Annotated[Path, typer.Argument(help="The YAML file; its paths are relative to the folder it is in.")],
) -> None:
    """Write a YAML file with folder, name, family and training tokens of every trained model."""
    try:
        models = list_models(checkpoints, relative_to=out.absolute().parent)
        with atomic_file(out) as path:
            path.write_text(yaml.safe_dump(models, sort_keys=False), encoding="utf-8")
    except InputError as error:
        Console(stderr=True, soft_wrap=True).print(str(error), style="red", markup=False, highlight=False)
        raise typer.Exit(2) from None


def list_models(checkpoints: Path, *, relative_to: Path) -> list[dict[str, Any]]:
    """Return what `bayeslaw score` wants to know of every trained model.

    Parameters
    ----------
    checkpoints
        The folder that train.py wrote: checkpoints, and a record of the training of each in ``.training``.
    relative_to
        The folder that scoring starts from.

    Returns
    -------
    list of dict
        ``model, name, family, training_tokens``, by family and number of parameters.

    Raises
    ------
    InputError
        If there is no trained model.
    """
    found = []
    for config in checkpoints.glob("*/config.json"):
        folder = config.parent
        record = checkpoints / WORK / folder.name / RECORD
        if not record.is_file():
            problem = f"{folder.name!r} has no record of its training"
            raise InputError(problem, f"a folder that train.py wrote, with {WORK}/NAME/{RECORD}", "train it again")
        trained = json.loads(record.read_text(encoding="utf-8"))
        # YAML reads a number with an exponent as text unless it has a dot.
        entry = {"model": Path(os.path.relpath(folder, relative_to)).as_posix(), "name": folder.name}
        entry |= {"family": trained["family"], "training_tokens": float(trained["tokens"])}
        found.append((trained["family"], trained["parameters"]["total"], entry))
    if not found:
        problem = f"{str(checkpoints)!r} has no checkpoints"
        raise InputError(problem, "the folder that train.py wrote", "train the zoo first")
    return [entry for _, _, entry in sorted(found, key=lambda each: each[:2])]


if __name__ == "__main__":
    typer.run(main)
