#!/usr/bin/env bash
# DuckDB rounds the losses of a folder of Parquet files to whole numbers if the first file holds whole numbers.
#
# Expected: files of one column, integers in one and floating point in the next, are promoted to floating point, or
# refused (pyarrow and polars refuse).
# Seen: the first file's type holds for all. A part whose losses happen to be whole (3, 4: as integers, as a JSON or CSV
# reader infers them) turns the losses 1.5 and 2.25 of the other parts into 2 and 2, without a warning. Which part comes
# first is the order of names, so a new part can change old figures.
# Version: duckdb 2.0.1 (files by pyarrow 26.0.1).
# Matters to: who keeps tables of losses as parts and asks DuckDB for means.
# Instead: `union_by_name = true`, which promotes; or write every part with one schema.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
packages=("duckdb==2.0.1" "pyarrow==26.0.1")
if uv --version >/dev/null 2>&1; then
  "${PYTHON:-python3}" -m venv --without-pip "$folder/venv"
  uv --directory "$folder" pip install --quiet --python "$folder/venv/bin/python" "${packages[@]}"
else
  "${PYTHON:-python3}" -m venv "$folder/venv"
  "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "${packages[@]}"
fi

cd "$folder"
venv/bin/python - <<'PYTHON'
import duckdb
import pyarrow as pa
import pyarrow.dataset as dataset
import pyarrow.parquet as parquet

print("duckdb", duckdb.__version__, "pyarrow", pa.__version__)
parquet.write_table(pa.table({"nll": pa.array([3, 4])}), "part-0.parquet")
parquet.write_table(pa.table({"nll": pa.array([1.5, 2.25])}), "part-1.parquet")
ask = "select {} from read_parquet('part-*.parquet'{})"
values = [row[0] for row in duckdb.sql(ask.format("nll", "")).fetchall()]
mean = duckdb.sql(ask.format("avg(nll)", "")).fetchall()[0][0]
print("DuckDB:", values, "mean", mean)
promoted = [row[0] for row in duckdb.sql(ask.format("nll", ", union_by_name = true")).fetchall()]
print("DuckDB with union_by_name:", promoted)
turned = duckdb.sql("select nll from read_parquet(['part-1.parquet', 'part-0.parquet'])").fetchall()
print("DuckDB, the part with fractions first:", [row[0] for row in turned])
try:
    answer = dataset.dataset(["part-0.parquet", "part-1.parquet"]).to_table()
except pa.ArrowInvalid as error:
    answer = error
print("pyarrow:", repr(answer))
assert values == [3, 4, 2, 2] and mean == 2.75
assert [row[0] for row in turned] == [1.5, 2.25, 3.0, 4.0]
assert promoted == [3.0, 4.0, 1.5, 2.25]
assert isinstance(answer, pa.ArrowInvalid)
PYTHON
