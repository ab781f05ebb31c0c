"""Sample logs of lm-evaluation-harness, written here in the formats of its versions."""

import hashlib
import json
import math
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from forms import few_or_many
from hypothesis import given, settings
from hypothesis import strategies as st
from typer import Typer
from typer.testing import CliRunner

from bayeslaw.commands.import_ import import_harness
from bayeslaw.errors import InputError
from bayeslaw.losses.model_names import family_of_name
from bayeslaw.losses.readers import read_losses
from bayeslaw.losses.statistics import mean_losses
from bayeslaw.sources import losses_from_harness
from bayeslaw.sources.harness_samples import read_samples

TIME = "2025-03-01T10-11-12.345678"
DOCS = [{"text": f"Die {word} läuft", "id": number} for number, word in enumerate(["Katze", "Maus", "Kuh", "Ärztin"])]
TARGETS = [" weg", " über Stock", " 猫", " to the end of the day"]
TASK = "lambada_openai"
MODELS = {"EleutherAI/pythia-160m": 162322944, "Qwen/Qwen3-0.6B": 596049920}


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def log_likelihood(model, doc):
    return -(1.5 + 0.25 * doc + 0.125 * len(model))


def sample(doc, model, *, kind="loglikelihood", version="0.4.8", value=None):
    """Return one record as the given version writes it."""
    number = log_likelihood(model, doc) if value is None else value
    context, target = f"Satz {doc}:", TARGETS[doc]
    text = DOCS[doc]["text"]
    arguments = [text] if kind == "loglikelihood_rolling" else [context, target]
    pair = number if kind == "loglikelihood_rolling" else [number, False]
    record = {"doc_id": doc, "doc": DOCS[doc], "target": arguments[-1]}
    if version == "0.4.0":
        # Tuples become JSON arrays; the values stay numbers.
        return record | {"arguments": [arguments], "resps": [[pair]], "filtered_resps": [pair], "perplexity": number}
    strings = str(number) if kind == "loglikelihood_rolling" else [str(number), "False"]
    named = {"gen_args_0": {f"arg_{index}": argument for index, argument in enumerate(arguments)}}
    return record | {
        "arguments": named,
        "resps": [[strings]],
        "filtered_resps": [strings],
        "filter": "none",
        "metrics": ["perplexity"],
        "doc_hash": sha256(json.dumps(DOCS[doc], indent=2, ensure_ascii=False)),
        "prompt_hash": sha256(arguments[0]),
        "target_hash": sha256(arguments[-1]),
        "perplexity": number,
    }


def results(model, parameters, *, kind="loglikelihood", task=TASK, **config):
    made = {"model": "hf", "model_args": f"pretrained={model},dtype=float32", "model_num_parameters": parameters}
    made |= {"model_dtype": "torch.float32", "model_revision": "main", "model_sha": "abc123"}
    return {
        "results": {task: {"perplexity,none": 3.0}},
        "configs": {task: {"task": task, "output_type": kind, "num_fewshot": 0}},
        "config": made | config,
        "lm_eval_version": "0.4.8",
        "model_source": "hf",
        "model_name": model,
        "model_name_sanitized": model.replace("/", "__"),
    }


