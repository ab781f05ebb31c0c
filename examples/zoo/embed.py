"""Put a scored zoo into the package.

``python examples/zoo/embed.py DOCUMENT PARAGRAPH LINE --checkpoints FOLDER --texts FILE [--sources FILE]``
"""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import typer
import xarray as xr
from data_card import data_card
from embedded_table import embed_table
from list_models import RECORD, WORK
from rich.console import Console

from bayeslaw.datasets.load import CARD, CHECKPOINTS, DATASETS, TEXTS, TRAINING
from bayeslaw.errors import InputError
from bayeslaw.losses.readers import read_losses
from bayeslaw.storage import atomic_folder
from inference.checkpoints.checkpoint import open_checkpoint

ZOO = DATASETS["zoo"]
FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
MOST_TABLE_BYTES, MOST_CHECKPOINT_BYTES = 2_000_000, 5_000_000


def main(
    document: Annotated[Path, typer.Argument(help="A folder that bayeslaw score wrote with --unit document.")],
    paragraph: Annotated[Path, typer.Argument(help="One with --unit paragraph, of the same models.")],
    line: Annotated[Path, typer.Argument(help="One with --unit line, of the same models.")],
    checkpoints: Annotated[Path, typer.Option("--checkpoints", help="Folder with the checkpoint of every model.")],
    texts: Annotated[Path, typer.Option("--texts", help="Scored texts that may be handed on, as JSON lines.")],
    sources: Annotated[Path | None, typer.Option("--sources", help="The sources.json of the collected texts.")] = None,
    smallest: Annotated[int, typer.Option("--smallest", help="Checkpoints shipped of each family.")] = 3,
    out: Annotated[Path, typer.Option("--out", help="Where the dataset goes.")] = ZOO.folder,
) -> None:
    """Write tables, checkpoints, texts and data card of the zoo into the package, and check their sizes."""
    console = Console(stderr=True, soft_wrap=True)
    scored = dict(zip(ZOO.units, (document, paragraph, line), strict=True))
    try:
        listed = [] if sources is None else json.loads(sources.read_text(encoding="utf-8"))
        sizes = embed(scored, checkpoints, texts, out, sources=listed, smallest=smallest)
    except InputError as error:
        console.print(str(error), style="red", markup=False, highlight=False)
        raise typer.Exit(2) from None
    for name, size in sizes.items():
        console.print(f"{name}: {size:,} bytes")


def embed(
    scored: Mapping[str, Path],
    checkpoints: Path,
    texts: Path,
    out: Path,
    *,
    sources: Sequence[Mapping[str, Any]] = (),
    smallest: int = 3,
) -> dict[str, int]:
    """Write the dataset.

    Parameters
    ----------
    scored
        Folders that ``bayeslaw score`` wrote, by unit.
    checkpoints
        Folder with the checkpoint of every model.
    texts
        Texts to ship, in JSON lines: some of those scored.
    out
        Where to; an earlier dataset there is replaced.
    sources
        What texts were collected from, for the data card.
    smallest
        How many of the smallest models of each family are shipped.

    Returns
    -------
    dict
        Bytes of the tables with the card, and of checkpoints with texts.

    Raises
    ------
    InputError
        If tables are of different models, a checkpoint or text is not the one scored, or a part is too large.
    """
    with atomic_folder(out, "dataset", replaceable=_is_dataset) as folder:
        manifests = [embed_table(path, folder / unit, name=ZOO.name) for unit, path in scored.items()]
        tables = {unit: read_losses(folder / unit) for unit in scored}
        rounding = max(_rounding(read_losses(path), tables[unit], str(path)) for unit, path in scored.items())
        _check_same_models(tables)
        chosen = _smallest_models(next(iter(tables.values())), smallest)
        for name in chosen:
            _copy_checkpoint(checkpoints / name, folder / CHECKPOINTS / name, manifests[0]["models"][name]["revision"])
        training_frame(checkpoints, tables[ZOO.units[0]]).to_csv(folder / TRAINING, index=False)
        count = _copy_texts(texts, folder / TEXTS, scored[ZOO.units[0]])
        card = data_card(tables, manifests, checkpoints=chosen, texts=count, sources=sources, rounding=rounding)
        (folder / CARD).write_text(card, encoding="utf-8")
        sizes = {
            "tables and card": sum(
                map(_bytes, (*(folder / unit for unit in scored), folder / CARD, folder / TRAINING))
            ),
            "checkpoints and texts": _bytes(folder / CHECKPOINTS) + _bytes(folder / TEXTS),
        }
        for (name, size), most in zip(sizes.items(), (MOST_TABLE_BYTES, MOST_CHECKPOINT_BYTES), strict=True):
            if size > most:
                raise InputError(f"{name} take {size:,} bytes", f"at most {most:,}", "ship fewer samples or models")
    return sizes


