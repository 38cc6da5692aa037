"""`amphora perf`: its loads with their figures, and the frame limit to compare with."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from support.broker import Address, Broker

LOAD_TIMEOUT_S = 170


@dataclass
class Limit:
    """The frame limit as a process of its own: a server without features, which shows what sockets and copying allow."""

    binary: Path
    address: Address = field(init=False)
    process: subprocess.Popen = field(init=False)

    def __enter__(self) -> Self:
        command = [self.binary, "perf", "limit", "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
        # It says where it listens: "... on 127.0.0.1:40000 ...".
        line = self.process.stdout.readline()
        host, _, port = next(word for word in line.split() if word.startswith("127.0.0.1:")).partition(":")
        self.address = Address(host, int(port.strip(".,;")))
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


Server = Broker | Limit
"""What a load can be put on."""


class Refused(RuntimeError):
    """A load that did not end well: lost, disordered or refused messages, or a server that fails."""


def measure(server: Server, load: str, *options: str, below: Sequence[str] = ()) -> dict:
    """Run a load, such as "throughput", and return its report; it fails unless every message came, once and in order."""
    return report(start(server, load, *options, below=below))


def start(server: Server, load: str, *options: str, below: Sequence[str] = ()) -> subprocess.Popen:
    """Start a load, for `report` to wait for; `below` is a command that starts another one, such as `chrt`."""
    command = [server.binary, "perf", load, "--uri", server.address.uri, "--pid", str(server.process.pid)]
    return subprocess.Popen(
        [*below, *command, "--json", "--quiet", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )


def report(load: subprocess.Popen) -> dict:
    """The report of a load that was started, when it ends."""
    try:
        out, err = load.communicate(timeout=LOAD_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        load.kill()
        load.communicate()
        raise Refused(f"it does not end: {load.args}") from None
    if load.returncode != 0:
        raise Refused(f"{err.strip()}: {load.args}")
    return json.loads(out)