def write_run(root, model, *, records=None, task=TASK, time=TIME, summary=True, **config):
    kind = config.pop("kind", "loglikelihood")
    folder = Path(root) / model.replace("/", "__")
    folder.mkdir(parents=True, exist_ok=True)
    if records is None:
        records = [sample(doc, model, kind=kind) for doc in range(len(DOCS))]
    lines = [json.dumps(record, ensure_ascii=False) for record in records]
    (folder / f"samples_{task}_{time}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if summary:
        content = results(model, MODELS.get(model, 1000), kind=kind, task=task, **config)
        (folder / f"results_{time}.json").write_text(json.dumps(content, indent=2), encoding="utf-8")
    return folder


@pytest.fixture
def runs(tmp_path):
    return [write_run(tmp_path / "out", model) for model in MODELS]


def refused(*words, runs, **options):
    with pytest.raises(InputError) as caught:
        losses_from_harness(runs, **options)
    for word in words:
        assert word in str(caught.value), str(caught.value)


def expected(kind):
    texts = [doc["text"] for doc in DOCS] if kind == "loglikelihood_rolling" else TARGETS
    nll = np.array([[-log_likelihood(model, doc) for model in MODELS] for doc in range(len(DOCS))])
    return nll, [len(text.encode()) for text in texts]


@pytest.mark.parametrize(("kind", "unit"), [("loglikelihood", "target"), ("loglikelihood_rolling", "document")])
@pytest.mark.parametrize("version", ["0.4.0", "0.4.8"])
def test_a_run_gives_nats_and_bytes_of_every_document(tmp_path, kind, unit, version):
    runs = [
        write_run(tmp_path, model, records=[sample(d, model, kind=kind, version=version) for d in range(4)], kind=kind)
        for model in MODELS
    ]
    losses = losses_from_harness(runs)
    nll, sizes = expected(kind)
    np.testing.assert_array_equal(losses["nll"], nll)
    np.testing.assert_array_equal(losses["bytes"], sizes)
    assert losses.attrs["unit"] == unit
    assert losses["lm"].values.tolist() == list(MODELS)
    assert losses["family"].values.tolist() == ["pythia", "Qwen3"]
    assert losses["parameters"].values.tolist() == list(MODELS.values())
    assert losses["task"].values.tolist() == [TASK] * 4
    hashes = [sha256(json.dumps(doc, indent=2, ensure_ascii=False)) for doc in DOCS]
    assert losses["cluster"].values.tolist() == hashes
    assert losses["sample"].values.tolist() == [f"{TASK}:{digest[:16]}" for digest in hashes]
    bits = nll.sum(axis=0) / math.log(2) / sum(sizes)
    np.testing.assert_allclose(mean_losses(losses)["loss"], bits, rtol=1e-12)


def test_versions_with_and_without_hashes_join(tmp_path):
    old, new = MODELS
    records = [sample(doc, old, version="0.4.0") for doc in (3, 1, 0, 2)]
    runs = [write_run(tmp_path, old, records=records), write_run(tmp_path, new)]
    np.testing.assert_array_equal(losses_from_harness(runs)["nll"], expected("loglikelihood")[0])


def test_the_array_files_of_old_versions_are_read(tmp_path):
    [model, _] = MODELS
    records = [sample(doc, model, version="0.4.0") for doc in range(4)]
    content = results(model, -1)
    del content["model_name"]
    (tmp_path / "results.json").write_text(json.dumps(content))
    (tmp_path / f"pretrained__{model.replace('/', '__')}_{TASK}.jsonl").write_text(json.dumps(records, indent=2))
    refused("parameters of 'EleutherAI/pythia-160m'", "--models", runs=[tmp_path])
    facts = pd.DataFrame({"model": [model], "params": [160e6], "family": ["py"]})
    losses = losses_from_harness([tmp_path], models=facts)
    assert losses["task"].values.tolist() == [TASK] * 4
    assert losses["family"].values.tolist() == ["py"]
    np.testing.assert_array_equal(losses["nll"][:, 0], expected("loglikelihood")[0][:, 0])


def test_the_folder_above_the_models_will_do(runs):
    one_by_one = losses_from_harness(runs)
    assert losses_from_harness([runs[0].parent]).identical(one_by_one)
    files = [next(run.glob("samples_*")) for run in runs]
    assert losses_from_harness(files).identical(one_by_one)


def test_order_of_runs_and_lines_does_not_matter(tmp_path, runs):
    model = next(iter(MODELS))
    shuffled = write_run(tmp_path / "other", model, records=[sample(doc, model) for doc in (2, 0, 3, 1)])
    one = losses_from_harness(runs)
    other = losses_from_harness([runs[1], shuffled]).sel(lm=list(MODELS))
    np.testing.assert_array_equal(other["nll"], one["nll"])
    assert other["sample"].values.tolist() == one["sample"].values.tolist()


def test_revisions_of_a_model_are_models(tmp_path):
    model = "EleutherAI/pythia-160m"
    write_run(tmp_path, model)
    step = {"model_revision": "step1000", "model_args": {"pretrained": model, "revision": "step1000"}}
    records = [sample(doc, model, value=-9.5) for doc in range(4)]
    write_run(tmp_path, model, time="2025-03-02T10-11-12", records=records, **step)
    losses = losses_from_harness([tmp_path])
    assert losses["lm"].values.tolist() == [model, f"{model}@step1000"]
    assert losses["family"].values.tolist() == ["pythia", "pythia"]
    assert (losses["nll"].sel(lm=f"{model}@step1000") == 9.5).all()


def test_without_results_the_folder_names_the_model(tmp_path):
    run = write_run(tmp_path, "EleutherAI/pythia-160m", summary=False)
    refused("'EleutherAI__pythia-160m'", "not known", runs=[run])
    facts = tmp_path / "models.csv"
    facts.write_text("model,family,parameters,training_tokens\nEleutherAI/pythia-160m,,1.6e8,3e11\nother,o,1,1\n")
    losses = losses_from_harness([run], models=facts)
    assert losses["lm"].values.tolist() == ["EleutherAI/pythia-160m"]
    assert losses["family"].values.tolist() == ["pythia"]
    assert losses["training_tokens"].values.tolist() == [3e11]


def test_the_models_csv_overrides_the_results(tmp_path, runs):
    facts = tmp_path / "models.csv"
    facts.write_text("model,parameters,family\nQwen/Qwen3-0.6B,600000000,Tongyi\n")
    losses = losses_from_harness(runs, models=facts)
    assert losses["parameters"].values.tolist() == [162322944, 600000000]
    assert losses["family"].values.tolist() == ["pythia", "Tongyi"]
    facts.write_text("model,parameters\nQwen/Qwen3-0.6B,1\nQwen/Qwen3-0.6B,2\n")
    refused("twice", runs=runs, models=facts)
    facts.write_text("name,parameters\nQwen/Qwen3-0.6B,1\n")
    refused("no column 'model'", runs=runs, models=facts)


def test_only_the_first_filter_counts(tmp_path):
    model = "EleutherAI/pythia-160m"
    records = [sample(doc, model) for doc in range(4)]
    records += [sample(doc, model) | {"filter": "strict"} for doc in range(4)]
    assert losses_from_harness([write_run(tmp_path, model, records=records)]).sizes["sample"] == 4


def test_several_tasks_and_a_document_in_both(tmp_path):
    model = "EleutherAI/pythia-160m"
    write_run(tmp_path, model)
    write_run(tmp_path, model, task="lambada_standard", time="2025-03-02T10-11-12")
    losses = losses_from_harness([tmp_path])
    assert losses.sizes["sample"] == 8
    assert len(set(losses["cluster"].values)) == 4
    assert set(losses["task"].values) == {TASK, "lambada_standard"}
    assert losses_from_harness([tmp_path], tasks=[TASK]).sizes["sample"] == 4
    refused("'lambada_opena'", f"use '{TASK}'", runs=[tmp_path], tasks=["lambada_opena"])


def test_other_output_types_are_refused_with_the_reason(tmp_path):
    model = "EleutherAI/pythia-160m"
    arguments = {f"gen_args_{i}": {"arg_0": "Q:", "arg_1": f" {i}"} for i in range(2)}
    choice = [{**sample(0, model), "arguments": arguments, "resps": [[["-1.0", "False"]], [["-2.0", "False"]]]}]
    run = write_run(tmp_path, model, records=choice, kind="multiple_choice", task="piqa")
    refused("'piqa'", "several answers", "--tasks", runs=[run])
    plain = write_run(tmp_path / "plain", model, records=choice, summary=False, task="piqa")
    refused("document 0", "several answers", runs=[plain])
    text = [{**sample(0, model), "arguments": {"gen_args_0": {"arg_0": "Q:", "arg_1": {"until": ["\n"]}}}}]
    refused("generate_until", runs=[write_run(tmp_path / "text", model, records=text, summary=False)])
    odd = write_run(tmp_path / "odd", model, records=choice)
    refused("loglikelihood with 2 requests", runs=[odd])


def test_mixed_output_types_are_refused(tmp_path):
    model = "EleutherAI/pythia-160m"
    write_run(tmp_path, model)
    write_run(tmp_path, model, kind="loglikelihood_rolling", task="wikitext", time="2025-03-02T10-11-12")
    refused("different output types", "'wikitext' is loglikelihood_rolling", "--tasks", runs=[tmp_path])
    assert losses_from_harness([tmp_path], tasks=["wikitext"]).attrs["unit"] == "document"


def test_runs_of_other_documents_are_refused(tmp_path):
    one, two = MODELS
    runs = [
        write_run(tmp_path, one, records=[sample(d, one) for d in (0, 1)]),
        write_run(tmp_path, two, records=[sample(d, two) for d in (2, 3)]),
    ]
    refused("share no documents", runs=runs)
    changed = [sample(0, two), sample(1, two) | {"doc_hash": "f" * 64}]
    refused("document 1", "is another", runs=[runs[0], write_run(tmp_path / "new", two, records=changed)])


@pytest.mark.parametrize(("argument", "what"), [("arg_0", "context"), ("arg_1", "target")])
def test_another_prompt_or_target_is_refused(tmp_path, argument, what):
    one, two = MODELS
    records = [sample(doc, two) for doc in range(4)]
    records[2]["arguments"]["gen_args_0"][argument] += "!"
    runs = [write_run(tmp_path, one), write_run(tmp_path, two, records=records)]
    refused(f"the {what} of document 2", one, two, runs=runs)


def test_a_run_that_lacks_documents(tmp_path):
    one, two = MODELS
    runs = [write_run(tmp_path, one), write_run(tmp_path, two, records=[sample(d, two) for d in (0, 2)])]
    refused(f"{two!r} lacks 2 of 4 losses", "drop-samples", runs=runs)
    losses = losses_from_harness(runs, missing="drop-samples")
    np.testing.assert_array_equal(losses["nll"], expected("loglikelihood")[0][[0, 2]])
    assert losses_from_harness(runs, missing="drop-models")["lm"].values.tolist() == [one]


def test_repeated_documents(tmp_path):
    model = "EleutherAI/pythia-160m"
    records = [sample(doc, model) for doc in range(3)]
    repeat = sample(1, model) | {"doc_id": 3}
    run = write_run(tmp_path, model, records=[*records, repeat])
    refused("documents 1 and 3", "--repeats first", runs=[run])
    assert losses_from_harness([run], repeats="first").sizes["sample"] == 3
    refused("repeats 'all'", runs=[run], repeats="all")
    twice = write_run(tmp_path / "twice", model, records=[*records, records[1]])
    refused("document 1 is twice", runs=[twice], repeats="first")


def test_a_task_of_a_model_twice_is_refused(tmp_path):
    model = "EleutherAI/pythia-160m"
    write_run(tmp_path, model)
    run = write_run(tmp_path, model, time="2025-03-02T10-11-12")
    refused("there twice", f"samples_{TASK}_{TIME}.jsonl", "2025-03-02", runs=[run])


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "0.5", 0.25, float("-inf"), float("nan")])
def test_impossible_log_likelihoods_are_refused(tmp_path, value):
    model = "EleutherAI/pythia-160m"
    records = [sample(0, model), sample(1, model, value=value)]
    refused("document 1", "at most zero", runs=[write_run(tmp_path, model, records=records)])


