"""Works on tasks. Start several: with a prefetch of 1, each takes a task when it is free.

Kill one in the middle of a task: the broker gives that task to another worker.
"""

import argparse
import os
import time

import pika

QUEUE = "tasks"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="worker", help="what to call it in the output")
    parser.add_argument("--prefetch", type=int, default=1, help="tasks to hold at a time")
    parser.add_argument("--seconds", type=float, default=0.1, help="how long a task takes")
    parser.add_argument("--count", type=int, help="end after this many tasks (default: never)")
    options = parser.parse_args()
    done = 0

    def work(channel, method, _properties, body):
        nonlocal done
        again = " (again)" if method.redelivered else ""
        print(f"{options.name}: {body.decode()}{again}", flush=True)
        time.sleep(options.seconds)
        channel.basic_ack(method.delivery_tag)
        done += 1
        if done == options.count:
            channel.stop_consuming()

    url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.queue_declare(QUEUE, durable=True)
        channel.basic_qos(prefetch_count=options.prefetch)
        channel.basic_consume(QUEUE, work)
        print(f"{options.name} is ready", flush=True)
        channel.start_consuming()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
