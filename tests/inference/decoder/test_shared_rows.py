"""Texts that share a row are scored as if each were alone, whatever keeps positions and texts apart."""

from dataclasses import replace
from functools import cache, partial

import jax
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from parity.cases import CASES
from parity.checkpoints import write_checkpoint

from inference.checkpoints.checkpoint import open_checkpoint
from inference.checkpoints.checkpoint_config import read_decoder_config
from inference.checkpoints.weights import load_decoder
from inference.decoder.mixers import MIXERS, RECURRENT, ROW_SHARING
from inference.decoder.transformer import Decoder
from inference.scoring.batch_rules import shares_rows

LONGEST, INPUTS, ROWS = 30, 208, 2
TOLERANCE = 1e-5
# A case of each mixer in which rows are shared.
OF_MIXER = {
    "attention": "llama",
    "differential_attention": "diffllama",
    "gated_attention": "afmoe",
    "head_gated_attention": "lfm3",
    "head_gated_latent_attention": "bailing_hybrid",
    "latent_attention": "deepseek_v2",
    "kept_attention": "gemma3n_text",
    "reused_attention": "gemma4_text",
    "routed_attention": "jetmoe",
    "shortcut": "longcat_flash",
    "windowed_attention": "mimo_v2_flash",
}
# Families that have these beside recurrences: here all layers have them, with weights drawn at random.
DRAWN = {"lfm3": "head_gated_attention", "bailing_hybrid": "head_gated_latent_attention"}
# What else depends on positions or on how far is seen: learned positions, linear biases (rounded, too), sines, queries
# that grow, biases by value, sinks, two ropes, windows and chunks.
OTHERS = ("gpt2", "bloom", "falcon/rw", "ctrl", "ministral3", "doge", "gpt_oss", "gemma3_text", "gemma2", "xglm")
OTHERS += ("llama4_text",)
IN_GATE = ("llama", "afmoe", "deepseek_v2", "gpt2", "bloom", "llama4_text")
LENGTHS = st.lists(st.integers(1, LONGEST), min_size=2, max_size=12)


@cache
def decoder_of(name, folder):
    checkpoint = open_checkpoint(write_checkpoint(folder / name.replace("/", "-"), CASES[name]))
    return drawn(read_decoder_config(checkpoint), DRAWN[name]) if name in DRAWN else load_decoder(checkpoint)


def drawn(config, mixer):
    """Return a decoder of one mixer, its norms near one and its matrices small."""
    decoder = Decoder(replace(config, layer_mixer=(mixer,) * config.depth))
    rng = np.random.default_rng(5)
    state = nnx.to_flat_state(nnx.state(decoder))
    values = {
        path: variable.replace(
            np.float32(0.2) * rng.standard_normal(variable.shape, np.float32) + np.float32("norm" in str(path[-2]))
        )
        for path, variable in state
    }
    nnx.update(decoder, nnx.from_flat_state(values))
    return decoder


@partial(jax.jit, static_argnums=0, compiler_options={"xla_backend_optimization_level": 0})
def _run(graph, state, tokens, lengths, positions=None):
    decoder = nnx.merge(graph, state)
    return jax.nn.log_softmax(decoder.logits(decoder(tokens, lengths, positions)), -1)


def alone(decoder: Decoder, texts):
    """Return log-probabilities [token, vocabulary] of each text, a row to itself."""
    tokens = np.full((len(texts), LONGEST), 7, np.int32)
    for row, text in enumerate(texts):
        tokens[row, : len(text)] = text
    lengths = np.array([len(text) for text in texts], np.int32)
    return [run[: len(text)] for run, text in zip(_run_all(decoder, tokens, lengths), texts, strict=True)]


def _run_all(decoder, *arrays):
    return np.asarray(_run(*nnx.split(decoder), *arrays))


def sharing(decoder: Decoder, texts):
    """Return the same of texts that share rows, one behind the other."""
    tokens = np.full((ROWS, INPUTS), 7, np.int32)
    lengths, positions = np.ones((ROWS, INPUTS), np.int32), np.zeros((ROWS, INPUTS), np.int32)
    places, ends = [], [0] * ROWS
    for text in texts:
        row = int(np.argmin(ends))
        part = slice(ends[row], ends[row] + len(text))
        tokens[row, part], lengths[row, part], positions[row, part] = text, len(text), np.arange(len(text))
        places.append((row, part))
        ends[row] += len(text)
    found = _run_all(decoder, tokens, lengths, positions)
    return [found[place] for place in places]


def apart(decoder, lengths, *, vocabulary=90):
    """Return how far the two are apart at most; all runs of a decoder have the same two shapes."""
    generator = np.random.default_rng(sum(lengths))
    texts = [generator.integers(3, vocabulary, length).astype(np.int32) for length in lengths]
    padded = [*texts, *[texts[0]] * (12 - len(texts))]
    pairs = zip(alone(decoder, padded), sharing(decoder, texts), strict=False)
    return max(float(np.abs(one - other).max()) for one, other in pairs)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("shared")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in IN_GATE else pytest.mark.slow) for name in (*OF_MIXER.values(), *OTHERS)],
)
def test_texts_that_share_a_row_are_scored_as_if_alone(name, folder):
    decoder = decoder_of(name, folder)
    assert shares_rows(decoder.config)

    @settings(max_examples=8, deadline=None, derandomize=True)
    @given(LENGTHS)
    def check(lengths):
        assert apart(decoder, lengths) < TOLERANCE

    check()


def test_a_text_reads_its_own_length_where_ropes_depend_on_it(folder):
    decoder = decoder_of("phi3/longrope", folder)
    bound = decoder.config.ropes[0].original_max_length
    assert 1 < bound < LONGEST
    assert apart(decoder, [bound, bound + 1, 3, LONGEST, bound - 1]) < TOLERANCE


def test_each_mixer_that_is_given_several_texts_a_row_has_a_case():
    assert set(OF_MIXER) == ROW_SHARING
    assert not ROW_SHARING & RECURRENT
    assert set(MIXERS) == ROW_SHARING | RECURRENT


@pytest.mark.parametrize(("mixer", "name"), OF_MIXER.items())
def test_cases_have_the_mixers_that_they_stand_for(mixer, name, folder):
    config = decoder_of(name, folder).config
    assert mixer in {kind.mixer for run in config.layer_plan for kind in run.unit}


def test_a_recurrence_is_not_given_several_texts_a_row(folder):
    assert not shares_rows(decoder_of("mamba2", folder).config)
    assert not shares_rows(decoder_of("qwen3_next", folder).config)
