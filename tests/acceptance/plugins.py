#!/usr/bin/env python3
"""The stock plugins, end to end: by pika, through a crash of the broker, and replaced while it runs."""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))
sys.dont_write_bytecode = True

from support.broker import Broker, default_binary  # noqa: E402
from support.cache import cache_dir  # noqa: E402
from support.venv import reexecute_in  # noqa: E402

reexecute_in("acceptance", Path(__file__).with_name("requirements.txt"))

import pika  # noqa: E402
from pika.exceptions import ChannelClosedByBroker, NackError, UnroutableError  # noqa: E402

STOCK = TESTS.parent / "plugins" / "stock.toml"
PERSISTENT = pika.BasicProperties(delivery_mode=2)

# Beside what the stock configuration has.
ATTACHED = """
[[attach]]
plugin = "json-edit"
exchange = "^edited$"

[[attach]]
plugin = "json-schema"
exchange = "^orders$"
"""

# How long a message with a delay may be late on a machine that does other things, too.
LATE_S = 10.0
WAIT_S = 60.0


def main() -> int:
    """Run the checks in their order, each going on from where the one before left the broker."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", type=Path, help="the amphora to test (default: cargo's newest)")
    binary = parser.parse_args().binary or default_binary(TESTS.parent)
    checks: list[Callable[[Broker], None]] = [
        routes_by_content,
        refuses_what_makes_no_sense,
        transforms_what_is_published,
        transforms_by_policy,
        rejects_what_is_not_valid,
        delays,
        drops_duplicates,
        keeps_its_promises_after_a_crash,
        replaces_a_plugin_and_takes_it_back,
        keeps_uploads_and_what_they_store,
    ]
    log = cache_dir() / "results" / "plugins.broker.log"
    # Beside the stock configuration, because paths in it are relative to it.
    config = STOCK.with_name("acceptance.toml")
    config.write_text(STOCK.read_text() + ATTACHED)
    try:
        with Broker(binary, log, config) as broker:
            for check in checks:
                check(broker)
                print(f"{check.__name__}: ok", flush=True)
            complaint = broker.complaint()
            assert complaint is None, complaint
    finally:
        config.unlink()
    return 0


def routes_by_content(broker: Broker) -> None:
    """An exchange type of a plugin, with nothing but declare and bind."""
    with connected(broker) as channel:
        channel.exchange_declare("by_content", "x-content", durable=True)
        for queue in ("germany", "large", "other"):
            channel.queue_declare(queue, durable=True)
        channel.queue_bind("germany", "by_content", arguments={"json:/customer/country": "DE"})
        channel.queue_bind("large", "by_content", arguments={"json:/total": {"ge": 1000}})
        channel.queue_bind("other", "by_content", arguments={"x-default": True})
        large = {"customer": {"country": "DE"}, "total": 1200}
        publish(channel, "by_content", large)
        publish(channel, "by_content", {"total": 10})
        assert bodies(channel, "germany") == [large]
        assert bodies(channel, "large") == [large]
        assert bodies(channel, "other") == [{"total": 10}]


def refuses_what_makes_no_sense(broker: Broker) -> None:
    """A plugin's own words reach the client."""
    refused(
        broker,
        lambda channel: channel.queue_bind("large", "by_content", arguments={"json:/a": {"gx": 1}}),
        "'gx' is no operator",
    )
    refused(
        broker,
        lambda channel: channel.exchange_declare("x", "x-nobodys"),
        "unknown exchange type 'x-nobodys'",
    )
    refused(
        broker,
        lambda channel: channel.queue_declare("x", arguments={"x-transform": "nobodys"}),
        "unknown plugin 'nobodys' for arg 'x-transform'",
    )


def transforms_what_is_published(broker: Broker) -> None:
    """An attachment of the operator's, of which the application knows nothing."""
    with connected(broker) as channel:
        channel.exchange_declare("edited", "fanout")
        channel.queue_declare("edited")
        channel.queue_bind("edited", "edited")
        publish(channel, "edited", {"id": 1, "password": "secret"})
        expected = {"id": 1, "password": "[redacted]", "meta": {"published-by": "guest"}}
        assert bodies(channel, "edited") == [expected]


def transforms_by_policy(broker: Broker) -> None:
    """A policy attaches a plugin to an exchange and to a queue that are there, and takes it away again."""
    with connected(broker) as channel:
        channel.exchange_declare("ruled", "fanout")
        channel.queue_declare("ruled")
        channel.queue_bind("ruled", "ruled")
        job = {"id": 1, "password": "secret"}
        edited = {"id": 1, "password": "[redacted]", "meta": {"published-by": "guest"}}
        publish(channel, "ruled", job)
        for apply_to, name in (("exchanges", "json-edit"), ("queues", ["json-edit"])):
            definition = json.dumps({"transform": name})
            ctl(broker, "set_policy", "edit", "^ruled$", definition, f"--apply-to={apply_to}")
            publish(channel, "ruled", job)
        ctl(broker, "clear_policy", "edit")
        publish(channel, "ruled", job)
        assert bodies(channel, "ruled") == [job, edited, edited, job]


