"""Rows of losses, one a sample and model, to a matrix: a few rows at a time, so that memory holds the matrix once."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bayeslaw.errors import InputError
from bayeslaw.losses.by_model import BY_MODEL, whole_counts
from bayeslaw.losses.columns import numbers
from bayeslaw.losses.parquet_files import readable_schema, unreadable
from bayeslaw.losses.sample_codes import SampleCodes
from bayeslaw.losses.sample_columns import ROWS, SampleColumn, enlarged

BATCH = 1 << 18
KEYS = ("sample", "lm", "nll")


@dataclass(frozen=True)
class LongRows:
    """What rows of losses say.

    Attributes
    ----------
    samples
        Names of the samples in the order in which they appear, none twice, large_string [sample].
    nll
        Losses, float64 [sample, lm]; NaN where there is none.
    there
        Which models have a row, [lm].
    described
        What describes the samples, by column, [sample].
    counts
        What differs between the models of a sample, by column, int64 [sample, lm]; 0 where there is no row.
    """

    samples: pa.ChunkedArray
    nll: np.ndarray
    there: np.ndarray
    described: dict[str, pd.Series]
    counts: dict[str, np.ndarray]


def read_long_rows(
    path: Path,
    parts: Sequence[str],
    models: Sequence[str],
    *,
    wanted: Collection[str] | None = None,
    by_model: Collection[str] = (),
) -> LongRows:
    """Read rows of losses.

    Parameters
    ----------
    path
        The folder.
    parts
        Parquet files in it with columns ``sample, lm, nll`` and what describes the sample.
    models
        Names of the models of the table.
    wanted
        Models whose rows are read; those of others are passed over. All models of the table, and no others, by default.
    by_model
        Columns that were counts by model when the table was written, even if they agree between the models.

    Returns
    -------
    LongRows
        What they say.

    Raises
    ------
    InputError
        If a file cannot be read or lacks a column, a model is not in the table of models, a loss is there twice or is
        no number, or a column other than the counts of `by_model.BY_MODEL` differs between the models of a sample.
    """
    schema = _schema(path, parts)
    rows = _Rows(schema, models, wanted, by_model)
    for batch in _batches(path, parts, schema):
        rows.add(batch)
        pa.default_memory_pool().release_unused()
    rows.settle()
    if rows.number != np.count_nonzero(rows.present):
        _find_twice(path, parts, schema, _Rows(schema, models, wanted, by_model))
    return rows.finished()


def _schema(path: Path, parts: Sequence[str]) -> pa.Schema:
    """Return the columns of all parts together."""
    if not parts:
        raise InputError(f"the folder {str(path)!r} has no losses", "part-*.parquet in it", "write the folder again")
    schemas = [readable_schema(path, name).remove_metadata() for name in parts]
    plain = [pa.schema([(each.name, _plain(each.type)) for each in schema]) for schema in schemas]
    try:
        schema = pa.unify_schemas(plain, promote_options="permissive")
    except pa.ArrowException as error:
        raise unreadable(path, parts[0], error) from error
    for name in KEYS:
        if name not in schema.names:
            raise InputError(f"the losses in {str(path)!r} have no column {name!r}", "sample, lm, nll", f"add {name}")
    return schema


def _plain(kind: pa.DataType) -> pa.DataType:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.large_string() if pa.types.is_string(kind) or pa.types.is_string_view(kind) else kind


def _batches(path: Path, parts: Sequence[str], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    # Most labels repeat, and are never made into text of their own.
    labels = [each.name for each in schema if each.name != "sample" and pa.types.is_large_string(each.type)]
    for name in parts:
        try:
            with pq.ParquetFile(path / name, read_dictionary=labels) as file:
                absent = [key for key in KEYS if key not in file.schema_arrow.names]
                if absent:
                    problem = f"{name} in {str(path)!r} has no column {absent[0]!r}"
                    raise InputError(problem, "sample, lm, nll", f"add {absent[0]}")
                yield from file.iter_batches(BATCH, use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise unreadable(path, name, error) from error


def _texts(column: pa.Array) -> pa.Array:
    """Return a column of names as text."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_string_view(kind):
        return column.cast(pa.large_string())
    if pa.types.is_large_string(kind):
        return column
    return pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.large_string())


