"""The decoder says what the PyTorch reference says: every family, every switch, long texts, mixed lengths."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forms import in_gate
from parity.cases import CASES, MODEL_TYPES, Case
from parity.checkpoints import case_ids, differences, log_probabilities, write_checkpoint
from parity.saved_names import FORMS, read_record, saved_shapes
from parity.seeded import seeded_tensor
from parity.stored import spread, tensor_shapes
from safetensors.numpy import load_file, save_file

from bayeslaw.errors import InputError
from inference.checkpoints.checkpoint import open_checkpoint
from inference.checkpoints.checkpoint_config import read_decoder_config
from inference.checkpoints.weights import check_tensors, load_decoder
from inference.decoder.families import SUPPORTED
from inference.decoder.transformer import Decoder

# Names that checkpoints on the hub have instead of those that save_pretrained writes: what is replaced by what.
OTHER_NAMES = [
    ("gpt2", "transformer.", ""),
    ("bloom", "transformer.", ""),
    ("gpt_neox", "gpt_neox.", ""),
    ("gpt_neox", "embed_out", "lm_head"),
    ("llama", "model.", ""),
    ("opt", "model.decoder.", "decoder."),
    ("gemma3_text", "model.", "language_model.model."),
    ("gemma3_text/capped", "", "language_model."),
    ("gpt2/untied", "transformer.", "model.transformer."),
    ("mamba", "backbone.", ""),
    ("mamba", "backbone.embeddings.", "backbone.embedding."),
]
# Of models of text and images: a case of the text part, where its tensors lie, and one of the images' tensors.
IMAGE_MODELS = {
    "gemma3": ("gemma3_text", "model.language_model.", "model.vision_tower.layer.weight"),
    "apertus1p5": ("apertus1p5_text", "model.language_model.", "model.audio_tokenizer.encoder.weight"),
    "mistral3": ("ministral3", "language_model.model.", "multi_modal_projector.linear_1.weight"),
    "qwen3_5": ("qwen3_5_text", "model.language_model.", "model.visual.patch_embed.proj.weight"),
    "gemma3n": ("gemma3n_text", "model.language_model.", "model.embed_audio.soft_embedding_norm.weight"),
    "gemma4": ("gemma4_text", "model.language_model.", "model.audio_tower.layers.0.norm_out.weight"),
    "gemma4_unified": ("gemma4_unified_text", "model.language_model.", "model.vision_embedder.patch_dense.weight"),
    "llama4": ("llama4_text", "language_model.model.", "vision_model.patch_embedding.linear.weight"),
    "aria": ("aria_text", "language_model.model.", "vision_tower.layer.weight"),
    "fuyu": ("persimmon", "language_model.model.", "vision_embed_tokens.weight"),
}
# The cases of the gate: together they have everything that a configuration can name, which a slow test holds. Those of
# the slow tier have what others have too, in other combinations; their names are looked at in the gate.
IN_GATE = (
    *("apertus", "axk1", "bailing_hybrid", "beam/all", "deepseek_v2", "diffllama", "doge", "ernie4_5_moe"),
    *("falcon/40b", "falcon/rw", "falcon_h1", "falcon_h1/no_norm", "gemma2", "gemma2/long", "gemma3n_text"),
    *("gemma3n_text/unshared", "gemma4_text", "gemma4_text/one_width", "gpt2", "gpt2/inner", "gpt2/layer_scale"),
    *("gpt_neox", "gpt_neox/linear", "gpt_neox_japanese", "gpt_oss", "hunyuan_v1_dense", "jamba", "jetmoe"),
    *("kimi_linear/ranks", "kolibri1", "laguna", "lfm2_moe", "lfm3", "llama", "llama/dynamic", "llama4_text"),
    *("longcat_flash", "mamba", "mamba/bias", "mimo_v2_flash", "minimax", "ministral3", "modernbert-decoder"),
    *("nanochat", "nemotron_h", "olmo", "olmo2", "olmo_hybrid", "opt/350m", "phi/norms", "phi3/longrope"),
    *("phimoe/longrope", "qwen3_next", "recurrent_gemma", "rwkv", "stablelm/12b", "xglm", "xlstm", "zamba2"),
    "zamba2/plain",
)
YARN_ROPE = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 16}
# What a configuration says beside its text part, which has to agree with the size of the vocabulary.
BESIDE_TEXT: dict[str, dict[str, Any]] = {
    "apertus1p5": {
        "image_token_offset": 59,
        "vision_config": {"codebook_size": 20},
        "audio_token_offset": 79,
        "audio_config": {"model_type": "wavtokenizer_encoder", "codebook_size": 20},
    }
}
# Fields with values that the decoder does not compute, and would get wrong in silence.
REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("gpt2", {"add_cross_attention": True}),
    ("gpt2", {"activation_function": "gelu_10"}),
    ("bloom", {"apply_residual_connection_post_layernorm": True}),
    ("mpt", {"attn_config": {"alibi": False}}),
    ("mpt", {"attn_config": {"alibi_bias_max": 16}}),
    ("mpt", {"attn_config": {"qk_ln": True}}),
    ("mpt", {"attn_config": {"prefix_lm": True}}),
    ("mpt", {"attn_config": {"attn_type": "multiquery_attention"}}),
    ("mpt", {"expansion_ratio": 2}),
    ("mpt", {"no_bias": False}),
    ("mpt", {"logit_scale": 0.5}),
    ("falcon", {"num_ln_in_parallel_attn": 2}),
    ("falcon/40b", {"parallel_attn": False}),
    ("gptj", {"rotary_dim": None}),
    ("gpt_neox", {"head_dim": 32}),
    ("stablelm", {"head_dim": 32}),
    ("persimmon", {"head_dim": 32}),
    ("gemma", {"use_bidirectional_attention": True}),
    ("gemma2", {"use_bidirectional_attention": True}),
    ("gemma3_text", {"use_bidirectional_attention": True}),
    ("gemma3_text", {"attn_logit_softcapping": 50.0}),
    ("cohere2", {"sliding_window": None}),
    ("qwen2", {"layer_types": ["sliding_attention"] * 4, "use_sliding_window": False}),
    ("qwen3", {"layer_types": ["chunked_attention"] * 4}),
    ("llama", {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5}}),
    ("llama", {"rope_parameters": {"rope_type": "axial", "rope_theta": 1e4}}),
    ("llama", {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]}}),
    ("llama", {"quantization_config": {"quant_method": "gptq", "bits": 4}}),
    ("openai-gpt", {"afn": "gelu_10"}),
    ("ctrl", {"layer_norm_epsilon": 1e-5}),
    ("xglm", {"add_cross_attention": True}),
    ("doge", {"is_moe": True}),
    ("doge", {"keep_window_size": 32}),
    ("ministral3", {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4}}),
    ("granite_swa", {"layer_rope_theta": [1e4, -1.0, 1e4, 1e4, 1e4]}),
    ("granite_swa", {"layer_rope_theta": [1e4]}),
    ("codegen", {"rotary_dim": None}),
    ("diffllama", {"num_key_value_heads": 1}),
    ("vaultgemma", {"layer_types": ["chunked_attention"] * 4}),
    ("deepseek_v2", {"topk_method": "noaux_tc"}),
    ("phimoe/longrope", {"num_experts_per_tok": 3}),
    ("hunyuan_v1_moe", {"moe_topk": [2, 2, 3]}),
    ("exaone_moe", {"mlp_layer_types": ["dense", "sparse"]}),
    ("glm4_moe_lite", {"mlp_layer_types": ["dense", "shared", "sparse"]}),
    ("cohere2_moe", {"expert_selection_fn": "tanh"}),
    ("cohere2_moe", {"shared_expert_combination_strategy": "product"}),
    ("afmoe", {"attention_bias": True}),
    ("mixtral", {"num_experts_per_tok": 6}),
    ("glm4_moe", {"n_group": 4}),
    ("llama", {"model_type": "t5"}),
    ("llama", {"model_type": "reformer"}),
    ("mamba", {"hidden_act": "gelu_10"}),
    ("mamba2", {"time_step_limit": [0.2, 0.1]}),
    ("mamba2", {"n_groups": 3}),
    ("bamba", {"mamba_n_groups": 3}),
    ("lfm2", {"layer_types": ["conv", "full_attention", "conv", "sliding_attention"]}),
    ("lfm3", {"layer_types": ["conv", "full_attention", "conv", "chunked_attention"]}),
    ("lfm3", {"sliding_window": None}),
    ("granitemoehybrid", {"layer_types": ["linear_attention", "sliding_attention"] * 2}),
    ("recurrent_gemma", {"lru_width": 31}),
    ("nemotron_h", {"moe_latent_size": 16}),
    ("nemotron_h", {"layers_block_type": ["linear_attention", "conv", "linear_attention", "full_attention", "mlp"]}),
    ("zamba2", {"use_long_context": True}),
    ("laguna", {"moe_router_logit_softcapping": 5.0}),
    ("laguna", {"gating": "per-layer"}),
    ("laguna", {"layer_types": ["full_attention", "chunked_attention", "full_attention"]}),
    ("zamba2", {"tie_word_embeddings": False}),
    ("zamba2", {"num_mem_blocks": 0}),
    ("zamba2", {"layers_block_type": ["linear_attention", "mlp"] * 3 + ["hybrid"]}),
    ("qwen3_next", {"layer_types": ["linear_attention", "chunked_attention"] * 2}),
    ("qwen3_5_text", {"linear_num_key_heads": 3}),
    ("gemma3n_text", {"num_kv_shared_layers": 3}),
    ("gemma3n_text", {"num_kv_shared_layers": 5}),
    ("gemma3n_text", {"altup_active_idx": 1}),
    ("gemma3n_text", {"altup_num_inputs": 1}),
    ("gemma3n_text", {"activation_sparsity_pattern": [0.9, 0.5, 0.0, 1.0, 0.0]}),
    ("gemma4_text", {"use_bidirectional_attention": "all"}),
    ("gemma4_text", {"per_layer_config": {"2": {"head_dim": 8}, "4": {"head_dim": 16}}}),
    ("gemma4_text", {"rope_parameters": dict.fromkeys(("sliding_attention", "full_attention"), YARN_ROPE)}),
    ("llama4_text", {"attention_chunk_size": None}),
    ("llama4_text", {"layer_types": ["sliding_attention"] * 4}),
    ("llama4_text", {"no_rope_layers": [0, 1]}),
    ("jetmoe", {"activation_function": "gelu_10"}),
    ("longcat_flash", {"router_bias": True}),
    ("longcat_flash", {"head_dim": 8}),
    ("longcat_flash", {"qk_head_dim": 8}),
    ("longcat_flash", {"num_key_value_heads": 2}),
    ("minimax", {"rotary_dim": 4}),
    ("minimax", {"layer_types": ["linear_attention"] * 3}),
    ("minimax", {"layer_types": ["sliding_attention"] * 4}),
    ("mimo_v2_flash", {"layer_types": ["chunked_attention"] * 3}),
    ("dbrx", {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}}),
    ("dbrx", {"ffn_config": {"ffn_hidden_size": 24, "moe_num_experts": 5, "moe_normalize_expert_weights": 2.0}}),
    ("aria_text", {"hidden_act": "gelu"}),
    ("beam", {"layer_types": ["full_attention"] * 2}),
    ("beam", {"rope_parameters": {"sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}}),
    ("bailing_hybrid", {"tie_word_embeddings": True}),
    ("kimi_linear", {"mla_use_nope": False}),
    ("kimi_linear", {"moe_router_activation_func": "softmax"}),
    ("kimi_linear", {"tie_word_embeddings": True}),
    ("kimi_linear", {"layer_types": ["linear_attention", "sliding_attention"] * 2}),
    ("rwkv", {"layer_norm_epsilon": 1e-6}),
    ("xlstm", {"use_bias": True}),
    ("xlstm", {"weight_mode": "fused"}),
    ("xlstm", {"embedding_dim": 16}),
    ("xlstm", {"num_blocks": 2}),
]


def load(folder: Path) -> Decoder:
    return load_decoder(open_checkpoint(folder))


def assert_parity(folder: Path, case: Case) -> None:
    found = differences(load(folder), case)
    assert max(found.values()) < case.gate, found


@pytest.mark.parametrize("name", in_gate(IN_GATE, CASES))
def test_log_probabilities_equal_the_reference(name, tmp_path):
    assert_parity(write_checkpoint(tmp_path, CASES[name]), CASES[name])


@pytest.mark.slow
def test_cases_of_the_gate_have_all_that_configurations_name(tmp_path):
    configurations = {}
    for name, case in CASES.items():
        folder = write_checkpoint(tmp_path / name.replace("/", "-"), case)
        configurations[name] = frozenset(named_in(read_decoder_config(open_checkpoint(folder))))
    in_gate = frozenset().union(*(configurations[name] for name in IN_GATE))
    beside = {name: sorted(map(str, named - in_gate)) for name, named in configurations.items() if named - in_gate}
    assert not beside


def named_in(value: Any, field: str = "") -> Iterator[tuple[str, object]]:
    """List what a configuration names, field by field: kinds and switches, and of numbers whether they are zero."""
    if dataclasses.is_dataclass(value):
        yield field, type(value).__name__
        for each in dataclasses.fields(value):
            if each.name != "model_type":
                yield from named_in(getattr(value, each.name), f"{field}.{each.name}")
    elif isinstance(value, (tuple, list)):
        for each in value:
            yield from named_in(each, f"{field}[]")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield field, value == 0
    else:
        yield field, value


def test_every_family_has_a_case():
    assert set(MODEL_TYPES) == set(SUPPORTED)


@pytest.mark.parametrize(
    "name",
    in_gate(
        ["phi3/longrope", "bamba"],
        ["llama/llama3", "gemma2", "phi3/longrope", "deepseek_v3", "mamba", "bamba", "recurrent_gemma", "rwkv"],
    ),
)
def test_a_batch_of_mixed_lengths_equals_one_by_one(name, tmp_path):
    case = CASES[name]
    decoder, texts = load(write_checkpoint(tmp_path, case)), case_ids(case)
    together = log_probabilities(decoder, texts)
    for ids, run in zip(texts, together, strict=True):
        np.testing.assert_allclose(run, log_probabilities(decoder, [ids])[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("name", "old", "new"), OTHER_NAMES)
def test_tensors_are_found_with_other_prefixes(name, old, new, tmp_path):
    def rename(tensor: str) -> str:
        return new + tensor.removeprefix(old) if tensor.startswith(old) else tensor

    names = tensor_shapes(name)
    assert any(rename(tensor) != tensor for tensor in names)
    assert_parity(write_checkpoint(tmp_path, CASES[name], rename=rename), CASES[name])


@pytest.mark.parametrize("most", [1, pytest.param(None, marks=pytest.mark.slow)], ids=["first", "all"])
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_names_that_the_newest_transformers_writes_are_known(model_type, most, tmp_path):
    for case in [case for case in CASES.values() if case.model_type == model_type][:most]:
        folder = write_checkpoint(tmp_path / case.name.replace("/", "-"), case)
        for form in FORMS:
            zeros = {name: np.zeros(shape, np.float32) for name, shape in spread(saved_shapes(case, form)).items()}
            save_file(zeros, folder / "model.safetensors")
            check_tensors(open_checkpoint(folder))


def test_names_are_recorded_of_every_case():
    record = read_record()
    assert all(record[form].keys() == CASES.keys() for form in FORMS)
    assert record["modules"]["gpt_neox"]["without"] == ["embed_out.weight"]


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_tensors_may_lie_in_several_files(name, tmp_path):
    folder = write_checkpoint(tmp_path, CASES[name], shards=3)
    assert len(list(folder.glob("*.safetensors"))) == 3
    assert_parity(folder, CASES[name])


@pytest.mark.parametrize(("name", "embedding"), [("gpt2", "transformer.wte"), ("gemma", "model.embed_tokens")])
def test_a_tied_head_may_be_stored_as_well(name, embedding, tmp_path):
    tied = f"{embedding}.weight"
    head = seeded_tensor(name, tied, tensor_shapes(name)[tied])
    assert_parity(write_checkpoint(tmp_path, CASES[name], extra={"lm_head.weight": head}), CASES[name])


def test_another_head_beside_a_tied_one_is_refused(tmp_path):
    head = np.ones(tensor_shapes("gpt2")["transformer.wte.weight"], np.float32)
    folder = write_checkpoint(tmp_path, CASES["gpt2"], extra={"lm_head.weight": head})
    with pytest.raises(InputError, match=r"makes the embedding the head, and lm_head\.weight differs"):
        load(folder)


@pytest.mark.parametrize("whole", in_gate(["gemma3", "apertus1p5", "fuyu"], IMAGE_MODELS))
def test_the_text_part_of_a_model_of_images_is_read(whole, tmp_path):
    name, body, image = IMAGE_MODELS[whole]

    def rename(tensor: str) -> str:
        if tensor.startswith("lm_head"):
            return ("" if body.startswith("model.") else body.removesuffix("model.")) + tensor
        return body + tensor.removeprefix("model.")

    folder = write_checkpoint(tmp_path, CASES[name], rename=rename, extra={image: np.ones((3, 2), np.float32)})
    file = folder / "config.json"
    beside = BESIDE_TEXT.get(whole, {})
    file.write_text(json.dumps({"model_type": whole, "text_config": json.loads(file.read_text())} | beside))
    assert_parity(folder, CASES[name])
    change_config(folder, {"text_config": {"model_type": "gpt2"}})
    with pytest.raises(InputError, match=f"the text part of this {whole} is of the model_type 'gpt2'"):
        load(folder)


def test_another_name_of_an_architecture_is_read(tmp_path):
    folder = write_checkpoint(tmp_path, CASES["gpt2"])
    change_config(folder, {"model_type": "gpt-sw3"})
    assert_parity(folder, CASES["gpt2"])


def test_a_correction_that_no_checkpoint_has_is_zero(tmp_path):
    """A.X-K1 was published without it; its dense layers have a norm that is not used."""
    case = CASES["axk1"]
    names = [name for name in tensor_shapes("axk1") if name.endswith("e_score_correction_bias")]
    norm = "model.layers.0.post_mlp_layernorm.weight"
    folder = write_checkpoint(tmp_path, case, extra={norm: np.ones(32, np.float32)})
    weights = load_file(folder / "model.safetensors")
    save_file(weights | {name: np.zeros_like(weights[name]) for name in names}, folder / "model.safetensors")
    wanted = log_probabilities(load(folder), case_ids(case))
    assert len(names) == 2
    save_file({name: one for name, one in weights.items() if name not in names}, folder / "model.safetensors")
    for found, run in zip(log_probabilities(load(folder), case_ids(case)), wanted, strict=True):
        np.testing.assert_array_equal(found, run)


def test_a_dbrx_rotates_by_the_base_it_was_trained_with(tmp_path):
    folder = write_checkpoint(tmp_path, CASES["dbrx"])
    for stated in ({"rope_type": "default", "rope_theta": 1e4}, None):
        change_config(folder, {"rope_parameters": stated})
        assert read_decoder_config(open_checkpoint(folder)).ropes[0].theta == 5e5


def test_a_head_that_is_not_tied_must_be_stored(tmp_path):
    folder = write_checkpoint(tmp_path, CASES["gpt2"])
    change_config(folder, {"tie_word_embeddings": False})
    with pytest.raises(InputError, match=r"missing: lm_head\.weight"):
        load(folder)


def test_buffers_of_older_checkpoints_are_no_weights(tmp_path):
    mask = np.tril(np.ones((1, 1, 64, 64), np.uint8))
    low, frequencies = np.array(-1e9, np.float32), np.ones(2, np.float32)
    gpt2 = {"transformer.h.0.attn.bias": mask, "transformer.h.0.attn.masked_bias": low}
    assert_parity(write_checkpoint(tmp_path / "gpt2", CASES["gpt2"], extra=gpt2), CASES["gpt2"])
    layer = "gpt_neox.layers.0.attention."
    neox = {layer + "bias": mask, layer + "masked_bias": low, layer + "rotary_emb.inv_freq": frequencies}
    assert_parity(write_checkpoint(tmp_path / "neox", CASES["gpt_neox"], extra=neox), CASES["gpt_neox"])


def change_config(folder: Path, fields: dict[str, Any]) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


@pytest.mark.parametrize(("name", "fields"), REFUSED)
def test_what_is_not_computed_is_refused(name, fields, tmp_path):
    folder = write_checkpoint(tmp_path, CASES[name])
    read_decoder_config(open_checkpoint(folder))
    change_config(folder, fields)
    with pytest.raises(InputError) as refused:
        read_decoder_config(open_checkpoint(folder))
    assert refused.value.accepted
    assert refused.value.fix
