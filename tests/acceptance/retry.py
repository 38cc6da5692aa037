#!/usr/bin/env python3
"""A consumer that fails: retried later and later, then found among the dead letters; the same through a crash of the broker."""

import argparse
import sys
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

# How long a retry may be late on a machine that does other things, too.
LATE_S = 10.0
WAIT_S = 60

FIRST_DELAY_S = 0.5
RETRIES = {
    "x-retry-max-attempts": 4,
    "x-retry-delay": int(FIRST_DELAY_S * 1000),
    "x-retry-factor": 2,
    "x-dead-letter-exchange": "failures",
}


def main() -> int:
    """Run the checks on one broker."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", type=Path, help="the amphora to test (default: cargo's newest)")
    binary = parser.parse_args().binary or default_binary(TESTS.parent)
    log = cache_dir() / "results" / "retry.broker.log"
    with Broker(binary, log) as broker:
        declare(broker)
        for check in (backs_off_and_gives_up, backs_off_through_a_crash):
            check(broker)
            print(f"{check.__name__}: ok", flush=True)
        complaint = broker.complaint()
        assert complaint is None, complaint
    return 0


def declare(broker: Broker) -> None:
    """The queue that retries, and where its dead letters go."""
    with connected(broker) as connection:
        channel = connection.channel()
        channel.exchange_declare("failures", "fanout", durable=True)
        channel.queue_declare("failed", durable=True)
        channel.queue_bind("failed", "failures")
        channel.queue_declare("work", durable=True, arguments=RETRIES)


def backs_off_and_gives_up(broker: Broker) -> None:
    """Four deliveries, each later than the one before; others are not kept waiting."""
    with connected(broker) as connection:
        channel = connection.channel()
        publish(channel, "bad")
        publish(channel, "good")
        failed, worked = [], []
        for method, properties, body in consume(channel):
            if body == b"good":
                channel.basic_ack(method.delivery_tag)
                worked.append(len(failed))
                continue
            count = (properties.headers or {}).get("x-delivery-count", 0)
            assert count == len(failed), (count, failed)
            assert method.redelivered == (count > 0)
            failed.append(time.monotonic())
            channel.basic_nack(method.delivery_tag, requeue=True)
            if len(failed) == RETRIES["x-retry-max-attempts"]:
                break
        assert worked == [1], "the good one came before the first retry"
        waits = [later - earlier for earlier, later in zip(failed, failed[1:], strict=False)]
        for attempt, wait in enumerate(waits):
            due = FIRST_DELAY_S * 2**attempt
            assert due - 0.02 <= wait < due + LATE_S, waits
        channel.cancel()
        is_dead(channel, b"bad")


def backs_off_through_a_crash(broker: Broker) -> None:
    """kill -9 while the message waits for its last attempt: it comes when it would have come, and is the last one."""
    with connected(broker) as connection:
        channel = connection.channel()
        publish(channel, "unlucky")
        attempts = 0
        for method, _, _ in consume(channel):
            channel.basic_nack(method.delivery_tag, requeue=True)
            attempts += 1
            if attempts == RETRIES["x-retry-max-attempts"] - 1:
                failed = time.monotonic()
                break
        # There is no confirm for that, but a message's confirm comes when what was before it is on the disk.
        channel.queue_declare("beside", durable=True)
        channel.basic_publish("", "beside", b"", pika.BasicProperties(delivery_mode=2))
        broker.kill()
    broker.start()
    with connected(broker) as connection:
        channel = connection.channel()
        for method, properties, body in consume(channel):
            waited = time.monotonic() - failed
            assert waited >= FIRST_DELAY_S * 2 ** (attempts - 1) - 0.02, waited
            assert body == b"unlucky"
            assert properties.headers["x-delivery-count"] == attempts, properties.headers
            channel.basic_nack(method.delivery_tag, requeue=True)
            attempts += 1
            if attempts == RETRIES["x-retry-max-attempts"]:
                break
        channel.cancel()
        is_dead(channel, b"unlucky")


def is_dead(channel: object, body: bytes) -> None:
    """The message is among the dead letters, with what RabbitMQ writes on them."""
    deadline = time.monotonic() + WAIT_S
    while not (found := channel.basic_get("failed", auto_ack=True))[0]:
        assert time.monotonic() < deadline, "it is not among the dead letters"
        time.sleep(0.01)
    _, properties, dead = found
    assert dead == body
    (death,) = properties.headers["x-death"]
    time_of_death = death.pop("time")
    assert abs(time_of_death.timestamp() - time.time()) < 24 * 3600, time_of_death
    assert death == {
        "count": 1,
        "reason": "delivery_limit",
        "queue": "work",
        "exchange": "",
        "routing-keys": ["work"],
    }, death
    for name, value in (("queue", "work"), ("reason", "delivery_limit"), ("exchange", "")):
        assert properties.headers[f"x-first-death-{name}"] == value, properties.headers
        assert properties.headers[f"x-last-death-{name}"] == value, properties.headers
    assert channel.basic_get("failed", auto_ack=True)[0] is None, "there is another"


def publish(channel: object, body: str) -> None:
    """A persistent message that is confirmed."""
    channel.confirm_delivery()
    channel.basic_publish("", "work", body.encode(), pika.BasicProperties(delivery_mode=2))


def consume(channel: object) -> object:
    """Deliveries, for as long as there is patience."""
    for delivery in channel.consume("work", inactivity_timeout=WAIT_S):
        assert delivery[0] is not None, "nothing came"
        yield delivery


def connected(broker: Broker) -> "Connection":
    """A connection that is closed at the end of a block, if the broker is still there."""
    return Connection(broker)


class Connection:
    """See `connected`."""

    def __init__(self, broker: Broker) -> None:
        url = f"amqp://guest:guest@127.0.0.1:{broker.address.port}/%2F"
        self.connection = pika.BlockingConnection(pika.URLParameters(url))

    def __enter__(self) -> pika.BlockingConnection:
        return self.connection

    def __exit__(self, *_: object) -> None:
        if self.connection.is_open:
            try:
                self.connection.close()
            except pika.exceptions.AMQPConnectionError:
                pass


if __name__ == "__main__":
    sys.exit(main())
