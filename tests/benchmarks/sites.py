"""The running sites that are compared: ours, and the same on the asynchronous Channels 4."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import redis

from .light_sockets import wait_for_sockets
from .processes import ROOT, cpu_seconds, free_port, running, wait_for_port

#: The same for all sites. Clients here answer no pings, so that there are none.
UVICORN = ("-m", "uvicorn", "--log-level", "warning", "--ws-ping-interval", "3600")

CORE_LAYER = "channels_redis.core.RedisChannelLayer"
PUBSUB_LAYER = "channels_redis.pubsub.RedisPubSubChannelLayer"


@dataclass
class Site:
    """A site under ``port``, its processes by what they are, and what its work has cost.

    All CPU times are seconds for each operation counted so far.
    """

    name: str
    port: int
    processes: Mapping[str, subprocess.Popen[bytes]]
    redis: redis.Redis
    operations: int = 0
    _spent: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def working(self, operations: int) -> Iterator[None]:
        """Count what all processes use meanwhile; other sites must be idle."""
        before = self._clocks()
        yield
        self.operations += operations
        for name, seconds in self._clocks().items():
            self._spent[name] = self._spent.get(name, 0.0) + seconds - before[name]

    def forget_cpu(self) -> None:
        """Count anew."""
        self.operations = 0
        self._spent.clear()

    def show_cpu(self, per: str) -> None:
        """Print the CPU time of the servers together, and of each process."""
        each = {name: spent / self.operations * 1e6 for name, spent in self._spent.items()}
        servers = sum(spent for name, spent in each.items() if name != "client")
        parts = ", ".join(f"{name} {spent:.0f}" for name, spent in each.items())
        print(f"  {self.name:34} {servers:9.0f} us of CPU per {per} ({parts})")

    def _clocks(self) -> dict[str, float]:
        used = self.redis.info("cpu")
        return {
            **{name: cpu_seconds(process) for name, process in self.processes.items()},
            "Redis": used["used_cpu_sys"] + used["used_cpu_user"],
            "client": time.process_time(),
        }


@contextlib.contextmanager
def our_site(
    name: str, redis_url: str, workers: int = 1, threads: int = 1, path: str = "/"
) -> Iterator[Site]:
    """Our interface server under uvicorn, and workers of so many threads each."""
    port = free_port()
    server_command = (*UVICORN, "--port", str(port), "tests.benchmarks.asgi:application")
    worker_command = ("-m", "django", "runworker", "-v", "0", "--threads", str(threads))
    with contextlib.ExitStack() as stack:
        start = stack.enter_context
        processes = {"uvicorn": start(running(*server_command, CHANNELS_REDIS_URL=redis_url))}
        for number in range(1, workers + 1):
            worker = start(running(*worker_command, CHANNELS_REDIS_URL=redis_url))
            processes[f"worker {number}"] = worker
        yield start(_ready(Site(name, port, processes, redis.Redis.from_url(redis_url)), path))


@contextlib.contextmanager
def peer_site(
    name: str,
    redis_url: str,
    python: str,
    consumers: str,
    layer: str = CORE_LAYER,
    path: str = "/",
) -> Iterator[Site]:
    """Channels 4 under uvicorn, with ``sync`` or ``async`` consumers."""
    port = free_port()
    server = running(
        *UVICORN,
        "--port",
        str(port),
        "peer_asgi:application",
        python=python,
        cwd=ROOT / "tests" / "benchmarks" / "peer",
        PYTHONPATH="",
        DJANGO_SETTINGS_MODULE="peer_site",
        CHANNELS_REDIS_URL=redis_url,
        BENCHMARK_LAYER=layer,
        BENCHMARK_CONSUMERS=consumers,
    )
    client = redis.Redis.from_url(redis_url)
    with server as process, _ready(Site(name, port, {"uvicorn": process}, client), path) as site:
        yield site


@contextlib.contextmanager
def _ready(site: Site, path: str) -> Iterator[Site]:
    with site.redis:
        wait_for_port(site.port)
        wait_for_sockets(site.port, path)
        yield site
