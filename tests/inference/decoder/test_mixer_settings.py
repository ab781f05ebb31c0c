"""Settings of recurrent mixers that cannot be are refused by name."""

import pytest

from bayeslaw.errors import InputError
from inference.decoder.halving import Halving
from inference.decoder.linear_attention_settings import KimiDelta, MatrixMemory, TimeMixing
from inference.decoder.mixer_settings import (
    GatedDelta,
    GatedLinearUnit,
    Mamba,
    Mamba2,
    SharedBlock,
    ShortConvolution,
    SideBySide,
)
from inference.decoder.mixers import MIXERS, RECURRENT
from inference.decoder.mlp_scales import MLPScales

MAMBA = {"inner_width": 8, "state_width": 4, "step_rank": 2, "taps": 4}
MAMBA2 = {"heads": 4, "head_width": 6, "groups": 2, "state_width": 4, "taps": 4}
MEMORY = {"heads": 2, "key_width": 4, "value_width": 8}
DELTA = {"key_heads": 2, "value_heads": 4, "key_width": 6, "value_width": 8, "taps": 4}


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        (Mamba, MAMBA | {"taps": 0}, "taps of Mamba is 0"),
        (Mamba, MAMBA | {"state_width": True}, "state width of Mamba is True"),
        (Mamba, MAMBA | {"selection_norm": 0.0}, "selection norm of Mamba is 0.0"),
        (Mamba2, MAMBA2 | {"groups": 3}, "heads of Mamba2 is 4"),
        (Mamba2, MAMBA2 | {"norm_groups": 5}, "inner width of Mamba2 is 24"),
        (Mamba2, MAMBA2 | {"scales": (1.0, 1.0, -1.0, 1.0, 1.0)}, "scales of Mamba2 is"),
        (Mamba2, MAMBA2 | {"shortest_step": 0.2, "longest_step": 0.1}, "limited to 0.2 and 0.1"),
        (Mamba2, MAMBA2 | {"shortest_step": float("nan")}, "limited to nan and inf"),
        (GatedDelta, DELTA | {"key_heads": 3}, "value heads of GatedDelta is 4"),
        (GatedDelta, DELTA | {"projection": "fused"}, "projection of GatedDelta is 'fused'"),
        (GatedDelta, DELTA | {"strongest": float("inf")}, "strongest of GatedDelta is inf"),
        (GatedLinearUnit, {"inner_width": 31, "blocks": 2, "taps": 4}, "inner width of GatedLinearUnit is 31"),
        (SharedBlock, {"rank": 0}, "rank of SharedBlock is 0"),
        (ShortConvolution, {"taps": 2.5}, "taps of ShortConvolution is 2.5"),
        (SideBySide, {"attention_in": 0.0}, "attention in of SideBySide is 0.0"),
        (KimiDelta, {"heads": 2, "head_width": 8, "taps": 0}, "taps of KimiDelta is 0"),
        (KimiDelta, {"heads": 2, "head_width": 8, "taps": 4, "lowest": 0.0}, "logarithm of decays of KimiDelta is 0.0"),
        (TimeMixing, {"inner_width": 0}, "inner width of TimeMixing is 0"),
        (Halving, {"every": 0}, "every of Halving is 0"),
        (MatrixMemory, MEMORY | {"key_width": 0}, "key width of MatrixMemory is 0"),
        (MatrixMemory, MEMORY | {"gate_softcap": float("nan")}, "gate softcap of MatrixMemory is nan"),
        (MLPScales, {"gate": float("nan")}, "gate of MLPScales is nan"),
    ],
)
def test_what_cannot_be_is_refused(kind, settings, said):
    with pytest.raises(InputError, match=said) as refused:
        kind(**settings)
    assert refused.value.accepted
    assert refused.value.fix


def test_recurrent_kinds_are_kinds():
    assert set(MIXERS) > RECURRENT
    assert "attention" not in RECURRENT
