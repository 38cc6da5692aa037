"""Where fetched packages, environments and logs live: never in the repository."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path


def cache_dir() -> Path:
    """The cache: `AMPHORA_TEST_CACHE`, or `amphora-tests` in the user's cache directory."""
    if chosen := os.environ.get("AMPHORA_TEST_CACHE"):
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "amphora-tests"


def built_once(target: Path, inputs: list[bytes], build: Callable[[Path], None]) -> Path:
    """`target`, made by `build` unless it was already made from the same `inputs`.

    The stamp is written last, so an interrupted build is thrown away and made again.
    """
    digest = hashlib.sha256()
    for item in inputs:
        digest.update(len(item).to_bytes(8, "big") + item)
    stamp = target / ".inputs"
    if stamp.is_file() and stamp.read_text() == digest.hexdigest():
        return target
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    build(target)
    stamp.write_text(digest.hexdigest())
    return target
