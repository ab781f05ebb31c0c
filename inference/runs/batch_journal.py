"""Batches that are done: each a file that appears whole or not at all, so that a killed run goes on where it was."""

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from bayeslaw.errors import InputError
from bayeslaw.inputs.foreign_files import read_regular
from bayeslaw.inputs.foreign_json import parse_json
from bayeslaw.storage import atomic_file

KEYS = "keys.json"


def check_keys(name: str, known: Mapping[str, Any], now: Mapping[str, Any], where: str, *, fix: str = "") -> None:
    """Refuse to go on with scores that were made differently.

    Parameters
    ----------
    name
        The model.
    known, now
        What its scores were made with, and what this run would use.
    where
        Where they lie, for the message.
    fix
        What else may be done about it, for the end of the message.

    Raises
    ------
    InputError
        If they differ; the message names each key with both values.
    """
    changed = [key for key in sorted({*known, *now}) if known.get(key) != now.get(key)]
    if changed:
        listed = "; ".join(f"{key} was {known.get(key)!r} and is {now.get(key)!r}" for key in changed)
        raise InputError(
            f"{where} holds scores of {name!r} that were made differently: {listed}",
            "the same model, options, texts and version",
            f"undo the change, or score into another --out{fix}",
        )


class Journal:
    """Log-probabilities of one model on one set of texts, batch by batch.

    Parameters
    ----------
    folder
        Where the batches lie; made when the first is written.
    name
        The model.
    keys
        What the scores are made with.

    Raises
    ------
    InputError
        If the folder holds batches made with other keys.
    """

    def __init__(self, folder: Path, name: str, keys: Mapping[str, Any]) -> None:
        self.folder, self.name = folder, name
        try:
            known = parse_json(read_regular(folder / KEYS))
            if not isinstance(known, dict):
                raise ValueError("it holds no table")
        except FileNotFoundError:
            known = None
        except (OSError, ValueError) as error:
            fix = f"remove the folder {str(folder)!r}, and the model is scored anew"
            raise InputError(f"{KEYS} in {str(folder)!r} cannot be read: {error}", "what a run wrote", fix) from error
        if known is not None:
            check_keys(name, known, keys, str(folder), fix=f", or remove that folder to score {name!r} anew")
        self._keys, self._begun = dict(keys), known is not None

    def begin(self) -> None:
        """Make the folder, with what the scores are made with, unless it is there."""
        if self._begun:
            return
        # Nothing tells what batches without keys were made with: a killed removal may have left some.
        remove_journal(self.folder)
        with atomic_file(self.folder / KEYS) as path:
            path.write_text(json.dumps(self._keys, indent=2) + "\n", encoding="utf-8")
        self._begun = True

    def _path(self, batch: int) -> Path:
        return self.folder / f"batch-{batch:07d}.npz"

    def hidden_path(self, batch: int) -> Path:
        """Return where the hidden states of a batch lie whose model is read layer by layer."""
        return self.folder / f"hidden-{batch:07d}.npz"

    def holds_hidden_states(self) -> bool:
        """Say whether an earlier run left hidden states to go on from."""
        return self._begun and any(self.folder.glob("hidden-*.npz"))

    def write(self, batch: int, values: np.ndarray, seconds: float) -> None:
        """Keep a batch.

        Parameters
        ----------
        batch
            Its number.
        values
            Log-probabilities of the tokens it scores, in nats, [token], float32.
        seconds
            How long it took.
        """
        self.begin()
        with atomic_file(self._path(batch)) as path:
            np.savez(path, values=values.astype(np.float32), seconds=np.float64(seconds))

    def read(self, batch: int, size: int) -> tuple[np.ndarray, float] | None:
        """Return a batch that is done.

        Parameters
        ----------
        batch
            Its number.
        size
            How many tokens it scores.

        Returns
        -------
        tuple or None
            Log-probabilities [token], float32, and seconds; None if it is not there or broken.
        """
        if not self._begun:
            return None
        try:
            with self._path(batch).open("rb") as stream, np.load(stream, allow_pickle=False) as held:
                values, seconds = held["values"], float(held["seconds"])
        except Exception:
            # A damaged file may be anything to the readers of zip and npy, and fails in as many ways.
            return None
        return (values, seconds) if values.shape == (size,) and values.dtype == np.float32 else None


def remove_journal(folder: Path) -> None:
    """Remove the batches of a journal, once their sums are in the table; its keys go last.

    Parameters
    ----------
    folder
        Where the batches lie; nothing is done if it is not there.
    """
    with suppress(OSError):
        for entry in folder.iterdir():
            if entry.name != KEYS:
                entry.unlink(missing_ok=True)
        shutil.rmtree(folder)
    # Other models' batches may still be beside it.
    with suppress(OSError):
        folder.parent.rmdir()
