"""Announces new users. It does not know who listens, or whether anyone does."""

import argparse
import json
import os

import pika

EXCHANGE = "user_events"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=3, help="how many users to announce")
    count = parser.parse_args().count

    url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.exchange_declare(EXCHANGE, exchange_type="topic", durable=True)
        channel.confirm_delivery()
        for user_id in range(1, count + 1):
            event = {"user_id": user_id, "email": f"user-{user_id}@example.org"}
            channel.basic_publish(
                EXCHANGE,
                "user.created",
                json.dumps(event).encode(),
                pika.BasicProperties(
                    content_type="application/json",
                    delivery_mode=pika.DeliveryMode.Persistent,
                ),
            )
            print(f"user.created {user_id}", flush=True)


if __name__ == "__main__":
    main()
