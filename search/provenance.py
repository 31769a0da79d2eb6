"""Where a study's figures come from: versions, code revision, data, hardware, command."""

import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("ray", "optuna", "torch", "torchvision", "transformers", "pytorch-crf", "muse-search")


def git(*words: str) -> str:
    """What git says of the checkout that this code runs from; nothing where there is none."""
    here = Path(__file__).parent
    done = subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def versions() -> dict[str, str]:
    """Versions of Python and of what results depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def provenance(data_hash: str) -> dict[str, Any]:
    """All that someone needs who wants the same figures again."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(sys.argv),
        "revision": git("rev-parse", "HEAD") or "unknown",
        "uncommitted_changes": bool(git("status", "--porcelain")),
        "data_hash": data_hash,
        "versions": versions(),
        "machine": f"{platform.processor() or platform.machine()}, {platform.platform()}",
    }
