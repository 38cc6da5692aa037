"""Sends jobs for images to be processed, and returns once the broker has them on disk."""

import argparse
import json
import os

import pika

EXCHANGE = "image_processing_exchange"
QUEUE = "image_queue"
ROUTING_KEY = "image.process"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10, help="how many jobs to send")
    count = parser.parse_args().count

    url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()

        # Declaring what exists already changes nothing, so either side may start first.
        channel.exchange_declare(EXCHANGE, exchange_type="topic", durable=True)
        channel.queue_declare(QUEUE, durable=True)
        channel.queue_bind(QUEUE, EXCHANGE, routing_key=ROUTING_KEY)

        # From here on, basic_publish waits until the broker has confirmed the message.
        channel.confirm_delivery()
        for number in range(1, count + 1):
            job = {"image": f"photo-{number}.jpg", "operation": "thumbnail", "width": 320}
            channel.basic_publish(
                EXCHANGE,
                ROUTING_KEY,
                json.dumps(job).encode(),
                pika.BasicProperties(
                    content_type="application/json",
                    delivery_mode=pika.DeliveryMode.Persistent,
                ),
                mandatory=True,
            )
            print(f"sent {job['image']}", flush=True)


if __name__ == "__main__":
    main()
