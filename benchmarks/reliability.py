"""How often statements that are made with a probability hold, over simulated tables, and how often they should.

Statements of one table depend on each other, so that no binomial error is theirs. What they would do together were they
calibrated is what their draws do together: in a replicate of the study the truth of every table is one of the draws
that its probabilities were counted over. Over many replicates the shares that hold are about the mean of what is
stated, and the envelope holds all shares of 95 in 100 replicates at once (the ranks of Myllymaki et al. 2017, Global
envelope tests for spatial processes, J. R. Stat. Soc. B 79).
"""

import json
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

EDGES = (0.0, 0.05, 0.35, 0.65, 0.95, 1.0)
BINS = [f"{low:g} to {high:g}" for low, high in pairwise(EDGES)]
KEPT_DRAWS = 200
REPLICATES, LEVEL = 4000, 0.95
Records = list[dict[str, Any]]


def kept_draws(holds: np.ndarray, seed: int) -> list[str]:
    """Keep some draws of whether statements hold, [draw, statement], the same for all: a text of 0 and 1 for each."""
    chosen = np.random.default_rng([seed, 11]).integers(len(holds), size=KEPT_DRAWS)
    return ["".join("1" if each else "0" for each in column) for column in holds[chosen].T]


def kept_tables(
    path: Path | None, of: Mapping[str, Any], tables: int, look_at: Callable[[int], Records], say: Callable[[str], None]
) -> Records:
    """Look at tables, leaving out those that an earlier run, asked the same, wrote to the file.

    Parameters
    ----------
    path
        A file of one line of JSON a table, read and added to; None: nothing is kept.
    of
        What was asked: lines of what was asked otherwise are left alone.
    tables
        How many.
    look_at
        Makes the records of a table of its number.
    say
        Told of each table that is done.

    Returns
    -------
    list of dict
        The records of all tables, in order.
    """
    lines = path.read_text(encoding="utf-8").splitlines() if path is not None and path.exists() else []
    found = {line["table"]: line["records"] for line in map(json.loads, lines) if line["of"] == of}
    for table in range(tables):
        if table in found:
            continue
        found[table] = look_at(table)
        if path is not None:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"of": of, "table": table, "records": found[table]}) + "\n")
        say(f"table {table + 1} of {tables}")
    return [record for table in range(tables) for record in found[table]]


def cells(records: pd.DataFrame) -> dict[tuple[str, str], np.ndarray]:
    """Find the statements of each kind and range of probabilities, and all of a kind: [statement] each."""
    stated = records["stated"].to_numpy()
    within = np.clip(np.searchsorted(EDGES, stated, side="left") - 1, 0, len(BINS) - 1)
    found = {}
    for what in records["what"].unique():
        of_kind = (records["what"] == what).to_numpy()
        parts = {"all": of_kind} | {name: of_kind & (within == place) for place, name in enumerate(BINS)}
        found |= {(what, name): some for name, some in parts.items() if some.any()}
    return found


def replicates(records: pd.DataFrame, masks: list[np.ndarray], seed: int = 0) -> np.ndarray:
    """Draw the share of statements that hold were they calibrated, [replicate, cell]."""
    drawn = np.array([[letter == "1" for letter in text] for text in records["drawn"]])
    generator, total = np.random.default_rng(seed), np.zeros((REPLICATES, len(masks)))
    tables, inside = records["table"].to_numpy(), np.stack(masks).astype(float)
    for table in np.unique(tables):
        rows = tables == table
        of_draws = inside[:, rows] @ drawn[rows]
        total += of_draws[:, generator.integers(drawn.shape[1], size=REPLICATES)].T
    return total / inside.sum(axis=1)


def envelope(drawn: np.ndarray, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """Find ends between which all cells of at least a share of the replicates lie at once.

    Parameters
    ----------
    drawn
        The replicates, [replicate, cell].
    level
        The share.

    Returns
    -------
    tuple of numpy.ndarray
        Lower and upper ends, [cell]: the narrowest that leave out as many replicates on either side of every cell.
    """
    order = np.sort(drawn, axis=0)
    low, high = 0, (len(drawn) - 1) // 2
    # The most that may be left out at each end: the share inside falls with it.
    while low < high:
        out = (low + high + 1) // 2
        inside = ((drawn >= order[out]) & (drawn <= order[-1 - out])).all(axis=1).mean()
        low, high = (out, high) if inside >= level else (low, out - 1)
    return order[low], order[-1 - low]


def reliability(records: pd.DataFrame) -> Records:
    """Compare what is stated with how often it holds, by kind of statement and probability, with the envelope."""
    found = cells(records)
    lower, upper = envelope(replicates(records, list(found.values())))
    stated, holds, tables = (records[name].to_numpy() for name in ("stated", "holds", "table"))
    return [
        {
            "what": what,
            "stated": name,
            "statements": int(some.sum()),
            "tables": len(np.unique(tables[some])),
            "mean_stated": float(stated[some].mean()),
            "held": float(holds[some].mean()),
            "envelope_lower": float(low),
            "envelope_upper": float(high),
            "inside": bool(low <= holds[some].mean() <= high),
        }
        for ((what, name), some), low, high in zip(found.items(), lower, upper, strict=True)
    ]


def show_reliability(rows: Records, tables: int, console: Console) -> None:
    """Print the table, and whether all of it is inside the envelope."""
    table = Table(title=f"statements over {tables} tables", title_justify="left", box=None)
    for name in ("statement", "stated", "statements", "mean stated", "held", f"{LEVEL:.0%} envelope of all", ""):
        table.add_column(name, justify="left" if name in ("statement", "stated", "") else "right")
    for row in rows:
        ends = f"{row['envelope_lower']:.3f} to {row['envelope_upper']:.3f}"
        words = "inside" if row["inside"] else "OUTSIDE"
        numbers = (f"{row['mean_stated']:.3f}", f"{row['held']:.3f}", ends, words)
        table.add_row(row["what"], row["stated"], str(row["statements"]), *numbers)
    console.print(table)
    outside = sum(not row["inside"] for row in rows)
    words = "all inside" if not outside else f"{outside} outside"
    console.print(f"reliability: {words} of {len(rows)} shares, by the simultaneous {LEVEL:.0%} envelope")
