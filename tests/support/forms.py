"""The two forms of what takes long: one for the gate, one for the slow tier."""

from collections.abc import Collection, Iterable
from typing import Any

import pytest

# Parameters of a fixture: its quick form is looked at in the gate (see `quick_fits`), the sampled one in the slow tier.
FORMS = (pytest.param(True, id="quick"), pytest.param(False, id="sampled", marks=pytest.mark.slow))


def in_gate(gate: Collection[Any], values: Iterable[Any]) -> list[Any]:
    """Return parameters of which those in `gate` are run in the gate, and all others in the slow tier."""
    values = list(values)
    assert set(gate) <= set(values)
    return [pytest.param(value, marks=() if value in gate else pytest.mark.slow) for value in values]


def few_or_many(few: int, many: int) -> pytest.MarkDecorator:
    """Give a test of hypothesis its number of `examples`: few in the gate, many in the slow tier."""
    return pytest.mark.parametrize(
        "examples", [pytest.param(few, id="few"), pytest.param(many, id="many", marks=pytest.mark.slow)]
    )
