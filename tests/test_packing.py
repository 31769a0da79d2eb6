"""How many trials share a GPU."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.packing import OWN, SPARE, gpus_for, trials_a_gpu


@pytest.mark.parametrize(
    ("peak", "trials"),
    [(0.0, 8), (0.05, 8), (0.2, 4), (0.29, 3), (0.44, 2), (0.45, 1), (0.95, 1), (1.0, 1)],
)
def test_as_many_trials_share_a_gpu_as_its_memory_holds(peak: float, trials: int) -> None:
    assert trials_a_gpu(peak) == trials
    assert gpus_for(peak) == 1 / trials


@given(st.floats(0, 1), st.integers(1, 64))
def test_what_shares_a_gpu_leaves_some_of_it_alone(peak: float, most: int) -> None:
    trials = trials_a_gpu(peak, most)
    assert 1 <= trials <= most
    assert trials == 1 or trials * (peak + OWN) <= 1 - SPARE + 1e-9
