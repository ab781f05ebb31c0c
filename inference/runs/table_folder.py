"""The folder of a loss table while models are scored into it: its texts, parts, models and manifest.

The manifest is what counts: whatever else a model has in the folder is written before the manifest names it and removed
after, so that what a killed run left is either whole or not named, and is swept away by the next.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bayeslaw.errors import InputError
from bayeslaw.inputs.manifests import MANIFEST, read_manifest
from bayeslaw.inputs.output_paths import LOCK, check_output_folder
from bayeslaw.losses.file_digests import FILES, check_file, file_facts, named_files
from bayeslaw.storage import atomic_file, write_manifest
from inference.runs.file_names import is_own_file, model_slug
from inference.runs.prepared import corpus_hash
from inference.runs.same_texts import check_same_texts, labels_of
from inference.texts.documents import Corpus, text_hash

FORMAT = 1
# What the manifest tells of a model that no run scored.
IMPORTED = "imported"
AGAIN = "run bayeslaw score with the same --out again"
CORPUS, TOKENS, JOURNAL, MODELS = "corpus", "tokens", "journal", "models.parquet"


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
        self.files: dict[str, Mapping[str, Any]] = {}
        if not (path / MANIFEST).is_file():
            check_output_folder(path, "losses", replaceable=_is_begun)
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
        self.files = dict(named_files(path, manifest) or {})

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

    def sweep(self) -> None:
        """Remove what a killed run left: temporary files, and files of models that the manifest does not name.

        A part that is missing is forgotten, so that it is scored again.

        Raises
        ------
        InputError
            If a file is not the one that a run wrote.
        """
        for name, model in list(self.models.items()):
            absent = [part["segment"] for part in model["parts"] if not self._is_whole(part["file"])]
            if absent:
                self._forget_parts(name, absent)
        named = self._named()
        for name, entry in _files(self.path):
            if is_own_file(name) and name not in named and entry.is_file():
                entry.unlink(missing_ok=True)
        if _rows(self.path / MODELS) != [dict(model["row"]) for model in self.models.values()]:
            self._write_models()

    def _named(self) -> set[str]:
        """Return the files that belong to what the manifest tells of, whether or not they are there."""
        files = [part["file"] for model in self.models.values() for part in model["parts"]]
        named = {segment["file"] for segment in self.segments}
        return named | {f"{folder}{file}" for file in files for folder in ("part-", f"{TOKENS}/")}

    def _is_whole(self, file: str) -> bool:
        """Say whether the losses of a part are there, and refuse others than were written."""
        names = [name for name in (f"part-{file}", f"{TOKENS}/{file}") if name in self.files or name.startswith("part")]
        if not all((self.path / name).is_file() for name in names):
            return False
        for name in names:
            check_file(self.path, {FILES: self.files}, name, fix=f"remove it and {AGAIN}")
        return True

    def _documents(self, segment: int) -> pd.DataFrame:
        path = self.path / self.segments[segment]["file"]
        check_file(self.path, {FILES: self.files}, self.segments[segment]["file"], fix="score into another --out")
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
            If a text of the table is not among them, or it, its domain or its cluster has changed, or some have one
            and some none.
        """
        place = {name: number for number, name in enumerate(corpus.names)}
        held = self.check_texts(corpus)
        known = [[place[name] for name in documents["document"]] for documents in held]
        old = {number for numbers in known for number in numbers}
        new = [number for number in range(len(corpus.names)) if number not in old]
        if new:
            known.append(new)
            self._add_segment(corpus.select(new))
        return [corpus.select(numbers) for numbers in known]

    def check_texts(self, corpus: Corpus) -> list[pd.DataFrame]:
        """Refuse texts that lack or change some of the table's, and return what it keeps of these, by segment."""
        held = [self._documents(segment) for segment in range(len(self.segments))]
        for documents in held:
            check_same_texts(self.path, documents, corpus)
        return held

    def _add_segment(self, corpus: Corpus) -> None:
        file = f"{CORPUS}/{len(self.segments):04d}.parquet"
        columns = {"document": list(corpus.names), "sha256": [text_hash(text) for text in corpus.texts]}
        columns |= {label: list(values) for label, values in labels_of(corpus).items() if values is not None}
        with atomic_file(self.path / file) as path:
            pq.write_table(pa.table(columns), path)
        segment = {"file": file, "documents": len(corpus.names), "hash": corpus_hash(corpus)}
        self.segments.append(segment | {"domains": corpus.domains is not None, "sources": list(corpus.sources)})
        self._write_manifest()

    def journal_folder(self, name: str, segment: int) -> Path:
        """Return where the batches of a model on a segment are kept until its part is written."""
        return self.path / JOURNAL / f"{model_slug(name)}-{segment:04d}"

    def has(self, name: str, segment: int) -> bool:
        """Say whether a model is scored on a segment."""
        return any(part["segment"] == segment for part in self.models.get(name, {}).get("parts", ()))

    def add_part(
        self,
        name: str,
        part: Mapping[str, Any],
        *,
        rows: Iterable[pa.Table],
        tokens: Iterable[pa.Table] | None,
        facts: Mapping[str, Any],
    ) -> None:
        """Add the losses of a model on a segment.

        Parameters
        ----------
        name
            The model.
        part
            What the manifest tells of the part: ``segment``, ``tokens`` and ``seconds``, which are added up over the
            model's parts, and whatever else.
        rows
            Its losses, a few at a time; see `inference.scoring.sample_losses.loss_rows`.
        tokens
            The losses of its tokens, a few at a time, if they are kept.
        facts
            What the manifest tells of the model; ``row`` is its row in the table of models.

        Raises
        ------
        InputError
            If the folder cannot be written.
        """
        file = _part_file(name, part["segment"])
        if tokens is not None:
            with atomic_file(self.path / TOKENS / file) as path:
                _write_tables(path, tokens)
        parts = [*self.models.get(name, {}).get("parts", ()), {"file": file} | dict(part)]
        with atomic_file(self.path / f"part-{file}") as path:
            _write_tables(path, rows)
            # Written last, since readers want losses of every model that it names.
            self.models[name] = _with_sums(facts, parts)
            self._write_models()
        self._write_manifest()

    def samples(self, segment: int) -> list[str]:
        """Return the names of the samples of a segment, as its models have them."""
        samples: dict[str, None] = {}
        for file in self._parts_on(segment):
            samples |= dict.fromkeys(pq.read_table(self.path / file, columns=["sample"])["sample"].to_pylist())
        return list(samples)

    def columns(self, segment: int) -> list[str]:
        """Return the columns of the losses on a segment."""
        return pq.read_schema(self.path / self._parts_on(segment)[0]).names

    def _parts_on(self, segment: int) -> list[str]:
        parts = [part for model in self.models.values() for part in model["parts"] if part["segment"] == segment]
        return [f"part-{part['file']}" for part in parts]

    def write_part(self, name: str, segment: int, rows: Iterable[pa.Table]) -> None:
        """Write losses of a model that the manifest does not name yet; `add_models` puts them into the table."""
        with atomic_file(self.path / f"part-{_part_file(name, segment)}") as path:
            _write_tables(path, rows)

    def add_models(self, models: Mapping[str, tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]]) -> None:
        """Put models into the table at once: by name what the manifest tells of each, and of each of its new parts."""
        for name, (facts, parts) in models.items():
            added = [{"file": _part_file(name, part["segment"])} | dict(part) for part in parts]
            self.models[name] = _with_sums(facts, [*self.models.get(name, {}).get("parts", ()), *added])
        self._write_models()
        self._write_manifest()

    def set_facts(self, name: str, facts: Mapping[str, Any]) -> None:
        """Add to what the manifest, and the table of models, tell of a model."""
        if any(self.models[name].get(key) != value for key, value in facts.items()):
            self.models[name] |= facts
            self._write_models()
            self._write_manifest()

    def remove_parts(self, name: str, segments: Iterable[int]) -> None:
        """Take the losses of a model on some segments out of the table, and the model if none are left."""
        self._forget_parts(name, segments)
        self.sweep()

    def _forget_parts(self, name: str, segments: Iterable[int]) -> None:
        model, removed = self.models[name], set(segments)
        parts = [part for part in model["parts"] if part["segment"] not in removed]
        if parts:
            self.models[name] = _with_sums(model, parts)
        else:
            del self.models[name]
        self._write_manifest()

    def _write_models(self) -> None:
        path = self.path / MODELS
        if not self.models:
            path.unlink(missing_ok=True)
            return
        with atomic_file(path) as temporary:
            pd.DataFrame([model["row"] for model in self.models.values()]).to_parquet(temporary, index=False)

    def _write_manifest(self) -> None:
        attrs = {"unit": self.unit, "cluster": "cluster", "missing": "{}", "source": self.path.name}
        scoring = {"format": FORMAT, "unit": self.unit, "segments": self.segments}
        # Besides new files those of a version that did not say what they are, as they are found. The table of models is
        # not among them: it is written before the manifest, which tells all that is in it.
        named = sorted(name for name in self._named() if name in self.files or (self.path / name).is_file())
        self.files = {name: self.files.get(name) or file_facts(self.path / name) for name in named}
        sections = {"models": self.models, "scoring": scoring, "by_model": ["tokens", "scored_bytes"]}
        sections[FILES] = self.files
        write_manifest(self.path, "losses", attrs, sections=sections)


