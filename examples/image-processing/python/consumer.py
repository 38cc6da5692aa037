"""Processes images, one at a time; a job is acknowledged only when it is done."""

import argparse
import json
import os

import pika

EXCHANGE = "image_processing_exchange"
QUEUE = "image_queue"
ROUTING_KEY = "image.process"


def process(job: dict) -> None:
    """Stands for the real work."""
    print(f"{job['operation']} of {job['image']}, {job['width']} pixels wide", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, help="end after this many jobs (default: never)")
    count = parser.parse_args().count

    url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.exchange_declare(EXCHANGE, exchange_type="topic", durable=True)
        channel.queue_declare(QUEUE, durable=True)
        channel.queue_bind(QUEUE, EXCHANGE, routing_key=ROUTING_KEY)

        # One job at a time: the others stay in the queue, for other consumers to take.
        channel.basic_qos(prefetch_count=1)
        for done, (method, _properties, body) in enumerate(channel.consume(QUEUE), start=1):
            process(json.loads(body))
            channel.basic_ack(method.delivery_tag)
            if done == count:
                break
        channel.cancel()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
