"""A Celery worker and what applications do with it."""

import os
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest

os.environ["CELERY_TEST_QUEUE"] = QUEUE = f"celery-test-{uuid.uuid4()}"

from celery import chain, group
from tasks import (
    add,
    app,
    die_at_first_try,
    fail,
    routing_key,
    succeed_at_third_try,
)

TIMEOUT_S = 30


@pytest.fixture(scope="module", autouse=True)
def worker():
    """A worker with two processes, up once it answers a ping by remote control."""
    command = [sys.executable, "-m", "celery", "--app=tasks", "worker", "--concurrency=2"]
    process = subprocess.Popen([*command, "--events", "--loglevel=INFO"])
    try:
        while not app.control.ping(timeout=0.5):
            assert process.poll() is None, "the worker ended"
        yield process
    finally:
        process.terminate()
        assert process.wait(TIMEOUT_S) == 0
        with app.connection() as connection:
            for name in (QUEUE, f"{QUEUE}.urgent"):
                connection.default_channel.queue_delete(name)
            connection.default_channel.exchange_delete(f"{QUEUE}.topic")
            connection.default_channel.exchange_delete(QUEUE)


def test_result():
    assert add.delay(2, 3).get(timeout=TIMEOUT_S) == 5


def test_failure_is_reported():
    with pytest.raises(ValueError, match="meant to fail"):
        fail.delay().get(timeout=TIMEOUT_S)


def test_retry():
    assert succeed_at_third_try.delay().get(timeout=TIMEOUT_S) == 2


def test_eta():
    started = time.monotonic()
    result = add.apply_async((1, 1), eta=datetime.now(UTC) + timedelta(seconds=2))
    assert result.get(timeout=TIMEOUT_S) == 2
    assert time.monotonic() - started >= 1.9


def test_countdown_does_not_hold_up_others():
    late = add.apply_async((1, 1), countdown=3)
    assert add.delay(1, 2).get(timeout=2.5) == 3
    assert late.get(timeout=TIMEOUT_S) == 2


def test_expired_task_is_not_run():
    result = add.apply_async((1, 1), expires=datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(Exception, match="expired"):
        result.get(timeout=TIMEOUT_S)


def test_many_results_in_a_group():
    results = group(add.s(number, number) for number in range(200))().get(timeout=TIMEOUT_S)
    assert results == [2 * number for number in range(200)]


def test_chain():
    assert chain(add.s(1, 2), add.s(3), add.s(4))().get(timeout=TIMEOUT_S) == 10


def test_routing_by_topic_and_priority():
    result = routing_key.apply_async(
        exchange=f"{QUEUE}.topic", routing_key="urgent.now", priority=9
    )
    assert result.get(timeout=TIMEOUT_S) == "urgent.now"


def test_late_ack_redelivers_when_the_process_dies():
    assert die_at_first_try.delay().get(timeout=TIMEOUT_S) == "redelivered"


def test_revoke_by_remote_control():
    result = add.apply_async((1, 1), countdown=5)
    app.control.revoke(result.id, reply=True, timeout=2)
    with pytest.raises(Exception, match="revoked"):
        result.get(timeout=TIMEOUT_S)


def test_inspect_active_queues():
    [queues] = app.control.inspect(timeout=5).active_queues().values()
    assert {queue["name"] for queue in queues} == {QUEUE, f"{QUEUE}.urgent"}


def test_events():
    seen = set()
    handlers = {"task-succeeded": lambda event: seen.add(event["uuid"])}
    with app.connection() as connection:
        receiver = app.events.Receiver(connection, handlers=handlers)
        with receiver.consumer_context(wakeup=False) as (events, _, _):
            result = add.delay(4, 4)
            while result.id not in seen:
                events.drain_events(timeout=TIMEOUT_S)
