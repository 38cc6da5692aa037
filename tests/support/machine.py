"""What was measured where and when, to stand above the figures."""

import os
import platform
import subprocess
import time
from pathlib import Path


def heading(binary: Path) -> str:
    """The day, the machine and the broker's version, in one line."""
    return f"{time.strftime('%Y-%m-%d', time.gmtime())}, {processor()}, {os.cpu_count()} cores, Linux {platform.release()}; {version(binary)}"


def processor() -> str:
    """The processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def version(binary: Path) -> str:
    """What the broker calls itself."""
    return subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.strip()
