"""A broker under test: one that already runs, or one that is started here and ended by its pid."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"
READY_TIMEOUT_S = 180
STOP_TIMEOUT_S = 60


@dataclass(frozen=True)
class Address:
    """Where a broker is, and who to be there."""

    host: str
    port: int
    user: str = "guest"
    password: str = "guest"
    http_port: int | None = None
    tls_port: int | None = None

    @classmethod
    def parse(cls, uri: str) -> "Address":
        """From `amqp://user:password@host:port`; what is left out has AMQP's defaults."""
        parts = urlsplit(uri)
        if parts.scheme != "amqp" or not parts.hostname:
            raise ValueError(f"not an amqp:// URI with a host: {uri}")
        return cls(
            host=parts.hostname,
            port=parts.port or 5672,
            user=unquote(parts.username or "guest"),
            password=unquote(parts.password or "guest"),
        )

    @property
    def uri(self) -> str:
        """The URI without a virtual host, which means `/`."""
        return f"amqp://{self.user}:{self.password}@{self.host}:{self.port}"

    def answers(self) -> bool:
        """Whether something at the address speaks AMQP 0-9-1."""
        try:
            with socket.create_connection((self.host, self.port), timeout=2) as sock:
                sock.sendall(PROTOCOL_HEADER)
                return sock.recv(1) == b"\x01"
        except OSError:
            return False


@dataclass
class Broker:
    """A broker process with its own data directory and ports on the loopback interface.

    The data directory outlives `stop` and `kill`, so that `start` can be a restart;
    leaving the `with` block removes it. With `tls`, `config` must name certificates.
    """

    binary: Path
    log: Path
    config: Path | None = None
    tls: bool = False
    address: Address = field(init=False)
    process: subprocess.Popen | None = field(default=None, init=False)
    data_dir: Path = field(init=False)

    def __enter__(self) -> "Broker":
        self.binary = self.binary.absolute()
        self.data_dir = Path(tempfile.mkdtemp(prefix="amphora-data-"))
        amqp_port, http_port, tls_port = _free_ports(3)
        self.address = Address(
            "127.0.0.1",
            amqp_port,
            http_port=http_port,
            tls_port=tls_port if self.tls else None,
        )
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.write_bytes(b"")
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.data_dir, ignore_errors=True)

    def start(self) -> None:
        """Start it and return once it speaks AMQP."""
        port = self.address.port
        listen = [f"--amqp-listen=127.0.0.1:{port}"]
        if _has_ipv6_loopback():
            listen.append(f"--amqp-listen=[::1]:{port}")
        command = [
            self.binary,
            "serve",
            f"--data-dir={self.data_dir}",
            *listen,
            f"--http-listen=127.0.0.1:{self.address.http_port}",
        ]
        if self.config:
            command.append(f"--config={self.config}")
        if self.address.tls_port:
            command.append(f"--amqps-listen=127.0.0.1:{self.address.tls_port}")
        # What the environment says of a broker is meant for another one.
        env = {name: text for name, text in os.environ.items() if not name.startswith("AMPHORA_")}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self.address.answers():
            if self.process.poll() is not None:
                raise RuntimeError(f"the broker ended with {self.process.returncode}: {self.log}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"the broker was not ready in {READY_TIMEOUT_S} s: {self.log}")
            time.sleep(0.02)

    def stop(self) -> int:
        """Ask it to end (SIGTERM), and return its exit code; a negative one names a signal."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.process.returncode

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash would."""
        self.process.kill()
        self.process.wait()

    def complaint(self) -> str | None:
        """What is wrong with the process, if anything: it died, or a thread of it panicked."""
        if (code := self.process.poll()) is not None:
            return f"the broker ended by itself with {code}"
        if b"panicked at" in self.log.read_bytes():
            return "the broker panicked"
        return None


def _free_ports(count: int) -> list[int]:
    """Ports that nothing listens on, all different because all are held until all are known."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()


def _has_ipv6_loopback() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
        return True
    except OSError:
        return False


def default_binary(root: Path) -> Path:
    """The newest broker that cargo built in this checkout."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", root / "target"))
    built = [target / profile / "amphora" for profile in ("debug", "quick", "release")]
    found = [path for path in built if path.is_file()]
    if not found:
        raise FileNotFoundError(f"no broker under {target}: build it, or name it")
    return max(found, key=lambda path: path.stat().st_mtime)
