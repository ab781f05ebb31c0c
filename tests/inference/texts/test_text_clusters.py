"""Texts that name the book they were taken from: samples and tokens are of that book, and documents stay apart."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import xarray as xr
from make_checkpoints import make_checkpoint, make_documents
from run_parts import WORDS, Scorer, a_corpus, refused

import bayeslaw as bl
from bayeslaw.errors import InputError
from inference.runs.model_list import read_requests
from inference.runs.runner import run
from inference.texts.spans import UNITS

BOOKS = {f"text-{number:02d}": ("sea", "river", "17", "text-00")[number % 4] for number in range(12)}


@pytest.fixture(scope="module")
def requests(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return read_requests([str(make_checkpoint(folder / name, name, "small")) for name in ("llama", "gpt2")])


def the_texts(numbers=range(12), *, books=BOOKS):
    some = [make_documents(12)[number] for number in numbers]
    names = [document["id"] for document in some]
    clusters = None if books is None else tuple(books[name] for name in names)
    return a_corpus(*(document["text"] for document in some), names=names, clusters=clusters)


def document_of(samples):
    return [str(name).partition(":")[0] for name in samples.to_numpy()]


def losses_of(folder):
    """Return a table by sample and model, in an order that does not depend on the runs that made it."""
    losses = bl.read_losses(folder)
    return losses.sortby(["sample", "lm"]).drop_attrs()


def manifest_of(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    # The files tell clusters apart.
    del manifest["attrs"]["source"], manifest["files"]
    for model in manifest["models"].values():
        for facts in (model, *model["parts"]):
            facts.pop("scored_at", None)
    return manifest


def standard_error(losses, groups):
    """Return the standard error of bits per byte of each model from sums over groups, with nothing clever."""
    sums = losses[["nll", "bytes"]].assign_coords(group=("sample", groups)).groupby("group").sum()
    ratio = losses["nll"].sum("sample") / losses["bytes"].sum()
    count = sums.sizes["group"]
    squares = ((sums["nll"] - ratio * sums["bytes"]) ** 2).sum("group")
    return np.sqrt(count / (count - 1) * squares) / losses["bytes"].sum() / np.log(2)


@pytest.mark.parametrize(
    "unit", [pytest.param(unit, marks=() if unit in ("document", "word") else pytest.mark.slow) for unit in UNITS]
)
def test_samples_of_every_unit_are_of_the_book_of_their_text(tmp_path, requests, unit):
    options = replace(WORDS, unit=unit, keep_tokens=True)
    for name, books in (("plain", None), ("books", BOOKS)):
        run(requests, the_texts(books=books), tmp_path / name, options, scorer=Scorer())
    plain, books = (bl.read_losses(tmp_path / name) for name in ("plain", "books"))
    documents = document_of(books["sample"])
    assert plain["cluster"].values.tolist() == documents
    assert books["cluster"].values.tolist() == [BOOKS[name] for name in documents]
    xr.testing.assert_equal(books.drop_vars("cluster"), plain.drop_vars("cluster"))
    assert manifest_of(tmp_path / "books") == manifest_of(tmp_path / "plain")
    assert bl.loss_report(books).clusters == 4
    for losses in (plain, books):
        error = standard_error(losses, losses["cluster"].values)
        np.testing.assert_allclose(bl.mean_losses(losses)["standard_error"], error)


def test_tokens_are_of_the_book_of_their_sample_and_keep_their_document(tmp_path, requests):
    options = replace(WORDS, keep_tokens=True)
    for name, books in (("plain", None), ("books", BOOKS)):
        run(requests, the_texts(books=books), tmp_path / name, options, scorer=Scorer())
    for name in ("llama", "gpt2"):
        plain, books = (bl.read_token_losses(tmp_path / table, models=name) for table in ("plain", "books"))
        documents = document_of(books["sample_of_token"])
        assert books["document"].values.tolist() == plain["cluster"].values.tolist() == documents
        assert books["cluster"].values.tolist() == [BOOKS[document] for document in documents]
        xr.testing.assert_equal(books.drop_vars("cluster"), plain.drop_vars("cluster"))
        losses = bl.read_losses(tmp_path / "books").sel(lm=[name])
        of_words, of_tokens = (bl.mean_losses(table)["standard_error"].values for table in (losses, books))
        # Both are of the same sums over books.
        np.testing.assert_allclose(of_tokens, of_words, rtol=1e-6)
        for table in (losses, losses.drop_vars("cluster")):
            pools = bl.make_pools(table, rule="token_mixture", token_losses=books, max_size=1)
            assert pools.attrs["clusters"] == 4


def test_runs_that_go_on_and_texts_that_are_added_keep_their_books(tmp_path, requests):
    first = the_texts(range(8))
    with pytest.raises(KeyboardInterrupt):
        run(requests, first, tmp_path / "grown", WORDS, scorer=Scorer(stop=5))
    rest = Scorer()
    run(requests, first, tmp_path / "grown", WORDS, scorer=rest)
    whole = Scorer()
    run(requests, first, tmp_path / "first", WORDS, scorer=whole)
    assert len(rest.asked) == len(whole.asked) - 5
    xr.testing.assert_identical(losses_of(tmp_path / "grown"), losses_of(tmp_path / "first"))
    # The new texts are of the same books, and come first.
    run(requests, the_texts([11, 9, *range(9), 10]), tmp_path / "grown", WORDS, scorer=Scorer())
    run(requests, the_texts(), tmp_path / "whole", WORDS, scorer=Scorer())
    xr.testing.assert_identical(losses_of(tmp_path / "grown"), losses_of(tmp_path / "whole"))
    segments = [pq.read_table(path) for path in sorted((tmp_path / "grown" / "corpus").iterdir())]
    assert [segment.column_names for segment in segments] == [["document", "sha256", "cluster"]] * 2
    assert segments[1]["document"].to_pylist() == ["text-11", "text-09", "text-08", "text-10"]
    assert segments[1]["cluster"].to_pylist() == ["text-00", "river", "sea", "17"]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (BOOKS, BOOKS | {"text-02": "18"}, "the cluster of the text 'text-02' is '18', and in "),
        (BOOKS, None, "have clusters, and those given have none"),
        (None, BOOKS, "have no clusters, and those given have all one"),
    ],
    ids=["changed", "gone", "new"],
)
def test_books_that_are_not_those_of_the_table(tmp_path, requests, before, after, said):
    run(requests, the_texts(range(8), books=before), tmp_path, WORDS, scorer=Scorer())
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    scorer = Scorer()
    with pytest.raises(InputError) as error:
        run(requests, the_texts(books=after), tmp_path, WORDS, scorer=scorer)
    refused(error, said, "--out")
    assert scorer.asked == []
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == kept


def test_a_table_of_texts_that_name_no_book_is_as_it_always_was(tmp_path, requests):
    run(requests, the_texts(range(8), books=None), tmp_path, WORDS, scorer=Scorer())
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert [segment.keys() for segment in manifest["scoring"]["segments"]] == [
        {"file", "documents", "hash", "domains", "sources"}
    ]
    assert pq.read_schema(tmp_path / "corpus" / "0000.parquet").names == ["document", "sha256"]
    columns = ["sample", "lm", "nll", "bytes", "tokens", "scored_bytes", "cluster"]
    assert pq.read_schema(tmp_path / "part-llama-0000.parquet").names == columns
    run(requests, the_texts(books=None), tmp_path, WORDS, scorer=Scorer())
    losses = bl.read_losses(tmp_path)
    assert losses["cluster"].values.tolist() == document_of(losses["sample"])
