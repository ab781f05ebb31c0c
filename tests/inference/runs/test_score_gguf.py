"""``bayeslaw score`` of GGUF files beside folders."""

import json
import re

import numpy as np
import pytest
from safetensors.numpy import load_file
from score_runs import FEW, command, rows, score, write_jsonl
from tokenizers import Tokenizer

gguf = pytest.importorskip("gguf")
from gguf_writing import add_tokenizer, write_model  # noqa: E402

MODELS = {"llama-small": "llama", "gpt2-small": "gpt2"}


@pytest.fixture(scope="module")
def files(home, tmp_path_factory):
    """Return folders, and the same models as files."""
    folder = tmp_path_factory.mktemp("gguf")
    for name, model in MODELS.items():
        config = json.loads((home / name / "config.json").read_text())
        tokenizer = Tokenizer.from_file(str(home / name / "tokenizer.json"))
        special = {f"{token}_token_id": config[f"{token}_token_id"] for token in ("bos", "eos")}

        def change(writer, tokenizer=tokenizer, model=model, special=special):
            add_tokenizer(writer, tokenizer, model, pre="gpt-2", **special)

        weights = load_file(home / name / "model.safetensors")
        write_model(folder / f"{name}-F32.gguf", config, weights, change=change)
    return folder


@pytest.mark.parametrize("name", ["llama-small", pytest.param("gpt2-small", marks=pytest.mark.slow)])
def test_losses_are_those_of_the_folder(name, home, files, tmp_path):
    texts = write_jsonl(tmp_path / "texts.jsonl", FEW[:3])
    score([home / name, files / f"{name}-F32.gguf"], texts, tmp_path / "table", "--dtype", "float32")
    found = rows(tmp_path / "table").groupby("lm")["nll"]
    assert found.size().to_dict() == {name: 3, f"{name}-F32": 3}
    folder, file = (found.get_group(model).to_numpy() for model in (name, f"{name}-F32"))
    np.testing.assert_allclose(file, folder, rtol=1e-6)
    facts = json.loads((tmp_path / "table" / "manifest.json").read_text())["models"]
    assert facts[name]["stored_forms"].keys() == {"float32"}
    assert "F32" in facts[f"{name}-F32"]["stored_forms"]
    assert facts[name]["quant_method"] is None


def test_a_file_that_is_cut_off_ends_with_a_message(files, tmp_path):
    texts = write_jsonl(tmp_path / "texts.jsonl", FEW)
    (tmp_path / "cut.gguf").write_bytes((files / "llama-small-F32.gguf").read_bytes()[:-100])
    result = command("score", tmp_path / "cut.gguf", "--texts", texts, "--out", tmp_path / "table")
    assert result.exit_code == 2
    assert re.search("cut.gguf .*truncated", result.stderr.replace("\n", " "))
    assert "Traceback" not in result.output
