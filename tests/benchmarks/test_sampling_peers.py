import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.tools

PATH = Path(__file__).parents[2] / "benchmarks" / "sampling_peers.py"
specification = importlib.util.spec_from_file_location("sampling_peers", PATH)
assert specification is not None
assert specification.loader is not None
peers = importlib.util.module_from_spec(specification)
specification.loader.exec_module(peers)

levels = st.tuples(st.floats(-2, 2), st.floats(-3, 2), st.floats(-3, 3))
ranges = st.tuples(st.floats(-5, -0.5), st.floats(0.5, 5))


@given(levels, ranges)
def test_jacobian_of_levels_is_that_of_finite_differences(level, span):
    def natural(values):
        return np.array(peers.level_to_natural(tuple(values), *span)[:3])

    step = 1e-5
    columns = [(natural(level + step * e) - natural(level - step * e)) / (2 * step) for e in np.eye(3)]
    numeric = np.linalg.slogdet(np.array(columns)).logabsdet
    assert peers.level_to_natural(level, *span)[3] == pytest.approx(numeric, abs=1e-5)


@given(levels, ranges)
def test_levels_are_the_losses_at_the_ends_of_the_range(level, span):
    floor, amplitude, exponent = np.exp(peers.level_to_natural(level, *span)[:3])
    low, high = (floor + amplitude * np.exp(-exponent * x) for x in span)
    assert high == pytest.approx(np.exp(level[0]), rel=1e-8)
    assert low - high == pytest.approx(np.exp(level[1]), rel=1e-8)
    assert floor / high == pytest.approx(1 / (1 + np.exp(-level[2])), rel=1e-8)
