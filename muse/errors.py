"""Mistakes that a user can make and mend, and a training that cannot go on."""


class UserError(Exception):
    """What is wrong, where, and what would be right, in one line shown without a traceback."""


class DivergedError(RuntimeError):
    """The loss is no finite number any more."""
