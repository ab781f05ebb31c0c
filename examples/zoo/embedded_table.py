"""The small form of a loss table that a run of ``bayeslaw score`` wrote."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bayeslaw.errors import InputError
from bayeslaw.inputs.manifests import read_manifest
from bayeslaw.losses.file_digests import FILES, folder_files
from bayeslaw.storage import write_manifest

PART, MODELS = "part-00000.parquet", "models.parquet"
COUNTS = ("bytes", "tokens", "scored_bytes")
# Whatever the table holds goes into one page of one row group: what repeats from model to model is then seen.
ALL = 1 << 27
# Bytes of equal weight beside each other compress; dictionaries of what repeats do it worse than zstd by itself.
WRITING: dict[str, Any] = {
    "compression": "zstd",
    "compression_level": 22,
    "use_dictionary": False,
    "row_group_size": ALL,
    "data_page_size": ALL,
    "write_batch_size": ALL,
    "write_statistics": False,
    "store_schema": False,
}


def embed_table(scored: Path, folder: Path, *, name: str) -> dict[str, Any]:
    """Write the losses of a scored folder as one file, losses in float32 and counts in 32 bits.

    Parameters
    ----------
    scored
        A folder that ``bayeslaw score`` wrote, every model on every text.
    folder
        Where to write: a folder that `bayeslaw.read_losses` reads as it reads the first.
    name
        What the table is called in messages.

    Returns
    -------
    dict
        The manifest of `folder`. Of the paths of models and parts it keeps the last name or none.

    Raises
    ------
    InputError
        If the folder was not scored, or some model not on all texts.
    """
    manifest = read_manifest(scored, "losses")
    models, scoring = manifest.get("models"), manifest.get("scoring")
    if not models or not scoring:
        raise InputError(f"{str(scored)!r} was not scored", "a folder that bayeslaw score wrote", "score the models")
    behind = [model for model, facts in models.items() if len(facts["parts"]) < len(scoring["segments"])]
    if behind:
        problem = f"{behind[0]!r} is not scored on all texts of {str(scored)!r}"
        raise InputError(problem, "every model on every text", "name it in another run of bayeslaw score")
    # Models of a tokenizer side by side: their counts are the same.
    order = sorted(models, key=lambda model: (models[model]["tokenizer"], models[model]["parameters"]["total"], model))
    folder.mkdir(parents=True)
    parts = [pq.read_table(scored / f"part-{part['file']}") for model in order for part in models[model]["parts"]]
    rows = _narrowed(pa.concat_tables(parts))
    pq.write_table(rows, folder / PART, column_encoding=_encodings(rows), **WRITING)
    # Runs of other units may have scored the models in another order.
    about = pq.read_table(scored / MODELS)
    place = {model: number for number, model in enumerate(about["model"].to_pylist())}
    pq.write_table(about.take([place[model] for model in order]), folder / MODELS, compression="zstd")
    kept = {model: _without_paths(models[model]) for model in order}
    sections = {"models": kept, "scoring": scoring, "by_model": manifest["by_model"], "embedded": {"nll": "float32"}}
    sections[FILES] = folder_files(folder)
    write_manifest(folder, "losses", manifest["attrs"] | {"source": name}, sections=sections)
    return read_manifest(folder)


def _narrowed(rows: pa.Table) -> pa.Table:
    rows = rows.set_column(rows.schema.get_field_index("nll"), "nll", pa.array(rows["nll"].to_numpy(), pa.float32()))
    for name in COUNTS:
        # A count beyond 32 bits would raise.
        rows = rows.set_column(rows.schema.get_field_index(name), name, rows[name].cast(pa.int32()))
    return rows


def _encodings(rows: pa.Table) -> dict[str, str]:
    return {name: "BYTE_STREAM_SPLIT" if name == "nll" else "PLAIN" for name in rows.column_names}


def _without_paths(facts: dict[str, Any]) -> dict[str, Any]:
    parts = [{key: value for key, value in part.items() if key != "file"} for part in facts["parts"]]
    return facts | {"source": Path(facts["source"]).name, "parts": parts}
