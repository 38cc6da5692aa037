#!/usr/bin/env python3
"""The first promise, end to end: image jobs by pika, through crashes of broker and consumer."""

import argparse
import multiprocessing
import struct
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))
sys.dont_write_bytecode = True

from support.broker import Broker, default_binary  # noqa: E402
from support.cache import cache_dir  # noqa: E402
from support.venv import reexecute_in  # noqa: E402
from support.wire import Wire, long, short  # noqa: E402

reexecute_in("acceptance", Path(__file__).with_name("requirements.txt"))

import pika  # noqa: E402

EXCHANGE = "image_processing_exchange"
QUEUE = "image_queue"
ROUTING_KEY = "image.process"
MESSAGES = 1_000

# The lines that the README has users type.
DECLARATIONS = (
    f"declare_exchange name={EXCHANGE} type=topic durable=true",
    f"declare_queue name={QUEUE} durable=true",
    f"bind_queue queue={QUEUE} exchange={EXCHANGE} routing_key={ROUTING_KEY}",
)


def main() -> int:
    """Run the checks in their order, each going on from where the one before left the broker."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", type=Path, help="the amphora to test (default: cargo's newest)")
    binary = parser.parse_args().binary or default_binary(TESTS.parent)
    checks: list[Callable[[Broker], None]] = [
        declares_by_ctl,
        loses_nothing_to_a_crash,
        redelivers_what_was_not_acknowledged,
        keeps_properties_byte_by_byte,
        stops_when_asked,
    ]
    log = cache_dir() / "results" / "acceptance.broker.log"
    with Broker(binary, log) as broker:
        for check in checks:
            check(broker)
            print(f"{check.__name__}: ok", flush=True)
    return 0


def declares_by_ctl(broker: Broker) -> None:
    """Exchange, queue and binding come to be by the command line, and are there for clients."""
    url = f"http://127.0.0.1:{broker.address.http_port}"
    for line in DECLARATIONS:
        command = [broker.binary, "ctl", "--url", url, *line.split()]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60)
    with connect(broker) as connection:
        channel = connection.channel()
        channel.exchange_declare(EXCHANGE, exchange_type="topic", durable=True)
        assert channel.queue_declare(QUEUE, durable=True).method.message_count == 0


def loses_nothing_to_a_crash(broker: Broker) -> None:
    """Whatever was confirmed is there after kill -9, all of it, once, and in order."""
    # Never closed: the crash cuts this connection off.
    channel = connect(broker).channel()
    channel.confirm_delivery()
    persistent = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)
    for number in range(MESSAGES):
        channel.basic_publish(
            EXCHANGE, ROUTING_KEY, f"image {number}".encode(), persistent, mandatory=True
        )
    broker.kill()
    broker.start()
    with connect(broker) as connection:
        channel = connection.channel()
        bodies = []
        for method, properties, body in channel.consume(QUEUE, inactivity_timeout=60):
            if method is None:
                break
            assert properties.delivery_mode == 2
            bodies.append(body.decode())
            channel.basic_ack(method.delivery_tag)
            if len(bodies) == MESSAGES:
                break
        channel.cancel()
        assert bodies == [f"image {number}" for number in range(MESSAGES)], (
            f"{len(bodies)} of {MESSAGES} messages, or not in order"
        )
        assert channel.queue_declare(QUEUE, passive=True).method.message_count == 0


def redelivers_what_was_not_acknowledged(broker: Broker) -> None:
    """A consumer that dies with a message in hand: another one gets it, marked as redelivered."""
    with connect(broker) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_publish(EXCHANGE, ROUTING_KEY, b"unlucky")
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        consumer = context.Process(target=hold_a_message, args=(broker.address.uri, there))
        consumer.start()
        assert here.poll(60), "the first consumer got nothing"
        assert here.recv() == ("unlucky", False)
        consumer.kill()
        consumer.join()

        method, _properties, body = next(channel.consume(QUEUE, inactivity_timeout=60))
        assert method is not None, "the message did not come back"
        assert (body, method.redelivered) == (b"unlucky", True)
        channel.basic_ack(method.delivery_tag)
        channel.cancel()


def hold_a_message(url: str, pipe: Pipe) -> None:
    """Take one message, tell of it, and never acknowledge it."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        method, _properties, body = next(connection.channel().consume(QUEUE))
        pipe.send((body.decode(), method.redelivered))
        pipe.poll(None)


