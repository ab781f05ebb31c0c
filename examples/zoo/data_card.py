"""The data card of the zoo: its template with what the manifests say."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import xarray as xr

from bayeslaw.losses.statistics import mean_losses

TEMPLATE = Path(__file__).with_name("data_card.md")


def data_card(
    tables: Mapping[str, xr.Dataset],
    manifests: Sequence[Mapping[str, Any]],
    *,
    checkpoints: Sequence[str],
    texts: int,
    sources: Sequence[Mapping[str, Any]],
    rounding: float,
) -> str:
    """Fill in the template of the data card.

    Parameters
    ----------
    tables
        The loss tables by unit.
    manifests
        Their manifests.
    checkpoints
        Names of the models whose checkpoints are shipped.
    texts
        How many texts are.
    sources
        What texts were collected from, as collect_texts.py wrote it.
    rounding
        Largest relative difference between shipped and scored losses.

    Returns
    -------
    str
        The card, in Markdown.
    """
    first = next(iter(tables.values()))
    models = [model for manifest in manifests for model in manifest["models"].values()]
    times = sorted(model["scored_at"] for model in models)
    versions = dict.fromkeys(f"{name} {one}" for model in models for name, one in model["versions"].items())
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        models=first.sizes["lm"],
        families=len(np.unique(first["family"])),
        checkpoints=len(checkpoints),
        texts=texts,
        tables=_markdown([_table_row(*each) for each in zip(tables, tables.values(), manifests, strict=True)]),
        model_table=_markdown(_model_rows(first, checkpoints)),
        sources=_markdown([_source_row(source) for source in sources]),
        scored_at=f"from {times[0]} to {times[-1]}",
        devices=", ".join(dict.fromkeys(model["device"] for model in models)),
        versions=", ".join(versions),
        rounding=f"{rounding:.1g}",
    )


def _table_row(unit: str, table: xr.Dataset, manifest: Mapping[str, Any]) -> dict[str, str]:
    documents = sum(segment["documents"] for segment in manifest["scoring"]["segments"])
    return {
        "unit": unit,
        "samples": f"{table.sizes['sample']:,}",
        "documents": f"{documents:,}",
        "clusters": f"{len(np.unique(table['cluster'])):,}",
        "bytes": f"{int(table['bytes'].sum()):,}",
        "domains": ", ".join(np.unique(table["domain"])),
    }


def _model_rows(table: xr.Dataset, checkpoints: Sequence[str]) -> list[dict[str, str]]:
    losses = mean_losses(table)
    rows = []
    for name in table["lm"].to_numpy().tolist():
        model = table.sel(lm=name)
        trained = f"{float(model['training_tokens']):,.0f}" if "training_tokens" in table else "not recorded"
        rows.append(
            {
                "model": name,
                "family": str(model["family"].item()),
                "parameters": f"{float(model['parameters']):,.0f}",
                "in embeddings": f"{float(model['embedding_parameters']):,.0f}",
                "training tokens": trained,
                "bits per byte, documents": f"{float(losses['loss'].sel(lm=name)):.4f}",
                "checkpoint here": "yes" if name in checkpoints else "no",
            }
        )
    return rows


def _source_row(source: Mapping[str, Any]) -> dict[str, str]:
    return {
        "source": source["name"],
        "domain": source["domain"],
        "licence": source["licence"],
        "from": f"{source['origin']}, {source['version']}",
        "texts may come with the package": "yes" if source["redistributable"] else "no",
    }


def _markdown(rows: Sequence[Mapping[str, str]]) -> str:
    if not rows:
        return "(none recorded)"
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    return "\n".join([*lines, *("| " + " | ".join(row.values()) + " |" for row in rows)])
