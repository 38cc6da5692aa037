#!/usr/bin/env python3
"""What README.md says of a plugin of one's own, word for word, in each language: made, built, tried, configured, and a message routed by it."""

import argparse
import contextlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))
sys.dont_write_bytecode = True

from support.broker import Broker, default_binary  # noqa: E402
from support.cache import cache_dir  # noqa: E402
from support.venv import reexecute_in  # noqa: E402

reexecute_in("acceptance", Path(__file__).with_name("requirements.txt"))

import pika  # noqa: E402

README = TESTS.parent / "README.md"
TITLE = "### A plugin of your own"
LANGUAGES = ("rust", "c", "js", "python")
NAME = "my-router"

# A component with a language's runtime is compiled by a broker that is not optimised.
LOADED_S = 180.0


def main() -> int:
    """Go through it in each language, with a broker each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", type=Path, help="the amphora to test (default: cargo's newest)")
    binary = (parser.parse_args().binary or default_binary(TESTS.parent)).absolute()
    steps = {language: block(language) for language in ("sh", "toml", "python")}
    for language in LANGUAGES:
        begun = time.monotonic()
        go_through(language, binary, steps)
        print(f"{language}: ok, {time.monotonic() - begun:.0f} s", flush=True)
    return 0


def block(language: str) -> str:
    """The first block of code in a language below the title."""
    _, _, below = README.read_text().partition(f"{TITLE}\n")
    assert below, f"{README} has no '{TITLE}'"
    found = re.search(rf"^```{language}\n(.*?)^```", below, re.MULTILINE | re.DOTALL)
    assert found, f"there is no {language} below '{TITLE}'"
    return found[1]


def go_through(language: str, binary: Path, steps: dict[str, str]) -> None:
    """Do what the blocks say, in a folder that is like a copy of the repository."""
    with tempfile.TemporaryDirectory() as root:
        programs = Path(root, "programs")
        config = Path(root, "plugins", "stock.toml")
        for folder in (programs, config.parent):
            folder.mkdir()
        (programs / "amphora").symlink_to(binary)
        config.write_text("# Plugins come below.\n")
        log = cache_dir() / "results" / f"own_plugin.{language}.broker.log"
        with Broker(binary, log, config) as broker:
            make(steps["sh"].replace("--lang rust", f"--lang {language}"), Path(root), programs)
            with config.open("a") as file:
                file.write(steps["toml"])
            wait_until_loaded(broker)
            printed = run(steps["python"], broker)
            assert printed.rstrip().endswith("b'a picture')"), printed
            complaint = broker.complaint()
            assert complaint is None, complaint


def make(script: str, root: Path, programs: Path) -> None:
    """Run the commands as a user types them."""
    path = f"{programs}:{os.environ['PATH']}"
    subprocess.run(
        ["bash", "-euc", script],
        cwd=root,
        env={**os.environ, "PATH": path},
        check=True,
        stdout=sys.stderr,
    )


def wait_until_loaded(broker: Broker) -> None:
    """Nobody tells the broker: it sees that the file is saved."""
    url = f"http://127.0.0.1:{broker.address.http_port}"
    command = [broker.binary, "ctl", f"--url={url}", "list_plugins", "--format=json"]
    deadline = time.monotonic() + LOADED_S
    while True:
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found = {plugin["name"]: plugin for plugin in json.loads(listed)}
        if NAME in found and found[NAME]["state"] == "loaded":
            return
        assert time.monotonic() < deadline, listed
        time.sleep(0.2)


def run(code: str, broker: Broker) -> str:
    """Run the client's code, which begins with a channel, and return what it prints."""
    url = f"amqp://guest:guest@127.0.0.1:{broker.address.port}/%2F"
    connection = pika.BlockingConnection(pika.URLParameters(url))
    printed = io.StringIO()
    with contextlib.closing(connection), contextlib.redirect_stdout(printed):
        exec(code, {"channel": connection.channel()})  # noqa: S102
    return printed.getvalue()


if __name__ == "__main__":
    sys.exit(main())
