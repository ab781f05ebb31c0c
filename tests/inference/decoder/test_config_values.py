"""Values that no field of ``config.json`` can have: every field of every family, whatever reads it."""

import json
import math
from contextlib import suppress
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parity.cases import CASES
from parity.checkpoints import read_reference, tensor_shapes

from bayeslaw.errors import InputError
from inference.checkpoints.checkpoint import Checkpoint
from inference.checkpoints.checkpoint_config import decoder_config, read_decoder_config
from inference.checkpoints.quiet import quiet_transformers
from inference.checkpoints.safetensors_files import TensorPlace
from inference.decoder.configuration import DecoderConfig
from inference.decoder.configuration_values import (
    BELOW_ZERO,
    COUNTS,
    DEPTHS,
    EPSILON,
    INDICES,
    LAST_LAYER,
    NESTED,
    POSITIONS,
    RULES,
    SIZES,
    SIZES_BY_LAYER,
    SWITCH,
    TABLE,
    TEXT,
    TEXTS,
    THETA,
    WINDOW,
    check_config_values,
)
from inference.decoder.families import FAMILIES
from inference.decoder.rope_settings import Rope

# What is read of a configuration and has its values listed where it is read.
LISTED = {"attn_type", "alibi_bias_max", "expansion_ratio"}
# What transformers works out of fields that have rules.
WORKED_OUT = {"layers_num_experts": ("attn_layer_period", "expert_layer_period", "expert_layer_offset")}
# Parts of a configuration that hold fields.
CONFIG_PARTS = ("attn_config", "ffn_config")
# As transformers writes what JSON has no number for.
INFINITY = {"__float__": "Infinity"}
NEVER = (-1, -0.5, 10**30, 10**400, 1e300, math.nan, math.inf, -math.inf, {"a": [1]}, [[1]])
NO_NUMBER = ("7", "", [], True)
# Values that a rule of a kind refuses beside these, and whether it refuses the common ones.
MORE = {
    BELOW_ZERO: (0, 0.0, *NO_NUMBER),
    EPSILON: (0, 0.0, 1.5, *NO_NUMBER),
    POSITIONS: (0, 0.5, 1 << 31, *NO_NUMBER),
    WINDOW: (0.5, 1 << 31, *NO_NUMBER),
    THETA: (0, 0.0, 1, *NO_NUMBER),
    SWITCH: ("false", "no", 2, 0.5, []),
    TEXT: (0, 1, True, []),
    TEXTS: ("full_attention", 0, True, [None], []),
    TABLE: ("linear", 0, True, []),
    INDICES: (0, "7", [0.5], [-1]),
    LAST_LAYER: (-2, "7", []),
}
# Of the common ones, what a rule accepts.
ACCEPTED = {
    BELOW_ZERO: lambda value: value in (-1, -0.5),
    TABLE: lambda value: isinstance(value, dict),
    LAST_LAYER: lambda value: value == -1,
}


@cache
def read_fields(family):
    """Return the names of the fields that are read of a family's configuration, and the configuration."""
    seen = set()

    class Watched:
        def __init__(self, part):
            self.__dict__["part"] = part

        def __getattr__(self, name):
            seen.add(name)
            value = getattr(self.part, name)
            return Watched(value) if name in CONFIG_PARTS else value

    config = read_reference(family)["config"]
    with quiet_transformers():
        from transformers.models.auto.configuration_auto import AutoConfig

        read = {
            name: [math.inf if one == INFINITY else one for one in value] if isinstance(value, list) else value
            for name, value in config.items()
        }
        decoder_config(Watched(AutoConfig.for_model(**read)))
    return {field for name in seen for field in WORKED_OUT.get(name, (name,))}, config


def shapes_of(family):
    return {name: tuple(shape) for name, shape in tensor_shapes(family).items()}


def spoilt(family, name, value):
    """Return the configuration of a family with a value in the part where the field belongs."""
    config = read_reference(family)["config"]
    part = next((one for one in CONFIG_PARTS if name in config.get(one, ())), None)
    return config | ({name: value} if part is None else {part: config[part] | {name: value}})


