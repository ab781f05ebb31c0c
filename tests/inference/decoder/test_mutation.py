"""Parity notices mistakes: every switch of every family, set wrong, moves log-probabilities or keeps a model unread."""

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import MISSING, Field, fields, replace
from functools import cache
from typing import Any, get_args, get_type_hints

import jax
import pytest
from parity.cases import CASES, MODEL_TYPES, Case
from parity.checkpoints import differences, write_checkpoint

from bayeslaw.errors import InputError
from inference.checkpoints import weights
from inference.checkpoints.checkpoint import open_checkpoint
from inference.checkpoints.checkpoint_config import read_decoder_config
from inference.checkpoints.weights import load_decoder
from inference.decoder.configuration import DecoderConfig
from inference.decoder.expert_settings import Experts
from inference.decoder.families import FAMILIES, Family
from inference.decoder.latent_attention_settings import LatentAttention
from inference.decoder.rope_settings import Rope

MOVED = 1e-4
# Most tokens of a case that is mutated: longer ones have the same switches.
LONGEST = 160
DEFAULTS = {field.name: field.default for field in fields(DecoderConfig) if field.default is not MISSING}
# Families of the gate: learned and rotary positions, plain, fused and transposed tensors, windows, norms of every kind.
FEW = ("gemma2", "gpt2", "gpt_neox", "qwen3")
# What each kind of scaling is made of, beside the base and the width.
ROPE_FIELDS = {
    "default": (),
    "dynamic": (),
    "linear": ("factor",),
    "llama3": ("factor", "original_max_length", "low_frequency_factor", "high_frequency_factor"),
    "yarn": ("factor", "original_max_length", "beta_fast", "beta_slow", "magnitude", "truncate"),
    "proportional": ("share", "factor"),
    "longrope": ("original_max_length", "magnitude", "short_factors", "long_factors"),
}
# Mistakes that change nothing, and why.
WITHOUT_EFFECT = {
    ("ctrl", "norm_epsilon"): "the only one covered, which is too small to see beside the variance of states",
    ("*", "max_length"): "it bounds windows; the computation reads it for learned positions only",
    ("llama", "rope.dynamic"): "dynamic scaling begins beyond max_length, where no window reaches",
    **dict.fromkeys(
        (("phimoe", "rope.longrope.long_factors"), ("phimoe", "rope.longrope.original_max_length")),
        "texts end at the length that the model was first made for",
    ),
    ("mamba", "Mamba.selection_norm_weight"): "the family has no norms there, which would have the weight",
    ("youtu", "LatentAttention.norm_epsilon"): "too small to see beside the variance of latent vectors",
    ("minicpm3", "LatentAttention.norm_epsilon"): "too small to see beside the variance of latent vectors",
    ("minicpm3", "attention_scale"): "stated, and what the width of a head gives",
    ("deepseek_v2", "LatentAttention.norm_epsilon"): "too small to see beside the variance of latent vectors",
    ("glm4_moe_lite", "LatentAttention.norm_epsilon"): "too small to see beside the variance of latent vectors",
    **dict.fromkeys(
        (
            (name, "LatentAttention.norm_epsilon")
            for name in ("longcat_flash", "sarvam_mla", "axk1", "bailing_hybrid", "kimi_linear")
        ),
        "too small to see beside the variance of latent vectors",
    ),
    ("beam", "ResidualFactors.by_depth"): "norms before and after each branch undo a factor on the whole",
    **dict.fromkeys(
        (("beam", "QueryGrowth.step"), ("beam", "QueryGrowth.first")), "one of 2,048 positions is too few to see"
    ),
    ("glm4_moe_lite", "attention_scale"): "stated, and what the width of a head gives",
    ("lfm2_moe", "Experts.added_sum"): "a millionth beside a sum of shares near one",
    ("gpt_bigcode", "layout"): "one group of queries, key and value is laid out like three blocks",
}


