"""Choose the held-out texts to score: ``python examples/zoo/held_out.py TEXTS OUT``."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from collect_texts import SOURCES
from corpus import Corpus, read_corpus
from excerpts import excerpts
from rich.console import Console

from bayeslaw.errors import InputError
from bayeslaw.storage import atomic_file

# Documents of each table: a shorter one is the beginning of a longer one, so that units share texts.
COUNTS = {"document": 2080, "paragraph": 720, "line": 400}
SHIPPED_BY_DOMAIN = 14
# Short enough for two or three windows of the models' context.
DOCUMENT_BYTES = 600
# A file is a cluster: none may have much weight.
MOST_BY_FILE = 30


def main(
    texts: Annotated[Path, typer.Argument(help="The folder of text that the zoo was trained on.")],
    out: Annotated[Path, typer.Argument(help="Folder for document.jsonl, paragraph.jsonl, line.jsonl, shipped.jsonl.")],
    seed: Annotated[int, typer.Option("--seed", help="Of the choice.")] = 0,
) -> None:
    """Cut held-out files into documents, choose evenly over domains, and write them as JSON lines."""
    console = Console(stderr=True, soft_wrap=True)
    try:
        corpus = read_corpus(texts)
        chosen = choose(corpus, COUNTS["document"], seed)
        out.mkdir(parents=True, exist_ok=True)
        for unit, count in COUNTS.items():
            _write(out / f"{unit}.jsonl", chosen[:count])
            console.print(f"{unit}.jsonl: {count:,} documents, {_bytes(chosen[:count]):,} bytes")
        shipped = choose_shipped(chosen[: COUNTS["line"]], _redistributable(texts))
        _write(out / "shipped.jsonl", shipped)
        console.print(f"shipped.jsonl: {len(shipped):,} documents, {_bytes(shipped):,} bytes")
    except InputError as error:
        console.print(str(error), style="red", markup=False, highlight=False)
        raise typer.Exit(2) from None


def choose(corpus: Corpus, count: int, seed: int) -> list[dict[str, str]]:
    """Choose held-out documents, the same number of every domain, domains in turn.

    Parameters
    ----------
    corpus
        The texts; only the split ``"held_out"`` is read.
    count
        Number of documents.
    seed
        Of the choice.

    Returns
    -------
    list of dict
        ``id``, ``text``, ``domain`` and ``cluster``, the path of the file.

    Raises
    ------
    InputError
        If a domain has too few documents.
    """
    domains = sorted({file.domain for file in corpus.files})
    rng = np.random.default_rng(seed)
    by_domain = []
    for domain in domains:
        found = []
        for file in corpus.files:
            if (file.domain, file.split) == (domain, "held_out"):
                pieces = list(excerpts(file.text, target=DOCUMENT_BYTES))
                kept = sorted(rng.permutation(len(pieces))[:MOST_BY_FILE])
                found += [{"text": pieces[number], "domain": domain, "cluster": file.path} for number in kept]
        wanted = -(-count // len(domains))
        if len(found) < wanted:
            problem = f"the domain {domain} has {len(found):,} held-out documents, {wanted:,} are wanted"
            raise InputError(problem, "more held-out text", "give a larger folder of text")
        by_domain.append([found[number] for number in rng.permutation(len(found))[:wanted]])
    turns = [document for row in zip(*by_domain, strict=True) for document in row][:count]
    return [{"id": f"zoo-{number:04d}"} | document for number, document in enumerate(turns)]


def choose_shipped(documents: Iterable[dict[str, str]], redistributable: set[str]) -> list[dict[str, str]]:
    """Choose the first documents of each domain whose source may be handed on."""
    taken: dict[str, int] = {}
    chosen = []
    for document in documents:
        domain = document["domain"]
        if "/".join(document["cluster"].split("/")[:2]) in redistributable and taken.get(domain, 0) < SHIPPED_BY_DOMAIN:
            taken[domain] = taken.get(domain, 0) + 1
            chosen.append(document)
    return chosen


def _redistributable(texts: Path) -> set[str]:
    path = texts / SOURCES
    if not path.is_file():
        return set()
    return {f"{one['domain']}/{one['name']}" for one in json.loads(path.read_text()) if one["redistributable"]}


def _write(path: Path, documents: list[dict[str, str]]) -> None:
    with atomic_file(path) as temporary:
        temporary.write_text("".join(json.dumps(document, ensure_ascii=False) + "\n" for document in documents))


def _bytes(documents: Iterable[dict[str, str]]) -> int:
    return sum(len(document["text"].encode()) for document in documents)


if __name__ == "__main__":
    typer.run(main)
