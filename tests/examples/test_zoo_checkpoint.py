"""The zoo's decoders become checkpoints that inference and PyTorch transformers both read."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import check_with_torch
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import saved_checkpoint
import typer
from families import FAMILIES, make_config
from flax import nnx
from parity.cases import CASES
from parity.checkpoints import read_reference, tensor_shapes, write_checkpoint
from parity.seeded import seeded_tensor
from safetensors import safe_open
from safetensors.numpy import load_file
from saved_checkpoint import ARCHITECTURES, checkpoint_tensors, new_decoder, save_checkpoint
from small_tokenizers import gpt2_like
from tokenizers import Tokenizer, models

import inference
from bayeslaw.errors import InputError
from inference.checkpoints.weights import load_decoder

pytestmark = pytest.mark.tools

ZOO = Path(__file__).parents[2] / "examples" / "zoo"

SAVED_CASES = [name for name in CASES if name.split("/")[0] in ARCHITECTURES]
TEXTS = ["The quick brown fox jumps over the lazy dog.", "She sells sea shells.", "naïve <|endoftext|>\n\n\tx = 1"]
WITH_TORCH = importlib.util.find_spec("torch") is not None


@pytest.fixture(scope="module")
def tokenizer():
    return gpt2_like()[0]


def settings(model_type, tokenizer, **changed):
    """Return a configuration with several heads a group and layers, for this tokenizer."""
    config = read_reference(model_type)["config"] | {"vocab_size": tokenizer.get_vocab_size()}
    return config | changed


def scrambled(decoder, scale=0.3):
    """Give every parameter values of its own, biases and norms too, so that no two can be taken for one another."""
    rng = np.random.default_rng(1)
    state = jax.tree.map(
        lambda x: jnp.asarray(x + scale * rng.standard_normal(x.shape, np.float32)), nnx.state(decoder)
    )
    nnx.update(decoder, state)
    return decoder


def weights(decoder):
    return {path: np.asarray(variable[...]) for path, variable in nnx.to_flat_state(nnx.state(decoder))}


def logits(decoder):
    hidden = nnx.jit(lambda module, ids: module.logits(module(ids)))
    return np.asarray(hidden(decoder, jnp.arange(40)[None] * 7))


def same(left, right):
    left, right = weights(left), weights(right)
    return left.keys() == right.keys() and all(np.array_equal(left[path], right[path]) for path in left)


@pytest.mark.parametrize("name", SAVED_CASES)
def test_tensors_are_those_transformers_stores_bit_for_bit(name, tmp_path):
    case = CASES[name]
    decoder = load_decoder(inference.open_checkpoint(write_checkpoint(tmp_path, case)))
    stored = checkpoint_tensors(decoder, read_reference(name)["config"])
    shapes = tensor_shapes(name)
    assert {tensor: list(values.shape) for tensor, values in stored.items()} == shapes
    for tensor, shape in shapes.items():
        np.testing.assert_array_equal(stored[tensor], seeded_tensor(name, tensor, shape), err_msg=tensor)


@pytest.mark.parametrize("model_type", ARCHITECTURES)
@pytest.mark.parametrize("tied", [True, False])
def test_a_saved_decoder_is_read_back_bit_for_bit(model_type, tied, tokenizer, tmp_path):
    config = settings(model_type, tokenizer, tie_word_embeddings=tied)
    decoder = scrambled(new_decoder(config, seed=0))
    save_checkpoint(tmp_path / "saved", decoder, config, tokenizer)
    read = inference.load(tmp_path / "saved", dtype="float32")
    assert read.decoder.config == decoder.config
    assert same(read.decoder, decoder)
    np.testing.assert_array_equal(logits(read.decoder), logits(decoder))
    heads = {"lm_head.weight", "embed_out.weight"} & load_file(tmp_path / "saved" / "model.safetensors").keys()
    assert len(heads) == (not tied)


@pytest.mark.parametrize("family", FAMILIES)
def test_smallest_models_of_the_zoo_are_saved(family, tokenizer, tmp_path):
    config = make_config(family, "15k") | {"vocab_size": tokenizer.get_vocab_size()}
    decoder = new_decoder(config, seed=0)
    save_checkpoint(tmp_path / "saved", decoder, config, tokenizer)
    model = inference.load(tmp_path / "saved", dtype="float32")
    assert same(model.decoder, decoder)
    losses = inference.score(model, TEXTS)
    tokens = np.array([len(encoding.ids) for encoding in model.tokenizer.encode_batch(TEXTS)])
    # An untrained model knows next to nothing, and is not sure of what it does not know either.
    assert np.abs(losses / tokens - np.log(tokenizer.get_vocab_size())).max() < 1


@pytest.mark.parametrize(("model_type", "wrong"), [("gpt2", "grouped"), ("gpt_neox", "concatenated")])
def test_permuted_queries_keys_and_values_are_noticed(model_type, wrong, tokenizer, tmp_path, monkeypatch):
    right = saved_checkpoint._fuse
    monkeypatch.setattr(saved_checkpoint, "_fuse", lambda parts, decoder, layout: right(parts, decoder, wrong))
    config = settings(model_type, tokenizer)
    decoder = scrambled(new_decoder(config, seed=0))
    save_checkpoint(tmp_path / "saved", decoder, config, tokenizer)
    read = inference.load(tmp_path / "saved", dtype="float32")
    assert not same(read.decoder, decoder)
    assert np.abs(logits(read.decoder) - logits(decoder)).max() > 1e-3


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_weights_are_stored_in_the_type_asked_for(dtype, tokenizer, tmp_path):
    config = settings("llama", tokenizer)
    decoder = new_decoder(config, seed=0)
    save_checkpoint(tmp_path / "saved", decoder, config, tokenizer, dtype=dtype)
    checkpoint = inference.open_checkpoint(tmp_path / "saved")
    assert {checkpoint.dtype(name) for name in checkpoint.names} == {dtype}
    assert checkpoint.config["dtype"] == dtype
    for path, values in weights(load_decoder(checkpoint)).items():
        np.testing.assert_allclose(values, weights(decoder)[path], rtol=1e-2, atol=1e-5)


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_files_say_what_other_programs_ask_for(model_type, tokenizer, tmp_path):
    config = settings(model_type, tokenizer)
    save_checkpoint(tmp_path / "saved", new_decoder(config, seed=0), config, tokenizer)
    saved = json.loads((tmp_path / "saved" / "config.json").read_text())
    end = tokenizer.token_to_id("<|endoftext|>")
    assert saved["model_type"] == model_type
    assert saved["architectures"] == read_reference(model_type)["config"]["architectures"]
    assert saved["tie_word_embeddings"] == config["tie_word_embeddings"]
    assert (saved["bos_token_id"], saved["eos_token_id"], saved["dtype"]) == (end, end, "float32")
    with safe_open(tmp_path / "saved" / "model.safetensors", "np") as file:
        assert file.metadata() == {"format": "pt"}
    own = inference.TextTokenizer.from_folder(tmp_path / "saved")
    assert own.prefix == end
    ordinary = Tokenizer.from_str(tokenizer.to_str())
    ordinary.encode_special_tokens = True
    for text in TEXTS:
        assert own.encode(text).ids.tolist() == ordinary.encode(text, add_special_tokens=False).ids


def test_initial_weights_follow_the_seed_and_the_width(tokenizer):
    config = settings("llama", tokenizer, tie_word_embeddings=False)
    decoder = new_decoder(config, seed=0)
    assert same(decoder, new_decoder(config, seed=0))
    assert not same(decoder, new_decoder(config, seed=1))
    expected = {"embedding": 64, "head": 64, "query": 64, "gate": 64, "output": 64, "down": 112}
    found = {path[-2]: values for path, values in weights(decoder).items()}
    for name, columns in expected.items():
        variance = 2 / (5 * columns) / (8 if name in ("output", "down") else 1)
        assert found[name].shape[-1] == columns
        assert abs(found[name].std() / np.sqrt(variance) - 1) < 0.03, name
    assert all((values == 1).all() for name, values in found.items() if name.endswith("norm"))
    biases = [
        values for path, values in weights(new_decoder(settings("gpt2", tokenizer), 0)).items() if path[-1] == "bias"
    ]
    assert biases
    assert not any(values.any() for values in biases)


def test_what_does_not_belong_together_is_refused(tokenizer, tmp_path):
    config = settings("gpt2", tokenizer)
    decoder = new_decoder(config, seed=0)
    other = Tokenizer(models.BPE())
    larger = gpt2_like()[0]
    larger.add_tokens(["one more"])
    for changed, used, message in (
        (config | {"n_head": 2}, tokenizer, "not of this configuration"),
        (config | {"model_type": "mamba"}, tokenizer, "'mamba'"),
        (config, other, "no token '<|endoftext|>'"),
        (config, larger, "the tokenizer has"),
    ):
        with pytest.raises(InputError) as refused:
            save_checkpoint(tmp_path / "saved", decoder, changed, used)
        assert message in str(refused.value)
    decoder.embedding.weight[...] = decoder.embedding.weight[...].at[0, 0].set(1e6)
    with pytest.raises(InputError, match=r"transformer\.wte\.weight is not finite in float16"):
        save_checkpoint(tmp_path / "saved", decoder, config, tokenizer, dtype="float16")
    assert not (tmp_path / "saved").exists()


def test_a_checkpoint_is_replaced_whole_or_not_at_all(tokenizer, tmp_path, monkeypatch):
    config, folder = settings("llama", tokenizer), tmp_path / "saved"
    save_checkpoint(folder, new_decoder(config, seed=0), config, tokenizer)
    save_checkpoint(folder, new_decoder(config, seed=1), config, tokenizer)
    first = (folder / "model.safetensors").read_bytes()
    assert same(load_decoder(inference.open_checkpoint(folder)), new_decoder(config, seed=1))

    def fail(*given, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr(saved_checkpoint, "_save_tokenizer", fail)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(folder, new_decoder(config, seed=2), config, tokenizer)
    assert (folder / "model.safetensors").read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"notes\.txt"):
        save_checkpoint(folder, new_decoder(config, seed=2), config, tokenizer)


@pytest.mark.parametrize("shift", [0.0, 1e-3])
def test_the_comparison_measures_a_difference(shift, tokenizer, tmp_path, monkeypatch):
    config = settings("gpt2", tokenizer)
    folder = tmp_path / "saved"
    save_checkpoint(folder, scrambled(new_decoder(config, seed=0)), config, tokenizer)
    model = inference.load(folder, dtype="float32")

    def shifted(folder, texts):
        encodings = model.tokenizer.encode_batch(texts)
        assert all(len(encoding.ids) < model.config.max_length for encoding in encodings)
        found = inference.token_log_probabilities(model, encodings)
        return [values.astype(np.float64) + shift for values in found]

    monkeypatch.setattr(check_with_torch, "_torch_log_probabilities", shifted)
    found = check_with_torch.compare_model(folder, [*TEXTS, "naïve façade über " * 50])
    assert found["name"] == "saved"
    assert found["largest_difference"] == pytest.approx(shift, abs=1e-6)
    assert found["largest_token_difference"] == pytest.approx(shift, abs=1e-6)


@pytest.mark.parametrize(("passed", "code"), [(True, None), (False, 1)])
def test_the_exit_code_tells_whether_all_models_passed(passed, code, tmp_path, monkeypatch, capsys):
    model = {"name": "zoo-llama-15k", "largest_difference": 2e-7, "texts": 3, "largest_token_difference": 1e-6}
    record = {"passed": passed, "models": [model | {"tokens": 1_234}]}
    monkeypatch.setattr(check_with_torch, "compare", lambda *given, **named: record)
    ended = None
    try:
        check_with_torch.main([], tmp_path / "texts.jsonl", limit=3, out=tmp_path / "record.json")
    except typer.Exit as left:
        ended = left.exit_code
    assert ended == code
    assert "zoo-llama-15k: at most 2.0e-07 nats per token apart over 3 texts" in capsys.readouterr().out
    assert json.loads((tmp_path / "record.json").read_text()) == record


@pytest.mark.skipif(WITH_TORCH, reason="PyTorch is installed")
def test_without_pytorch_nothing_is_compared(tmp_path):
    command = [sys.executable, str(ZOO / "check_with_torch.py"), str(tmp_path), "--texts", "none.jsonl"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "PyTorch is not installed" in result.stderr


@pytest.mark.parity
@pytest.mark.skipif(not WITH_TORCH, reason="PyTorch is not installed")
def test_pytorch_gives_the_same_losses(tokenizer, tmp_path):
    texts = tmp_path / "texts.jsonl"
    texts.write_text("".join(json.dumps({"text": text * 3}) + "\n" for text in TEXTS))
    for model_type in ARCHITECTURES:
        config = settings(model_type, tokenizer)
        save_checkpoint(tmp_path / model_type, scrambled(new_decoder(config, seed=0), 0.1), config, tokenizer)
    record = check_with_torch.compare([tmp_path / name for name in ARCHITECTURES], texts, limit=20)
    assert record["passed"]
    assert [model["texts"] for model in record["models"]] == [len(TEXTS)] * len(ARCHITECTURES)
    assert max(model["largest_difference"] for model in record["models"]) < 1e-5
    assert min(model["nats_per_token"] for model in record["models"]) > 1
