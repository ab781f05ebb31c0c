"""Which models a run scores and how: as typed, from files, and what cannot be."""

from pathlib import Path

import pytest
from run_parts import refused

from bayeslaw.errors import InputError
from bayeslaw.losses.sizes import noting_sizes
from inference.runs.model_list import ModelRequest, read_requests
from inference.runs.options import ScoreOptions


def listed(tmp_path, text):
    path = tmp_path / "models.yaml"
    path.write_text(text)
    return read_requests([str(path)])


def test_models_as_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("here").mkdir()
    Path("at@home").mkdir()
    found = read_requests(["EleutherAI/pythia-160m", "Qwen/Qwen3-0.6B@v1", "./here", "at@home"])
    assert [(each.source, each.name, each.family, each.revision) for each in found] == [
        ("EleutherAI/pythia-160m", "EleutherAI/pythia-160m", "pythia", None),
        ("Qwen/Qwen3-0.6B", "Qwen/Qwen3-0.6B@v1", "Qwen3", "v1"),
        ("./here", "here", "here", None),
        ("at@home", "at@home", "at", None),
    ]


def test_models_in_a_file(tmp_path):
    found = listed(
        tmp_path,
        """
- a/plain-7b
- {model: a/b-1b, name: first, family: odd, revision: v2, training_tokens: 3e11, price: 0}
- {model: "a/c@main", active_parameters: 1_000_000, resources: {num_gpus: 0.5, memory: 1e9}}
""",
    )
    assert found == [
        ModelRequest("a/plain-7b", "a/plain-7b", "plain"),
        ModelRequest("a/b-1b", "first", "odd", "v2", {"training_tokens": 3e11, "price": 0.0}),
        ModelRequest("a/c", "a/c@main", "c", "main", {"active_parameters": 1e6}, {"num_gpus": 0.5, "memory": 1e9}),
    ]
    assert listed(tmp_path, "models: [a/b, c/d]") == read_requests(["a/b", "c/d"])


@pytest.mark.parametrize(("text", "read"), [("7B", 7e9), ("1.5t", 1.5e12), ("300 M", 3e8), ("70,000,000", 7e7)])
def test_sizes_are_read_as_people_write_them(tmp_path, text, read):
    with noting_sizes() as noted:
        [found] = listed(tmp_path, f"- {{model: a/b, training_tokens: '{text}', active_parameters: '{text}'}}")
    assert found.facts == {"training_tokens": read, "active_parameters": read}
    assert noted == {text: read}
    with pytest.raises(InputError, match=f"price is '{text}'"):
        listed(tmp_path, f"- {{model: a/b, price: '{text}'}}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "does not list models"),
        ("[]", "does not list models"),
        ("model: a", "does not list models"),
        ("- [a]", "names no model"),
        ("- {model: ' '}", "names no model"),
        ("- {model: 3}", "names no model"),
        ("- {model: a, famly: b}", "use 'family'"),
        ("- {model: a, price: cheap}", "price is 'cheap'"),
        ("- {model: a, price: -1}", "price is -1"),
        ("- {model: a, price: true}", "price is True"),
        ("- {model: a, price: .nan}", "price is nan"),
        ("- {model: a, price: 1.2.3}", "price is '1.2.3'"),
        ("- {model: a, price: 1e999}", "price is '1e999'"),
        (f"- {{model: a, price: 1{'0' * 400}}}", "price is 1000"),
        ("- {model: a, price: [1]}", "price is [1]"),
        ("- {model: a, training_tokens: 0}", "above zero"),
        ("- {model: a, price: 2024-13-45}", "cannot read"),
        ("- {model: a, resources: 3}", "resources is 3"),
        ("- {model: a, resources: {num_gpus: no}}", "num_gpus is False"),
        ("- {model: a, revision: 0123456}", "write it in quotes"),
        ("- {model: a, name: no}", "name is False"),
        ("- {model: a, name: ''}", "name is ''"),
        ("- {model: a, family: 7}", "family is 7"),
        ("- {model: a@v1, revision: v2}", "names a revision"),
        ("- {model: a@}", "lacks the revision"),
        ("- {model: '@v1'}", "lacks the model"),
        ("- {model: a, name: x}\n- {model: b, name: x}", "two models are called 'x'"),
        ("- {model: a", "cannot read"),
        ("- &a [*a]", "names no model"),
    ],
)
def test_files_of_models_that_cannot_be_used(tmp_path, text, said):
    with pytest.raises(InputError) as error:
        listed(tmp_path, text)
    refused(error, said)


def test_no_models_and_no_file(tmp_path):
    with pytest.raises(InputError, match="no model is given"):
        read_requests([])
    with pytest.raises(InputError, match="cannot read"):
        read_requests([str(tmp_path / "none.yaml")])
    (tmp_path / "latin.yml").write_bytes(b"- caf\xe9")
    with pytest.raises(InputError, match="cannot read"):
        read_requests([str(tmp_path / "latin.yml")])
    with pytest.raises(InputError, match="two models are called"):
        read_requests(["a/b", "a/b"])
    with pytest.raises(InputError, match="UTF-8"):
        read_requests(["a/\udce9"])
    assert read_requests(["x" * 5000])[0].name == "x" * 5000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("unit", "sentence"),
        ("bos", "sometimes"),
        ("dtype", "int8"),
        ("window", 1),
        ("window", 2.5),
        ("stride", 0),
        ("batch_tokens", 1),
        ("batch_tokens", True),
        ("tensor_parallel", 0),
    ],
)
def test_options_that_cannot_be(name, value):
    with pytest.raises(InputError) as error:
        ScoreOptions(**{name: value})
    refused(error, repr(value))