def training_frame(checkpoints: Path, table: xr.Dataset) -> pd.DataFrame:
    """Return how every model of a table was trained.

    Parameters
    ----------
    checkpoints
        The folder that train.py wrote.
    table
        A loss table of its models.

    Returns
    -------
    pandas.DataFrame
        One row a model and look at the validation texts: ``model, family, parameters, tokens`` (read so far),
        ``peak_rate``, ``training_nats_per_token`` since the look before, ``tokens_per_second``, and
        ``validation_DOMAIN``, nats per byte of each domain.
    """
    rows = []
    for name in table["lm"].to_numpy().tolist():
        trained = json.loads((checkpoints / WORK / name / RECORD).read_text(encoding="utf-8"))
        about = {"model": name, "family": trained["family"], "parameters": trained["parameters"]["total"]}
        for look in trained["log"]:
            row = about | {"tokens": look["tokens"], "peak_rate": trained["plan"]["peak_rate"]}
            row |= {key: look[key] for key in ("training_nats_per_token", "tokens_per_second")}
            row |= {f"validation_{domain}": loss for domain, loss in look["validation_nats_per_byte"].items()}
            rows.append(
                {key: float(f"{value:.6g}") if isinstance(value, float) else value for key, value in row.items()}
            )
    return pd.DataFrame(rows)


def _is_dataset(folder: Path) -> bool:
    return {entry.name for entry in folder.iterdir()} <= {*ZOO.units, CHECKPOINTS, TEXTS, TRAINING, CARD}


def _rounding(scored: xr.Dataset, embedded: xr.Dataset, source: str) -> float:
    embedded = embedded.sel(sample=scored["sample"], lm=scored["lm"])
    same = [name for name in scored.data_vars if name != "nll"]
    if not scored[same].equals(embedded[same]):
        problem = f"something other than the losses of {source!r} changed"
        raise InputError(problem, "the same counts and labels", "report this")
    before, after = scored["nll"].to_numpy(), embedded["nll"].to_numpy()
    return float(np.max(np.abs(after - before) / before, where=before > 0, initial=0.0))


def _check_same_models(tables: Mapping[str, xr.Dataset]) -> None:
    (unit, first), *others = tables.items()
    for other, table in others:
        if set(table["lm"].to_numpy()) != set(first["lm"].to_numpy()):
            problem = f"the tables of {unit} and {other} are of different models"
            raise InputError(problem, "the same models in every unit", "score them all")


def _smallest_models(table: xr.Dataset, count: int) -> list[str]:
    frame = table[["family", "parameters"]].to_dataframe().sort_values(["family", "parameters"])
    families = Counter(table["family"].to_numpy().tolist())
    fewest = min(families, key=lambda family: families[family])
    if families[fewest] <= count:
        problem = f"the family {fewest!r} has {families[fewest]} models"
        raise InputError(problem, f"more than {count}", "give families in the list of models that is scored")
    return [str(name) for name in frame.groupby("family").head(count).index]


def _copy_checkpoint(source: Path, target: Path, revision: str) -> None:
    if open_checkpoint(source).revision != revision:
        raise InputError(f"{source.name!r} is not the model that was scored", revision, "score it again")
    target.mkdir(parents=True)
    for name in FILES:
        shutil.copyfile(source / name, target / name)


def _copy_texts(source: Path, target: Path, scored: Path) -> int:
    """Copy texts whose hashes are those of texts that were scored, and count them."""
    corpus = pq.ParquetDataset(scored / "corpus").read(columns=["document", "sha256"]).to_pylist()
    known = {row["document"]: row["sha256"] for row in corpus}
    lines = source.read_text(encoding="utf-8").splitlines()
    for line in lines:
        record = json.loads(line)
        if known.get(record["id"]) != hashlib.sha256(record["text"].encode()).hexdigest():
            raise InputError(f"the text {record['id']!r} is not one that was scored", "texts of the table", "score it")
    target.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return len(lines)


def _bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


if __name__ == "__main__":
    typer.run(main)
