"""Import what is large without Python's search for garbage, which finds none meanwhile."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Inside a `with`, import; torch and transformers take about a seventh less of their time.

    Later searches for garbage pass over what was imported: it stays until the process ends.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
