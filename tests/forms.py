"""The two forms of what takes long to sample."""

import pytest

# Parameters of a fixture: its quick form is looked at in the gate (see `quick_fits`), the sampled one in the slow tier.
FORMS = (pytest.param(True, id="quick"), pytest.param(False, id="sampled", marks=pytest.mark.slow))
