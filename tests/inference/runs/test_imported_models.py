"""Models of a completions server that are added to a table that a run scored."""

import json
import os
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from completions_server import Served, serve
from make_checkpoints import make_checkpoint, make_documents
from run_parts import WORDS, Scorer, refused
from typer import Typer
from typer.testing import CliRunner

from bayeslaw.commands.import_ import import_completions
from bayeslaw.errors import InputError
from bayeslaw.inputs.manifests import read_manifest
from bayeslaw.losses.readers import read_losses
from inference.runs.imported_models import import_models
from inference.runs.model_list import read_requests
from inference.runs.runner import run
from inference.runs.table_folder import TableFolder
from inference.texts.documents import read_texts

app = Typer(pretty_exceptions_enable=False)
app.command()(import_completions)
WHOLE = replace(WORDS, unit="document", keep_tokens=True)


@pytest.fixture(autouse=True)
def no_key_and_no_proxy(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="module")
def server():
    with serve(Served(models=("small", "large", "llama"))) as served:
        yield served


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("models") / "llama", "llama", "small")


def write_texts(path, documents):
    lines = [
        json.dumps(document | {"domain": "d", "cluster": f"book-{len(document['text']) % 3}"}) for document in documents
    ]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def place(tmp_path, checkpoint):
    """Score a model on a few texts, and then on more, so that the table has two segments of them."""
    documents = make_documents(8)
    pd.DataFrame({"model": ["small", "large"], "family": "f", "parameters": [100_000_000, 1_000_000_000]}).to_csv(
        tmp_path / "models.csv", index=False
    )
    write_texts(tmp_path / "texts.jsonl", documents)
    for some in (documents[:5], documents):
        score(tmp_path, checkpoint, write_texts(tmp_path / "some.jsonl", some))
    return tmp_path


def score(place, checkpoint, texts, **options):
    said = []
    run(read_requests([str(checkpoint)]), read_texts([texts]), place / "out", WHOLE, scorer=Scorer(), say=said.append)
    return said


def bring(place, server, *names, texts="texts.jsonl"):
    named = [part for name in names for part in ("--model", name)]
    options = ["--url", server.url, "--texts", place / texts, "--models", place / "models.csv", "--out", place / "out"]
    return CliRunner().invoke(app, [str(option) for option in (*named, *options)])


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def alone(place, server, *names):
    """Return the table of the same models imported into a folder of its own."""
    os.makedirs(place / "alone", exist_ok=True)
    (place / "alone" / "texts.jsonl").write_bytes((place / "texts.jsonl").read_bytes())
    (place / "alone" / "models.csv").write_bytes((place / "models.csv").read_bytes())
    assert bring(place / "alone", server, *names).exit_code == 0
    return read_losses(place / "alone" / "out")


def test_models_are_added_and_nothing_is_lost(place, server, checkpoint):
    before, held = content(place / "out"), read_losses(place / "out")
    result = bring(place, server, "small", "large")
    assert result.exit_code == 0, result.output
    assert "2 models put into a table of 1" in result.stderr
    joined, new = read_losses(place / "out"), alone(place, server, "small", "large")
    assert joined["lm"].to_numpy().tolist() == ["llama", "small", "large"]
    assert joined["sample"].equals(held["sample"])
    np.testing.assert_array_equal(joined["nll"].sel(lm=["llama"]), held["nll"])
    of_new = new.sel(sample=joined["sample"])
    np.testing.assert_array_equal(joined["nll"].sel(lm=["small", "large"]), of_new["nll"])
    np.testing.assert_array_equal(joined["tokens"].sel(lm="large"), of_new["tokens"])
    np.testing.assert_array_equal(joined["scored_bytes"].sel(lm="large"), joined["bytes"])
    assert joined["parameters"].to_numpy()[1:].tolist() == [1e8, 1e9]
    after = content(place / "out")
    for path in before.keys() - {place / "out" / "manifest.json", place / "out" / "models.parquet"}:
        assert after[path] == before[path], path
    assert not (place / "out" / "journal" / "small-0000").exists()
    models = read_manifest(place / "out")["models"]
    assert models["small"]["imported"].keys() == {"bayeslaw", "at"}
    assert models["small"]["source"].startswith(server.url)
    assert models["small"]["segments"] == models["llama"]["segments"] == [0, 1]
    # A run goes on with the table as if nothing had come.
    assert score(place, checkpoint, place / "texts.jsonl")[-1] == "llama: all texts are scored already"
    assert content(place / "out") == after


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda texts: texts[:-1], ("1 of the texts that", "are not given")),
        (lambda texts: [*texts, {"id": "more", "text": "More."}], ("lacks the sample 'more'",)),
        (lambda texts: [texts[0] | {"text": texts[0]["text"].swapcase()}, *texts[1:]], ("its hash differs",)),
    ],
    ids=["fewer", "more", "other"],
)
def test_models_of_other_texts_are_refused_before_they_are_asked(place, server, change, said):
    write_texts(place / "others.jsonl", change(make_documents(8)))
    before, asked = content(place), len(server.asked)
    result = bring(place, server, "small", texts="others.jsonl")
    assert isinstance(result.exception, InputError)
    assert all(words in str(result.exception) for words in said), result.exception
    assert len(server.asked) == asked
    assert content(place) == before


