"""A relay that holds up what the broker says, for clients that trip over a fast answer."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from support.broker import Address

DELAY_S = 0.005


@contextmanager
def slowed(address: Address) -> Iterator[Address]:
    """The address of the same broker, whose every answer takes a few milliseconds longer."""
    with ExitStack() as stack:
        port = stack.enter_context(_relay(address.host, address.port))
        tls_port = address.tls_port
        if tls_port:
            tls_port = stack.enter_context(_relay(address.host, tls_port))
        yield replace(address, host="127.0.0.1", port=port, tls_port=tls_port)


@contextmanager
def _relay(host: str, port: int) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, host, port), daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            # Wakes the thread that accepts, which then ends.
            listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, host: str, port: int) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        broker = socket.create_connection((host, port))
        for source, sink, delay in ((client, broker, 0), (broker, client, DELAY_S)):
            threading.Thread(target=_copy, args=(source, sink, delay), daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket, delay: float) -> None:
    try:
        while data := source.recv(65_536):
            time.sleep(delay)
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        # One side is gone without a word: so goes the other.
        source.close()
        sink.close()
