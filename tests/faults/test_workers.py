"""Workers that are told to stop, or are killed, at any moment and under load."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from channels.test.layer_cases.base import InThread
from channels.types import Sending

from ..examples.processes import Process
from ..redis_server import wait_until
from .conftest import MakeSite
from .running import Site, repeated

#: Messages of a test: fewer than a channel holds. After so many one more worker has to go.
COUNT, BETWEEN = 400, 100


class Load:
    """Numbered messages to ``work``, whose results are collected while they come."""

    def __init__(self, site: Site) -> None:
        self.results: list[int] = []
        self._site = site
        self._stop = threading.Event()
        outcomes = site.layer.send_many([Sending("work", {"n": n}) for n in range(COUNT)])
        assert outcomes == [None] * COUNT
        self._thread = InThread(self._collect)

    def _collect(self) -> None:
        while not self._stop.is_set():
            _, message = self._site.layer.receive(["results"], block=True)
            if message is not None:
                self.results.append(message["n"])

    def wait_for(self, count: int) -> None:
        """Wait until so many messages have been begun, since the beginning."""
        wait_until(lambda: len(self.begun()) >= count, f"{count} messages are begun")

    def begun(self) -> list[int]:
        return self._site.recorded("begin")

    def wait_for_end(self) -> None:
        """Wait until no message is left."""

        def is_quiet() -> bool:
            waiting = [self._site.layer.channel_statistics(name) for name in ("work", "results")]
            return not any(each["messages_pending"] for each in waiting)

        wait_until(is_quiet, "all messages are handled")

    def close(self) -> None:
        self._stop.set()
        self._thread.outcome()


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site()


@pytest.fixture
def load(site: Site) -> Iterator[Load]:
    load = Load(site)
    yield load
    load.close()


def start_workers(site: Site, *threads: int) -> list[Process]:
    """All at once, so that it takes no longer than one."""
    workers = [site.start_worker(each, wait=False) for each in threads]
    for worker in workers:
        worker.wait_for_line("Listening on channels")
    return workers


def test_workers_that_are_told_to_stop_under_load_lose_nothing_and_end_well(
    site: Site, load: Load
) -> None:
    *leaving, last = start_workers(site, 1, 3, 1)
    for number, worker in enumerate(leaving, start=1):
        load.wait_for(number * BETWEEN)
        assert worker.terminate() == 0
    load.wait_for(COUNT)
    # This one is idle, or about to be.
    assert last.terminate() == 0
    load.wait_for_end()
    load.close()
    assert sorted(load.begun()) == sorted(load.results) == list(range(COUNT))


def test_a_worker_that_is_killed_loses_only_what_its_threads_have_in_hand(
    site: Site, load: Load
) -> None:
    in_hand = [1, 3]
    *victims, last = start_workers(site, *in_hand, 1)
    for number, worker in enumerate(victims, start=1):
        load.wait_for(number * BETWEEN)
        worker.kill()
    load.wait_for_end()
    assert last.terminate() == 0
    load.wait_for_end()
    load.close()
    assert repeated(load.begun()) == repeated(load.results) == []
    lost = set(range(COUNT)) - set(load.results)
    print(f"Killed workers of {in_hand} threads have lost {len(lost)} messages.")
    assert len(lost) <= sum(in_hand)


def test_a_worker_ends_well_while_redis_is_away(site: Site) -> None:
    worker = site.start_worker(threads=2)
    site.redis.stop()
    worker.wait_for_line("Receiving waits")
    assert worker.terminate() == 0
