"""Measure the operations of the Redis layer against a bare client of Redis.

Run from the top of a checkout: ``python -m tests.benchmarks.layer_ops``. With ``--profile`` it
prints instead where the time of ``send`` and ``receive`` goes.

Client and server share one core, which makes a round trip the sum of the work that both do.
``--unpinned`` leaves them where the system puts them: each then waits for the other's core to
wake up, which takes longer than the work, differs from run to run, and brings all ratios closer
to 1, as a real network does.
"""

from __future__ import annotations

import argparse
import contextlib
import cProfile
import os
import pstats
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import redis

from channels.channel import Channel
from channels.layers.redis import RedisChannelLayer
from channels.pending import pending_message_store
from channels.types import Sending
from tests.redis_server import RedisServer

from .measuring import (
    Ratio,
    Side,
    seconds_each,
    seconds_of,
    show,
    show_load,
    show_surroundings,
    take_turns,
)
from .owner import Owner
from .processes import stopping_cleanly

CHANNEL = "websocket.receive"
KEY = "bare"

#: What a browser's frame becomes: about 200 bytes when encoded.
FRAME = {
    "reply_channel": "websocket.send.Zk3v9QmX2aLw!p0Rt7YbNc4Hd",
    "path": "/chat/rooms/42/",
    "text": '{"command": "message", "room": 42, "text": "Hello there, how are you?"}',
    "order": 17,
}

#: Operations of one round: few, so that what else the machine does hits all sides alike.
OPERATIONS = 200

#: Sends that one consumer holds, and such consumers in a row.
HELD, FLUSHES = 50, 4

#: Group sends in a row, and the sends before them that wake up both sides of the connection.
GROUP_SENDS, WARM_UP = 3, 50

#: Sockets of the small group.
SMALL = 10

#: Sockets that join a group before their process takes note, well below its capacity.
JOINS_AT_ONCE = 500


@dataclass
class Bench:
    """A layer, bare clients of the same server, and how many rounds to measure."""

    url: str
    rounds: int
    layer: RedisChannelLayer = field(init=False)
    client: Any = field(init=False)
    resp2: Any = field(init=False)
    connection: Any = field(init=False)
    payload: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.layer = RedisChannelLayer(hosts=[self.url])
        self.payload = self.layer.encode(FRAME)
        self.client = redis.Redis.from_url(self.url)
        self.resp2 = redis.Redis.from_url(self.url, protocol=2)
        options = self.resp2.connection_pool.connection_kwargs
        self.connection = redis.Connection(**options)

    def close(self) -> None:
        self.layer.close()
        self.client.close()
        self.resp2.close()
        self.connection.disconnect()

    def execute(self, *command: Any) -> Any:
        """The answer over the bare connection."""
        self.connection.send_command(*command)
        return self.connection.read_response()

    # Each side leaves its queue as empty as it found it.

    def side(
        self,
        name: str,
        action: Callable[[], object],
        before: Callable[[], object] | None = None,
        after: Callable[[], object] | None = None,
        count: int = OPERATIONS,
    ) -> Side:
        def measure() -> float:
            if before:
                before()
            seconds = seconds_each(action, count)
            if after:
                after()
            return seconds

        return Side(name, measure)

    def drain(self) -> None:
        while self.layer.receive([CHANNEL])[0]:
            pass

    def empty_key(self) -> None:
        self.client.delete(KEY)

    def fill(self) -> None:
        for _ in range(OPERATIONS):
            self.layer.send(CHANNEL, FRAME)

    def fill_key(self) -> None:
        for _ in range(OPERATIONS):
            self.client.rpush(KEY, self.payload)


def take(received: Any) -> None:
    """Check that an operation took something: an empty answer would be quick for nothing."""
    if received is None or received[0] is None:
        raise RuntimeError("There was nothing to receive.")


