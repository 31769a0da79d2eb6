"""The virtual environment of these tests with `ray[default]` over it, which `ray up` needs.

It is not part of the project's own: with it every search would start Ray's dashboard agents.
"""

import subprocess
import sys
import sysconfig
import tomllib
import venv
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[2]


def made(folder: Path) -> Path:
    """Make it where it is not made yet; pip fetches what is missing.

    Args:
        folder: where.

    Returns:
        The folder of its programs.
    """
    programs = folder / "bin"
    if (programs / "ray").exists():
        return programs
    venv.create(folder, with_pip=True)
    below = programs.parent / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    pth = below / "site-packages" / "below.pth"
    pth.write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]
    wanted = [f"ray[default]=={version('ray')}", *build["requires"]]  # to build without a network
    subprocess.run([programs / "pip", "install", "-q", *wanted], check=True, capture_output=True)
    ray = programs / "ray"  # pip finds Ray below, and makes no program for it
    start = "from ray.scripts.scripts import main\nmain()\n"
    ray.write_text(f"#!{programs / 'python'}\n{start}", encoding="utf-8")
    ray.chmod(0o755)
    return programs
