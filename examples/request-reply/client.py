"""Asks the server for squares, all at once, and tells the answers apart by correlation-id."""

import argparse
import os
import time
import uuid

import pika

REQUESTS = "square_requests"
DIRECT_REPLY_TO = "amq.rabbitmq.reply-to"
TIMEOUT_S = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("numbers", type=int, nargs="*", default=[3, 4, 5])
    parser.add_argument(
        "--direct",
        action="store_true",
        help="take replies straight from the broker, without a queue (direct reply-to)",
    )
    options = parser.parse_args()

    url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.queue_declare(REQUESTS, durable=True)
        if options.direct:
            reply_to = DIRECT_REPLY_TO
        else:
            # A queue with a name from the broker, which ends with this connection.
            reply_to = channel.queue_declare("", exclusive=True).method.queue

        asked: dict[str, int] = {}

        def on_reply(_channel, _method, properties, body):
            number = asked.pop(properties.correlation_id, None)
            if number is not None:
                print(f"{number} squared is {body.decode()}", flush=True)

        # Consume before asking: the reply may be faster than we are.
        channel.basic_consume(reply_to, on_reply, auto_ack=True)
        for number in options.numbers:
            correlation_id = str(uuid.uuid4())
            asked[correlation_id] = number
            channel.basic_publish(
                "",
                REQUESTS,
                str(number).encode(),
                pika.BasicProperties(reply_to=reply_to, correlation_id=correlation_id),
            )

        deadline = time.monotonic() + TIMEOUT_S
        while asked and time.monotonic() < deadline:
            connection.process_data_events(time_limit=1)
        if asked:
            raise SystemExit(f"no answer for {sorted(asked.values())}")


if __name__ == "__main__":
    main()
