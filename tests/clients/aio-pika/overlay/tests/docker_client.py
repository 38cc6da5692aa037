"""In place of aio-pika's Docker client: the container that runs is the broker under test."""

import os
from dataclasses import dataclass


class DockerNotAvailableError(Exception):
    """Never raised."""


@dataclass
class DockerHostInfo:
    """Nothing needs to be known of the host."""


@dataclass
class ContainerInfo:
    """Where a container's ports are reachable."""

    id: str
    ports: dict[str, int]
    host: str


class DockerClient:
    """Starts nothing and ends nothing."""

    def __init__(self, docker_host_info=None):
        pass

    def run(self, image, ports, environment=None):
        if "rabbitmq" not in image:
            raise RuntimeError(f"only the broker is there, not {image}")
        return ContainerInfo(
            id="broker",
            ports={
                "5672/tcp": int(os.environ["BROKER_PORT"]),
                "5671/tcp": int(os.environ["BROKER_TLS_PORT"]),
            },
            host=os.environ["BROKER_HOST"],
        )

    def kill(self, container_id):
        pass

    def remove(self, container_id):
        pass


def check_docker_available():
    return DockerHostInfo()