def rejects_what_is_not_valid(broker: Broker) -> None:
    """A nack for the one message, confirms for those around it, and the message back with the reason."""
    with connected(broker) as channel:
        channel.exchange_declare("orders", "fanout")
        channel.queue_declare("orders")
        channel.queue_bind("orders", "orders")
        publish(channel, "orders", {"id": 1})
        try:
            publish(channel, "orders", {"id": "one"})
        except (NackError, UnroutableError):
            pass
        else:
            raise AssertionError("it was confirmed")
        publish(channel, "orders", {"id": 2})
        assert bodies(channel, "orders") == [{"id": 1}, {"id": 2}]

    returned = []
    with connected(broker, confirms=False) as channel:
        channel.add_on_return_callback(lambda *message: returned.append(message))
        channel.basic_publish("orders", "k", b'{"id": "one"}', mandatory=True)
        wait_for(lambda: returned, channel)
        _, method, _, body = returned[0]
        assert method.reply_code == 406, method
        assert "json-schema" in method.reply_text and "/id" in method.reply_text, method
        assert body == b'{"id": "one"}'


def delays(broker: Broker) -> None:
    """Messages wait as long as they say, whatever the order in which they came."""
    with connected(broker) as channel:
        arguments = {"x-transform": "delayed"}
        channel.exchange_declare("delaying", "direct", durable=True, arguments=arguments)
        channel.queue_declare("delayed", durable=True)
        channel.queue_bind("delayed", "delaying", "k")
        begun = time.monotonic()
        for delay in (3000, 0, 1000):
            delayed(channel, delay)
        order = []
        while len(order) < 3:
            wait_for(lambda: channel.queue_declare("delayed", passive=True).method.message_count)
            _, _, body = channel.basic_get("delayed", auto_ack=True)
            waited = time.monotonic() - begun
            order.append(int(body))
            assert 0 <= waited - order[-1] / 1000 < LATE_S, (order, waited)
        assert order == [0, 1000, 3000], order


def drops_duplicates(broker: Broker) -> None:
    """A transform before a queue, which remembers."""
    with connected(broker) as channel:
        arguments = {"x-transform": "deduplication"}
        channel.queue_declare("unique", durable=True, arguments=arguments)
        for number in (1, 1, 2, 1, 3, 2):
            unique(channel, number)
        assert bodies(channel, "unique") == [1, 2, 3]


def keeps_its_promises_after_a_crash(broker: Broker) -> None:
    """Exchanges, bindings, what a plugin remembers and what waits: all there after kill -9."""
    with connected(broker) as channel:
        for _ in range(100):
            delayed(channel, 5000)
    broker.kill()
    broker.start()
    with connected(broker) as channel:
        publish(channel, "by_content", {"total": 5000})
        assert bodies(channel, "large") == [{"total": 5000}]
        unique(channel, 3)
        unique(channel, 4)
        assert bodies(channel, "unique") == [4]
        wait_for(
            lambda: channel.queue_declare("delayed", passive=True).method.message_count == 100
        )
        assert bodies(channel, "delayed") == [5000] * 100