def test_responses_of_several_requests_are_not_taken_for_one(tmp_path):
    model = "EleutherAI/pythia-160m"
    run = write_run(tmp_path, model, records=[sample(0, model) | {"resps": [[-1.0], [-2.0]]}])
    refused("document 0", "the responses of 2 requests, and one is scored", runs=[run])


@pytest.mark.parametrize("resps", [[], [["yes"]], None, [[None]], [[True]], [["1e"]]])
def test_responses_that_are_no_numbers_are_refused(tmp_path, resps):
    model = "EleutherAI/pythia-160m"
    run = write_run(tmp_path, model, records=[sample(0, model) | {"resps": resps}])
    refused("no log-likelihood", "document 0", runs=[run])


@given(number=st.floats(-1e6, -1e-6), form=st.sampled_from(["({!r}, False)", "(np.float64({!r}), np.False_)", "{!r}"]))
def test_pairs_written_as_text_are_read_exactly(tmp_path_factory, number, form):
    path = tmp_path_factory.mktemp("log") / "samples_t.jsonl"
    record = sample(0, "m", version="0.4.0") | {"resps": [[form.format(number)]]}
    path.write_text(json.dumps(record))
    [read] = read_samples(path)
    assert read.value == -number


def test_zero_is_not_minus_zero(tmp_path):
    path = tmp_path / "samples_t.jsonl"
    path.write_text(json.dumps(sample(0, "m", value=0.0)))
    assert str(read_samples(path)[0].value) == "0.0"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["holds no documents"]),
        (b'{"doc_id": 0', ["line 1", "not JSON", "cut off"]),
        (b"\xff\xfe", ["not text in UTF-8"]),
        (b"[1, 2", ["not JSON"]),
        (b'{"a": 1}\n', ["line 1", "no doc_id"]),
        (b'{"doc_id": 0, "doc": {}, "resps": [[-1]]}', ["no arguments"]),
        (b'{"doc_id": 0, "arguments": [["a"]], "resps": [[-1]]}', ["neither doc_hash nor doc"]),
        (b'{"doc_id": 0, "doc": {}, "arguments": [["a", ""]], "resps": [[-1]]}', ["is empty"]),
        (b'{"doc_id": 0, "doc": {}, "arguments": [[1]], "resps": [[-1]]}', ["not loglikelihood_rolling"]),
    ],
)
def test_files_that_are_no_logs_are_refused(tmp_path, content, words):
    (tmp_path / "samples_task.jsonl").write_bytes(content)
    refused(*words, runs=[tmp_path])


