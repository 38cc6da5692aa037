"""Answers requests: sends back the square of a number, to wherever the request says."""

import argparse
import os

import pika

QUEUE = "square_requests"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, help="end after this many requests (default: never)")
    count = parser.parse_args().count

    url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.queue_declare(QUEUE, durable=True)
        print("the server listens", flush=True)

        channel.basic_qos(prefetch_count=1)
        for done, (method, request, body) in enumerate(channel.consume(QUEUE), start=1):
            number = int(body)
            # The default exchange routes to the queue that the key names.
            channel.basic_publish(
                "",
                request.reply_to,
                str(number * number).encode(),
                pika.BasicProperties(correlation_id=request.correlation_id),
            )
            channel.basic_ack(method.delivery_tag)
            print(f"answered {number}", flush=True)
            if done == count:
                break
        channel.cancel()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
