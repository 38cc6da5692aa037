"""A client for measurements: publishes and consumes by hand, as fast as Python lets it."""

import struct
import time
from collections.abc import Iterator

from support.wire import BODY, FRAME_END, HEADER, METHOD, Wire, long, short

DELIVER, ACK = (60, 60), (60, 80)


class Client(Wire):
    """A connection that sends and receives many messages."""

    def declare(self, queue: str, arguments: bytes = b"", durable: bool = True) -> None:
        """A queue, durable or transient."""
        self.call((50, 10), declaration(queue, durable, arguments))

    def declare_many(self, queues: list[str], durable: bool) -> None:
        """Queues in one go; the last one's answer stands for all."""
        frames = [method(50, 10, declaration(queue, durable, no_wait=True)) for queue in queues[:-1]]
        self.socket.sendall(b"".join(frames))
        self.declare(queues[-1], durable=durable)

    def ready(self, queue: str) -> int:
        """Messages that a queue has for its consumers."""
        self._method(1, 50, 10, struct.pack(">H", 0) + short(queue) + b"\1" + long(b""))
        _, payload = self._read()
        return struct.unpack_from(">I", payload, 5 + payload[4])[0]

    def call(self, called: tuple[int, int], arguments: bytes) -> None:
        """A method and its answer, whose number is the next one."""
        self._method(1, *called, arguments)
        self._expect((called[0], called[1] + 1))

    def confirmed(self, last: int) -> None:
        """Wait for the confirm of a publish."""
        while True:
            kind, payload = self._read()
            acked = kind == METHOD and struct.unpack_from(">HH", payload) == ACK
            if acked and struct.unpack_from(">Q", payload, 4)[0] == last:
                return

    def bodies(self, until: float) -> Iterator[tuple[int, bytes]]:
        """Delivery tags and bodies, as they come."""
        tag = 0
        while time.time() < until:
            kind, payload = self._read()
            if kind == METHOD and struct.unpack_from(">HH", payload) == DELIVER:
                tag = struct.unpack_from(">Q", payload, 5 + payload[4])[0]
            elif kind == BODY:
                yield tag, payload

    def consume(self, queue: str, no_ack: bool = True, prefetch: int = 0) -> None:
        """Begin to consume."""
        if prefetch:
            self.call((60, 10), struct.pack(">IHB", 0, prefetch, 0))
        flags = bytes([2 if no_ack else 0])
        self.call((60, 20), struct.pack(">H", 0) + short(queue) + short("c") + flags + long(b""))


def declaration(queue: str, durable: bool, arguments: bytes = b"", no_wait: bool = False) -> bytes:
    """The arguments of queue.declare."""
    flags = (2 if durable else 0) | (16 if no_wait else 0)
    return struct.pack(">H", 0) + short(queue) + bytes([flags]) + long(arguments)


def publish(exchange: str, key: str, properties: bytes, body: bytes) -> bytes:
    """The frames of one message."""
    arguments = struct.pack(">H", 0) + short(exchange) + short(key) + b"\0"
    header = struct.pack(">HHQ", 60, 0, len(body)) + properties
    return method(60, 40, arguments) + frame(HEADER, header) + frame(BODY, body)


def method(class_id: int, method_id: int, arguments: bytes) -> bytes:
    """A method's frame on channel 1."""
    return frame(METHOD, struct.pack(">HH", class_id, method_id) + arguments)


def frame(kind: int, payload: bytes) -> bytes:
    """One frame on channel 1."""
    return struct.pack(">BHI", kind, 1, len(payload)) + payload + FRAME_END