@pytest.mark.parametrize("name", ["llama", "small"])
def test_a_model_that_is_there_is_not_replaced(place, server, name):
    assert bring(place, server, "small").exit_code == 0
    before = content(place)
    result = bring(place, server, name)
    assert isinstance(result.exception, InputError)
    assert f"has a model '{name}' already" in str(result.exception)
    assert content(place) == before


def test_a_model_that_a_run_has_begun_with_is_not_taken_from_it(place, server):
    folder = TableFolder(place / "out", "document").journal_folder("small", 0)
    folder.mkdir(parents=True)
    (folder / "keys.json").write_text("{}")
    result = bring(place, server, "small")
    assert "has begun with a model 'small'" in str(result.exception)
    assert (folder / "keys.json").exists()


def test_what_is_not_of_the_table_is_not_added(place, server):
    losses = alone(place, server, "small")
    with pytest.raises(InputError) as error:
        import_models(place / "out", losses.isel(sample=slice(1, None)))
    refused(error, "not of all of its samples")
    with pytest.raises(InputError) as error:
        import_models(place / "out", losses.drop_vars("tokens"))
    refused(error, "do not tell tokens")
    with TableFolder(place / "out", "document").locked(), pytest.raises(InputError) as error:
        import_models(place / "out", losses)
    refused(error, "another run")
    assert read_losses(place / "out")["lm"].to_numpy().tolist() == ["llama"]


class Killed(BaseException):
    """The process ends here."""


def test_an_import_that_is_killed_leaves_the_old_table(place, server):
    held, replace_file, moved = read_losses(place / "out"), os.replace, 0
    whole = alone(place, server, "small", "large")
    for last in range(20):
        count = [0]

        def dying(source, target, count=count, last=last):
            if str(target).startswith(str(place / "out")):
                count[0] += 1
                if count[0] > last:
                    raise Killed
            return replace_file(source, target)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "replace", dying)
            try:
                import_models(place / "out", whole)
                break
            except Killed:
                moved += 1
        # What is read is the table of before, whatever was written.
        found = read_losses(place / "out")
        assert found["lm"].to_numpy().tolist() == ["llama"]
        np.testing.assert_array_equal(found["nll"], held["nll"])
    # Two models on two segments, the table of models, which is also put right after a death, and the manifest.
    assert moved >= 6
    assert read_losses(place / "out")["lm"].to_numpy().tolist() == ["llama", "small", "large"]


def test_texts_that_are_added_later_are_imported_for_models_that_lack_them(place, server, checkpoint):
    assert bring(place, server, "small").exit_code == 0
    first = read_losses(place / "out")
    write_texts(place / "texts.jsonl", make_documents(10))
    said = score(place, checkpoint, place / "texts.jsonl")
    assert "note: small is not scored on all texts; import it again to add what is new" in said
    result = bring(place, server, "small")
    assert result.exit_code == 0, result.output
    whole = read_losses(place / "out")
    assert whole.sizes == {"sample": 10, "lm": 2}
    np.testing.assert_array_equal(whole["nll"][:8], first["nll"])
    np.testing.assert_array_equal(whole["nll"].sel(lm="small"), alone(place, server, "small")["nll"][:, 0])