@pytest.mark.parametrize("family", FAMILIES)
def test_every_field_that_a_family_reads_has_its_values(family):
    seen, config = read_fields(family)
    assert seen - LISTED <= {*RULES, *SIZES, *SIZES_BY_LAYER, *DEPTHS, *COUNTS}
    check_config_values(config, shapes_of(family))
    for name in seen - LISTED:
        accepted = ACCEPTED.get(RULES.get(name), lambda value: False)
        refused = (value for value in NEVER if not accepted(value))
        for value in (*refused, *MORE.get(RULES.get(name), ("7", []))):
            if name in {*DEPTHS, *SIZES, *SIZES_BY_LAYER, *RULES, *COUNTS}:
                with pytest.raises(InputError) as caught:
                    check_config_values(spoilt(family, name, value), shapes_of(family))
                assert f"{name} is " in caught.value.problem


NO_SIZE = (0, 1.0, 0.5, 1e9, 10**9, *NO_NUMBER, *NEVER)


@pytest.mark.parametrize("name", [*DEPTHS, *SIZES, *SIZES_BY_LAYER])
def test_no_size_is_beyond_the_tensors(name):
    shapes = shapes_of("llama")
    for value in NO_SIZE:
        with pytest.raises(InputError, match="of its tensors"):
            check_config_values({name: value}, shapes)
    highest = len(shapes) if name in DEPTHS else max(max(shape) for shape in shapes.values())
    check_config_values({name: highest}, shapes)
    with pytest.raises(InputError, match=f"{name} is {highest + 1}"):
        check_config_values({name: highest + 1}, shapes)


ROPE_FIELDS = {
    "rope_theta": (0, 1, "1e4"),
    "factor": (0, "2"),
    "partial_rotary_factor": (0, 1.5),
    "original_max_position_embeddings": (0, 1.5),
    "low_freq_factor": (0,),
    "high_freq_factor": (0,),
    "beta_fast": (0,),
    "beta_slow": (0,),
    "attention_factor": (0,),
    "mscale": ("1",),
    "mscale_all_dim": ("1",),
    "short_factor": (1.0, [0.0], [math.nan], [math.inf]),
    "long_factor": (1.0, [0.0], [-1.0]),
    "truncate": ("no",),
    "rope_type": (1,),
    "type": (1,),
}


@pytest.mark.parametrize("name", ROPE_FIELDS)
@pytest.mark.parametrize("holder", NESTED)
def test_settings_of_positions_are_looked_at_where_they_lie(name, holder):
    for value in (*NEVER, *ROPE_FIELDS[name]):
        for path, part in ((name, {name: value}), (f"full_attention.{name}", {"full_attention": {name: value}})):
            for before, config in (("", {holder: part}), ("text_config.", {"text_config": {holder: part}})):
                with pytest.raises(InputError) as caught:
                    check_config_values(config, {})
                assert caught.value.problem.startswith(f"{before}{holder}.{path} is ")


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"attention_types": [[["global", "local"], 10**9]]}, "attention_types"),
        ({"attention_types": [["global", 1]]}, "attention_types"),
        ({"num_labels": 10**9}, "num_labels"),
        ({"vision_config": {"num_labels": 10**9}}, "vision_config.num_labels"),
        ({"no_rope_layers": [0, 2]}, "no_rope_layers"),
        ({"num_ln_in_parallel_attn": 3}, "num_ln_in_parallel_attn"),
        ({"text_config": {"num_hidden_layers": 10**9}}, "text_config.num_hidden_layers"),
        ({"rope_theta": math.nan}, "rope_theta"),
        ({"rotary_pct": 0}, "rotary_pct"),
        ({"rotary_emb_base": -1}, "rotary_emb_base"),
        ({"no_rope_layer_interval": 0}, "no_rope_layer_interval"),
        ({"sliding_window_pattern": -1}, "sliding_window_pattern"),
        ({"sliding_window_pattern": "LLX"}, "sliding_window_pattern"),
        ({"sliding_window_pattern": ""}, "sliding_window_pattern"),
    ],
)
def test_what_costs_memory_or_divides_by_nothing_is_refused(config, path):
    with pytest.raises(InputError, match=f"^{path} is "):
        check_config_values(config, shapes_of("gpt_neo"))


