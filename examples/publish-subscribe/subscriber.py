"""A service that wants to know of new users, through a queue of its own.

Run it three times, as welcome_email, search_index and audit_log: each gets every event.
Run one of them twice, and the two share its events.
"""

import argparse
import json
import os

import pika

EXCHANGE = "user_events"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("service", help="the service's name, which names its queue")
    parser.add_argument("--count", type=int, help="end after this many events (default: never)")
    options = parser.parse_args()
    queue = f"{options.service}.user_created"

    url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.exchange_declare(EXCHANGE, exchange_type="topic", durable=True)
        channel.queue_declare(queue, durable=True)
        channel.queue_bind(queue, EXCHANGE, routing_key="user.created")
        print(f"{options.service} listens", flush=True)

        channel.basic_qos(prefetch_count=10)
        for done, (method, _properties, body) in enumerate(channel.consume(queue), start=1):
            print(f"{options.service} knows of {json.loads(body)['email']}", flush=True)
            channel.basic_ack(method.delivery_tag)
            if done == options.count:
                break
        channel.cancel()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
