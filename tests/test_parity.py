"""The decoder says what the PyTorch reference says: every family, every switch, long texts, mixed lengths."""

from pathlib import Path

import numpy as np
import pytest
from parity.cases import CASES, MODEL_TYPES
from parity.checkpoints import case_ids, differences, log_probabilities, read_reference, write_checkpoint
from parity.seeded import seeded_tensor

from bayeslaw.errors import InputError
from inference.checkpoint import open_checkpoint
from inference.families import SUPPORTED
from inference.weights import load_decoder


def load(folder: Path):
    return load_decoder(open_checkpoint(folder))


@pytest.mark.parametrize("name", CASES)
def test_log_probabilities_equal_the_reference(name, tmp_path):
    case = CASES[name]
    found = differences(load(write_checkpoint(tmp_path, case)), case)
    assert max(found.values()) < case.gate, found


def test_every_family_has_a_case():
    assert set(MODEL_TYPES) == set(SUPPORTED)
