"""The list of families says what is read: every model type once, with the kinds that its layers have."""

import json
import subprocess
import sys
import warnings

import pytest
from parity.cases import CASES
from parity.checkpoints import write_checkpoint
from typer.testing import CliRunner

from bayeslaw.cli import app
from inference.checkpoints.checkpoint import open_checkpoint
from inference.checkpoints.checkpoint_config import read_decoder_config
from inference.decoder.families import FAMILIES, MULTIMODAL, SAME_AS
from inference.decoder.family_list import list_families
from inference.decoder.not_covered import NOT_COVERED


@pytest.fixture(scope="module")
def model_types():
    """Return what transformers counts among its causal language models."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    return set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)


def test_every_model_type_of_transformers_is_in_one_table(model_types):
    tables = (FAMILIES, MULTIMODAL, SAME_AS, NOT_COVERED)
    twice = {name for i, table in enumerate(tables) for other in tables[i + 1 :] for name in set(table) & set(other)}
    assert twice == set()
    assert model_types - {name for table in tables for name in table} == set()
    assert set(NOT_COVERED) - model_types == set()


def test_what_is_read_as_another_is_read_as_a_family():
    for others in (MULTIMODAL | SAME_AS).values():
        assert set(others) <= set(FAMILIES)


def test_kinds_are_those_of_the_decoders(tmp_path):
    # The first case of a family has all of its kinds, or further ones do.
    found: dict[str, tuple[set[str], set[str]]] = {name: (set(), set()) for name in FAMILIES}
    for case in CASES.values():
        config = read_decoder_config(open_checkpoint(write_checkpoint(tmp_path / case.name.replace("/", "-"), case)))
        for run in config.layer_plan:
            for kind in run.unit:
                found[case.model_type][0].add(kind.mixer)
                found[case.model_type][1].add(kind.feed_forward)
    listed = {name: (set(family.mixers), set(family.feed_forwards)) for name, family in FAMILIES.items()}
    none = {"none"}
    assert {name: (mixers - none, feeds - none) for name, (mixers, feeds) in found.items()} == listed


def test_reasons_are_given_where_a_model_type_is_not_read():
    for entry in list_families(every=True):
        assert entry.covered == (not entry.reason) == bool(entry.mixers), entry
    assert [entry for entry in list_families(every=True) if entry.covered] == list(list_families())


def test_command():
    shown = CliRunner().invoke(app, ["families"])
    assert shown.exit_code == 0
    assert shown.stdout.startswith(f"{len(list_families())} families are read\n")
    assert "modernbert-decoder" in shown.stdout
    assert "whisper" not in shown.stdout
    assert NOT_COVERED["xlnet"] in CliRunner().invoke(app, ["families", "--all"]).stdout
    rows = json.loads(CliRunner().invoke(app, ["families", "--all", "--json"]).stdout)
    assert len(rows) == len(list_families(every=True))
    [gemma] = [row for row in rows if row["model_type"] == "gemma3"]
    assert gemma["read_as"] == ["gemma3_text"]


def test_the_list_is_cheap():
    program = "import sys; from inference import list_families; list_families(every=True); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"jax", "flax", "transformers", "torch"} & set(loaded)
