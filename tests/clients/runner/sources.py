"""Fetches a suite's sources with the package registry's own client, and unpacks them."""

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from support.cache import built_once, cache_dir

from .suite import Rewrite, Suite


def unpack(suite: Suite) -> Path:
    """The suite's sources, fetched, unpacked, overlaid and rewritten; cached until one changes."""
    overlay = sorted(path for path in (suite.folder / "overlay").rglob("*") if path.is_file())
    inputs = [(suite.folder / "suite.toml").read_bytes()]
    inputs += [path.read_bytes() for path in overlay]

    def build(target: Path) -> None:
        FETCH[suite.source["registry"]](suite, target)
        if overlay:
            shutil.copytree(suite.folder / "overlay", target, dirs_exist_ok=True)
        for rewrite in suite.rewrites:
            _rewrite(target, rewrite)
        if folder := suite.source.get("npm_ci"):
            command = ["npm", "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"]
            subprocess.run(command, cwd=target / folder, check=True)

    return built_once(cache_dir() / "sources" / suite.name, inputs, build)


def _from_pypi(suite: Suite, target: Path) -> None:
    package = suite.source["package"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    _from_archive(
        suite, target, [*command, f"--no-binary={package}", f"{package}=={suite.version}"]
    )


def _from_npm(suite: Suite, target: Path) -> None:
    command = ["npm", "pack", "--silent", f"{suite.source['package']}@{suite.version}"]
    _from_archive(suite, target, command)


def _from_archive(suite: Suite, target: Path, download: list[str]) -> None:
    """Unpack the one archive that `download` leaves, without its top folder."""
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(download, cwd=scratch, check=True, stdout=subprocess.DEVNULL)
        [archive] = Path(scratch).iterdir()
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        if digest != suite.source["sha256"]:
            raise ValueError(f"{suite.name}: {archive.name} has the SHA-256 {digest}")
        with tarfile.open(archive) as tar:
            tar.extractall(Path(scratch, "unpacked"), filter="data")
        [top] = Path(scratch, "unpacked").iterdir()
        shutil.copytree(top, target, dirs_exist_ok=True)


def _from_crates(suite: Suite, target: Path) -> None:
    """Let cargo fetch (and verify) the crate as a dependency, and copy it from its cache."""
    package = suite.source["package"]
    with tempfile.TemporaryDirectory() as scratch:
        manifest = Path(scratch, "Cargo.toml")
        manifest.write_text(
            '[package]\nname = "fetch"\nedition = "2024"\n[lib]\npath = "lib.rs"\n'
            f'[dependencies]\n{package} = "={suite.version}"\n'
        )
        Path(scratch, "lib.rs").touch()
        command = ["cargo", "metadata", "--quiet", "--format-version=1", "--manifest-path"]
        output = subprocess.run([*command, manifest], check=True, stdout=subprocess.PIPE).stdout
        [crate] = [entry for entry in json.loads(output)["packages"] if entry["name"] == package]
        shutil.copytree(Path(crate["manifest_path"]).parent, target, dirs_exist_ok=True)


def _from_debian(suite: Suite, target: Path) -> None:
    """Download packages and unpack them without installing; needs a Debian system's `apt-get`."""
    with tempfile.TemporaryDirectory() as scratch:
        packages = [
            f"{suite.source['package']}={suite.version}",
            *suite.source["dependencies"],
        ]
        subprocess.run(
            ["apt-get", "--quiet=2", "download", *packages],
            cwd=scratch,
            check=True,
            stderr=subprocess.DEVNULL,
        )
        for archive in Path(scratch).glob("*.deb"):
            subprocess.run(["dpkg-deb", "--extract", archive, target], check=True)


def _from_here(suite: Suite, target: Path) -> None:
    """A suite of this repository, all of which is its overlay."""
    del suite, target


FETCH: dict[str, Callable[[Suite, Path], None]] = {
    "pypi": _from_pypi,
    "npm": _from_npm,
    "crates": _from_crates,
    "debian": _from_debian,
    "here": _from_here,
}


def _rewrite(root: Path, rewrite: Rewrite) -> None:
    hits = 0
    for path in root.glob(rewrite.files):
        text = path.read_text()
        hits += text.count(rewrite.find)
        path.write_text(text.replace(rewrite.find, rewrite.replace))
    if hits == 0:
        raise ValueError(f"nothing to rewrite in {rewrite.files}: {rewrite.find!r}")
