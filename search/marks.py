"""How the head's answers are told from what Ray says around them: marks at a line's beginning."""

LINE = "muse-line|"
"""For the user, as it stands."""

ERROR = "muse-error|"
"""A mistake of the user; nothing follows."""

ANSWER = "muse-answer|"
"""What was asked for, as JSON; nothing follows."""
