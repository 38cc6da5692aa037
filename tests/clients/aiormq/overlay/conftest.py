"""The fixtures of aiormq's own root conftest.py, which its package lacks, without Docker."""

import os
from types import SimpleNamespace

import pytest
from yarl import URL


@pytest.fixture(scope="session")
def rabbitmq_container():
    return SimpleNamespace(
        host=os.environ["BROKER_HOST"],
        ports={
            "5672/tcp": int(os.environ["BROKER_PORT"]),
            "5671/tcp": int(os.environ["BROKER_TLS_PORT"]),
        },
    )


@pytest.fixture(scope="session")
def amqp_direct_url(rabbitmq_container):
    return URL.build(
        scheme="amqp",
        user="guest",
        password="guest",
        host=rabbitmq_container.host,
        port=rabbitmq_container.ports["5672/tcp"],
        path="//",
    )
