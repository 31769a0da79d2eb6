"""The one exception for mistakes that a user can make and mend."""


class UserError(Exception):
    """What is wrong, where, and what would be right, in one line shown without a traceback."""