def test_paths_and_results_that_cannot_be_used(tmp_path, runs):
    refused("no run", runs=[])
    refused("'nowhere'", runs=["nowhere"])
    (tmp_path / "empty").mkdir()
    refused("no sample logs", "--log_samples", runs=[tmp_path / "empty"])
    next(runs[0].glob("results_*")).write_text("{")
    refused("results", "cannot be read", runs=runs)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("EleutherAI/pythia-160m", "pythia"),
        ("EleutherAI/pythia-1.4b-deduped", "pythia-deduped"),
        ("EleutherAI/pythia-160m@step1000", "pythia"),
        ("Qwen/Qwen3-0.6B", "Qwen3"),
        ("Qwen/Qwen3-30B-A3B", "Qwen3"),
        ("meta-llama/Llama-3.1-8B", "Llama-3.1"),
        ("meta-llama/Llama-2-7b-hf", "Llama-2-hf"),
        ("mistralai/Mixtral-8x7B-v0.1", "Mixtral-v0.1"),
        ("microsoft/Phi-3-mini-128k-instruct", "Phi-3-128k-instruct"),
        ("stabilityai/stablelm-2-1_6b", "stablelm-2"),
        ("gpt2-medium", "gpt2"),
        ("gpt2", "gpt2"),
        ("facebook/opt-1.3b", "opt"),
        ("my-llama", "my-llama"),
        ("./models/my-llama/", "my-llama"),
        ("google/gemma-2-2b-it", "gemma-2-it"),
        ("microsoft/phi-2", "phi-2"),
        ("llama3.2:1b", "llama3.2"),
        ("7b", "7b"),
    ],
)
def test_families_of_names(name, family):
    assert family_of_name(name) == family


