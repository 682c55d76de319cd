"""Let 100,000 sockets come and go on the Redis layer, and see what stays behind.

Run from the top of a checkout: ``python -m tests.benchmarks.soak``. One process is interface
server and worker in turns, with a layer for each. The figures before are taken after a warm-up
of a fifth of that, so that what is made once, and what is remembered for some seconds, does not
count; those after once all that expires has expired. Memory of a process that is free again is
not always given back to the system, which is why living blocks of memory are counted as well.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

import redis

from channels.layers.redis import RedisChannelLayer
from channels.layers.redis.commands import JOURNAL_SECONDS
from channels.types import Content, Sending
from tests.redis_server import RedisServer

from .measuring import show_load, show_surroundings
from .owner import Owner
from .processes import stopping_cleanly

#: Seconds after which messages are gone.
EXPIRY = 2

#: Sockets that come, or go, together; sockets that are open at once; and shared groups.
AT_ONCE, OPEN, ROOMS = 100, 1000, 100

#: Seconds for all that expires to expire: what outlives its messages does so for a minute.
PATIENCE = 75

#: Seconds for which a process remembers how its groups changed, and some to notice.
REMEMBERED = JOURNAL_SECONDS + 5

MIB = 1024 * 1024


class Figures(NamedTuple):
    """What is kept: keys and bytes in Redis, and blocks and bytes of this process."""

    keys: int
    redis_bytes: int
    blocks: int
    rss: int

    def __str__(self) -> str:
        redis_mib, rss_mib = self.redis_bytes / MIB, self.rss / MIB
        redis_part = f"{self.keys:6} keys, {redis_mib:7.2f} MiB in Redis"
        return f"{redis_part}, {self.blocks:8} blocks, {rss_mib:7.2f} MiB here"


class Site:
    """An interface server (``owner``) and a worker."""

    def __init__(self, owner: Owner, worker: RedisChannelLayer, client: redis.Redis) -> None:
        self._owner = owner
        self._worker = worker
        self._client = client
        self._open: deque[list[int]] = deque()
        self._next = 0

    def serve(self, sockets: int) -> None:
        """Let so many sockets come, and the eldest go."""
        for _ in range(0, sockets, AT_ONCE):
            numbers = list(range(self._next, self._next + AT_ONCE))
            self._next += AT_ONCE
            self._connect(numbers)
            self._open.append(numbers)
            if len(self._open) * AT_ONCE > OPEN:
                self._disconnect(self._open.popleft())

    def end(self) -> None:
        """Let all sockets go."""
        while self._open:
            self._disconnect(self._open.popleft())

    def settle(self) -> None:
        """Wait until nothing is about to be forgotten; the process goes on to read meanwhile."""
        begun = time.monotonic()
        while (waited := time.monotonic() - begun) < PATIENCE:
            if waited > REMEMBERED and not self._has_short_lived_keys():
                return
            time.sleep(1)
            self._owner.drain()

    def figures(self) -> Figures:
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        used = self._client.info("memory")["used_memory"]
        rss = pages * os.sysconf("SC_PAGE_SIZE")
        return Figures(self._client.dbsize(), used, sys.getallocatedblocks(), rss)

    def show_keys(self) -> None:
        """Print what is left in Redis."""
        for key in sorted(self._client.scan_iter(count=1000))[:20]:
            print(f"  {key.decode():60} for {self._client.ttl(key)} s")

    def _connect(self, numbers: list[int]) -> None:
        self._tell_worker("websocket.connect", numbers)
        for number in numbers:
            channel = self._next_message("websocket.connect")
            for group in _groups(number):
                self._worker.group_add(group, channel)
            self._worker.send(channel, {"accept": True})
        room = _groups(numbers[0])[1]
        self._worker.send_group(room, {"text": "x" * 100})
        if numbers[0] % OPEN == 0:
            self._worker.send_group("everybody", {"text": "x" * 100})
        self._owner.drain()

    def _disconnect(self, numbers: list[int]) -> None:
        self._tell_worker("websocket.disconnect", numbers)
        for number in numbers:
            channel = self._next_message("websocket.disconnect")
            for group in _groups(number):
                self._worker.group_discard(group, channel)
        self._owner.drain()

    def _tell_worker(self, channel: str, numbers: list[int]) -> None:
        sendings = [Sending(channel, self._message(number)) for number in numbers]
        for error in self._owner.layer.send_many(sendings):
            if error:
                raise error

    def _message(self, number: int) -> Content:
        return {"reply_channel": self._owner.socket(number), "path": "/chat/", "order": 0}

    def _next_message(self, channel: str) -> str:
        _, message = self._worker.receive([channel], block=True)
        if message is None:
            raise RuntimeError(f"A message on {channel} is lost: has it waited for {EXPIRY} s?")
        name: str = message["reply_channel"]
        return name

    def _has_short_lived_keys(self) -> bool:
        pipeline: Any = self._client.pipeline(transaction=False)
        for key in self._client.scan_iter(count=1000):
            pipeline.ttl(key)
        return any(0 <= seconds < PATIENCE for seconds in pipeline.execute())


def _groups(number: int) -> list[str]:
    """One for all, one of some, and one of its own."""
    return ["everybody", f"room-{number // AT_ONCE % ROOMS}", f"user-{number}"]


def show(before: Figures, after: Figures) -> None:
    """Print what is left, and whether it is what was there."""
    print(f"\n{'':10}{'before':>12} {'after':>12} {'ratio':>7}")
    goals = {"keys": 1.0, "redis_bytes": 1.05, "blocks": 1.05, "rss": 1.05}
    for name, goal in goals.items():
        was, now = getattr(before, name), getattr(after, name)
        verdict = "met" if now <= was * goal else "MISSED"
        print(f"{name:10}{was:12} {now:12} {now / max(was, 1):7.2f}  goal <= {goal:g}  {verdict}")


def soak(site: Site, connects: int) -> None:
    site.serve(AT_ONCE)
    print(f"{AT_ONCE:7} sockets to begin with:  {site.figures()}", flush=True)
    warm_up = connects // 5
    site.serve(warm_up)
    site.end()
    site.settle()
    before = site.figures()
    print(f"{warm_up:7} sockets to warm up:     {before}", flush=True)
    started, step = time.monotonic(), connects // 10
    for tenth in range(1, 11):
        site.serve(step)
        seconds = time.monotonic() - started
        print(f"{tenth * step:7} sockets in {seconds:5.0f} s:      {site.figures()}", flush=True)
    site.end()
    print(f"{'':7} all are gone:          {site.figures()}", flush=True)
    site.settle()
    after = site.figures()
    print(f"{'':7} some time later:       {after}", flush=True)
    show(before, after)
    print("\nleft in Redis:")
    site.show_keys()


def main() -> None:
    parser = argparse.ArgumentParser(description="See what many sockets leave behind.")
    parser.add_argument("--connects", type=int, default=100_000)
    options = parser.parse_args()
    if options.connects < 10 * AT_ONCE:
        parser.error(f"--connects must be {10 * AT_ONCE} or more.")
    with stopping_cleanly(), RedisServer() as server, contextlib.ExitStack() as stack:
        show_surroundings(server.url)
        client = stack.enter_context(redis.Redis.from_url(server.url))
        worker = RedisChannelLayer(hosts=[server.url], expiry=EXPIRY)
        stack.callback(worker.close)
        owner = stack.enter_context(Owner(RedisChannelLayer(hosts=[server.url], expiry=EXPIRY)))
        soak(Site(owner, worker, client), options.connects)
        show_load()


if __name__ == "__main__":
    main()