def wrong_ropes(rope: Rope, head_width: int) -> Iterator[tuple[str, Rope]]:
    """Yield a rotary embedding with one part wrong at a time."""
    yield "rope.theta", replace(rope, theta=2 * rope.theta)
    # The tables of longrope have the width's own length: another one is refused.
    if rope.width != head_width and rope.kind != "longrope":
        yield "rope.width", replace(rope, width=head_width)
    if rope.kind != "default":
        yield f"rope.{rope.kind}", replace(rope, kind="default", magnitude=1.0)
    for name in ROPE_FIELDS[rope.kind]:
        value = getattr(rope, name)
        wrong = {
            "truncate": not rope.truncate,
            "magnitude": 1.0,
            "share": 0.5 * rope.share,
            "short_factors": rope.long_factors,
            "long_factors": rope.short_factors,
        }.get(name, 2 * value)
        yield f"rope.{rope.kind}.{name}", replace(rope, **{name: wrong})


def wrong_values(part: Any, setting: Field, kind: Any) -> Iterator[tuple[str, Any]]:
    """Yield what is wrong for one setting of a part, after what to say of it."""
    name, value = setting.name, getattr(part, setting.name)
    if isinstance(value, bool):
        yield "", not value
    elif isinstance(value, str):
        choices = [choice for each in get_args(kind) for choice in (get_args(each) or (each,))]
        yield from ((f" {value}", choice) for choice in choices if isinstance(choice, str) and choice != value)
    elif isinstance(value, int):
        yield "", value - 1 if value > 1 else value + 1
    elif isinstance(value, float):
        # Bounds that are infinite become one, and epsilons grow enough to be seen.
        yield "", 1.0 if math.isinf(value) or value == 0 else 10 * value if "epsilon" in name else 2 * value
    elif value is not None and value != setting.default:
        yield "", setting.default


def unread(part: Any) -> set[str]:
    """Name the settings of a part that are not read where others have the values that they have."""
    if isinstance(part, LatentAttention):
        return set() if part.query_rank else {"query_scale"}
    if not isinstance(part, Experts):
        return set()
    names = set() if part.gate_bound is not None else {"gate_slope"}
    names |= {"smallest_sum", "added_sum"} if part.shares != "normalised" else set()
    names |= set() if part.shared_width else {"shared_scale"}
    names |= {"group_score", "chosen_groups"} if part.groups == 1 else set()
    of_best = {"scores", "shares", "scale", "smallest_sum", "added_sum", "groups"}
    return names | ({"tolerance"} if part.choice == "best" else of_best)


def wrong_parts(part: Any) -> Iterator[tuple[str, Any]]:
    """Yield the settings of one kind of part with one of them wrong at a time, where that is not refused."""
    kinds = get_type_hints(type(part))
    for setting in (one for one in fields(part) if one.name not in unread(part)):
        for said, wrong in wrong_values(part, setting, kinds[setting.name]):
            with suppress(InputError):
                yield f"{type(part).__name__}.{setting.name}{said}", replace(part, **{setting.name: wrong})