app = Typer(pretty_exceptions_enable=False)
app.command()(import_harness)


def test_the_command_writes_a_table(tmp_path, runs):
    out = tmp_path / "losses"
    result = CliRunner().invoke(app, [*map(str, runs), "--out", str(out), "--tasks", f"{TASK}, {TASK}"])
    assert result.exit_code == 0, result.output
    assert "4 samples (unit: target), 2 models" in result.stderr
    losses = read_losses(out)
    np.testing.assert_array_equal(losses["nll"], expected("loglikelihood")[0])
    [entry, _] = json.loads(losses.attrs["runs"])
    assert entry["sha"] == "abc123"
    assert entry["dtype"] == "torch.float32"
    result = CliRunner().invoke(app, [*map(str, runs), "--out", str(runs[0])])
    assert isinstance(result.exception, InputError)
    assert "samples_" in str(result.exception) or "results_" in str(result.exception)


def test_the_command_says_what_is_likely_wrong_in_the_whole_table(tmp_path, runs):
    model, out = next(iter(MODELS)), str(tmp_path / "losses")
    high = write_run(tmp_path / "high", model, records=[sample(doc, model, value=-1000.0) for doc in range(4)])
    first = CliRunner().invoke(app, [str(runs[1]), "--out", out])
    assert "error " not in first.stderr
    second = CliRunner().invoke(app, [str(high), "--out", out])
    assert second.exit_code == 0, second.output
    assert f"error bits-per-byte: {model}: " in second.stderr
    assert second.stdout == ""


