"""Virtual environments with pinned packages, one per requirements file."""

import os
import subprocess
import sys
from pathlib import Path

from .cache import built_once, cache_dir


def venv(name: str, requirements: Path) -> Path:
    """The Python interpreter of environment `name`, holding what `requirements` pins."""

    def build(target: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", target], check=True)
        subprocess.run(
            [target / "bin" / "pip", "install", "--quiet", "--requirement", requirements],
            check=True,
        )

    inputs = [requirements.read_bytes(), sys.version.encode()]
    return built_once(cache_dir() / "venv" / name, inputs, build) / "bin" / "python"


def reexecute_in(name: str, requirements: Path) -> None:
    """Continue this program under the environment's interpreter, unless it runs there already."""
    python = venv(name, requirements)
    if Path(sys.prefix) != python.parent.parent:
        os.execv(python, [str(python), *sys.argv])
