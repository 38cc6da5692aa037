"""Puts tasks into a queue that any number of workers share."""

import argparse
import os

import pika

QUEUE = "tasks"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10, help="how many tasks")
    count = parser.parse_args().count

    url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.queue_declare(QUEUE, durable=True)
        channel.confirm_delivery()
        persistent = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)
        for number in range(1, count + 1):
            channel.basic_publish("", QUEUE, f"task {number}".encode(), persistent)
            print(f"queued task {number}", flush=True)


if __name__ == "__main__":
    main()
