"""What Ray Train calls of ours: in each process of a worker group, and in its controller."""

from typing import Any

from search.importing import importing


def pool_loop(settings: dict[str, Any]) -> None:
    """Train trials from the desk until there are no more; `search.worker.serve` says how.

    Ray's controller of the group reads this function too, and is spared the model's imports.
    """
    with importing():
        from search.worker import serve  # noqa: PLC0415

    serve(settings)


def nothing() -> None:
    """Do it, in place of what a controller would do in vain."""
