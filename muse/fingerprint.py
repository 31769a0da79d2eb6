"""What tells one configuration from another."""

import hashlib
import json
from typing import Any


def fingerprint(config: dict[str, Any]) -> str:
    """The SHA-256 of a configuration as canonical JSON."""
    text = json.dumps(config, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