def measure_send(bench: Bench) -> None:
    payload, empty = bench.payload, bench.empty_key
    sides = [
        bench.side("layer.send", lambda: bench.layer.send(CHANNEL, FRAME), after=bench.drain),
        bench.side("redis.Redis.rpush", lambda: bench.client.rpush(KEY, payload), after=empty),
        bench.side("the same, protocol 2", lambda: bench.resp2.rpush(KEY, payload), after=empty),
        bench.side("RPUSH on a bare Connection", lambda: bench.execute("RPUSH", KEY, payload)),
        bench.side("layer.encode", lambda: bench.layer.encode(FRAME)),
    ]
    ratios = [
        Ratio("rate, layer / redis.Redis", "redis.Redis.rpush", "layer.send", at_least=0.75),
        Ratio("rate, layer / protocol 2", "the same, protocol 2", "layer.send"),
        Ratio("rate, layer / bare Connection", "RPUSH on a bare Connection", "layer.send"),
    ]
    show(f"send, {len(payload)} bytes", take_turns(sides, bench.rounds), ratios)
    empty()


def measure_receive(bench: Bench) -> None:
    fill = bench.fill_key
    client, resp2 = bench.client, bench.resp2
    sides = [
        bench.side(
            "layer.receive",
            lambda: take(bench.layer.receive([CHANNEL], block=True)),
            before=bench.fill,
        ),
        bench.side("redis.Redis.blpop", lambda: take(client.blpop([KEY], 1)), before=fill),
        bench.side("the same, protocol 2", lambda: take(resp2.blpop([KEY], 1)), before=fill),
        bench.side(
            "BLPOP on a bare Connection",
            lambda: take(bench.execute("BLPOP", KEY, 1)),
            before=fill,
        ),
    ]
    ratios = [
        Ratio("rate, layer / redis.Redis", "redis.Redis.blpop", "layer.receive", at_least=0.85),
        Ratio("rate, layer / protocol 2", "the same, protocol 2", "layer.receive"),
        Ratio("rate, layer / bare Connection", "BLPOP on a bare Connection", "layer.receive"),
    ]
    show("receive, block=True, messages waiting", take_turns(sides, bench.rounds), ratios)


def measure_held(bench: Bench, owner: Owner) -> None:
    """What a consumer's held sends cost, to sockets of one process and to queues of their own."""
    sockets = [owner.socket(number) for number in range(HELD)]
    queues = [f"queue{number}" for number in range(HELD)]

    def single(names: list[str]) -> None:
        for name in names:
            bench.layer.send(name, FRAME)

    def many(names: list[str]) -> None:
        if any(bench.layer.send_many([Sending(name, FRAME) for name in names])):
            raise RuntimeError("A send was refused.")

    def hold() -> None:
        pending_message_store.prepare()
        for name in sockets:
            Channel(name, channel_layer=bench.layer).send(FRAME)

    def hold_all() -> None:
        for _ in range(FLUSHES):
            hold()

    def consumer() -> None:
        hold()
        pending_message_store.send_and_flush()

    def empty_queues() -> None:
        while bench.layer.receive(queues)[0]:
            pass

    def side(name: str, action: Callable[[], object], after: Callable[[], None]) -> Side:
        return bench.side(name, action, after=after, count=FLUSHES)

    flush = bench.side(
        "flush of 50 held", pending_message_store.send_and_flush, hold_all, owner.drain, FLUSHES
    )

    sides = [
        side("50 send", lambda: single(sockets), owner.drain),
        flush,
        side("holding and flush", consumer, owner.drain),
        side("send_many", lambda: many(sockets), owner.drain),
        side("50 send, 50 queues", lambda: single(queues), empty_queues),
        side("send_many, 50 queues", lambda: many(queues), empty_queues),
    ]
    ratios = [
        Ratio("50 send / flush", "50 send", "flush of 50 held", at_least=8),
        Ratio("50 send / holding and flush", "50 send", "holding and flush"),
        Ratio("50 send / send_many", "50 send", "send_many"),
        Ratio("50 queues: send / send_many", "50 send, 50 queues", "send_many, 50 queues"),
    ]
    show("50 held sends", take_turns(sides, bench.rounds), ratios, unit="ms")