def _part_file(name: str, segment: int) -> str:
    return f"{model_slug(name)}-{segment:04d}.parquet"


def _files(path: Path) -> list[tuple[str, Path]]:
    """List what is in the folder of a table and in those of its texts and tokens, by its path in the folder."""
    folders = [path, *(path / name for name in (TOKENS, CORPUS) if (path / name).is_dir())]
    return [(entry.relative_to(path).as_posix(), entry) for folder in folders for entry in sorted(folder.iterdir())]


def _is_begun(path: Path) -> bool:
    """Say whether a folder holds nothing but what a run writes before its first manifest."""
    if (path / CORPUS).is_symlink():
        return False
    return all(name in (LOCK, CORPUS) or is_own_file(name) for name, _ in _files(path))


def _with_sums(facts: Mapping[str, Any], parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the manifest tells of a model, with the sums over its parts."""
    tokens, seconds = sum(part["tokens"] for part in parts), sum(part["seconds"] for part in parts)
    speed = round(tokens / seconds, 1) if seconds else None
    sums = {"tokens": tokens, "seconds": round(seconds, 3), "tokens_per_second": speed}
    return dict(facts) | sums | {"segments": [part["segment"] for part in parts], "parts": parts}


def _rows(path: Path) -> list[dict[str, Any]] | None:
    """Return the table of models, without what is not known of them; None if it cannot be read."""
    try:
        rows = pq.read_table(path).to_pylist()
    except (OSError, pa.ArrowException):
        return None if path.exists() else []
    return [{key: value for key, value in row.items() if value is not None and value == value} for row in rows]


def _write_tables(path: Path, tables: Iterable[pa.Table]) -> None:
    """Write tables of one schema into one Parquet file, one after the other, so that few are in memory at once."""
    tables = iter(tables)
    first = next(tables)
    with pq.ParquetWriter(path, first.schema, compression="zstd") as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table)
