"""What the checks of RabbitMQ's administration tools have in common."""

import argparse
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from support.broker import Broker, default_binary
from support.cache import cache_dir

TESTS = Path(__file__).resolve().parents[1]
COMMAND_TIMEOUT_S = 60


def arguments(about: str | None) -> argparse.ArgumentParser:
    """A command line that names the broker to test, or a RabbitMQ whose answers are to be kept."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--binary", type=Path, help="the amphora to test (default: cargo's newest)")
    parser.add_argument("--record", help="ask the RabbitMQ at this URL, and keep its answers")
    return parser


@contextmanager
def broker_under_test(binary: Path | None, name: str) -> Iterator[str]:
    """The URL of a broker that is set up as RabbitMQ is: with no exchange for events, which RabbitMQ has only by a plugin."""
    log = cache_dir() / "results" / f"{name}.log"
    config = log.with_suffix(".toml")
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text('event_vhost = ""\n')
    with Broker(binary or default_binary(TESTS.parent), log, config) as broker:
        yield f"http://127.0.0.1:{broker.address.http_port}"


def run_command(
    command: Sequence[str | Path], names: Mapping[str, str], env: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run a command without a terminal: its exit code and all that it prints, with the names in the place of what they stand for."""
    done = subprocess.run(
        command,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )
    output = done.stdout
    for name, text in names.items():
        output = output.replace(text, name)
    return done.returncode, output
