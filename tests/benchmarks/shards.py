"""Measure how long a message waits for a lone worker, on one shard and on three.

Run from the top of a checkout: ``python -m tests.benchmarks.shards``. The worker is idle when a
message is sent: it waits for all servers, in a thread or in an event loop.
"""

from __future__ import annotations

import argparse
import asyncio
import queue
import random
import statistics
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType

from channels.layers.redis import RedisChannelLayer
from tests.redis_deployments import running_shards
from tests.redis_server import RedisServer

from .measuring import Ratio, Side, show, show_surroundings, take_turns

CHANNEL = "websocket.receive"

#: Messages of one round, and the seconds between two of them at the most.
MESSAGES, GAP = 20, 0.03

#: Seconds that three shards may add: the goal.
MAY_ADD = 0.05


class Worker:
    """A worker of its own layer that says when a message arrives, as a context manager."""

    def __init__(self, servers: Sequence[RedisServer], *, is_async: bool) -> None:
        hosts = [server.url for server in servers]
        prefix = f"{len(hosts)}:"
        self._layer = RedisChannelLayer(hosts, prefix)
        self._sender = RedisChannelLayer(hosts, prefix)
        self._arrivals: queue.SimpleQueue[float] = queue.SimpleQueue()
        self._stop = threading.Event()
        work = (lambda: asyncio.run(self._work_async())) if is_async else self._work
        self._thread = threading.Thread(target=work)

    def __enter__(self) -> Worker:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._layer.close()
        self._sender.close()

    def measure(self) -> float:
        """Seconds from a send to the arrival, on average."""
        return statistics.mean(self._measure_once() for _ in range(MESSAGES))

    def _measure_once(self) -> float:
        time.sleep(random.uniform(GAP / 3, GAP))
        started = time.perf_counter()
        self._sender.send(CHANNEL, {"n": 1})
        return self._arrivals.get(timeout=10) - started

    def _work(self) -> None:
        while not self._stop.is_set():
            if self._layer.receive([CHANNEL], block=True)[0]:
                self._arrivals.put(time.perf_counter())

    async def _work_async(self) -> None:
        while not self._stop.is_set():
            if (await self._layer.receive_async([CHANNEL]))[0]:
                self._arrivals.put(time.perf_counter())
        await self._layer.close_async()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    with ExitStack() as stack:
        servers = stack.enter_context(running_shards())
        show_surroundings(servers[0].url)
        for is_async in (False, True):
            sides = []
            with ExitStack() as workers:
                for name, used in (("one shard", servers[:1]), ("three shards", servers)):
                    worker = workers.enter_context(Worker(used, is_async=is_async))
                    sides.append(Side(name, worker.measure))
                figures = take_turns(sides, options.rounds)
            title = f"until a message arrives {'in an event loop' if is_async else 'in a thread'}"
            show(title, figures, [Ratio("three to one", "three shards", "one shard")], unit="ms")
            pairs = zip(figures["three shards"], figures["one shard"], strict=True)
            added = statistics.median(three - one for three, one in pairs)
            verdict = "met" if added <= MAY_ADD else "MISSED"
            print(
                f"  three shards add {added * 1000:.2f} ms, goal <= {MAY_ADD * 1000:g}: {verdict}"
            )


if __name__ == "__main__":
    main()
