"""What a command does once nobody reads its output any more, as after `| head`."""

import os
import sys


def write_no_more() -> None:
    """Have the last flush of standard output, at this program's end, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