def write_old_run(folder, model):
    """Write a run as versions before 0.4.3 did: results and logs in the folder that ``--output_path`` named."""
    folder.mkdir(parents=True)
    content = results(model, MODELS[model])
    del content["model_name"]
    (folder / "results.json").write_text(json.dumps(content))
    records = [sample(doc, model, version="0.4.0") for doc in range(4)]
    (folder / f"pretrained__{model.replace('/', '__')}_{TASK}.jsonl").write_text(json.dumps(records))


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_logs_of_any_version_are_found_below_a_folder(tmp_path, depth):
    old, new = MODELS
    root = tmp_path / "root"
    middle = root.joinpath(*["more"] * depth)
    write_old_run(middle / "a run", old)
    write_run(middle, new)
    (root / "notes").mkdir()
    (root / "notes" / "texts.jsonl").write_text("{}")
    losses = losses_from_harness([root])
    assert sorted(losses["lm"].values.tolist()) == sorted(MODELS)
    np.testing.assert_array_equal(losses.sel(lm=list(MODELS))["nll"], expected("loglikelihood")[0])


def test_only_regular_files_are_read_as_logs(tmp_path, runs):
    log = next(runs[0].glob("samples_*"))
    log.unlink()
    os.mkfifo(log)
    refused("a named pipe", runs=runs)
    log.unlink()
    log.symlink_to("/dev/zero")
    refused("a device", runs=runs)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just(10**400)
JSON = st.recursive(
    SCALARS, lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=3), part, max_size=3)
)


def _places(value, path=()):
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        yield from _places(part, (*path, name))


def _with(value, path, other):
    if not path:
        return other
    copy = value.copy()
    copy[path[0]] = _with(value[path[0]], path[1:], other)
    return copy