@pytest.mark.parametrize("name", CASES)
def test_what_transformers_writes_is_accepted(name):
    """The configuration of every case of parity, as transformers saved it."""
    check_config_values(read_reference(name)["config"], shapes_of(name))


def _read_exaone4(tmp_path, **changes):
    config = read_reference("exaone4")["config"] | changes
    config = {key: value for key, value in config.items() if value is not None or key == "sliding_window"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    places = {name: TensorPlace(tmp_path, "F32", shape, 0, 0) for name, shape in shapes_of("exaone4").items()}
    return read_decoder_config(Checkpoint(tmp_path, "a", None, config, places))


def test_a_pattern_of_windows_stands_beside_the_types_of_layers(tmp_path):
    types = read_reference("exaone4")["config"]["layer_types"]
    expected = _read_exaone4(tmp_path)
    assert _read_exaone4(tmp_path, sliding_window_pattern="LLLG") == expected
    assert _read_exaone4(tmp_path, sliding_window_pattern=0) == expected
    none = _read_exaone4(
        tmp_path, sliding_window_pattern=0, sliding_window=None, layer_types=["full_attention"] * len(types)
    )
    assert not any(none.layer_window)


@pytest.mark.parametrize("pattern", [0, "LLLG"])
def test_a_pattern_of_which_no_types_of_layers_can_be_made_is_refused(tmp_path, pattern):
    with pytest.raises(InputError, match=r"config\.json of 'a' cannot be used"):
        _read_exaone4(tmp_path, sliding_window_pattern=pattern, layer_types=None)


def test_null_and_what_no_decoder_heeds_are_passed_over():
    check_config_values(dict.fromkeys([*RULES, *SIZES, *DEPTHS]), {})
    check_config_values({"dropout": math.nan, "vision_config": {"hidden_size": 10**9}}, {})


DECODER = {"vocabulary": 9, "width": 4, "depth": 1, "heads": 1, "key_value_heads": 1, "head_width": 4, "mlp_width": 4}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_decoder_has_finite_numbers_alone(value):
    ropes = (Rope(theta=1e4, width=4),)
    for name in ("norm_epsilon", "norm_offset", "logit_scale", "attention_softcap", "qkv_clip", "residual_scale"):
        with pytest.raises(InputError, match="finite"):
            DecoderConfig(**DECODER, ropes=ropes, **{name: value})
    for name in ("factor", "magnitude", "low_frequency_factor", "beta_slow"):
        with pytest.raises(InputError, match="finite"):
            Rope(theta=1e4, width=4, **{name: value})
    with pytest.raises(InputError, match="finite"):
        Rope(theta=value, width=4)
    for name in ("max_length", "layer_window"):
        with pytest.raises(InputError):
            DecoderConfig(**DECODER, ropes=ropes, **{name: 1 << 31 if name == "max_length" else (1 << 31,)})


SCALARS = st.none() | st.booleans() | st.integers(-3, 300) | st.floats() | st.text(max_size=2) | st.just(10**400)
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.sampled_from(["factor", "a"]), SCALARS)


@pytest.mark.parametrize("family", ["llama", "gpt_neo", "gemma3_text", "smollm3", "mpt", "olmo3", "falcon", "cohere2"])
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), other=VALUES)
def test_any_value_of_any_field_is_taken_or_refused(tmp_path, family, data, other):
    config = read_reference(family)["config"]
    name = data.draw(st.sampled_from(sorted(config)))
    part = data.draw(st.sampled_from([None, *config[name]])) if isinstance(config[name], dict) else None
    changed = config | {name: other if part is None else config[name] | {part: other}}
    (tmp_path / "config.json").write_text(json.dumps(changed))
    places = {name: TensorPlace(tmp_path, "F32", shape, 0, 0) for name, shape in shapes_of(family).items()}
    with suppress(InputError):
        read_decoder_config(Checkpoint(tmp_path, "a", None, changed, places))