def join(bench: Bench, owner: Owner, group: str, members: int) -> None:
    for number in range(members):
        bench.layer.group_add(group, owner.socket(number))
        if number % JOINS_AT_ONCE == 0:
            owner.drain()
    owner.drain()


def measure_groups(bench: Bench, owner: Owner, many: int) -> None:
    """Few sends in a row, then their process takes them: it may be slow at a large group."""
    seconds = seconds_of(lambda: join(bench, owner, "small", SMALL))
    seconds += seconds_of(lambda: join(bench, owner, "large", many))
    print(f"\n{many + SMALL} times group_add took {seconds:.1f} s")

    def warm_up() -> None:
        for _ in range(WARM_UP):
            bench.layer.send(CHANNEL, FRAME)

    def empty() -> None:
        bench.drain()
        owner.drain()

    def side(name: str, action: Callable[[], object]) -> Side:
        return bench.side(name, action, before=warm_up, after=empty, count=GROUP_SENDS)

    small, large = f"send_group, {SMALL} sockets", f"send_group, {many} sockets"
    sides = [
        side("send", lambda: bench.layer.send(owner.socket(0), FRAME)),
        side(small, lambda: bench.layer.send_group("small", FRAME)),
        side(large, lambda: bench.layer.send_group("large", FRAME)),
    ]
    ratios = [
        Ratio(f"{SMALL} sockets / send", small, "send", at_most=2),
        Ratio(f"{many} sockets / send", large, "send", at_most=2),
        Ratio(f"{many} sockets / {SMALL} sockets", large, small, at_most=1.2),
    ]
    show("group send, one process", take_turns(sides, bench.rounds), ratios)


def profile(bench: Bench, name: str, action: Callable[[], object], count: int) -> None:
    bench.client.config_resetstat()
    profiler = cProfile.Profile()
    profiler.enable()
    for _ in range(count):
        action()
    profiler.disable()
    print(f"\n{name}, {count} times, by the time in each function itself\n")
    pstats.Stats(profiler).strip_dirs().sort_stats("tottime").print_stats(30)
    print(f"{name}, in the server: commands, with those that scripts call\n")
    for command, figures in bench.client.info("commandstats").items():
        called, usec = figures["calls"] / count, figures["usec_per_call"]
        print(f"  {command.removeprefix('cmdstat_'):20} {called:6.2f} times, {usec:6.2f} us each")


def profile_send_and_receive(bench: Bench, count: int = 5000) -> None:
    layer = RedisChannelLayer(hosts=[bench.url], capacity=2 * count)
    layer.send(CHANNEL, FRAME)
    take(layer.receive([CHANNEL], block=True))
    profile(bench, "send", lambda: layer.send(CHANNEL, FRAME), count)
    profile(bench, "receive", lambda: take(layer.receive([CHANNEL], block=True)), count)
    layer.close()


def measure(bench: Bench, members: int) -> None:
    measure_send(bench)
    measure_receive(bench)
    with Owner(RedisChannelLayer(hosts=[bench.url])) as owner:
        measure_held(bench, owner)
        measure_groups(bench, owner, members)


def share_one_core() -> None:
    """Keep this process, and those that it starts, on one core (Linux)."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the operations of the Redis layer.")
    parser.add_argument("--rounds", type=int, default=51)
    parser.add_argument("--members", type=int, default=100_000, help="sockets of the large group")
    parser.add_argument("--profile", action="store_true", help="profile send and receive instead")
    parser.add_argument("--unpinned", action="store_true", help="use all cores")
    options = parser.parse_args()
    if options.members <= SMALL:
        parser.error(f"--members must be more than {SMALL}, the size of the small group.")
    if not options.unpinned:
        share_one_core()
    with (
        stopping_cleanly(),
        RedisServer() as server,
        contextlib.closing(Bench(server.url, options.rounds)) as bench,
    ):
        show_surroundings(server.url)
        if options.profile:
            profile_send_and_receive(bench)
        else:
            measure(bench, options.members)
            show_load()


if __name__ == "__main__":
    main()
