"""Measure the main job: idle processes, a request, a WebSocket echo, a group send.

Run from the top of a checkout, on an idle machine: ``python -m tests.benchmarks.main_job``.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable

import httpx
import websockets

from channels.layers.redis import RedisChannelLayer
from tests.redis_server import RedisServer

from .processes import free_port, idle_share, running, wait_for_port

IDLE_SECONDS = 15.0
REQUESTS = 500
ECHOES = 2000


def show(what: str, times: list[float]) -> None:
    low, middle, high = min(times), statistics.median(times), sorted(times)[int(len(times) * 0.99)]
    print(f"{what:55} median {middle * 1e3:7.2f} ms  min {low * 1e3:7.2f}  p99 {high * 1e3:7.2f}")


def timed(action: Callable[[], object], count: int) -> list[float]:
    times = []
    for _ in range(count):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return times


def measure_requests(port: int, what: str) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        timed(lambda: client.get("/").raise_for_status(), 50)
        show(what, timed(lambda: client.get("/").raise_for_status(), REQUESTS))


async def measure_echo(port: int, what: str) -> None:
    times = []
    async with websockets.connect(f"ws://127.0.0.1:{port}/") as socket:
        for number in range(ECHOES + 100):
            started = time.perf_counter()
            await socket.send("x" * 100)
            await socket.recv()
            if number >= 100:
                times.append(time.perf_counter() - started)
    show(what, times)


def measure_runserver() -> None:
    port = free_port()
    command = ("-m", "django", "runserver", "--noreload", f"127.0.0.1:{port}")
    with running(*command) as server:
        wait_for_port(port)
        measure_requests(port, "request, runserver")
        asyncio.run(measure_echo(port, "WebSocket echo, runserver"))
        print(f"idle runserver: {idle_share(server, IDLE_SECONDS):.2%} of a core")


def measure_redis(url: str) -> None:
    port = free_port()
    server_command = ("-m", "uvicorn", "--port", str(port), "--log-level", "warning")
    application = "tests.benchmarks.asgi:application"
    with (
        running(*server_command, application, CHANNELS_REDIS_URL=url) as server,
        running("-m", "django", "runworker", CHANNELS_REDIS_URL=url) as worker,
    ):
        wait_for_port(port)
        measure_requests(port, "request, uvicorn + Redis + runworker")
        asyncio.run(measure_echo(port, "WebSocket echo, uvicorn + Redis + runworker"))
        print(f"idle uvicorn: {idle_share(server, IDLE_SECONDS):.2%} of a core")
        print(f"idle runworker: {idle_share(worker, IDLE_SECONDS):.2%} of a core")


def measure_groups(url: str) -> None:
    layer = RedisChannelLayer(hosts=[url], prefix="benchmark:")
    for members in (10, 10_000):
        for number in range(members):
            layer.group_add(f"group{members}", f"websocket.send.P{members}!{number}")
        times = timed(lambda n=members: layer.send_group(f"group{n}", {"text": "x" * 100}), 100)
        show(f"group send, {members} members of one process", times)
    layer.close()


if __name__ == "__main__":
    measure_runserver()
    with RedisServer() as redis:
        measure_redis(redis.url)
        measure_groups(redis.url)
