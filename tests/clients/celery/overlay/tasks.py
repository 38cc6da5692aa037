"""The application that both the worker and the tests load."""

import os
import signal

from celery import Celery
from kombu import Exchange, Queue

QUEUE = os.environ.get("CELERY_TEST_QUEUE", "celery-test")

app = Celery("tasks", broker=os.environ["AMQP_URL"], backend="rpc://")
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_transport_options={"confirm_publish": True},
    result_expires=60,
    result_persistent=False,
    task_default_queue=QUEUE,
    task_queues=[
        Queue(QUEUE),
        Queue(
            f"{QUEUE}.urgent",
            Exchange(f"{QUEUE}.topic", type="topic"),
            routing_key="urgent.#",
            max_priority=10,
        ),
    ],
    worker_prefetch_multiplier=1,
)


@app.task
def add(left, right):
    return left + right


@app.task
def fail():
    raise ValueError("meant to fail")


@app.task(bind=True, max_retries=3)
def succeed_at_third_try(self):
    if self.request.retries < 2:
        raise self.retry(countdown=0.1)
    return self.request.retries


@app.task(bind=True, acks_late=True, reject_on_worker_lost=True)
def die_at_first_try(self):
    """End the pool's process, so that the message goes back; the second delivery tells of it."""
    if not self.request.delivery_info["redelivered"]:
        os.kill(os.getpid(), signal.SIGKILL)
    return "redelivered"


@app.task(bind=True)
def routing_key(self):
    return self.request.delivery_info["routing_key"]
