"""How many small trials share a GPU, from the memory that one was seen to need."""

SPARE = 0.1
"""Share of a GPU that is left alone: other settings need more than the trial that was measured."""

OWN = 0.01
"""Least share that a process holds beside its tensors, for CUDA itself."""


def trials_a_gpu(peak: float, most: int = 8) -> int:
    """Trials that fit on one GPU side by side.

    Args:
        peak: the most memory that a trial has held, as a share of the device (`peak_memory`).
        most: more than this only wait for one another's kernels.

    Returns:
        At least 1: a trial that needs a whole GPU gets it.
    """
    return max(1, min(most, int((1 - SPARE) / (max(peak, 0.0) + OWN))))


def gpus_for(peak: float, most: int = 8) -> float:
    """The `resources.gpus_per_worker` at which so many trials share a GPU."""
    return 1 / trials_a_gpu(peak, most)