def replaces_a_plugin_and_takes_it_back(broker: Broker) -> None:
    """A component that is none changes nothing, another one is in force at once, and a rollback undoes that."""
    components = STOCK.parent / "target" / "components"
    shown = ctl(broker, "show_plugin", "name=content-router", "--format=json")
    before = json.loads(shown)
    assert json.dumps(before).count("loaded"), before
    broken = subprocess.run(
        ctl_command(broker, "load_plugin", "name=content-router", f"file={STOCK}"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert broken.returncode == 70 and "no WebAssembly component" in broken.stderr, broken
    with connected(broker) as channel:
        publish(channel, "by_content", {"total": 2000})
        assert bodies(channel, "large") == [{"total": 2000}]
        channel.exchange_declare("swapped", "x-split")
        channel.queue_declare("swapped")
        channel.queue_bind("swapped", "swapped", "1", arguments={"weight": 1})
        publish(channel, "swapped", 1)
        ctl(broker, "load_plugin", "name=weighted-split", f"file={components}/consistent-hash.wasm")
        # It takes the bindings over: their key is a weight to it.
        version = json.loads(ctl(broker, "show_plugin", "name=weighted-split", "--format=json"))
        assert "consistent-hash" in json.dumps(version), version
        ctl(broker, "rollback_plugin", "name=weighted-split")
        publish(channel, "swapped", 2)
        assert bodies(channel, "swapped") == [1, 2]


def keeps_uploads_and_what_they_store(broker: Broker) -> None:
    """Uploads outlast a crash, with what was rolled back and what they stored; who is unloaded is forgotten with that."""
    components = STOCK.parent / "target" / "components"

    def in_force() -> str:
        shown = ctl(broker, "show_plugin", "name=up", "--format=json")
        return json.loads(shown)["described_name"]

    def publish_twice(channel: object) -> list:
        for _ in range(2):
            headers = {"x-deduplication-header": "1"}
            properties = pika.BasicProperties(headers=headers, delivery_mode=2)
            channel.basic_publish("", "uploaded", b"1", properties)
        return bodies(channel, "uploaded")

    grants = "grants=config,kv,log,metrics"
    ctl(broker, "load_plugin", "name=up", f"file={components}/delayed.wasm")
    ctl(broker, "load_plugin", "name=up", f"file={components}/deduplication.wasm", grants)
    with connected(broker) as channel:
        channel.queue_declare("uploaded", durable=True, arguments={"x-transform": "up"})
        assert publish_twice(channel) == [1]
    for expected in ["delayed", "deduplication"]:
        ctl(broker, "rollback_plugin", "name=up")
        assert in_force() == expected, in_force()
    broker.kill()
    broker.start()
    assert in_force() == "deduplication", in_force()
    with connected(broker) as channel:
        assert publish_twice(channel) == []
    # The version before is there after a restart, too, and what is in force after that.
    ctl(broker, "rollback_plugin", "name=up")
    broker.kill()
    broker.start()
    assert in_force() == "delayed", in_force()
    kept = subprocess.run(
        ctl_command(broker, "unload_plugin", "name=up"), capture_output=True, text=True, check=False
    )
    assert kept.returncode == 70 and "queue 'uploaded' in vhost '/'" in kept.stderr, kept
    ctl(broker, "unload_plugin", "name=up", "force=true")
    ctl(broker, "load_plugin", "name=up", f"file={components}/deduplication.wasm", grants)
    with connected(broker) as channel:
        assert publish_twice(channel) == [1]
        channel.queue_delete("uploaded")
    ctl(broker, "unload_plugin", "name=up")


def connected(broker: Broker, confirms: bool = True) -> "Channel":
    """A channel on a connection of its own."""
    return Channel(broker, confirms)


class Channel:
    """Closes its connection at the end of a block."""

    def __init__(self, broker: Broker, confirms: bool) -> None:
        port = broker.address.port
        url = f"amqp://guest:guest@127.0.0.1:{port}/%2F"
        self.connection = pika.BlockingConnection(pika.URLParameters(url))
        self.confirms = confirms

    def __enter__(self) -> pika.adapters.blocking_connection.BlockingChannel:
        channel = self.connection.channel()
        if self.confirms:
            channel.confirm_delivery()
        return channel

    def __exit__(self, *_: object) -> None:
        self.connection.close()


def publish(channel: object, exchange: str, body: object) -> None:
    """A persistent message with a body of JSON."""
    channel.basic_publish(exchange, "k", json.dumps(body).encode(), PERSISTENT)


def delayed(channel: object, delay: int) -> None:
    """A message whose body says how long it waits."""
    headers = {"x-delay": delay} if delay else {}
    properties = pika.BasicProperties(headers=headers, delivery_mode=2)
    channel.basic_publish("delaying", "k", str(delay).encode(), properties)


def unique(channel: object, number: int) -> None:
    """A message that is the same as all others with its number."""
    headers = {"x-deduplication-header": str(number)}
    properties = pika.BasicProperties(headers=headers, delivery_mode=2)
    channel.basic_publish("", "unique", str(number).encode(), properties)


def bodies(channel: object, queue: str) -> list:
    """All messages of a queue, read as JSON."""
    found = []
    while (message := channel.basic_get(queue, auto_ack=True))[0]:
        found.append(json.loads(message[2]))
    return found


def refused(broker: Broker, operation: Callable, text: str) -> None:
    """The operation is refused with 406 and a text that contains this."""
    with connected(broker) as channel:
        try:
            operation(channel)
        except ChannelClosedByBroker as error:
            assert error.reply_code == 406 and text in error.reply_text, error
        else:
            raise AssertionError(f"not refused with '{text}'")


def wait_for(condition: Callable, channel: object = None) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        if channel is None:
            time.sleep(0.005)
        else:
            channel.connection.process_data_events(0.05)


def ctl_command(broker: Broker, *arguments: str) -> list[str]:
    """A command line against the broker."""
    url = f"http://127.0.0.1:{broker.address.http_port}"
    return [str(broker.binary), "ctl", f"--url={url}", *arguments]


def ctl(broker: Broker, *arguments: str) -> str:
    """What a command prints."""
    command = ctl_command(broker, *arguments)
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main())
