"""The two forms of what takes long: one for the gate, one for the slow tier."""

import pytest

# Parameters of a fixture: its quick form is looked at in the gate (see `quick_fits`), the sampled one in the slow tier.
FORMS = (pytest.param(True, id="quick"), pytest.param(False, id="sampled", marks=pytest.mark.slow))


def few_or_many(few: int, many: int) -> pytest.MarkDecorator:
    """Give a test of hypothesis its number of `examples`: few in the gate, many in the slow tier."""
    return pytest.mark.parametrize(
        "examples", [pytest.param(few, id="few"), pytest.param(many, id="many", marks=pytest.mark.slow)]
    )