def keeps_properties_byte_by_byte(broker: Broker) -> None:
    """All 14 properties, with headers of every type, come out as they went in: live and stored."""
    properties = all_properties()
    with Wire(broker.address) as wire:
        wire.publish(QUEUE, properties, b"live")
        assert wire.get(QUEUE) == (properties, b"live")
    channel = connect(broker).channel()
    channel.confirm_delivery()
    with Wire(broker.address) as wire:
        wire.publish(QUEUE, properties, b"stored")
    method, decoded, _body = next(channel.consume(QUEUE, inactivity_timeout=60))
    assert method is not None, "the message did not arrive"
    missing = [name for name in PROPERTIES if getattr(decoded, name) is None]
    assert not missing, f"pika does not see {missing}"
    assert decoded.headers["nested"]["deeper"]["list"] == [-1, {"in": "a list"}]
    channel.basic_nack(method.delivery_tag, requeue=True)
    channel.cancel()
    # The confirm of a later message covers the earlier one.
    channel.basic_publish("", QUEUE, b"after", pika.BasicProperties(delivery_mode=2))
    broker.kill()
    broker.start()
    with Wire(broker.address) as wire:
        assert wire.get(QUEUE) == (properties, b"stored")
        assert wire.get(QUEUE)[1] == b"after"


def stops_when_asked(broker: Broker) -> None:
    """SIGTERM ends it in good order."""
    code = broker.stop()
    assert code == 0, f"it ended with {code}"


PROPERTIES = (
    "content_type",
    "content_encoding",
    "headers",
    "delivery_mode",
    "priority",
    "correlation_id",
    "reply_to",
    "expiration",
    "message_id",
    "timestamp",
    "type",
    "user_id",
    "app_id",
    "cluster_id",
)


def connect(broker: Broker) -> pika.BlockingConnection:
    """A connection by pika."""
    return pika.BlockingConnection(pika.URLParameters(broker.address.uri))


def all_properties() -> bytes:
    """The flags of all 14 properties, and a value for each."""
    values = [
        short("image/jpeg"),
        short("gzip"),
        long(headers()),
        b"\2",
        b"\5",
        short("correlation"),
        short("replies"),
        short("3600000"),
        short("message-1"),
        struct.pack(">Q", 1_700_000_000),
        short("image.job"),
        short("guest"),
        short("acceptance"),
        short("cluster"),
    ]
    return struct.pack(">H", 0xFFFC) + b"".join(values)


def headers() -> bytes:
    """A field of every type that RabbitMQ knows, tables in tables, and names out of order."""
    in_a_list = long(short("in") + b"S" + long(b"a list"))
    deeper = short("list") + b"A" + long(b"I" + struct.pack(">i", -1) + b"F" + in_a_list)
    fields = {
        "zebra": b"t\1",
        "int8": b"b" + struct.pack(">b", -8),
        "uint8": b"B" + struct.pack(">B", 200),
        "int16": b"s" + struct.pack(">h", -16),
        "uint16": b"u" + struct.pack(">H", 60_000),
        "int32": b"I" + struct.pack(">i", -32),
        "uint32": b"i" + struct.pack(">I", 4_000_000_000),
        "int64": b"l" + struct.pack(">q", -64),
        "float": b"f" + struct.pack(">f", 0.5),
        "double": b"d" + struct.pack(">d", 0.1),
        "decimal": b"D" + struct.pack(">Bi", 2, 314),
        "text": b"S" + long("größer".encode()),
        "time": b"T" + struct.pack(">Q", 1_700_000_000),
        "nothing": b"V",
        "bytes": b"x" + long(b"\0\xff"),
        "nested": b"F" + long(short("deeper") + b"F" + long(deeper)),
        "empty": b"F" + long(b""),
        "aardvark": b"t\0",
    }
    return b"".join(short(name) + value for name, value in fields.items())


if __name__ == "__main__":
    sys.exit(main())
