"""Redis hangs for half a minute, which is longer than any process waits for an answer."""

from __future__ import annotations

import time

from ..redis_server import wait_until
from .conftest import MakeSite
from .running import Load, repeated

#: Seconds for which Redis hangs.
HANG_SECONDS = 30

#: Messages that workers have to handle, and how many they have begun when Redis hangs.
COUNT, BEFORE = 400, 50


def test_processes_and_sockets_outlive_half_a_minute_without_an_answer(
    make_site: MakeSite,
) -> None:
    site = make_site()
    server, worker = site.start_server(), site.start_worker()
    with server.sockets(5, "crowd") as members, server.sockets(1, "crowd", "tell") as [speaker]:
        speaker.say(1)
        for member in members:
            member.hear_until(1)
        load = Load(site, COUNT)
        load.wait_for(BEFORE)
        site.redis.pause()
        time.sleep(HANG_SECONDS)
        site.redis.resume()
        for number in range(2, 22):
            speaker.say(number)
        for member in members:
            member.hear_until(21)
            assert member.heard == list(range(1, 22))
        for process in (server.process, worker):
            wait_until(
                lambda p=process: any("receiving goes on" in line for line in p.lines),
                "a process says that Redis is back",
            )
            assert sum("Receiving waits" in line for line in process.lines) == 1
    load.wait_for_end()
    assert worker.terminate() == 0
    load.wait_for_end()
    load.end()
    assert repeated(load.begun()) == repeated(load.results) == []
    # What Redis gave to connections that nobody has any more: one of the worker, one of this test.
    lost = COUNT - len(load.results)
    print(f"{lost} of {COUNT} messages are lost.")
    assert lost <= 2
    assert site.recorded("receive") == [str(number) for number in range(1, 22)]
