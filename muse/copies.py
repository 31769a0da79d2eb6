"""Copies of a run's state in main memory, which no training changes."""

from typing import Any

import torch

Where = tuple[int, torch.Size, tuple[int, ...], torch.dtype]
"""What a tensor is a view of: two that agree share all their memory."""


class Copies:
    """Each copy takes the room of the one before: new memory costs more than the copying."""

    def __init__(self) -> None:
        self.room: dict[Where, torch.Tensor] = {}

    def over_the_last(self, state: Any) -> Any:
        """A copy in place of the last one that was made so, which changes with it."""
        copy, self.room = copied(state, self.room)
        return copy


def copied(state: Any, room: dict[Where, torch.Tensor]) -> tuple[Any, dict[Where, torch.Tensor]]:
    """Copy a state to main memory, nested as it is; what shares memory shares it in the copy.

    Args:
        state: tensors in dicts, lists and tuples, and plain values.
        room: copies that nobody needs any more, by what they were copied from.

    Returns:
        The copy, and its tensors by what they were copied from.
    """
    used: dict[Where, torch.Tensor] = {}

    def copy(part: Any) -> Any:
        if isinstance(part, torch.Tensor):
            where = (part.data_ptr(), part.shape, part.stride(), part.dtype)
            if where not in used:
                target = room.get(where)
                if target is None:
                    target = torch.empty_like(part, device="cpu", requires_grad=False)
                used[where] = target.copy_(part.detach())
            return used[where]
        if isinstance(part, dict):
            return {name: copy(inner) for name, inner in part.items()}
        if isinstance(part, list | tuple):
            return type(part)(copy(inner) for inner in part)
        return part

    return copy(state), used
