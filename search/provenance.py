"""Where a study's figures come from: versions, code revision, data, hardware, command."""

import hashlib
import platform
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import muse

PACKAGES = ("ray", "optuna", "torch", "torchvision", "transformers", "pytorch-crf", "muse-search")


def git(*words: str) -> str:
    """What git says of the checkout that this code runs from; nothing where there is none."""
    here = Path(__file__).parent
    try:
        done = subprocess.run(
            ["git", *words], cwd=here, capture_output=True, text=True, check=False
        )
    except OSError:  # git is not installed
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


@cache
def code_hash() -> str:
    """Of the source files of muse and search: tells two versions apart without git too."""
    found = hashlib.sha256()
    for package in (Path(muse.__file__).parent, Path(__file__).parent):
        for file in sorted(package.rglob("*.py")):
            found.update(f"{package.name}/{file.relative_to(package).as_posix()}\0".encode())
            found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()[:16]


def versions() -> dict[str, str]:
    """Versions of Python and of what results depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def occasion() -> dict[str, Any]:
    """When and with which command and code this process works on a study."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(sys.argv),
        "revision": git("rev-parse", "HEAD") or "unknown",
        "uncommitted_changes": bool(git("status", "--porcelain", "--untracked-files=no")),
        "code_hash": code_hash(),
    }


def provenance(data_hash: str) -> dict[str, Any]:
    """All that someone needs who wants the same figures again."""
    now = occasion()
    return {
        "started": now.pop("time"),
        **now,
        "data_hash": data_hash,
        "versions": versions(),
        "machine": f"{platform.processor() or platform.machine()}, {platform.platform()}",
    }
