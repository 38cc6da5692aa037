#!/usr/bin/env python3
"""The traffic of a shop, for pictures of the web UI: `shop.py amqp://guest:guest@127.0.0.1:5672/%2F SECONDS`, with pika.

Orders by topic, some of which a plugin picks by their total, images to be processed, payments that fail now and then, reminders that wait, and a stream that is replayed.
"""

import json
import math
import random
import sys
import threading
import time

import pika

DEAD_LETTERS = {"x-queue-type": "quorum", "x-dead-letter-exchange": "dead", "x-delivery-limit": 3}
QUEUES = {
    "orders.eu": {},
    "orders.us": {},
    "orders.all": {"x-max-length": 100_000},
    "orders.audit": {"x-queue-type": "stream"},
    "large.orders": {},
    "payments": DEAD_LETTERS,
    "payments.dead": {},
    "image_queue": {},
    "mail": {"x-max-priority": 5},
    "reminders.due": {},
}
URL, END = sys.argv[1], time.time() + float(sys.argv[2])


def connect(name: str) -> pika.adapters.blocking_connection.BlockingChannel:
    """A channel of a connection that calls itself so."""
    parameters = pika.URLParameters(URL)
    parameters.client_properties = {"connection_name": name, "product": "shop", "version": "2.4"}
    return pika.BlockingConnection(parameters).channel()


def declare() -> None:
    """Make what messages go through."""
    channel = connect("setup")
    for name, kind, arguments in (
        ("orders", "topic", {}),
        ("totals", "x-content", {}),
        ("dead", "fanout", {}),
        ("image_processing_exchange", "direct", {}),
        ("reminders", "x-delayed-message", {"x-delayed-type": "direct"}),
    ):
        channel.exchange_declare(name, kind, durable=True, arguments=arguments)
    for name, arguments in QUEUES.items():
        channel.queue_declare(name, durable=True, arguments=arguments)
    for queue, exchange, key in (
        ("orders.eu", "orders", "order.eu.*"),
        ("orders.us", "orders", "order.us.*"),
        ("orders.all", "orders", "order.#"),
        ("orders.audit", "orders", "order.#"),
        ("payments", "orders", "order.*.paid"),
        ("payments.dead", "dead", ""),
        ("image_queue", "image_processing_exchange", "image.process"),
        ("reminders.due", "reminders", "due"),
    ):
        channel.queue_bind(queue, exchange, key)
    channel.exchange_bind("totals", "orders", "order.#")
    channel.queue_bind("large.orders", "totals", arguments={"json:/total": {"ge": 900}})
    channel.connection.close()


def publish(name: str, region: str) -> None:
    """Sell, now more and now less."""
    channel, chance, number = connect(name), random.Random(name), 0
    channel.confirm_delivery()

    def send(exchange: str, key: str, body: dict, **properties: object) -> None:
        of_all = pika.BasicProperties(content_type="application/json", delivery_mode=2, app_id=name, **properties)
        channel.basic_publish(exchange, key, json.dumps(body).encode(), of_all)

    while time.time() < END:
        number += 1
        kind = chance.choice(["placed", "placed", "paid", "shipped"])
        order = {"order": number, "total": chance.randint(5, 1200), "currency": "EUR"}
        send("orders", f"order.{region}.{kind}", order, message_id=f"{region}-{number}", timestamp=int(time.time()))
        if number % 5 == 0:
            send("image_processing_exchange", "image.process", {"image": number, "width": 1280})
        if number % 40 == 0:
            delay = chance.randint(60, 3600) * 1000
            send("reminders", "due", {"remind": number}, headers={"x-delay": delay})
        time.sleep(0.007 + 0.003 * math.sin(time.time() / 9) + chance.random() * 0.004)


def consume(name: str, queue: str, failing: float = 0, seconds: float = 0, prefetch: int = 20) -> None:
    """Take messages, each of which takes its time, and a part of which fails."""
    channel, chance = connect(name), random.Random(name)
    channel.basic_qos(prefetch_count=prefetch)

    def take(_: object, method: pika.spec.Basic.Deliver, *__: object) -> None:
        time.sleep(seconds)
        if chance.random() < failing:
            channel.basic_reject(method.delivery_tag, requeue=False)
        else:
            channel.basic_ack(method.delivery_tag)

    from_first = {"x-stream-offset": "first"} if queue == "orders.audit" else {}
    channel.basic_consume(queue, take, consumer_tag=name, arguments=from_first)
    while time.time() < END:
        channel.connection.process_data_events(0.2)


declare()
CLIENTS = [
    (publish, ("storefront-eu", "eu")),
    (publish, ("storefront-us", "us")),
    (consume, ("billing-1", "payments", 0.03, 0.001)),
    (consume, ("billing-2", "payments", 0.03, 0.001)),
    (consume, ("warehouse-eu", "orders.eu")),
    (consume, ("warehouse-us", "orders.us", 0, 0.012)),
    (consume, ("resizer-1", "image_queue", 0, 0.02, 1)),
    (consume, ("analytics", "large.orders")),
    (consume, ("replayer", "orders.audit", 0, 0, 100)),
]
THREADS = [threading.Thread(target=run, args=arguments) for run, arguments in CLIENTS]
for thread in THREADS:
    thread.start()
for thread in THREADS:
    thread.join()