@few_or_many(30, 300)
def test_no_json_in_any_place_of_a_run_gives_another_loss(tmp_path_factory, examples):
    @settings(deadline=None, max_examples=examples)
    @given(data=st.data(), other=JSON, version=st.sampled_from(["0.4.0", "0.4.8"]))
    def check(data, other, version):
        folder = tmp_path_factory.getbasetemp() / "any run"
        shutil.rmtree(folder, ignore_errors=True)
        model = next(iter(MODELS))
        records = [sample(doc, model, version=version) for doc in range(4)]
        write_run(folder, model, records=records)
        file = data.draw(st.sampled_from(sorted(path.name for path in folder.rglob("*.json*"))))
        path = next(folder.rglob(file))
        content = json.loads(path.read_text()) if path.suffix == ".json" else records
        place = data.draw(st.sampled_from(list(_places(content))))
        content = _with(content, place, other)
        whole = path.suffix == ".json" or not isinstance(content, list)
        path.write_text(json.dumps(content) if whole else "\n".join(map(json.dumps, content)))
        try:
            losses = losses_from_harness([folder], models=pd.DataFrame({"model": [model], "parameters": [1e8]}))
        except InputError:
            return
        # Another log-likelihood that may be one is one.
        if not {"resps", "filtered_resps", "arguments"} & set(place):
            # Another number of a document is another place among them.
            np.testing.assert_array_equal(np.sort(losses["nll"][:, 0]), np.sort(expected("loglikelihood")[0][:, 0]))

    check()


# Scores of answers.


def answer(doc, model, score, **more):
    """Return a record of a multiple-choice task: two requests, and whether the answer was right."""
    requests = {f"gen_args_{index}": {"arg_0": f"Satz {doc}:", "arg_1": f" {index}"} for index in range(2)}
    record = sample(doc, model)
    return record | {"arguments": requests, "resps": [[["-1.0", "False"]], [["-2.0", "False"]]], "acc": score} | more


@pytest.fixture
def answered(tmp_path):
    runs = []
    for place, model in enumerate(MODELS):
        records = [answer(doc, model, float((doc + place) % 2)) for doc in range(4)]
        runs.append(write_run(tmp_path / "out", model, records=records, kind="multiple_choice"))
    return runs


def test_scores_of_answers_are_taken_of_tasks_that_have_no_losses(answered):
    losses = losses_from_harness(answered, score="acc")
    assert losses.attrs["metric"] == "accuracy"
    assert losses.attrs["unit"] == "document"
    assert "bytes" not in losses
    right = np.array([[(doc + place) % 2 for place in range(2)] for doc in range(4)])
    np.testing.assert_array_equal(losses["nll"], 1 - right)
    refused("multiple_choice scores several answers", runs=answered)


def test_the_command_takes_scores_of_answers(answered, tmp_path):
    out = tmp_path / "scores"
    result = CliRunner().invoke(app, [*map(str, answered), "--score", "acc", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "4 samples (unit: document), 2 models" in result.stderr
    assert "bytes" not in result.stderr
    assert read_losses(out).identical(losses_from_harness(answered, score="acc"))


def test_a_score_that_is_not_there_is_refused_with_those_that_are(answered):
    refused("has no 'acc_norm'", "from 0 to 1: acc\n", runs=answered, score="acc_norm")


@pytest.mark.parametrize("name", ["target", "doc_id"])
def test_numbers_of_the_document_are_no_scores(tmp_path, name):
    records = [answer(doc, "m", 1.0, target=doc) for doc in range(2)]
    run = write_run(tmp_path / "out", "EleutherAI/pythia-160m", records=records, kind="multiple_choice")
    refused(f"'{name}' is no score", "from 0 to 1: acc\n", runs=[run], score=name)


def test_a_score_that_is_no_share_is_refused(tmp_path):
    run = write_run(tmp_path / "out", "EleutherAI/pythia-160m", records=[answer(0, "m", 63.0)], kind="multiple_choice")
    refused("acc of document 0", "63.0", "from 0 to 1", runs=[run], score="acc")