def mistakes(config: DecoderConfig) -> Iterator[tuple[str, dict]]:
    """Yield what may be wrong in a configuration: a name for it and the wrong fields."""
    for name, default in DEFAULTS.items():
        value = getattr(config, name)
        if name == "norm_epsilon":
            yield name, {name: 10 * value}
        elif name == "ropes":
            for i, rope in enumerate(value):
                for label, wrong in wrong_ropes(rope, config.head_width):
                    yield label, {name: (*value[:i], wrong, *value[i + 1 :])}
        elif name == "parts":
            for i, part in enumerate(value):
                for label, wrong in wrong_parts(part):
                    yield label, {name: (*value[:i], wrong, *value[i + 1 :])}
        elif value != default:
            yield name, {name: default}
    yield from wrong_layers(config)
    if config.layer_window:
        yield "layer_window + 1", {"layer_window": tuple(window and window + 1 for window in config.layer_window)}
    yield "depth", {"depth": config.depth - 1}
    if {*config.layer_feed_forward} - {"experts", "none"} or not config.layer_feed_forward:
        yield "mlp_width", {"mlp_width": config.mlp_width - 1}
    yield "vocabulary", {"vocabulary": config.vocabulary - 1}
    stated = {name for settings in config.layer_settings for name, _ in settings}
    if config.key_value_heads != config.heads and "key_value_heads" not in stated:
        yield "key_value_heads", {"key_value_heads": config.heads}
    # Half as many heads, twice as wide: the shapes stay.
    halves = {name: getattr(config, name) // 2 or 1 for name in ("heads", "key_value_heads")}
    if any("attention" in mixer for mixer in config.layer_mixer or ("attention",)):
        yield "heads", halves | {"head_width": 2 * config.head_width}


def wrong_layers(config: DecoderConfig) -> Iterator[tuple[str, dict]]:
    """Yield what may be wrong in a configuration of single layers: a setting left out, another memory."""
    changed = {name for settings in config.layer_settings for name, value in settings if value != getattr(config, name)}
    for name in sorted(changed):
        without = tuple(tuple(one for one in settings if one[0] != name) for settings in config.layer_settings)
        yield f"layer_settings.{name}", {"layer_settings": without}
    if config.layer_memory:
        most = max(config.layer_memory)
        swapped = tuple(most - memory if memory >= 0 else memory for memory in config.layer_memory)
        for first, mixer in enumerate(config.layer_mixer):
            # What is read alone is another's.
            if mixer == "reused_attention" and most > 0:
                memories = (*config.layer_memory[:first], *swapped[first:])
                yield "layer_memory of readers", {"layer_memory": memories}
                break


def wrong_layouts(family: Family) -> Iterator[tuple[str, Family]]:
    """Yield a family with its tensors laid out otherwise."""
    if "attention.qkv" in family.tensors.names:
        other = "concatenated" if family.tensors.fused == "grouped" else "grouped"
        yield "layout", replace(family, tensors=replace(family.tensors, fused=other))
    if family.tensors.transposed:
        yield "transposed", replace(family, tensors=replace(family.tensors, transposed=False))


def expected(model_type: str, label: str) -> bool:
    return not {(model_type, label), ("*", label)} & set(WITHOUT_EFFECT)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return a function that writes a case's checkpoint once."""
    return cache(lambda name: write_checkpoint(tmp_path_factory.mktemp("checkpoint"), CASES[name]))


@pytest.fixture
def moves(folders, monkeypatch):
    """Return a function that says whether parity notices a mistake."""

    def ask(case: Case, *, config: dict | None = None, family: Family | None = None) -> bool:
        checkpoint = open_checkpoint(folders(case.name))
        with monkeypatch.context() as patch:
            try:
                if config:
                    wrong = replace(read_decoder_config(checkpoint), **config)
                    patch.setattr(weights, "read_decoder_config", lambda _: wrong)
                if family:
                    patch.setitem(FAMILIES, case.model_type, family)
                found = differences(load_decoder(checkpoint), case)
            except (InputError, KeyError, TypeError):
                # A KeyError is of a part that the family never has, so that no tensor's name is known for it, and a
                # TypeError of rotations wider than what they rotate.
                return True
        return max(found.values()) > MOVED

    return ask


@pytest.mark.parametrize(
    "model_type",
    [pytest.param(name, marks=() if name in FEW else pytest.mark.slow) for name in MODEL_TYPES],
)
def test_parity_notices_every_mistake(model_type, folders, moves):
    cases = [case for case in CASES.values() if case.model_type == model_type and max(case.lengths) <= LONGEST]
    noticed: dict[str, bool] = {}
    # Operations are compiled one by one and shared by all mistakes.
    with jax.disable_jit():
        for case in cases:
            config = read_decoder_config(open_checkpoint(folders(case.name)))
            wrong = [(label, {"config": change}) for label, change in mistakes(config)]
            wrong += [(label, {"family": family}) for label, family in wrong_layouts(FAMILIES[model_type])]
            for label, change in wrong:
                # A mistake counts as noticed where any reference of the family shows it.
                if not noticed.get(label):
                    noticed[label] = moves(case, **change)
    assert {label for label, seen in noticed.items() if not seen and expected(model_type, label)} == set()


@pytest.mark.slow
def test_listed_mistakes_have_no_effect(folders, moves):
    listed = [(model_type, label) for model_type, label in WITHOUT_EFFECT if model_type != "*"]
    for model_type, label in listed:
        kind = label.split(".")[1] if label.startswith("rope.") else ""
        case = CASES[f"{model_type}/{kind}" if kind else model_type]
        config = read_decoder_config(open_checkpoint(folders(case.name)))
        wrong = dict(mistakes(config)).get(label)
        change = {"config": wrong} if wrong else {"family": dict(wrong_layouts(FAMILIES[model_type]))[label]}
        assert not moves(case, **change), (model_type, label)
