"""The folder of a loss table while models are scored into it: its texts, parts, models and manifest.

The manifest is what counts: a part is written before the manifest names its model, so that a run killed between the two
writes the same part again.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bayeslaw.errors import InputError
from bayeslaw.storage import LOCK, MANIFEST, atomic_file, check_output_folder, read_manifest, write_manifest
from inference.running.prepared import corpus_hash
from inference.texts import Corpus, text_hash

FORMAT = 1
LISTED = 3


def _slug(name: str) -> str:
    """Return a model's name as a file name that no other model's turns into."""
    return re.sub(r"[^A-Za-z0-9._-]", lambda found: f"%{ord(found[0]):x}%", name).replace("..", "%2e%%2e%").lstrip(".")


class TableFolder:
    """A loss table that is being scored.

    Parameters
    ----------
    path
        The folder.
    unit
        What a sample is.

    Raises
    ------
    InputError
        If the folder holds other things, or a table of another unit, or one that no run scored.
    """

    def __init__(self, path: Path, unit: str) -> None:
        self.path, self.unit = path, unit
        self.models: dict[str, dict[str, Any]] = {}
        self.segments: list[dict[str, Any]] = []
        if not (path / MANIFEST).is_file():
            check_output_folder(path, "losses")
            return
        manifest = read_manifest(path, "losses")
        scoring = manifest.get("scoring")
        if not isinstance(scoring, dict) or scoring.get("format") != FORMAT:
            problem = f"the loss table in {str(path)!r} was not scored by this version of the program"
            raise InputError(problem, "a new folder, or a table that bayeslaw score wrote", "give another --out")
        if scoring["unit"] != unit:
            problem = f"the table in {str(path)!r} has the unit {scoring['unit']!r}, not {unit!r}"
            raise InputError(problem, scoring["unit"], "use that unit, or give another --out")
        self.segments, self.models = scoring["segments"], manifest["models"]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs from writing into the folder.

        Raises
        ------
        InputError
            If another run is at work in it, or it cannot be written.
        """
        lock = filelock.FileLock(self.path / LOCK)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except filelock.Timeout as error:
            problem = f"another run is scoring into {str(self.path)!r}"
            raise InputError(problem, "one run at a time", "wait for it, or give another --out") from error
        except OSError as error:
            why = error.strerror or str(error)
            accepted = "a folder that may be written to"
            raise InputError(f"cannot write {str(self.path)!r}: {why}", accepted, "give another --out") from error
        try:
            yield
        finally:
            lock.release()

    def _documents(self, segment: int) -> pd.DataFrame:
        path = self.path / self.segments[segment]["file"]
        try:
            return pq.read_table(path).to_pandas()
        except (OSError, pa.ArrowException) as error:
            problem = f"cannot read {str(path)!r}: {str(error).splitlines()[0]}"
            raise InputError(problem, "what a run wrote", "score into another --out") from error

    def add_texts(self, corpus: Corpus) -> list[Corpus]:
        """Compare texts with those of the table, and add those that are new.

        Parameters
        ----------
        corpus
            All texts: those of the table and, if wanted, more.

        Returns
        -------
        list of Corpus
            The texts by segment: each segment was added by one run, and its batches are planned for itself.

        Raises
        ------
        InputError
            If a text of the table is not among them, or has changed, or some have a domain and some none.
        """
        place = {name: number for number, name in enumerate(corpus.names)}
        known: list[list[int]] = []
        for segment in range(len(self.segments)):
            held = self._documents(segment)
            self._check_same(held, corpus, place)
            known.append([place[name] for name in held["document"]])
        old = {number for numbers in known for number in numbers}
        new = [number for number in range(len(corpus.names)) if number not in old]
        if self.segments and bool(self.segments[0]["domains"]) != (corpus.domains is not None):
            problem = f"the texts of {str(self.path)!r} have {'' if corpus.domains is None else 'no '}domains"
            raise InputError(problem, "a domain for all texts or for none", "give the texts alike")
        if new:
            known.append(new)
            self._add_segment(corpus.select(new))
        return [corpus.select(numbers) for numbers in known]

    def _check_same(self, held: pd.DataFrame, corpus: Corpus, place: Mapping[str, int]) -> None:
        absent = [name for name in held["document"] if name not in place]
        if absent:
            listed = ", ".join(repr(name) for name in absent[:LISTED])
            problem = f"{len(absent):,} of the texts that {str(self.path)!r} was scored on are not given: {listed}"
            fix = "give them all, with the new ones, or give another --out for another corpus"
            raise InputError(problem, "every text of the table, and if wanted more", fix)
        for name, known in zip(held["document"], held["sha256"], strict=True):
            if text_hash(corpus.texts[place[name]]) != known:
                problem = f"the text {name!r} is not the one that {str(self.path)!r} was scored on (its hash differs)"
                raise InputError(problem, "the same text", "rename it, or give another --out")

    def _add_segment(self, corpus: Corpus) -> None:
        file = f"corpus/{len(self.segments):04d}.parquet"
        columns = {"document": list(corpus.names), "sha256": [text_hash(text) for text in corpus.texts]}
        with atomic_file(self.path / file) as path:
            pq.write_table(pa.table(columns), path)
        segment = {"file": file, "documents": len(corpus.names), "hash": corpus_hash(corpus)}
        self.segments.append(segment | {"domains": corpus.domains is not None, "sources": list(corpus.sources)})
        self._write_manifest()

    def journal_folder(self, name: str, segment: int) -> Path:
        """Return where the batches of a model on a segment are kept until its part is written."""
        return self.path / "journal" / f"{_slug(name)}-{segment:04d}"

    def has(self, name: str, segment: int) -> bool:
        """Say whether a model is scored on a segment, with its tokens where the table keeps them."""
        return segment in self.models.get(name, {}).get("segments", ())

    def add_part(
        self, name: str, segment: int, *, rows: pa.Table, tokens: pa.Table | None, facts: Mapping[str, Any]
    ) -> None:
        """Add the losses of a model on a segment.

        Parameters
        ----------
        name
            The model.
        segment
            The segment.
        rows
            Its losses; see `inference.running.sample_losses.loss_rows`.
        tokens
            The losses of its tokens, if they are kept.
        facts
            What the manifest tells of the model; ``row`` is its row in the table of models.

        Raises
        ------
        InputError
            If the folder cannot be written.
        """
        file = f"{_slug(name)}-{segment:04d}.parquet"
        if tokens is not None:
            with atomic_file(self.path / "tokens" / file) as path:
                pq.write_table(tokens, path, compression="zstd")
        self.models[name] = dict(facts) | {"segments": [*self.models.get(name, {}).get("segments", ()), segment]}
        self._write_models()
        with atomic_file(self.path / f"part-{file}") as path:
            pq.write_table(rows, path, compression="zstd")
        self._write_manifest()

    def set_facts(self, name: str, facts: Mapping[str, Any]) -> None:
        """Add to what the manifest, and the table of models, tell of a model."""
        if any(self.models[name].get(key) != value for key, value in facts.items()):
            self.models[name] |= facts
            self._write_models()
            self._write_manifest()

    def remove_model(self, name: str) -> None:
        """Take a model out of the table."""
        model = self.models.pop(name)
        self._write_manifest()
        self._write_models()
        for segment in model["segments"]:
            file = f"{_slug(name)}-{segment:04d}.parquet"
            for path in (self.path / f"part-{file}", self.path / "tokens" / file):
                path.unlink(missing_ok=True)

    def _write_models(self) -> None:
        path = self.path / "models.parquet"
        if not self.models:
            path.unlink(missing_ok=True)
            return
        with atomic_file(path) as temporary:
            pd.DataFrame([model["row"] for model in self.models.values()]).to_parquet(temporary, index=False)

    def _write_manifest(self) -> None:
        attrs = {"unit": self.unit, "cluster": "cluster", "missing": "{}", "source": self.path.name}
        scoring = {"format": FORMAT, "unit": self.unit, "segments": self.segments}
        sections = {"models": self.models, "scoring": scoring, "by_model": ["tokens", "scored_bytes"]}
        write_manifest(self.path, "losses", attrs, sections=sections)