class _Rows:
    """What rows say so far."""

    def __init__(
        self, schema: pa.Schema, models: Sequence[str], wanted: Collection[str] | None, by_model: Collection[str]
    ) -> None:
        self.models, self.place = list(models), {name: place for place, name in enumerate(models)}
        self.wanted = None if wanted is None else set(wanted)
        self.codes, self.number = SampleCodes(), 0
        # By cell, the number of its sample times that of models plus the number of its model.
        self.nll, self.present = np.zeros(0), np.zeros(0, bool)
        self.described = {each.name: SampleColumn(each.type) for each in schema if each.name not in KEYS}
        self.counts = {name: np.zeros(0, np.int64) for name in BY_MODEL if name in by_model and name in schema.names}
        for name in self.counts:
            del self.described[name]

    def add(self, batch: pa.RecordBatch) -> None:
        """Take rows in."""
        lm, batch = self._models_of(batch)
        if not len(lm):
            return
        names = _texts(batch["sample"])
        if names.null_count:
            row = self.number + int(pc.index(names.is_null(), True).as_py())
            raise InputError(f"row {row} (from 0) has no sample name", "a sample name in every row", "fill it in")
        runs = pc.call_function("run_end_encode", [names])
        first, ends = np.concatenate([[0], runs.run_ends.to_numpy()[:-1]]), runs.run_ends.to_numpy()
        codes = self.codes.codes(runs.values)
        sample = np.repeat(codes, ends - first)
        self._enlarge()
        cell = sample * len(self.models) + lm
        again = self.present[cell]
        if again.any():
            self._refuse_twice(names[int(again.argmax())].as_py(), lm[int(again.argmax())])
        self.nll[cell] = _losses(batch["nll"], names)
        for name, column in list(self.described.items()):
            values = column.row_values(_column(batch, name))
            column.add(self.codes.count, codes, values[first])
            if not column.agrees(sample, values):
                self._count_by_model(name)
        for name, counts in self.counts.items():
            counts[cell] = _counts(batch, name, self.models, lm)
        self.present[cell] = True
        self.number += len(cell)
        if self.codes.unsettled:
            self.settle()

    def _models_of(self, batch: pa.RecordBatch) -> tuple[np.ndarray, pa.RecordBatch]:
        """Return the number of the model of each row, and the rows of models that are wanted."""
        column = batch["lm"] if pa.types.is_dictionary(batch["lm"].type) else batch["lm"].dictionary_encode()
        if column.null_count:
            row = self.number + int(pc.index(column.is_null(), True).as_py())
            raise InputError(f"row {row} (from 0) names no model", "a model in every row", "fill it in")
        indices = column.indices.to_numpy()
        words = [str(word).strip() for word in column.dictionary.to_pylist()]
        wanted = [self.wanted is None or word in self.wanted for word in words]
        used = set(np.unique(indices).tolist())
        for place, word in enumerate(words):
            if wanted[place] and place in used and word not in self.place:
                problem = f"model {word!r} has losses but no row in models.parquet"
                raise InputError(problem, "every model in models.parquet", "add it there")
        numbers_of = np.array(
            [self.place.get(word, -1) if kept else -1 for word, kept in zip(words, wanted, strict=True)] or [-1]
        )
        lm = numbers_of[indices]
        return (lm, batch) if (lm >= 0).all() else (lm[lm >= 0], batch.filter(pa.array(lm >= 0)))

    def _enlarge(self) -> None:
        size = self.codes.count * len(self.models)
        self.nll, self.present = enlarged(self.nll, size), enlarged(self.present, size)
        self.counts = {name: enlarged(counts, size) for name, counts in self.counts.items()}

    def _count_by_model(self, name: str) -> None:
        """Keep a column by model from here on, if it is one that may differ between the models of a sample."""
        if name not in BY_MODEL:
            problem = f"column {name!r} differs between the models of a sample"
            raise InputError(problem, "one value a sample", "correct the column, or remove it")
        column = self.described.pop(name).values
        # What a sample has no row of has no count, and the rows at hand are yet to be taken in.
        known = np.where(np.isfinite(column) & (column >= 0), column, 0).astype(np.int64)
        self.counts[name] = np.repeat(known, len(self.models))

    def _refuse_twice(self, sample: str, lm: int) -> None:
        problem = f"the loss of sample {sample!r} by model {self.models[lm]!r} is there twice"
        raise InputError(problem, "one loss for every sample and model", "remove one of them")

    def settle(self) -> None:
        """Bring what was read of a sample under two numbers together."""
        before = self.codes.settled
        places = self.codes.settle()
        if places is None:
            return
        for name, column in list(self.described.items()):
            kept = column.values.copy() if name in BY_MODEL else column.values
            if not column.merge(before, places[before:]):
                column.values = kept
                self._count_by_model(name)
        width = len(self.models)
        for start in range(before, len(places), ROWS):
            # A number only becomes smaller: what is written over has been taken out.
            rows = slice(start * width, min(start + ROWS, len(places)) * width)
            filled = np.flatnonzero(self.present[rows])
            cell = places[start + filled // width] * width + filled % width
            tables = [self.nll, *self.counts.values()]
            values = [table[rows][filled] for table in tables]
            self.present[rows] = False
            twice = self.present[cell]
            if twice.any():
                sample, lm = divmod(int(cell[twice.argmax()]), width)
                self._refuse_twice(self.codes.names[sample].as_py(), lm)
            for table, kept in zip(tables, values, strict=True):
                table[cell] = kept
            self.present[cell] = True
        self._enlarge()

    def finished(self) -> LongRows:
        """Return what all rows say."""
        shape = self.codes.count, len(self.models)
        present = self.present.reshape(shape)
        nll = self.nll.reshape(shape)
        for start in range(0, len(nll), ROWS):
            nll[start : start + ROWS][~present[start : start + ROWS]] = np.nan
        return LongRows(
            samples=self.codes.names,
            nll=nll,
            there=present.any(axis=0),
            described={name: column.series() for name, column in self.described.items()},
            counts={name: counts.reshape(shape) for name, counts in self.counts.items()},
        )


def _column(batch: pa.RecordBatch, name: str) -> pa.Array:
    return batch[name] if name in batch.schema.names else pa.nulls(len(batch))


def _losses(column: pa.Array, names: pa.Array) -> np.ndarray:
    if pa.types.is_floating(column.type) and not column.null_count:
        return column.to_numpy(zero_copy_only=False)
    return numbers(column.to_pandas(), "loss", np.asarray(names))


def _counts(batch: pa.RecordBatch, name: str, models: Sequence[str], lm: np.ndarray) -> np.ndarray:
    column = _column(batch, name)
    if pa.types.is_integer(column.type) and not column.null_count:
        values = column.to_numpy()
        if values.min(initial=0) >= 0:
            return values
    rows = {"sample": _texts(batch["sample"]).to_pandas(), "lm": np.array(models, object)[lm], name: column.to_pandas()}
    return whole_counts(pd.DataFrame(rows), name)


def _find_twice(path: Path, parts: Sequence[str], schema: pa.Schema, rows: _Rows) -> None:
    """Name a loss that is there twice among rows that are read together."""
    for batch in _batches(path, parts, schema):
        lm, kept = rows._models_of(batch)
        names = _texts(kept["sample"])
        pairs = pd.DataFrame({"sample": names.dictionary_encode().indices.to_numpy(), "lm": lm})
        twice = pairs.duplicated().to_numpy()
        if twice.any():
            row = int(twice.argmax())
            rows._refuse_twice(names[row].as_py(), lm[row])
